// The role server-backup: one backup, talked through with a job worker of the server.

#include <unistd.h>

#include "cli/child/opening.hpp"
#include "cli/command.hpp"
#include "cli/traffic.hpp"
#include "core/archive/wal_source.hpp"
#include "core/backup/job.hpp"
#include "core/changes/changes_between.hpp"

namespace ark {

namespace {

constexpr int64_t kProgressNanos = 250 * 1000000LL;
constexpr int kNiceness = 10;

/// BackupHost over the pipe.
class PipeHost : public BackupHost {
 public:
    explicit PipeHost(Channel& channel) : channel_(channel) {}

    BackupStart start(const TableSink& tables) override {
        channel_.send(Message("ready"));
        const Message message = expect_after_tables("start", tables, nullptr);
        return {lsn_of(message, "lsn"), static_cast<TimelineId>(message.number("timeline"))};
    }

    Bytes control_file() override {
        channel_.send(Message("need_control"));
        return from_hex(channel_.expect("control").token("data"));
    }

    BackupStop stop(const TableSink& tables, const AnswerSink& answers) override {
        channel_.send(Message("copied"));
        const Message message = expect_after_tables("stop", tables, answers);
        BackupStop out;
        out.lsn = lsn_of(message, "lsn");
        out.timeline = static_cast<TimelineId>(message.number("timeline"));
        out.stopped_at = static_cast<UnixMicros>(message.number("stopped_at"));
        out.label = message.text("label");
        out.snapshot = message.text("snapshot");
        out.flush_lsn = lsn_of(message, "flush_lsn");
        return out;
    }

    void progress(const BackupProgress& p) override {
        const int64_t now = monotonic_nanos();
        if (p.phase == last_phase_ && now < next_progress_)
            return;
        last_phase_ = p.phase;
        next_progress_ = now + kProgressNanos;
        Message message("progress");
        message.add_token("phase", name_of(p.phase))
            .add_number("files", p.files)
            .add_number("files_total", p.files_total)
            .add_number("bytes", p.bytes)
            .add_number("bytes_total", p.bytes_total)
            .add_number("stored", p.stored);
        if (!p.segment.empty())
            message.add_token("segment", p.segment);
        channel_.send(message);
    }

    /// Before the first file is read: nothing to be told but that it goes on.
    void still_listing() {
        const int64_t now = monotonic_nanos();
        if (now < next_progress_)
            return;
        next_progress_ = now + kProgressNanos;
        Message message("progress");
        channel_.send(message.add_token("phase", name_of(BackupPhase::listing)));
    }

    void audit_miss(const AuditMiss& miss) override {
        Message message("audit_miss");
        channel_.send(message.add_text("path", miss.path)
                          .add_number("block", miss.block)
                          .add_token("lsn", to_text(miss.lsn)));
    }

    void corrupt_page(const CorruptPage& page, const RelationPath& relation) override {
        Message message("corrupt");
        channel_.send(message.add_text("path", page.path)
                          .add_number("block", page.block)
                          .add_number("tablespace", relation.tablespace)
                          .add_number("database", relation.database)
                          .add_number("filenode", relation.file.filenode)
                          .add_token("fork", name_of(relation.file.fork))
                          .add_text("reason", page.reason));
    }

    void warning(const Error& warning) override { channel_.send(message_of("warning", warning)); }

    void wait(int millis) override {
        // Nothing is expected while the job works but the end of the pipe, or `cancel`.
        if (channel_.wait(millis))
            throw job_ended();
    }

 private:
    Message expect_after_tables(const std::string& verb, const TableSink& tables,
                                const AnswerSink& answers) {
        for (;;) {
            std::optional<Message> message = channel_.receive();
            if (!message)
                throw job_ended();
            if (message->verb() == verb)
                return std::move(*message);
            if (message->verb() == "answer" && answers) {
                answers(message->text("line"));
                continue;
            }
            if (message->verb() != "table") {
                throw Error(ErrorCode::protocol_violation,
                            "unexpected message \"" + message->verb() + "\"");
            }
            tables(table_of(*message));
        }
    }

    static TableState table_of(const Message& message) {
        TableState table;
        if (message.has("missing")) {
            table.missing = true;
            table.path = message.text("missing");
            return table;
        }
        table.database = message.text("database");
        table.schema = message.text("schema");
        table.name = message.text("name");
        table.database_oid = static_cast<uint32_t>(message.number("database_oid"));
        table.oid = static_cast<uint32_t>(message.number("oid"));
        table.filenode = static_cast<uint32_t>(message.number("filenode"));
        table.bytes = message.number("bytes");
        table.changes = message.number("changes");
        if (message.has("rows"))
            table.rows = message.number("rows");
        return table;
    }

    static Lsn lsn_of(const Message& message, const std::string& key) {
        const auto lsn = parse_lsn(message.token(key));
        if (lsn)
            return *lsn;
        throw Error(ErrorCode::protocol_violation, "invalid LSN from the server module");
    }

    Channel& channel_;
    BackupPhase last_phase_ = BackupPhase::listing;
    int64_t next_progress_ = 0;
};

// Reads up to `prepare`.
BackupRequest request_of(Channel& channel, const Opening& opening) {
    BackupRequest request;
    const Message first = channel.expect("backup");
    request.id = first.token("id");
    request.type = first.token("type");
    request.backup_type = first.token_or("backup_type", request.type);
    request.reason = first.text_or("reason", "");
    request.created_by = first.token_or("created_by", "");
    request.role = first.text_or("role", "");
    request.superuser = first.text_or("superuser", "");
    request.started_at = static_cast<UnixMicros>(first.number("started_at"));
    constexpr double kMillion = 1000000;
    request.audit_fraction = static_cast<double>(first.number_or("audit_millionths", 0)) / kMillion;
    for (;;) {
        const std::optional<Message> message = channel.receive();
        if (!message)
            throw job_ended();
        if (message->verb() == "prepare")
            break;
        if (message->verb() == "distrusted") {
            request.distrusted.insert(message->token("id"));
            continue;
        }
        if (message->verb() != "config") {
            throw Error(ErrorCode::protocol_violation,
                        "unexpected message \"" + message->verb() + "\"");
        }
        const std::string kind = message->token("kind");
        const std::string path = message->text("path");
        if (kind == "include") {
            request.config_includes.push_back(path);
        } else {
            request.config_files[kind] = path;
        }
    }
    if (!is_valid_name_part(request.id)) {
        throw Error(ErrorCode::invalid_argument, "invalid backup id \"" + request.id + "\"");
    }
    if (request.type != kTypeFull && request.type != kTypeIncremental &&
        request.type != kTypeDifferential) {
        throw Error(ErrorCode::unsupported,
                    "backup type \"" + request.type + "\" is not supported");
    }
    const ClusterInfo& cluster = opening.cluster;
    request.data_directory = cluster.data_directory;
    request.cluster = opening.cluster_name();
    request.system_identifier = cluster.system_identifier;
    request.pg_version = cluster.pg_version;
    request.pg_version_num = cluster.pg_version_num;
    request.jobs = opening.setting_number("jobs", 2);
    request.compression_level = opening.setting_number("compression_level", 3);
    request.wal_timeout_seconds = opening.setting_number("wal_timeout_s", 600);
    return request;
}

// WAL may take long to read: the module gives up on who is silent.
ChangeAnswer find_changes(Repository& repository, const BackupRequest& request, PipeHost& host,
                          const ChangeQuestion& question, uint64_t segment_size,
                          uint64_t most_archived_bytes) {
    RepositoryWal archived(repository, request.cluster, segment_size, question.way);
    const auto read = [&](uint64_t number) {
        host.wait(0);
        host.still_listing();
        return archived.read_segment(number);
    };
    const ChangeSources sources{repository.store(),
                                request.cluster,
                                request.data_directory,
                                segment_size,
                                read,
                                most_archived_bytes,
                                make_writer(request.data_directory)};
    return changes_between(sources, question);
}

Message done_message(const BackupMarker& m, const StoreTraffic& traffic) {
    Message done("done");
    done.add_number("files", m.files)
        .add_number("database_bytes", m.database_bytes)
        .add_number("stored_bytes", m.stored_bytes)
        .add_number("corrupt_pages", m.corrupt_page_count)
        .add_number("pages_verified", m.pages_verified)
        .add_token("start_segment", m.start_segment)
        .add_token("stop_segment", m.stop_segment)
        .add_number("completed_at", static_cast<uint64_t>(m.completed_at))
        .add_text("requests", text_of(traffic, m.stored_bytes));
    if (!m.parent.empty())
        done.add_token("parent", m.parent);
    if (!m.full_because.empty())
        done.add_text("full_because", m.full_because);
    if (m.changes) {
        done.add_number("changed_blocks", m.changes->changed_blocks)
            .add_number("audited_blocks", m.changes->audited_blocks)
            .add_number("audit_misses", m.changes->audit_misses);
    }
    return done;
}

}  // namespace

int run_server_backup() {
    become_child();
    // A backup yields to the server's own work; WAL children are never niced.
    static_cast<void>(!nice(kNiceness));
    Channel channel;
    const std::optional<Opening> opening = open_conversation(channel);
    if (!opening)
        return 0;
    try {
        const BackupRequest request = request_of(channel, *opening);
        PipeHost host(channel);
        const BackupMarker marker = take_backup(
            *opening->repository, request, host,
            [&](const ChangeQuestion& question, uint64_t segment_size, uint64_t most_bytes) {
                return find_changes(*opening->repository, request, host, question, segment_size,
                                    most_bytes);
            });
        channel.send(done_message(marker, opening->repository->store().traffic()));
        return 0;
    } catch (const std::bad_alloc&) {
        channel.send(message_of("error", Error(ErrorCode::out_of_memory, "out of memory", {},
                                               "Raise pg_ark.memory_limit or lower "
                                               "pg_ark.backup_jobs.")));
    } catch (const Error& error) {
        channel.send(message_of("error", error));
    } catch (const std::exception& error) {
        channel.send(message_of("error", Error(ErrorCode::internal, error.what())));
    }
    return 1;
}

}  // namespace ark
