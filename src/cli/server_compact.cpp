// The role server-compact: a full backup from a chain, for a job worker of the server.

#include <unistd.h>

#include "cli/child/opening.hpp"
#include "cli/child/role.hpp"
#include "cli/command.hpp"
#include "cli/traffic.hpp"
#include "core/base/clock.hpp"
#include "core/compact/job.hpp"

namespace ark {

namespace {

constexpr int kNiceness = 10;
constexpr int64_t kProgressNanos = 250 * 1000000LL;

class PipeListener final : public CompactListener {
 public:
    explicit PipeListener(Channel& channel) : channel_(channel) {}
    void progress(const CompactProgress& p) override {
        if (channel_.wait(0))
            throw job_ended();
        const int64_t now = monotonic_nanos();
        if (now < next_)
            return;
        next_ = now + kProgressNanos;
        Message message("progress");
        channel_.send(message.add_token("phase", "copying")
                          .add_number("files", p.files)
                          .add_number("files_total", p.files_total)
                          .add_number("bytes", p.bytes)
                          .add_number("bytes_total", p.bytes_total)
                          .add_number("stored", p.stored));
    }

 private:
    Channel& channel_;
    int64_t next_ = 0;
};

CompactRequest request_of(const Message& message, const Opening& opening) {
    CompactRequest request;
    request.cluster = opening.cluster_name();
    request.backup_id = message.token("source");
    request.new_id = message.token("id");
    request.reason = message.text_or("reason", "");
    request.created_by = message.token_or("created_by", "");
    request.role = message.text_or("role", "");
    request.data_directory = opening.cluster.data_directory;
    request.jobs = opening.setting_number("jobs", 2);
    request.compression_level = opening.setting_number("compression_level", 3);
    if (!is_valid_name_part(request.new_id))
        throw Error(ErrorCode::invalid_argument, "invalid backup id \"" + request.new_id + "\"");
    return request;
}

Message done_message(const BackupMarker& m, const StoreTraffic& traffic) {
    Message done("done");
    done.add_number("files", m.files)
        .add_number("database_bytes", m.database_bytes)
        .add_number("stored_bytes", m.stored_bytes)
        .add_number("corrupt_pages", m.corrupt_page_count)
        .add_number("timeline", m.timeline)
        .add_token("start_lsn", to_text(m.start_lsn))
        .add_token("stop_lsn", to_text(m.stop_lsn))
        .add_token("start_segment", m.start_segment)
        .add_token("stop_segment", m.stop_segment)
        .add_number("completed_at", static_cast<uint64_t>(m.completed_at))
        .add_text("requests", text_of(traffic, m.stored_bytes));
    return done;
}

}  // namespace

int run_server_compact() {
    become_child();
    static_cast<void>(!nice(kNiceness));
    Channel channel;
    const std::optional<Opening> opening = open_conversation(channel);
    if (!opening)
        return 0;
    return run_job(channel, "Raise pg_ark.memory_limit or lower pg_ark.backup_jobs.", [&] {
        const CompactRequest request = request_of(channel.expect("compact"), *opening);
        PipeListener listener(channel);
        const BackupMarker marker = compact_backup(*opening->repository, request, listener);
        channel.send(done_message(marker, opening->repository->store().traffic()));
    });
}

}  // namespace ark
