#pragma once

#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "cli/key_options.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Exit statuses: exit_status_of(Error::code); 0 only where all went well. `wal-get` has its own
/// rules: the server takes 1 to 125 for "no such file" and ends recovery.
constexpr int kExitUsage = 2;

enum class OutputFormat { text, json };

/// Options that every command with a repository has.
struct RepositoryOptions {
    std::string repo;            ///< --repo, else PG_ARK_REPO
    std::string cluster;         ///< --cluster
    double retry_timeout = 300;  ///< --retry-timeout, seconds
    OutputFormat output = OutputFormat::text;
    KeyOptions key;
    std::string as_of;      ///< --as-of-bucket-time; empty: as it is now
    bool no_audit = false;  ///< --no-audit
};

/// --repo alone.
void add_repo_option(CLI::App& command, RepositoryOptions& options);
/// --repo, --cluster, --output, and where the key comes from.
void add_repository_options(CLI::App& command, RepositoryOptions& options);
/// Of those that read for long; wal-get has a budget of its own. The default is what is in
/// `options`.
void add_retry_option(CLI::App& command, RepositoryOptions& options);
/// --as-of-bucket-time, of those that only read.
void add_as_of_option(CLI::App& command, RepositoryOptions& options);
void add_output_option(CLI::App& command, OutputFormat& output);
/// The URL. Error: invalid_argument where neither the option nor the environment names one.
std::string required_repo(const RepositoryOptions& options);

/// What --as-of-bucket-time says; a time without a zone is in the caller's (TZ). nullopt where it
/// is not given. Error: invalid_argument, target_unreachable for a time later than now.
std::optional<UnixMicros> as_of_of(const RepositoryOptions& options);

/// The repository that the options name. Error: as required_repo and Repository::open.
std::unique_ptr<Repository> open_repository(const RepositoryOptions& options,
                                            OpenMode mode = OpenMode::read);

/// Writes "pg_ark: error: …", DETAIL and HINT to standard error, and with json an object with
/// "error" to standard output.
void print_error(const Error& error, OutputFormat output);

/// Each adds one command; when it was called its callback sets `status`. The callbacks throw Error.
/// `output` is set by the command's --output, so that main can report a failure in that form.
struct CommandContext {
    CLI::App& app;
    int& status;
    OutputFormat& output;
};
void add_restore_command(const CommandContext& context);
void add_list_command(const CommandContext& context);
void add_info_command(const CommandContext& context);
void add_ranges_command(const CommandContext& context);
void add_audit_command(const CommandContext& context);
void add_check_command(const CommandContext& context);
void add_compact_command(const CommandContext& context);
void add_verify_command(const CommandContext& context);
void add_drill_command(const CommandContext& context);
void add_report_command(const CommandContext& context);
void add_wal_get_command(const CommandContext& context);
void add_wal_receive_command(const CommandContext& context);
void add_key_command(const CommandContext& context);
void add_version_command(const CommandContext& context);

/// The roles that the server module starts: standard input and output speak docs/child-protocol.md.
/// They return the exit status, 0 or 1.
int run_server_backup();
int run_server_archive();
int run_server_catalog();
int run_server_compact();
int run_server_verify();
int run_server_drill();
int run_server_stream();
int run_server_track();

/// The role of the process that a wal-get leaves behind, with the words of start_prefetcher. Ends
/// the process.
int run_server_prefetch(int argc, char** argv);
constexpr const char* kPrefetchRole = "server-prefetch";
constexpr int kPrefetchLockFd = 3;

/// The role of the process above each program of a restore test: core/drill/guard.hpp.
int run_server_guard(int argc, char** argv);

#if defined(PG_ARK_TEST_FAULTS)
int run_test_changes(int argc, char** argv);
int run_test_changes_between(int argc, char** argv);
#endif

}  // namespace ark
