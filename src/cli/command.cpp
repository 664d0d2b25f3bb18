#include "cli/command.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "core/repo/json_text.hpp"

namespace ark {

void add_output_option(CLI::App& command, OutputFormat& output) {
    const std::map<std::string, OutputFormat> formats{{"text", OutputFormat::text},
                                                      {"json", OutputFormat::json}};
    command.add_option("--output", output, "text (default) or json")
        ->transform(CLI::CheckedTransformer(formats, CLI::ignore_case).description(""))
        ->option_text("FORMAT");
}

void add_repo_option(CLI::App& command, RepositoryOptions& options) {
    command
        .add_option("--repo", options.repo,
                    "repository: file:///srv/ark, s3://bucket/prefix, azure://container/prefix or "
                    "gs://bucket/prefix")
        ->envname("PG_ARK_REPO")
        ->option_text("URL");
}

void add_repository_options(CLI::App& command, RepositoryOptions& options) {
    add_repo_option(command, options);
    command
        .add_option("--cluster", options.cluster,
                    "the cluster's directory in the repository; needed where there are several")
        ->option_text("ID");
    add_output_option(command, options.output);
    add_key_options(command, options.key);
}

void add_retry_option(CLI::App& command, RepositoryOptions& options) {
    command
        .add_option("--retry-timeout", options.retry_timeout,
                    "how long object storage that cannot be reached is tried again, in seconds "
                    "(default " +
                        std::to_string(std::lround(options.retry_timeout)) + ")")
        ->envname("PG_ARK_RETRY_TIMEOUT")
        ->check(CLI::Range(0.0, 86400.0))
        ->option_text("SECONDS");
}

void add_as_of_option(CLI::App& command, RepositoryOptions& options) {
    command
        .add_option("--as-of-bucket-time", options.as_of,
                    "read the repository as its bucket, which keeps versions, was at this time by "
                    "the store's clock; local time unless it has a zone")
        ->option_text("TIME");
}

std::optional<UnixMicros> as_of_of(const RepositoryOptions& options) {
    if (options.as_of.empty())
        return std::nullopt;
    const auto time = parse_time(options.as_of, true);
    if (!time)
        throw Error(ErrorCode::invalid_argument, "invalid bucket time \"" + options.as_of + "\"",
                    {},
                    "Write it as '2026-11-20 14:03:00' (local time) or '2026-11-20 14:03:00+02'.");
    const UnixMicros now = now_micros();
    if (*time > now)
        throw Error(ErrorCode::target_unreachable,
                    "bucket time \"" + options.as_of + "\" is in the future",
                    "That is " + to_iso8601(*time) + "; it is now " + to_iso8601(now) + ".",
                    "Leave out --as-of-bucket-time to read the bucket as it is.");
    return time;
}

std::unique_ptr<Repository> open_repository(const RepositoryOptions& options, OpenMode mode) {
    StoreOptions store;
    store.retry_timeout = options.retry_timeout;
    store.as_of = as_of_of(options);
    return Repository::open(required_repo(options), mode, store);
}

std::string required_repo(const RepositoryOptions& options) {
    if (!options.repo.empty())
        return options.repo;
    throw Error(ErrorCode::invalid_argument, "no repository given", {},
                "Use --repo URL or set PG_ARK_REPO.");
}

void print_error(const Error& error, OutputFormat output) {
    if (output == OutputFormat::json) {
        const nlohmann::json object{{"error",
                                     {{"code", name_of(error.code)},
                                      {"sqlstate", sqlstate_of(error.code)},
                                      {"message", json_of_text(error.message)},
                                      {"detail", json_of_text(error.detail)},
                                      {"hint", json_of_text(error.hint)}}}};
        std::printf("%s\n", object.dump().c_str());
    }
    std::fprintf(stderr, "pg_ark: error: %s\n", error.message.c_str());
    if (!error.detail.empty())
        std::fprintf(stderr, "DETAIL:  %s\n", error.detail.c_str());
    if (!error.hint.empty())
        std::fprintf(stderr, "HINT:  %s\n", error.hint.c_str());
}

}  // namespace ark
