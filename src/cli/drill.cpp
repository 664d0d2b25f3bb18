#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cli/command.hpp"
#include "cli/command_audit.hpp"
#include "cli/evidence_report.hpp"
#include "cli/interrupts.hpp"
#include "cli/own_program.hpp"
#include "cli/progress_bar.hpp"
#include "cli/restore_wal.hpp"
#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/drill/guard.hpp"
#include "core/drill/job.hpp"
#include "core/repo/json_text.hpp"
#include "core/restore/privileges.hpp"
#include "core/restore/tree.hpp"

namespace ark {

namespace {

struct DrillOptions {
    RepositoryOptions repository;
    DrillRequest request;
    std::string target = "consistency";
    std::optional<uint64_t> seed;
    std::string only;
    std::string check_file;
};

const char* describe(DrillPhase phase) {
    switch (phase) {
        case DrillPhase::preparing:
            return "preparing";
        case DrillPhase::restoring:
            return "restoring";
        case DrillPhase::verifying_objects:
            return "verifying objects";
        case DrillPhase::verifying_files:
            return "verifying files";
        case DrillPhase::recovering:
            return "recovering";
        case DrillPhase::asking:
            return "asking";
        case DrillPhase::checking_pages:
            return "checking pages";
        case DrillPhase::checking:
            return "checking";
        case DrillPhase::cleaning:
            return "cleaning up";
        case DrillPhase::done:
            break;
    }
    return "";
}

class Watcher final : public DrillListener {
 public:
    explicit Watcher(OutputFormat output) : output_(output) {}
    void progress(const DrillProgress& p) override {
        show(p);
        if (was_interrupted() && p.phase != DrillPhase::done) {
            throw Error(ErrorCode::cancelled, "the restore test was interrupted",
                        "Nothing is known about the backup, and nothing is left of the test.");
        }
    }

 private:
    void show(const DrillProgress& p) {
        const bool changed = p.phase != last_phase_;
        if (!bar_.due(changed, output_ == OutputFormat::text))
            return;
        if (changed)
            since_ = monotonic_nanos();
        last_phase_ = p.phase;
        if (output_ == OutputFormat::text) {
            show_text(p);
        } else {
            std::fprintf(stderr, "%s\n", event_of(p).dump().c_str());
        }
    }

    static bool counts_checks(DrillPhase phase) {
        return phase == DrillPhase::asking || phase == DrillPhase::checking;
    }

    // While relations are checked they are what is counted.
    nlohmann::json event_of(const DrillProgress& p) const {
        if (!counts_checks(p.phase))
            return progress_event(name_of(p.phase), p.done, p.total, monotonic_nanos() - since_);
        return {{"event", "progress"},
                {"phase", name_of(p.phase)},
                {"doing", json_of_text(p.doing)},
                {"checks", p.done},
                {"checks_total", p.total}};
    }

    void show_text(const DrillProgress& p) {
        if (p.phase == DrillPhase::done) {
            bar_.clear();
            return;
        }
        std::string text = describe(p.phase);
        if (counts_checks(p.phase) && p.total > 0) {
            text += " " + std::to_string(p.done) + " of " + std::to_string(p.total) + " " + p.doing;
        } else if (p.total > 0) {
            text += " " + describe_progress(p.done, p.total, monotonic_nanos() - since_);
        }
        bar_.show(p.total == 0 ? 0 : share_of(p.done, p.total), text);
    }

    const OutputFormat output_;
    int64_t since_ = monotonic_nanos();
    ProgressBar bar_;
    DrillPhase last_phase_ = DrillPhase::done;
};

void print_what_was_checked(const nlohmann::json& v) {
    const auto number = [&](const char* section, const char* key) {
        return v.contains(section) && v[section].is_object()
                   ? std::to_string(v[section].value(key, uint64_t{0}))
                   : std::string("no");
    };
    std::printf(
        "  %s files, %s pages, %zu databases, %s tables by amcheck, %s B-trees, %s rows in "
        "%s tables\n",
        number("files", "count").c_str(), number("pages", "checked").c_str(), v["databases"].size(),
        number("heap", "relations").c_str(), number("btree", "indexes").c_str(),
        number("rows", "rows").c_str(), number("rows", "tables").c_str());
}

void print_target(const nlohmann::json& v) {
    if (!v.contains("target") || !v["target"].contains("reached_lsn"))
        return;
    const nlohmann::json& target = v["target"];
    std::string text = "  target " + text_of_json(target["asked"]);
    if (target.contains("seed"))
        text += " (seed " + target["seed"].dump() + ")";
    text += ": reached LSN " + target["reached_lsn"].get<std::string>() + " on timeline " +
            target["timeline"].dump();
    if (target["reached_time"].is_string())
        text += ", last transaction " + target["reached_time"].get<std::string>();
    std::printf("%s\n", text.c_str());
}

void print_checks(const nlohmann::json& v) {
    if (v.contains("rules")) {
        const nlohmann::json& r = v["rules"];
        std::printf("  %s foreign keys, %s rules of rows, %s unique keys, %s sequences\n",
                    r["foreign_keys"].dump().c_str(), r["constraints"].dump().c_str(),
                    r["unique_keys"].dump().c_str(), r["sequences"].dump().c_str());
    }
    if (v.contains("census") && v["census"].is_object()) {
        const nlohmann::json& c = v["census"];
        std::printf("  %s answers of the databases as they were, %s differ, %s changed since\n",
                    c["compared"].dump().c_str(), c["differing"].dump().c_str(),
                    c["left_out"].dump().c_str());
    }
    if (!v.contains("checks") || v["checks"].empty())
        return;
    size_t passed = 0;
    for (const nlohmann::json& check : v["checks"])
        passed += check["status"] == "passed" ? 1 : 0;
    std::printf("  %zu of %zu checks of your own passed\n", passed, v["checks"].size());
}

void print_text(const Evidence& e) {
    const nlohmann::json& v = e.verified;
    if (e.success) {
        std::printf("a server has come up from backup %s and answered\n", e.backup_id.c_str());
    } else {
        std::printf("backup %s FAILED its restore test: %llu findings\n", e.backup_id.c_str(),
                    static_cast<unsigned long long>(e.errors.count));
    }
    if (v.contains("databases"))
        print_what_was_checked(v);
    print_target(v);
    print_checks(v);
    if (v.contains("rto_seconds")) {
        std::printf("  fetched and recovered in %.1f s; the whole test took %.1f s\n",
                    v["rto_seconds"].get<double>(), v["seconds"]["total"].get<double>());
    }
    print_findings(e);
}

std::vector<UserCheck> read_checks(const std::string& path) {
    constexpr size_t kLimit = 16 << 20;
    const Bytes content = read_file(path, kLimit);
    try {
        return parse_check_file(std::string(as_text(content)));
    } catch (Error& error) {
        error.message = "invalid check file \"" + path + "\": " + error.message;
        throw;
    }
}

void take_wishes(DrillOptions& options) {
    DrillRequest& request = options.request;
    request.is_drill = true;
    request.target = parse_drill_target(options.target, now_micros());
    if (options.seed && request.target.kind != DrillTarget::Kind::random)
        throw Error(ErrorCode::invalid_argument, "--seed needs --target random");
    request.target.seed = options.seed;
    request.steps = options.only.empty() ? DrillSteps::all() : DrillSteps::parse(options.only);
    if (!options.check_file.empty())
        request.checks = read_checks(options.check_file);
}

// The test counts all the same.
int drill(DrillOptions& options) {
    const OutputFormat output = options.repository.output;
    const std::string url = required_repo(options.repository);
    DrillRequest& request = options.request;
    const CommandActor actor;
    take_wishes(options);
    request.scratch_directory = canonical_path(request.scratch_directory);
    ::umask(077);
    become_owner(request.scratch_directory);
    become_scratch_host();
    request.program = own_program();
    const auto repository = open_repository(options.repository);
    request.cluster = repository->resolve_cluster(options.repository.cluster);
    request.key = options.repository.key.source();
    request.require_encryption = options.repository.key.require_encryption;
    ClusterKeys(request.key).use(*repository, request.cluster, request.require_encryption);
    catch_interrupts();
    sweep_scratch_directory(request.scratch_directory);
    RepositoryArchivedWal wal(*repository, request.cluster);
    Watcher watcher(output);
    Evidence evidence;
    CommandAudit audit(actor, options.repository, *repository, request.cluster,
                       {"drill", request.scratch_directory, request.backup_id});
    audit.run([&] {
        evidence = run_drill(*repository, wal, request, watcher);
        store_or_warn(*repository, evidence);
        return "backup " + evidence.backup_id +
               (evidence.success ? ": nothing wrong was found" : ": damage was found");
    });
    if (output == OutputFormat::json) {
        std::printf("%s\n", nlohmann::json::parse(to_json(evidence)).dump(2).c_str());
    } else {
        print_text(evidence);
    }
    return evidence.success ? 0 : exit_status_of(ErrorCode::corrupt);
}

void add_options(CLI::App& command, DrillOptions& options) {
    constexpr int kMaxJobs = 64;
    constexpr int kMaxMemory = 1 << 20;
    DrillRequest& request = options.request;
    add_repository_options(command, options.repository);
    add_retry_option(command, options.repository);
    add_as_of_option(command, options.repository);
    add_audit_option(command, options.repository);
    command
        .add_option("--backup", request.backup_id,
                    "this backup (default: the newest that leads to the target)")
        ->option_text("ID");
    command
        .add_option("--target", options.target,
                    "how far to recover: consistency (default; the end of the backup), latest, "
                    "random (a point that can be recovered), or a time")
        ->option_text("TARGET");
    command.add_option("--seed", options.seed, "draws the same random point again")
        ->option_text("N");
    command
        .add_option("--checks", options.check_file,
                    "file with queries of your own for the restored server")
        ->option_text("FILE");
    command
        .add_option("--only", options.only,
                    "only these checks, with commas between them: " + all_step_names())
        ->option_text("LIST");
    command
        .add_option(
            "--scratch", request.scratch_directory,
            "directory with room for the restored cluster; the test makes one of its own in "
            "it, and removes it")
        ->required()
        ->option_text("DIR");
    command
        .add_option("--bindir", request.program_directory,
                    "where the server's programs are (default: looked for)")
        ->option_text("DIR");
    command.add_option("--jobs", request.jobs, "parallel lanes and connections (default 2)")
        ->check(CLI::Range(1, kMaxJobs))
        ->option_text("N");
    command.add_option("--memory", request.memory_mb, "the scratch server's memory (default 64)")
        ->check(CLI::Range(16, kMaxMemory))
        ->option_text("MB");
    command
        .add_option("--library", request.libraries,
                    "a library that the scratch server has to preload, since the data needs it; "
                    "repeat for each")
        ->allow_extra_args(false)
        ->option_text("NAME");
    command.add_flag("--keep", request.keep, "leave the restored cluster where something is wrong");
}

}  // namespace

void add_drill_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "drill", "Restore a backup to a scratch server, and check that it answers");
    const auto options = std::make_shared<DrillOptions>();
    add_options(*command, *options);
    command->footer(
        "Examples:\n"
        "  pg_ark drill --repo file:///srv/ark --scratch /var/tmp/drill\n"
        "  pg_ark drill --repo file:///srv/ark --scratch /var/tmp/drill --output json\n"
        "  pg_ark drill --repo file:///srv/ark --scratch /var/tmp/drill --target random\n"
        "  pg_ark drill --repo file:///srv/ark --scratch /var/tmp/drill --target latest --checks "
        "checks.sql\n"
        "Ends with 0 where the backup is good, 6 where something is wrong with it, another status "
        "where\n"
        "nothing can be said. What was found is also stored beside the backup.");
    command->callback([context, options] {
        context.output = options->repository.output;
        context.status = drill(*options);
    });
}

int run_server_guard(int argc, char** argv) {
    std::vector<std::string> command;
    for (int i = 2; i < argc; ++i) {
        if (i > 2 || std::string_view(argv[i]) != "--")
            command.emplace_back(argv[i]);
    }
    return run_guard(command);
}

}  // namespace ark
