#include <cstdio>
#include <memory>

#include "cli/command.hpp"
#include "cli/command_audit.hpp"
#include "cli/progress_bar.hpp"
#include "cli/traffic.hpp"
#include "core/base/clock.hpp"
#include "core/compact/job.hpp"

namespace ark {

namespace {

struct CompactOptions {
    RepositoryOptions repository;
    std::string backup_id;
    std::string new_id;
    std::string reason;
    int jobs = 2;
    int compression_level = 3;
};

class Watcher final : public CompactListener {
 public:
    explicit Watcher(OutputFormat output) : output_(output) {}
    void progress(const CompactProgress& p) override {
        const bool text = output_ == OutputFormat::text;
        const bool ends = p.bytes_total > 0 && p.bytes >= p.bytes_total;
        if (!bar_.due(ends, text))
            return;
        const int64_t nanos = monotonic_nanos() - since_;
        if (!text) {
            std::fprintf(
                stderr, "%s\n",
                progress_event("compacting", p.bytes, p.bytes_total, nanos).dump().c_str());
        } else {
            bar_.show(share_of(p.bytes, p.bytes_total),
                      "compacting " + describe_progress(p.bytes, p.bytes_total, nanos));
        }
    }
    void clear() { bar_.clear(); }

 private:
    const OutputFormat output_;
    const int64_t since_ = monotonic_nanos();
    ProgressBar bar_;
};

void print(const BackupMarker& m, OutputFormat output, const StoreTraffic& traffic) {
    if (output == OutputFormat::json) {
        const nlohmann::json out{{"backup_id", m.backup_id},
                                 {"compacted_from", m.compacted_from},
                                 {"files", m.files},
                                 {"database_bytes", m.database_bytes},
                                 {"stored_bytes", m.stored_bytes}};
        std::printf("%s\n", out.dump(2).c_str());
        return;
    }
    std::printf("backup %s is a full one, made of %s\n  %llu files, %s, stored in %s\n",
                m.backup_id.c_str(), m.compacted_from.c_str(),
                static_cast<unsigned long long>(m.files), human_bytes(m.database_bytes).c_str(),
                human_bytes(m.stored_bytes).c_str());
    print_traffic(traffic);
}

// What is written is encrypted as what it is made of: that has to be looked at first.
std::unique_ptr<Repository> open_to_write(const CompactOptions& options, std::string& cluster) {
    bool is_encrypted = false;
    {
        const auto repository = open_repository(options.repository);
        cluster = repository->resolve_cluster(options.repository.cluster);
        ClusterKeys(options.repository.key.source())
            .use(*repository, cluster, options.repository.key.require_encryption);
        const auto backup = find_backup(*repository, cluster, options.backup_id);
        if (!backup)
            throw Error(ErrorCode::not_found, "backup \"" + options.backup_id + "\" does not exist",
                        {}, "\"pg_ark list\" shows which there are.");
        is_encrypted = backup->is_encrypted;
    }
    auto repository = open_repository(options.repository, OpenMode::write);
    prepare_encryption(*repository, cluster, {is_encrypted, options.repository.key.source(), {}});
    return repository;
}

int compact(const CompactOptions& options) {
    const OutputFormat output = options.repository.output;
    std::string cluster;
    const auto repository = open_to_write(options, cluster);
    CompactRequest request;
    request.cluster = cluster;
    request.backup_id = options.backup_id;
    request.new_id = options.new_id.empty() ? compacted_id(options.backup_id) : options.new_id;
    request.reason = options.reason;
    request.jobs = options.jobs;
    request.compression_level = options.compression_level;
    if (!is_valid_name_part(request.new_id))
        throw Error(ErrorCode::invalid_argument, "invalid backup id \"" + request.new_id + "\"");
    Watcher watcher(output);
    BackupMarker made;
    CommandAudit audit(CommandActor(), options.repository, *repository, cluster,
                       {"compact", "", options.backup_id});
    audit.run([&] {
        made = compact_backup(*repository, request, watcher);
        return "made " + made.backup_id;
    });
    watcher.clear();
    print(made, output, repository->store().traffic());
    return 0;
}

}  // namespace

void add_compact_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "compact", "Make a full backup of an incremental one and those that it builds on");
    auto options = std::make_shared<CompactOptions>();
    command->add_option("ID", options->backup_id, "the incremental or differential backup")
        ->required();
    add_repository_options(*command, options->repository);
    add_retry_option(*command, options->repository);
    add_audit_option(*command, options->repository);
    command
        ->add_option("--as", options->new_id,
                     "name of the new backup (default: full_<time of the old one>_<random>)")
        ->option_text("ID");
    command->add_option("--reason", options->reason, "what it is for")->option_text("TEXT");
    constexpr int kMaxJobs = 64;
    command->add_option("--jobs", options->jobs, "parallel lanes (default 2)")
        ->check(CLI::Range(1, kMaxJobs))
        ->option_text("N");
    constexpr int kMaxLevel = 19;
    command->add_option("--compression-level", options->compression_level, "zstd level (default 3)")
        ->check(CLI::Range(1, kMaxLevel))
        ->option_text("N");
    command->footer(
        "Example:\n"
        "  pg_ark compact incremental_20261120_021500_9f3a01bc --repo file:///srv/ark\n"
        "Nothing is asked of the server. The new backup stands beside the old ones and needs none\n"
        "of them; the next incremental backup can build on it. Nothing is removed.");
    command->callback([context, options] {
        context.output = options->repository.output;
        context.status = compact(*options);
    });
}

}  // namespace ark
