#include "core/repo/audit.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "core/base/clock.hpp"

namespace ark {

namespace {

using nlohmann::json;

struct AuditOptions {
    RepositoryOptions repository;
    std::string since;  ///< a date, or empty
};

std::string text_of(const json& entry, const char* key) {
    const auto found = entry.find(key);
    if (found == entry.end() || found->is_null())
        return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
}

// What a terminal shows must not be what somebody in a log put there for it.
std::string printable(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            c = '?';
    }
    return text;
}

// A role of the database, or whoever ran a command.
std::string who_did(const json& entry) {
    const auto field = [&](const char* key) { return printable(text_of(entry, key)); };
    const auto more = [&](const char* before, const std::string& text, const char* after) {
        return text.empty() ? text : before + text + after;
    };
    if (const std::string role = field("session_role"); !role.empty()) {
        const std::string acting = field("acting_role");
        return role + (acting == role ? "" : more(" as ", acting, ""));
    }
    const std::string user = field("os_user");
    return more("user ", user, "") + more(" (login ", field("login_user"), ")") +
           more(" on ", field("host"), "");
}

void print(const json& entry) {
    const auto field = [&](const char* key) { return printable(text_of(entry, key)); };
    const std::string who = who_did(entry);
    std::string line = field("at") + "  " + field("act") + "  " + field("outcome");
    const auto add = [&](const std::string& what) {
        if (!what.empty())
            line += "  " + what;
    };
    add(field("target"));
    add(who.empty() ? who : "by " + who);
    add(field("client").empty() ? "" : "from " + field("client"));
    add(field("sqlstate"));
    add(field("message"));
    if (field("times") != "1" && !field("times").empty())
        add("(" + field("times") + " times)");
    std::printf("  %s\n", line.c_str());
}

void require_date(const std::string& text) {
    constexpr size_t kDateLength = 10;
    if (!text.empty() && (text.size() != kDateLength || !parse_time(text + "T00:00:00Z", false))) {
        throw Error(ErrorCode::invalid_argument, "\"" + text + "\" is not a date", {},
                    "Write it as 2026-11-20; it is a day of UTC.");
    }
}

// One id, one entry: whoever makes another with it wants one of them to be doubted.
int tell_contradictions(const std::vector<json>& entries) {
    std::map<std::string, int> ids;
    int found = 0;
    for (const json& entry : entries) {
        if (++ids[entry["id"].get<std::string>()] != 2)
            continue;
        std::fprintf(stderr,
                     "pg_ark: error: entry %s is in the audit log with different contents\n"
                     "DETAIL:  One of them was changed, or forged.\n",
                     printable(entry["id"].get<std::string>()).c_str());
        ++found;
    }
    return found;
}

// Each by its name; what to do is the same for most of them. Returns an exit status.
int tell_unread(const std::vector<UnreadAudit>& unread) {
    int status = 0;
    std::string last_hint;
    for (const auto& [place, error] : unread) {
        std::fprintf(stderr, "pg_ark: error: could not read a part of the audit log: %s\n",
                     printable(error.message).c_str());
        if (!error.detail.empty())
            std::fprintf(stderr, "DETAIL:  %s\n", printable(error.detail).c_str());
        if (!error.hint.empty() && error.hint != last_hint)
            std::fprintf(stderr, "HINT:  %s\n", error.hint.c_str());
        last_hint = error.hint;
        status = std::max(status, exit_status_of(error.code));
    }
    return status;
}

// Every cluster unless one is named, as with list.
int audit(const AuditOptions& options) {
    require_date(options.since);
    const auto repository = open_repository(options.repository);
    ClusterKeys keys(options.repository.key.source());
    std::vector<std::string> clusters = repository->clusters();
    if (!options.repository.cluster.empty())
        clusters = {repository->resolve_cluster(options.repository.cluster)};
    json all = json::array();
    int status = 0;
    for (const std::string& cluster : clusters) {
        keys.use(*repository, cluster, options.repository.key.require_encryption);
        const bool is_text = options.repository.output == OutputFormat::text;
        if (is_text)
            std::printf("cluster %s\n", cluster.c_str());
        std::vector<UnreadAudit> unread;
        std::vector<json> entries = read_audit(*repository, cluster, options.since, &unread);
        status = std::max(status, tell_unread(unread));
        if (tell_contradictions(entries) > 0)
            status = std::max(status, exit_status_of(ErrorCode::corrupt));
        for (json& entry : entries) {
            if (is_text)
                print(entry);
            entry["cluster"] = cluster;
            all.push_back(std::move(entry));
        }
    }
    if (options.repository.output == OutputFormat::json)
        std::printf("%s\n", all.dump(2).c_str());
    return status;
}

}  // namespace

void add_audit_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand(
        "audit", "Show who did what with a cluster's backups, as the repository has it");
    auto options = std::make_shared<AuditOptions>();
    add_repository_options(*command, options->repository);
    add_retry_option(*command, options->repository);
    add_as_of_option(*command, options->repository);
    command->add_option("--since", options->since, "First day (UTC) to show, as 2026-11-20")
        ->type_name("DATE");
    command->footer(
        "The repository has what ark.audit_log had, also when the database is gone; newer entries "
        "may\n"
        "be on their way. And it has who restored, verified, received WAL or changed keys by "
        "command.\n"
        "An object that cannot be read, for want of its key for example, is named, and the others "
        "are shown.\n"
        "Examples:\n"
        "  pg_ark audit --repo file:///srv/ark --since 2026-11-20\n"
        "  pg_ark audit --output json | jq '.[] | select(.outcome == \"refused\")'");
    command->callback([context, options] {
        context.output = options->repository.output;
        context.status = audit(*options);
    });
}

}  // namespace ark
