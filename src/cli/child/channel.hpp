#pragma once

#include <optional>
#include <string>

#include "cli/child/message.hpp"

namespace ark {

/// The end of a job that the server has ended: cancelled. Whatever waits for a store has less
/// patience from now on (base/cancellation.hpp).
Error job_ended();

/// The child's end of the pipes: lines in on standard input, lines out on standard output. Used
/// from the main thread only.
class Channel {
 public:
    Channel();

    /// The next message, waiting for it. nullopt when the other side has closed the pipe or a
    /// signal asked for the end (stop_requested). Error: protocol_violation for a line that is too
    /// long.
    std::optional<Message> receive();
    /// The same, where the other side's going is the end of the job. Error: cancelled.
    Message expect(const std::string& verb);
    /// Waits up to `millis` for input, and returns true when a message may be read. Error:
    /// cancelled when the other side has gone or a signal came; as receive.
    bool wait(int millis);
    /// Error: cancelled when nobody reads any more.
    void send(const Message& message);

 private:
    bool fill(int millis);
    bool has_line() const { return buffer_.find('\n') != std::string::npos; }

    std::string buffer_;
    bool closed_ = false;
};

/// SIGTERM and SIGINT set a flag and wake the channel; SIGPIPE is ignored; the parent's death is a
/// SIGTERM. Call once, first, from the main thread of a command that the server started: also sets
/// oom_score_adj, RLIMIT_CORE and PR_SET_DUMPABLE (design: "The child, exactly").
void become_child();
bool stop_requested();

/// Sets RLIMIT_DATA: from here on an allocation beyond it throws. 0: no limit.
void limit_memory(uint64_t megabytes);

}  // namespace ark
