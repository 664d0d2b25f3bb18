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
#include "core/repo/stored_keyring.hpp"
#include "core/store/local.hpp"
#include "core/store/store_check.hpp"

namespace ark {

namespace {

using nlohmann::json;

// Whether a repository is there already. A right that is missing is for the check to tell.
StoreFinding find_repository(const std::string& url, const StoreOptions& options,
                             std::unique_ptr<Repository>& repository) {
    try {
        repository = Repository::open(url, OpenMode::read, options);
        return {"repository", CheckLevel::good, "its id is " + repository->id()};
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

std::string describe(const OpenKeyring& open) {
    const Keyring& keyring = open.keyring();
    return "the key opens keyring " + std::to_string(keyring.generation) + " of cluster " +
           keyring.cluster + " by slot " + std::to_string(open.slot()) +
           "; what is written now is written under key " + keyring.current;
}

// Of one cluster, and whether the key that was given opens what is encrypted of it.
StoreFinding find_encryption(Repository& repository, const std::string& cluster,
                             ClusterKeys& keys) {
    try {
        const std::optional<Keyring> keyring = find_keyring(repository.store(), cluster);
        if (!keyring)
            return {"encryption", CheckLevel::note, "cluster " + cluster + " has no keys"};
        if (keys.source().is_given())
            return {"encryption", CheckLevel::good,
                    describe(OpenKeyring::open(*keyring, keys.secret()))};
        return {"encryption", CheckLevel::note,
                "cluster " + cluster + " has keys, and none was given to open them",
                "Name it with --key-file or --key-command."};
    } catch (const HttpFailure& failure) {
        if (failure.failure != Failure::access_denied)
            throw;
        return {"encryption", CheckLevel::note, "not known: " + failure.message};
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled)
            throw;
        return {"encryption", CheckLevel::error,
                error.message + (error.detail.empty() ? "" : ": " + error.detail), error.hint};
    }
}

std::vector<std::string> clusters_to_check(Repository& repository,
                                           const RepositoryOptions& options) {
    if (!options.cluster.empty())
        return {repository.resolve_cluster(options.cluster)};
    try {
        return repository.clusters();
    } catch (const Error& error) {
        if (error.code == ErrorCode::cancelled)
            throw;
        return {};  // the right to list is among what is checked
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
    std::unique_ptr<Repository> repository;
    const StoreFinding found = find_repository(url, store_options, repository);
    if (text)
        std::printf("%s\n", store->url().c_str());
    tell(found);
    bool good = true;
    if (repository) {
        ClusterKeys keys(options.key.source());
        for (const std::string& cluster : clusters_to_check(*repository, options)) {
            const StoreFinding encryption = find_encryption(*repository, cluster, keys);
            good = good && encryption.level != CheckLevel::error;
            tell(encryption);
        }
    }
    const StoreCheck result = check_store(*store, probe_name(), tell);
    good = good && result.worst != CheckLevel::error;
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
    command
        ->add_option("--cluster", options->cluster,
                     "of this cluster alone say whether the key opens what is encrypted")
        ->option_text("ID");
    add_key_source_options(*command, options->key);
    add_output_option(*command, options->output);
    add_retry_option(*command, *options);
    command->footer(
        "Examples:\n"
        "  pg_ark check --repo file:///srv/ark\n"
        "  pg_ark check --repo 's3://backups/production?region=eu-west-1'\n"
        "  pg_ark check --output json | jq '.checks[] | select(.level != \"good\")'\n"
        "  pg_ark check --repo file:///srv/ark --key-file /etc/ark.key\n"
        "Writes small objects and one of 16 MB below ark-probe/ and removes them. Rights that are\n"
        "missing are named: put, get, list, delete, and what objects in parts need; so are\n"
        "create-if-absent (with several writers at once), the clock, the round trip, the speed.\n"
        "Of each cluster it says whether it has encryption keys, and whether the key opens them.\n"
        "Ends with 0 where pg_ark can work with the place, 7 where it cannot, another status "
        "where\n"
        "nothing can be said.");
    command->callback([context, options] {
        context.output = options->output;
        context.status = check(*options);
    });
}

}  // namespace ark
