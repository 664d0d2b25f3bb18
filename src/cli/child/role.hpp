#pragma once

#include <exception>
#include <new>
#include <string>

#include "cli/child/channel.hpp"
#include "core/repo/evidence.hpp"

namespace ark {

/// Runs the one job of a role. What it throws is sent as `error`; the exit status comes back.
/// `memory_hint`: what to do where memory ran out.
template <typename Job>
int run_job(Channel& channel, const std::string& memory_hint, const Job& job) {
    try {
        job();
        return 0;
    } catch (const std::bad_alloc&) {
        channel.send(
            message_of("error", Error(ErrorCode::out_of_memory, "out of memory", {}, memory_hint)));
    } catch (const Error& error) {
        channel.send(message_of("error", error));
    } catch (const std::exception& error) {
        channel.send(message_of("error", Error(ErrorCode::internal, error.what())));
    }
    return 1;
}

/// Tells progress and, more often, looks whether the server still wants it. For the listeners of
/// tests, which share their form but not their types.
class TestPipe {
 public:
    explicit TestPipe(Channel& channel) : channel_(channel) {}

    /// Error: cancelled when the server has ended the job.
    void progress(const std::string& phase, const std::string& doing, uint64_t done,
                  uint64_t total);
    /// Keeps the evidence in the repository (a warning where that fails) and sends it.
    void result(Repository& repository, const Evidence& evidence);

 private:
    Channel& channel_;
    std::string last_phase_;
    int64_t next_ = 0;
};

}  // namespace ark
