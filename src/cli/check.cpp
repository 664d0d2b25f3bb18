#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/traffic.hpp"
#include "core/http/failure.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/probe.hpp"
#include "core/store/local.hpp"
#include "core/store/store_check.hpp"

namespace ark {

namespace {

using nlohmann::json;

// Whether a repository is there already. A right that is missing is for the check to tell.
StoreFinding find_repository(const std::string& url, const StoreOptions& options) {
    try {
        return {"repository", CheckLevel::good,
                "its id is " + Repository::open(url, OpenMode::read, options)->id()};
    } catch (const HttpFailure& failure) {
        if (failure.failure != Failure::access_denied)
            throw;
        return {"repository", CheckLevel::note, "not known: " + failure.message};
    } catch (const Error& error) {
        // Of a directory; from object storage this comes where there are no credentials, and then
        // nothing else can be asked either.
        if (error.code == ErrorCode::permission_denied && local_store_path(url))
            return {"repository", CheckLevel::note, "not known: " + error.message};
        if (error.code != ErrorCode::not_found)
            throw;
        return {"repository", CheckLevel::note,
                "there is none yet; the first server that uses the place makes it"};
    }
}

void print_finding(const StoreFinding& finding) {
    const char* level = finding.level == CheckLevel::good ? "ok" : name_of(finding.level);
    std::printf("  %-8s %-17s %s\n", level, finding.name.c_str(), finding.detail.c_str());
    if (!finding.hint.empty())
        std::printf("  %-8s %-17s HINT: %s\n", "", "", finding.hint.c_str());
    std::fflush(stdout);
}

json json_of(const StoreFinding& finding) {
    return {{"name", finding.name},
            {"level", name_of(finding.level)},
            {"detail", json_of_text(finding.detail)},
            {"hint", json_of_text(finding.hint)}};
}

template <typename Value>
json or_null(const std::optional<Value>& value) {
    return value ? json(*value) : json();
}

int check(const RepositoryOptions& options) {
    const bool text = options.output == OutputFormat::text;
    StoreOptions store_options;
    store_options.retry_timeout = options.retry_timeout;
    const std::string url = required_repo(options);
    const auto store = open_store(url, store_options);
    json findings = json::array();
    const auto tell = [&](const StoreFinding& finding) {
        if (text) {
            print_finding(finding);
        } else {
            findings.push_back(json_of(finding));
        }
    };
    const StoreFinding repository = find_repository(url, store_options);
    if (text)
        std::printf("%s\n", store->url().c_str());
    tell(repository);
    const StoreCheck result = check_store(*store, probe_name(), tell);
    const bool good = result.worst != CheckLevel::error;
    if (text) {
        std::printf("%s\n", good ? "pg_ark can work with this place"
                                 : "pg_ark cannot work with this place");
        print_traffic(store->traffic());
    } else {
        const json out{{"repository", store->url()},
                       {"ok", good},
                       {"checks", findings},
                       {"clock_skew_seconds", or_null(result.clock_skew)},
                       {"round_trip_seconds", or_null(result.round_trip)},
                       {"write_bytes_per_second", or_null(result.write_rate)},
                       {"read_bytes_per_second", or_null(result.read_rate)},
                       {"requests", ark::json_of(store->traffic())}};
        std::printf("%s\n", out.dump(2).c_str());
    }
    return good ? 0 : exit_status_of(ErrorCode::unavailable);
}

}  // namespace

void add_check_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "check", "Say what a repository's place allows, and how fast it is");
    auto options = std::make_shared<RepositoryOptions>();
    options->retry_timeout = 10;  // somebody sits in front of it
    add_repo_option(*command, *options);
    add_output_option(*command, options->output);
    add_retry_option(*command, *options);
    command->footer(
        "Examples:\n"
        "  pg_ark check --repo file:///srv/ark\n"
        "  pg_ark check --repo 's3://backups/production?region=eu-west-1'\n"
        "  pg_ark check --output json | jq '.checks[] | select(.level != \"good\")'\n"
        "Writes small objects and one of 16 MB below ark-probe/ and removes them. Rights that are\n"
        "missing are named: put, get, list, delete, and what objects in parts need; so are\n"
        "create-if-absent (with several writers at once), the clock, the round trip, the speed.\n"
        "Ends with 0 where pg_ark can work with the place, 7 where it cannot, another status "
        "where\n"
        "nothing can be said.");
    command->callback([context, options] {
        context.output = options->output;
        context.status = check(*options);
    });
}

}  // namespace ark
