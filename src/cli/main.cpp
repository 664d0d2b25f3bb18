// The executable: what people call is a subcommand of CLI11; what the server calls (one word, no
// options) is told apart before that.

#include <malloc.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "cli/command.hpp"

namespace ark {

namespace {

// A restore_command that ends with 1 to 125 says "this file does not exist" to the server, which
// then ends recovery early. So for wal-get nothing but its own, certain "not there" may end so.
constexpr int kWalGetTrouble = 200;

int server_role(std::string_view role) {
    // A few arenas for a few threads: memory is budgeted.
    mallopt(M_ARENA_MAX, 2);
    try {
        if (role == "server-backup")
            return run_server_backup();
        if (role == "server-archive")
            return run_server_archive();
        if (role == "server-catalog")
            return run_server_catalog();
        if (role == "server-compact")
            return run_server_compact();
        if (role == "server-verify")
            return run_server_verify();
        if (role == "server-drill")
            return run_server_drill();
        if (role == "server-stream")
            return run_server_stream();
        if (role == "server-track")
            return run_server_track();
    } catch (const Error& error) {
        if (error.code != ErrorCode::cancelled)
            print_error(error, OutputFormat::text);
        return 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pg_ark: error: %s\n", error.what());
        return 1;
    }
    return -1;
}

/// What the command line's reader says, as an error of ours; it does not name an unknown command
/// itself.
Error usage_error(const CLI::App& app, int argc, char** argv, const CLI::ParseError& error) {
    const std::string first = argc > 1 ? argv[1] : "-";
    bool known = true;
    try {
        if (!first.starts_with("-"))
            (void)app.get_subcommand(first);
    } catch (const CLI::OptionNotFound&) {
        known = false;
    }
    return {ErrorCode::invalid_argument,
            known ? error.what() : "unknown command \"" + first + "\"",
            {},
            known && !first.starts_with("-") ? "Run \"pg_ark " + first + " --help\"."
                                             : "Run \"pg_ark --help\"."};
}

// What --output says, where the command line as a whole cannot be read.
OutputFormat wanted_output(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool next_is_json = i + 1 < argc && std::string_view(argv[i + 1]) == "json";
        if (word == "--output=json" || (word == "--output" && next_is_json))
            return OutputFormat::json;
    }
    return OutputFormat::text;
}

int run_command(int argc, char** argv) {
    CLI::App app{"Brings PostgreSQL clusters back from a pg_ark repository.", "pg_ark"};
    app.require_subcommand(1);
    app.set_version_flag("--version", PG_ARK_VERSION);
#if CLI11_VERSION_MAJOR > 2 || (CLI11_VERSION_MAJOR == 2 && CLI11_VERSION_MINOR >= 6)
    // It would wrap the examples as if they were prose. The commands inherit this.
    app.get_formatter()->enable_footer_formatting(false);
#endif
    app.footer(
        "Examples:\n"
        "  pg_ark list --repo file:///srv/ark\n"
        "  pg_ark restore --repo file:///srv/ark -D /var/lib/postgresql/restored\n"
        "  pg_ark restore --repo file:///srv/ark -D /tmp/pg --target-time '2026-11-20 "
        "14:59:00+00'\n"
        "  pg_ark ranges --repo file:///srv/ark\n"
        "  pg_ark check --repo file:///srv/ark\n"
        "  pg_ark verify --repo file:///srv/ark\n"
        "  pg_ark drill --repo file:///srv/ark --scratch /var/tmp/drill\n"
        "  pg_ark report drill latest --repo file:///srv/ark --output drill.html\n"
        "Run 'pg_ark COMMAND --help' for one command.");
    int status = 0;
    OutputFormat output = OutputFormat::text;
    const CommandContext context{app, status, output};
    add_restore_command(context);
    add_list_command(context);
    add_info_command(context);
    add_ranges_command(context);
    add_audit_command(context);
    add_check_command(context);
    add_compact_command(context);
    add_verify_command(context);
    add_drill_command(context);
    add_report_command(context);
    add_wal_get_command(context);
    add_wal_receive_command(context);
    add_key_command(context);
    add_version_command(context);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0)
            return app.exit(error);
        print_error(usage_error(app, argc, argv, error), wanted_output(argc, argv));
        return kExitUsage;
    } catch (const Error& error) {
        print_error(error, output);
        return exit_status_of(error.code);
    } catch (const std::bad_alloc&) {
        const Error error(ErrorCode::out_of_memory, "out of memory");
        print_error(error, output);
        return exit_status_of(error.code);
    } catch (const std::exception& error) {
        print_error(Error(ErrorCode::internal, error.what()), output);
        return kExitUsage;  // not 1, which is wal-get's own answer
    }
    return status;
}

}  // namespace

}  // namespace ark

int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    const std::string_view first = argc > 1 ? argv[1] : "";
    if (first == "server-guard")
        return ark::run_server_guard(argc, argv);
    if (first == ark::kPrefetchRole)
        return ark::run_server_prefetch(argc, argv);
#if defined(PG_ARK_TEST_FAULTS)
    if (first == "test-changes")
        return ark::run_test_changes(argc, argv);
    if (first == "test-changes-between")
        return ark::run_test_changes_between(argc, argv);
#endif
    if (argc == 2 && first.starts_with("server-")) {
        const int status = ark::server_role(first);
        if (status >= 0)
            return status;
    }
    const int status = ark::run_command(argc, argv);
    // Wherever the word stands: "pg_ark --repo URL wal-get …" is wrong use, but no missing file.
    const bool wal_get = std::find(argv, argv + argc, std::string_view("wal-get")) != argv + argc;
    return wal_get && status > 1 ? std::max(status, ark::kWalGetTrouble) : status;
}
