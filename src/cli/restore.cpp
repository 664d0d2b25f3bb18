#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "cli/command.hpp"
#include "cli/command_audit.hpp"
#include "cli/interrupts.hpp"
#include "cli/own_program.hpp"
#include "cli/restore_report.hpp"
#include "cli/restore_wal.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/restore/job.hpp"
#include "core/restore/privileges.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

/// The command line as given.
struct RestoreOptions {
    RepositoryOptions repository;
    std::string directory;
    std::string backup_id;
    TargetWords target;
    std::string timeline = "latest";
    std::optional<std::string> action;
    std::vector<std::string> tablespace_maps;
    bool accept_corrupt_pages = false;
    bool take_over = false;
    bool standby = false;
    std::string primary_conninfo;
    bool dry_run = false;
    bool force = false;
    bool delta = false;
    int jobs = 2;
};

class Watcher final : public RestoreListener {
 public:
    explicit Watcher(RestoreReport& report) : report_(report) {}
    void progress(const RestoreProgress& progress) override {
        report_.progress(progress);
        if (!was_interrupted() || progress.phase == RestorePhase::done)
            return;
        throw Error(ErrorCode::cancelled, "the restore was interrupted",
                    "What was restored so far cannot be started.",
                    "Run the command again with --delta to go on, or with --force to begin anew.");
    }

 private:
    RestoreReport& report_;
};

// A standby goes on to the end of the newest timeline, and again when there is more.
void check_standby(const RestoreOptions& options) {
    if (!options.standby) {
        if (options.primary_conninfo.empty())
            return;
        throw Error(ErrorCode::invalid_argument, "--primary-conninfo needs --standby");
    }
    const TargetWords& target = options.target;
    const std::pair<const char*, bool> conflicts[] = {
        {"--target", target.target && *target.target != "latest"},
        {"--target-time", target.time.has_value()},
        {"--target-xid", target.xid.has_value()},
        {"--target-lsn", target.lsn.has_value()},
        {"--target-name", target.name.has_value()},
        {"--target-exclusive", target.exclusive},
        {"--target-timeline", options.timeline != "latest"},
        {"--target-action", options.action.has_value()},
        {"--as-of-bucket-time", !options.repository.as_of.empty()},
    };
    for (const auto& [name, is_given] : conflicts) {
        if (!is_given)
            continue;
        throw Error(ErrorCode::invalid_argument,
                    "--standby and " + std::string(name) + " exclude each other",
                    "A standby replays all WAL of the newest timeline, and what comes to it.",
                    "Leave out one of them.");
    }
}

RestoreRequest request_of(const RestoreOptions& options) {
    if (options.directory.empty()) {
        throw Error(ErrorCode::invalid_argument, "no data directory given", {}, "Use -D DIR.");
    }
    check_standby(options);
    RestoreRequest request;
    request.wish.backup_id = options.backup_id;
    request.wish.target = parse_target(options.target, now_micros());
    request.wish.timeline = parse_timeline(options.timeline);
    request.action = parse_target_action(options.action.value_or("pause"));
    request.destination.directory = canonical_path(options.directory);
    request.destination.force = options.force;
    request.destination.delta = options.delta;
    for (const std::string& text : options.tablespace_maps) {
        request.destination.tablespace_map.push_back(parse_tablespace_map(text));
    }
    request.accept_corrupt_pages = options.accept_corrupt_pages;
    request.take_over = options.take_over;
    request.standby = options.standby;
    request.primary_conninfo = options.primary_conninfo;
    request.jobs = options.jobs;
    return request;
}

int restore(const RestoreOptions& options) {
    const std::string url = required_repo(options.repository);
    const CommandActor actor;
    RestoreRequest request = request_of(options);
    ::umask(077);
    become_owner(request.destination.directory);
    request.program = own_program();
    const auto repository = open_repository(options.repository);
    request.cluster = repository->resolve_cluster(options.repository.cluster);
    request.key = options.repository.key.source();
    request.require_encryption = options.repository.key.require_encryption;
    ClusterKeys(request.key).use(*repository, request.cluster, request.require_encryption);
    RepositoryArchivedWal wal(*repository, request.cluster);
    const RestorePlan plan = plan_restore(*repository, wal, request);
    RestoreReport report(options.repository.output, request, plan);
    report.plan(options.dry_run);
    if (options.dry_run)
        return 0;
    catch_interrupts();
    CommandAudit audit(actor, options.repository, *repository, request.cluster,
                       {"restore", request.destination.directory, plan.source.backup.backup_id});
    audit.run([&] {
        Watcher watcher(report);
        const RestoreResult result = run_restore(*repository, request, plan, watcher);
        report.result(result, repository->store().traffic());
        return std::string();
    });
    return 0;
}

void add_target_options(CLI::App& command, RestoreOptions& options) {
    const auto add = [&](const char* name, std::optional<std::string>& word, const char* meaning,
                         const char* form) {
        command.add_option(name, word, meaning)->option_text(form)->group("Target");
    };
    add("--target", options.target.target,
        "latest (default): all archived WAL; immediate: the end of the backup", "latest|immediate");
    add("--target-time", options.target.time,
        "the last transaction at or before this time; local time unless it has a zone", "TIME");
    add("--target-lsn", options.target.lsn, "this place in WAL", "LSN");
    add("--target-xid", options.target.xid, "the end of this transaction", "XID");
    add("--target-name", options.target.name, "this restore point (pg_create_restore_point)",
        "NAME");
    command
        .add_flag("--target-exclusive", options.target.exclusive,
                  "stop before what the target names, not after it")
        ->group("Target");
    command
        .add_option("--target-timeline", options.timeline,
                    "latest (default), current (the backup's own) or a number")
        ->option_text("TIMELINE")
        ->group("Target");
    command
        .add_option("--target-action", options.action,
                    "at the target: pause (default), promote or shutdown")
        ->option_text("ACTION")
        ->group("Target");
}

void add_options(CLI::App& command, RestoreOptions& options) {
    add_repository_options(command, options.repository);
    add_retry_option(command, options.repository);
    add_as_of_option(command, options.repository);
    command.add_option("-D,--pgdata", options.directory, "data directory to restore into")
        ->option_text("DIR");
    command
        .add_option("--backup", options.backup_id,
                    "this backup; default: the newest that can reach the target")
        ->option_text("ID");
    add_target_options(command, options);
    command
        .add_option("--tablespace-map", options.tablespace_maps,
                    "put the tablespace of directory OLD into NEW; repeat for each")
        ->option_text("OLD=NEW")
        ->allow_extra_args(false);
    command.add_flag("--accept-corrupt-pages", options.accept_corrupt_pages,
                     "restore a backup although pages of it were corrupt when it was taken");
    command.add_flag("--take-over", options.take_over,
                     "the restored cluster takes the original's place: it archives at once");
    command.add_flag("--standby", options.standby,
                     "a standby that lives from the repository: it replays what is archived until "
                     "it is promoted");
    command
        .add_option("--primary-conninfo", options.primary_conninfo,
                    "where the standby streams from whenever it can")
        ->option_text("CONNINFO");
    command.add_flag("--dry-run", options.dry_run, "say what would be done; change nothing");
    add_audit_option(command, options.repository);
    command.add_flag("--delta", options.delta,
                     "make of the cluster that is there what the backup has: files that are right, "
                     "by checksum, stay");
    command.add_flag("--force", options.force,
                     "remove the cluster that is in DIR (never a running one)");
    constexpr int kMaxJobs = 64;
    command.add_option("--jobs", options.jobs, "parallel lanes (default 2)")
        ->check(CLI::Range(1, kMaxJobs))
        ->option_text("N");
}

}  // namespace

void add_restore_command(const CommandContext& context) {
    CLI::App* command =
        context.app.add_subcommand("restore", "Bring a cluster back into a data directory");
    auto options = std::make_shared<RestoreOptions>();
    add_options(*command, *options);
    command->footer(
        "Examples:\n"
        "  everything there is, beside the original:\n"
        "    pg_ark restore --repo file:///srv/ark -D /var/lib/postgresql/restored\n"
        "  to just before a mistake, looking at it before anything else:\n"
        "    pg_ark restore --repo file:///srv/ark -D /var/lib/postgresql/restored \\\n"
        "        --target-time '2026-11-20 14:59:00+00'\n"
        "  after losing the server, in its old place:\n"
        "    pg_ark restore --repo file:///srv/ark -D /var/lib/postgresql/15/main --force "
        "--take-over\n"
        "  the same where most of it is still right, or after an interrupted restore:\n"
        "    pg_ark restore --repo file:///srv/ark -D /var/lib/postgresql/15/main --delta "
        "--take-over\n"
        "  a standby that needs no connection to its primary:\n"
        "    pg_ark restore --repo file:///srv/ark -D /var/lib/postgresql/standby --standby\n"
        "  what would be done:\n"
        "    pg_ark restore --repo file:///srv/ark -D /tmp/pg --dry-run\n"
        "As root it restores for the owner of DIR. docs/restore-guide.md has more.");
    command->callback([context, options] {
        context.output = options->repository.output;
        context.status = restore(*options);
    });
}

}  // namespace ark
