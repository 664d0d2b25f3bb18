#include "core/repo/audit.hpp"

#include <cstdio>
#include <memory>

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

void print(const json& entry) {
    const auto field = [&](const char* key) { return printable(text_of(entry, key)); };
    std::string who = field("session_role");
    if (const std::string acting = field("acting_role"); !acting.empty() && acting != who)
        who += " as " + acting;
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

// Every cluster unless one is named, as with list.
int audit(const AuditOptions& options) {
    require_date(options.since);
    const auto repository = open_repository(options.repository);
    std::vector<std::string> clusters = repository->clusters();
    if (!options.repository.cluster.empty())
        clusters = {repository->resolve_cluster(options.repository.cluster)};
    json all = json::array();
    std::vector<std::string> bad;
    for (const std::string& cluster : clusters) {
        const bool is_text = options.repository.output == OutputFormat::text;
        if (is_text)
            std::printf("cluster %s\n", cluster.c_str());
        for (json& entry : read_audit(*repository, cluster, options.since, &bad)) {
            if (is_text)
                print(entry);
            entry["cluster"] = cluster;
            all.push_back(std::move(entry));
        }
    }
    if (options.repository.output == OutputFormat::json)
        std::printf("%s\n", all.dump(2).c_str());
    for (const std::string& what : bad)
        std::fprintf(stderr, "pg_ark: error: could not read a part of the audit log: %s\n",
                     what.c_str());
    return bad.empty() ? 0 : exit_status_of(ErrorCode::corrupt);
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
        "The repository has what ark.audit_log had, also when the database is gone. Newer entries "
        "may\n"
        "be on their way.\n"
        "Examples:\n"
        "  pg_ark audit --repo file:///srv/ark --since 2026-11-20\n"
        "  pg_ark audit --output json | jq '.[] | select(.outcome == \"refused\")'");
    command->callback([context, options] {
        context.output = options->repository.output;
        context.status = audit(*options);
    });
}

}  // namespace ark
