#include <cstdio>
#include <memory>

#include "cli/catalog_json.hpp"
#include "cli/command.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

nlohmann::json summary_of(const BackupMarker& m) {
    return {{"backup_id", m.backup_id},
            {"type", m.type},
            {"backup_type", m.backup_type},
            {"status", "completed"},
            {"reason", json_of_text(m.reason)},
            {"created_by", m.created_by.empty() ? nlohmann::json() : nlohmann::json(m.created_by)},
            {"started_at", to_iso8601(m.started_at)},
            {"completed_at", to_iso8601(m.completed_at)},
            {"timeline", m.timeline},
            {"start_lsn", to_text(m.start_lsn)},
            {"stop_lsn", to_text(m.stop_lsn)},
            {"start_segment", m.start_segment},
            {"stop_segment", m.stop_segment},
            {"parent", m.parent.empty() ? nlohmann::json() : nlohmann::json(m.parent)},
            {"database_bytes", m.database_bytes},
            {"stored_bytes", m.stored_bytes},
            {"files", m.files},
            {"corrupt_pages", m.corrupt_page_count},
            {"encrypted", m.is_encrypted},
            {"pg_version", m.pg_version},
            {"system_identifier", std::to_string(m.system_identifier)},
            {"cluster", m.cluster}};
}

namespace {

void print_cluster(const std::string& cluster, const std::vector<BackupMarker>& backups) {
    std::printf("cluster %s\n", cluster.c_str());
    if (backups.empty())
        std::printf("  no backups\n");
    for (const BackupMarker& m : backups) {
        const std::string duration =
            std::to_string((m.completed_at - m.started_at) / 1000000) + " s";
        const std::string on = m.parent.empty() ? "" : "  on " + m.parent;
        std::printf("  %-38s  %s  %-12s  %8s of %8s  %6s  timeline %u  %s%s%s\n",
                    m.backup_id.c_str(), to_iso8601(m.completed_at).substr(0, 19).c_str(),
                    m.type.c_str(), human_bytes(m.stored_bytes).c_str(),
                    human_bytes(m.database_bytes).c_str(), duration.c_str(), m.timeline,
                    m.reason.c_str(), on.c_str(),
                    m.corrupt_page_count > 0 ? "  CORRUPT PAGES" : "");
    }
}

// Every cluster unless one is named: this is the command for somebody who does not know yet what is
// there. A marker that cannot be read must not hide the others, and is a failure all the same.
int list(const RepositoryOptions& options) {
    const auto repository = open_repository(options);
    ClusterKeys keys(options.key.source());
    std::vector<std::string> clusters = repository->clusters();
    if (!options.cluster.empty())
        clusters = {repository->resolve_cluster(options.cluster)};
    nlohmann::json all = nlohmann::json::array();
    std::vector<std::string> bad;
    int status = 0;
    for (const std::string& cluster : clusters) {
        keys.use(*repository, cluster, options.key.require_encryption);
        std::vector<BackupMarker> backups;
        try {
            backups = list_backups(*repository, cluster, &bad);
        } catch (const Error& error) {
            if (error.code != ErrorCode::invalid_key)
                throw;
            status = exit_status_of(error.code);
            print_error(error, OutputFormat::text);
            continue;
        }
        for (const BackupMarker& marker : backups)
            all.push_back(summary_of(marker));
        if (options.output == OutputFormat::text)
            print_cluster(cluster, backups);
    }
    if (options.output == OutputFormat::json)
        std::printf("%s\n", all.dump(2).c_str());
    if (options.output == OutputFormat::text && clusters.empty()) {
        std::printf("no clusters in %s\n", repository->url().c_str());
    }
    for (const std::string& what : bad) {
        std::fprintf(stderr, "pg_ark: error: could not read a backup's marker: %s\n", what.c_str());
    }
    return bad.empty() ? status : exit_status_of(ErrorCode::corrupt);
}

}  // namespace

void add_list_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand("list", "List the backups of a repository");
    auto options = std::make_shared<RepositoryOptions>();
    add_repository_options(*command, *options);
    add_retry_option(*command, *options);
    add_as_of_option(*command, *options);
    command->footer(
        "Examples:\n"
        "  pg_ark list --repo file:///srv/ark\n"
        "  PG_ARK_REPO=file:///srv/ark pg_ark list --output json | jq '.[-1].backup_id'");
    command->callback([context, options] {
        context.output = options->output;
        context.status = list(*options);
    });
}

}  // namespace ark
