#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "cli/command.hpp"
#include "cli/command_audit.hpp"
#include "cli/evidence_report.hpp"
#include "cli/progress_bar.hpp"
#include "cli/traffic.hpp"
#include "core/base/clock.hpp"
#include "core/repo/json_text.hpp"
#include "core/verify/freshness.hpp"
#include "core/verify/job.hpp"

namespace ark {

namespace {

struct VerifyOptions {
    RepositoryOptions repository;
    std::string backup_id;
    int jobs = 2;
    int wait_seconds = 10;
    int64_t freshness_seconds = kDefaultFreshness;
    bool full = false;
};

class Watcher final : public VerifyListener {
 public:
    explicit Watcher(OutputFormat output) : output_(output) {}
    void progress(const VerifyProgress& p) override {
        const bool text = output_ == OutputFormat::text;
        if (!bar_.due(p.phase != last_phase_, text))
            return;
        last_phase_ = p.phase;
        if (!text) {
            std::fprintf(
                stderr, "%s\n",
                progress_event(name_of(p.phase), p.bytes, p.bytes_total, monotonic_nanos() - since_)
                    .dump()
                    .c_str());
            return;
        }
        if (p.phase == VerifyPhase::done) {
            bar_.clear();
            return;
        }
        std::string what = std::string("verifying ") + name_of(p.phase);
        if (p.bytes > 0)
            what += " " + describe_progress(p.bytes, p.bytes_total, monotonic_nanos() - since_);
        bar_.show(p.phase == VerifyPhase::marker ? 0 : share_of(p.bytes, p.bytes_total), what);
    }

 private:
    const OutputFormat output_;
    const int64_t since_ = monotonic_nanos();
    ProgressBar bar_;
    VerifyPhase last_phase_ = VerifyPhase::done;
};

// Those with a marker: the others were never completed, or are being taken at this moment.
std::vector<std::string> backups_to_verify(Repository& repository, const std::string& cluster,
                                           const std::string& wanted) {
    if (!wanted.empty())
        return {wanted};
    std::vector<std::string> ids;
    for (const std::string& id : repository.store().list_parts(cluster + "/backup")) {
        std::string marker = cluster;
        marker.append("/").append(place::marker(id));
        if (repository.store().head(marker))
            ids.push_back(id);
    }
    if (!ids.empty())
        return ids;
    throw Error(ErrorCode::not_found,
                "cluster \"" + cluster + "\" has no backup in \"" + repository.url() + "\"", {},
                "\"pg_ark list\" shows what there is.");
}

std::string counted(uint64_t n, const char* one, const char* many) {
    return std::to_string(n) + " " + (n == 1 ? one : many);
}

// Text of files' names may be anything: it goes out as it is, like ls's.
void print_text(const Evidence& e) {
    const nlohmann::json& v = e.verified;
    const nlohmann::json wal = v.value("wal", nlohmann::json::object());
    if (e.success) {
        std::printf("backup %s is whole\n", e.backup_id.c_str());
        std::printf("  %s, %s with %s, WAL %s to %s (%s), read back and checked in %.1f s\n",
                    counted(v.at("packs"), "pack", "packs").c_str(),
                    counted(v.at("files"), "file", "files").c_str(),
                    human_bytes(v.at("file_bytes")).c_str(),
                    wal.at("first").get<std::string>().c_str(),
                    wal.at("last").get<std::string>().c_str(),
                    counted(wal.at("segments"), "segment", "segments").c_str(),
                    v.at("seconds").at("total").get<double>());
    } else if (v.value("backup_is_whole", false)) {
        std::printf("backup %s is whole, but recovery from it ends at %s: %s\n",
                    e.backup_id.c_str(), wal.value("recoverable_to", "its own end").c_str(),
                    counted(e.errors.count, "finding", "findings").c_str());
    } else {
        std::printf("backup %s is DAMAGED: %s\n", e.backup_id.c_str(),
                    counted(e.errors.count, "finding", "findings").c_str());
    }
    if (v.contains("oldest_verification")) {
        std::printf("  %s (%s) not read again: found good since %s, and there unchanged\n",
                    counted(v.at("objects_fresh"), "object", "objects").c_str(),
                    human_bytes(v.at("bytes_fresh")).c_str(),
                    v.at("oldest_verification").get<std::string>().c_str());
    }
    print_findings(e);
}

// The verification counts all the same.
int verify(const VerifyOptions& options) {
    const OutputFormat output = options.repository.output;
    const auto repository = open_repository(options.repository);
    const std::string cluster = repository->resolve_cluster(options.repository.cluster);
    ClusterKeys(options.repository.key.source())
        .use(*repository, cluster, options.repository.key.require_encryption);
    nlohmann::json all = nlohmann::json::array();
    size_t damaged = 0;
    const auto ids = backups_to_verify(*repository, cluster, options.backup_id);
    const auto verify_one = [&](const std::string& id) {
        Watcher watcher(output);
        VerifyRequest request;
        request.cluster = cluster;
        request.backup_id = id;
        request.jobs = options.jobs;
        // Nobody stores anything in the past.
        const bool is_past = repository->store().as_of().has_value();
        request.patience_millis = is_past ? 0 : options.wait_seconds * 1000;
        request.freshness_seconds = options.full ? 0 : options.freshness_seconds;
        const Evidence evidence = verify_backup(*repository, request, watcher);
        store_or_warn(*repository, evidence);
        damaged += evidence.success ? 0 : 1;
        if (output == OutputFormat::text) {
            print_text(evidence);
        } else {
            all.push_back(nlohmann::json::parse(to_json(evidence)));
        }
    };
    CommandAudit audit(CommandActor(), options.repository, *repository, cluster,
                       {"verify", "", options.backup_id});
    audit.run([&] {
        std::ranges::for_each(ids, verify_one);
        return counted(ids.size(), "backup", "backups") +
               (damaged == 0 ? ": nothing wrong was found" : ": damage was found");
    });
    if (output == OutputFormat::json)
        std::printf("%s\n", all.dump(2).c_str());
    if (output == OutputFormat::text)
        print_traffic(repository->store().traffic());
    if (damaged == 0)
        return 0;
    std::fprintf(stderr, "pg_ark: error: %s damaged\n",
                 ids.size() == 1 ? "the backup is"
                                 : (std::to_string(damaged) + " of " +
                                    counted(ids.size(), "backup", "backups") + " are")
                                       .c_str());
    return exit_status_of(ErrorCode::corrupt);
}

}  // namespace

void add_verify_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "verify", "Read backups back and check every byte, and the WAL after them");
    auto options = std::make_shared<VerifyOptions>();
    command->add_option("ID", options->backup_id, "this backup; default: all of the cluster");
    add_repository_options(*command, options->repository);
    add_retry_option(*command, options->repository);
    add_as_of_option(*command, options->repository);
    add_audit_option(*command, options->repository);
    constexpr int kMaxJobs = 64;
    command->add_option("--jobs", options->jobs, "parallel lanes (default 2)")
        ->check(CLI::Range(1, kMaxJobs))
        ->option_text("N");
    constexpr int kMaxWait = 3600;
    command
        ->add_option("--wait", options->wait_seconds,
                     "how long to wait for WAL that a running server may be storing at this moment "
                     "(default 10)")
        ->check(CLI::Range(0, kMaxWait))
        ->option_text("SECONDS");
    command
        ->add_option("--freshness", options->freshness_seconds,
                     "what was verified within this time is not read again, only looked for: a "
                     "number with s, min, h or d, at most 30d; 0: read all (default 7d)")
        ->transform(CLI::AsNumberWithUnit(
            std::map<std::string, int64_t>{{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 24 * 3600}},
            CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME"))
        ->check(CLI::Range(int64_t{0}, kLongestFreshness))
        ->option_text("TIME");
    command->add_flag("--full", options->full, "read everything, as with --freshness 0");
    command->footer(
        "Examples:\n"
        "  pg_ark verify --repo file:///srv/ark\n"
        "  pg_ark verify manual_20261120_021500_9f3a01bc --repo file:///srv/ark --output json\n"
        "  pg_ark verify --repo file:///srv/ark --full\n"
        "Ends with 0 where all is well, 6 where a backup or its WAL is damaged, another status "
        "where\n"
        "nothing can be said. (The text tells a damaged backup from a whole one behind which WAL "
        "is "
        "missing.)\n"
        "What was read is written down in the repository (verified/), so that nobody reads it "
        "again "
        "too soon.\n"
        " What was found is also stored beside the backup.");
    command->callback([context, options] {
        context.output = options->repository.output;
        context.status = verify(*options);
    });
}

}  // namespace ark
