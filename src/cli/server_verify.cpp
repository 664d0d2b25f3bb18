// The role server-verify: reads one backup back, for a job worker of the server.

#include <unistd.h>

#include "cli/child/opening.hpp"
#include "cli/child/role.hpp"
#include "cli/command.hpp"
#include "core/verify/change_audit_job.hpp"
#include "core/verify/freshness.hpp"
#include "core/verify/job.hpp"

namespace ark {

namespace {

constexpr int kNiceness = 10;

class PipeListener final : public VerifyListener {
 public:
    explicit PipeListener(TestPipe& pipe) : pipe_(pipe) {}
    void progress(const VerifyProgress& p) override {
        pipe_.progress(name_of(p.phase), {}, p.bytes, p.bytes_total);
    }

 private:
    TestPipe& pipe_;
};

VerifyRequest request_of(const Message& message, const Opening& opening) {
    VerifyRequest request;
    request.cluster = opening.cluster_name();
    request.backup_id = message.token("id");
    request.test_id = message.token("test");
    request.jobs = static_cast<int>(message.number_or("jobs", 2));
    request.freshness_seconds = static_cast<int64_t>(
        message.number_or("freshness_s", static_cast<uint64_t>(kDefaultFreshness)));
    return request;
}

Evidence answer(const Message& message, const Opening& opening, VerifyListener& listener) {
    const VerifyRequest request = request_of(message, opening);
    if (message.number_or("changes", 0) == 0)
        return verify_backup(*opening.repository, request, listener);
    return audit_changes(
        *opening.repository,
        {request.cluster, request.backup_id, request.test_id, opening.cluster.data_directory},
        listener);
}

}  // namespace

int run_server_verify() {
    become_child();
    static_cast<void>(!nice(kNiceness));
    Channel channel;
    const std::optional<Opening> opening = open_conversation(channel);
    if (!opening)
        return 0;
    return run_job(channel, "Raise pg_ark.memory_limit or lower pg_ark.restore_test_jobs.", [&] {
        TestPipe pipe(channel);
        PipeListener listener(pipe);
        const Message message = channel.expect("verify");
        pipe.result(*opening->repository, answer(message, *opening, listener));
    });
}

}  // namespace ark
