#include "cli/child/role.hpp"

#include "core/base/clock.hpp"

namespace ark {

namespace {

constexpr int64_t kProgressNanos = 250 * 1000000LL;

}  // namespace

void TestPipe::progress(const std::string& phase, const std::string& doing, uint64_t done,
                        uint64_t total) {
    // Nothing is expected meanwhile but the end of the pipe.
    if (channel_.wait(0))
        throw job_ended();
    const int64_t now = monotonic_nanos();
    if (phase == last_phase_ && now < next_)
        return;
    last_phase_ = phase;
    next_ = now + kProgressNanos;
    Message message("progress");
    channel_.send(message.add_token("phase", phase)
                      .add_text("doing", doing)
                      .add_number("done", done)
                      .add_number("total", total));
}

void TestPipe::result(Repository& repository, const Evidence& evidence) {
    try {
        store_evidence(repository, evidence);
    } catch (const Error& error) {
        channel_.send(message_of("warning",
                                 Error(error.code,
                                       "could not keep the evidence of test \"" + evidence.test_id +
                                           "\" in the repository: " + error.message,
                                       error.detail, error.hint)));
    }
    Message message("result");
    channel_.send(message.add_number("success", evidence.success ? 1 : 0)
                      .add_token("backup", evidence.backup_id)
                      .add_text("evidence", to_json(evidence)));
}

}  // namespace ark
