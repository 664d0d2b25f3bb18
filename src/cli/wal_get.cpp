// pg_ark wal-get: the restore_command. Its exit status is a contract with the server: 1 says "this
// file does not exist" and lets recovery end, anything above 125 stops recovery.

#include "core/archive/wal_get.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>

#include "cli/command.hpp"
#include "cli/start_prefetcher.hpp"
#include "core/base/clock.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

constexpr int kNotThere = 1;
constexpr int kTrouble = 200;
constexpr double kStoreSeconds = 5;

struct WalGetOptions {
    RepositoryOptions repository;
    WalGetRequest request;
};

OnError on_error_of(const std::string& word) {
    if (word == "abort")
        return OnError::abort;
    if (word == "wait")
        return OnError::wait;
    if (word == "not-found")
        return OnError::not_found;
    throw CLI::ValidationError("--on-error", "\"" + word + "\" is not abort, wait or not-found");
}

pid_t g_parent = 0;

// The server takes a restore_command that a SIGTERM ended for its own shutdown, so that is how to
// end. But at a fast shutdown it may be gone before it has waited for us: where it is the
// container's first process its postmaster would reap us then, and take anything but 0 and 1 for a
// crash of its own.
extern "C" void on_end(int number) {
    const timespec pause{0, 10000000};
    for (int i = 0; i < 50; ++i) {
        if (getppid() != g_parent)
            _exit(1);
        nanosleep(&pause, nullptr);
    }
    signal(number, SIG_DFL);
    raise(number);
}

void watch_for_the_end() {
    g_parent = getppid();
    struct sigaction action {};
    action.sa_handler = on_end;
    action.sa_flags = static_cast<int>(SA_NODEFER);
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
}

void print_warning(const Error& error, const char* consequence) {
    std::fprintf(stderr, "pg_ark: warning: %s; %s\n", error.message.c_str(), consequence);
    if (!error.detail.empty())
        std::fprintf(stderr, "DETAIL:  %s\n", error.detail.c_str());
}

void report(const WalGetOptions& options, WalGetResult result) {
    const bool found = result != WalGetResult::not_there;
    const bool from_spool = result == WalGetResult::written_from_spool;
    if (options.repository.output == OutputFormat::json) {
        nlohmann::json object{{"name", json_of_text(options.request.name)},
                              {"path", json_of_text(options.request.path)},
                              {"found", found}};
        if (found)
            object["source"] = from_spool ? "spool" : "repository";
        std::printf("%s\n", object.dump().c_str());
    }
    // A standby asks every few seconds: the server's log is spared.
    if (!found && isatty(STDERR_FILENO) != 0) {
        std::fprintf(stderr, "pg_ark: WAL file \"%s\" is not in the repository\n",
                     options.request.name.c_str());
    }
}

int run(WalGetOptions& options) {
    watch_for_the_end();
    options.request.cluster = options.repository.cluster;
    const std::string url = required_repo(options.repository);
    options.request.repository_url = url;
    if (options.request.prefetch != 0)
        options.request.recovery =
            find_recovery_process(options.request.working_directory, getpid());
    // wal_get tries again by itself, and tells of it.
    StoreOptions impatient;
    impatient.retry_timeout = kStoreSeconds;
    impatient.as_of = as_of_of(options.repository);
    options.request.as_of = impatient.as_of;
    const bool require_encryption = options.repository.key.require_encryption;
    // Read once, for as many tries as it takes.
    ClusterKeys keys(options.repository.key.source());
    const auto open = [&] {
        auto repository = Repository::open(url, OpenMode::read, impatient);
        if (keys.source().is_given() || require_encryption) {
            keys.use(*repository, repository->resolve_cluster(options.request.cluster),
                     require_encryption);
        }
        return repository;
    };
    const WalGetResult result = wal_get(
        options.request, open, [](const Error& error) { print_warning(error, "trying again"); },
        [](const Error& error) { print_warning(error, "archived WAL ends before it"); },
        [&](const PrefetchOrder& order, SpoolLock& lock) {
            start_prefetcher(order, keys.source(), require_encryption, lock);
        });
    report(options, result);
    return result == WalGetResult::not_there ? kNotThere : 0;
}

// Nothing that goes wrong may look like "not there".
int run_guarded(WalGetOptions& options) {
    try {
        return run(options);
    } catch (const Error& error) {
        print_error(error, options.repository.output);
    } catch (const std::bad_alloc&) {
        print_error(Error(ErrorCode::out_of_memory, "out of memory"), options.repository.output);
    } catch (const std::exception& error) {
        print_error(Error(ErrorCode::internal, error.what()), options.repository.output);
    }
    return kTrouble;
}

}  // namespace

void add_wal_get_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "wal-get", "Fetch one WAL file from the repository (for restore_command).");
    const auto options = std::make_shared<WalGetOptions>();
    WalGetRequest& request = options->request;
    command->add_option("name", request.name, "file name, the server's %f")
        ->required()
        ->option_text("NAME");
    command->add_option("path", request.path, "where to write it, the server's %p")
        ->required()
        ->option_text("PATH");
    add_repository_options(*command, options->repository);
    add_as_of_option(*command, options->repository);
    command
        ->add_option_function<std::string>(
            "--on-error",
            [&request](const std::string& word) { request.on_error = on_error_of(word); },
            "when the repository cannot be read: abort (default) stops recovery, wait tries again "
            "without end, not-found lets the server look elsewhere")
        ->option_text("ACTION");
    command
        ->add_option(
            "--target-timeline", request.target_timeline,
            "timeline that recovery follows, or latest: of the timelines before it nothing is "
            "given out that was written after the fork")
        ->option_text("TLI");
    command->add_option("--timeout", request.timeout_s, "seconds to try for (default 60)")
        ->check(CLI::Range(0, 1000000000))
        ->option_text("SECONDS");
    command
        ->add_option("--prefetch", request.prefetch,
                     "segments to fetch ahead while a server recovers; 0 for none (default 8, or "
                     "what 256 MB hold)")
        ->check(CLI::Range(0, 256))
        ->option_text("N");
    // For scratch servers alone: a cluster recovered so has its later tablespaces in odd places.
    command->add_flag("--contain-tablespaces", request.contain_tablespaces)->group("");
    command->footer(
        "While a server recovers the segments that it will ask for next are fetched ahead, into "
        "pg_wal/pg_ark.spool.\n"
        "Exit status: 0 the file is there, 1 the repository does not have it, above 125 anything "
        "else.\n"
        "Examples:\n"
        "  restore_command = 'pg_ark wal-get --repo file:///srv/ark %f %p'\n"
        "  restore_command = 'pg_ark wal-get --repo file:///srv/ark --on-error wait %f %p'\n"
        "  restore_command = 'pg_ark wal-get --repo s3://bucket/ark --prefetch 16 %f %p'\n"
        "  pg_ark wal-get --repo file:///srv/ark 000000010000000000000003 /tmp/segment\n"
        "  restore_command = 'pg_ark wal-get --repo file:///srv/ark --key-file /etc/ark.key %f "
        "%p'");
    command->callback([options, context] { context.status = run_guarded(*options); });
}

}  // namespace ark
