#include <cstdio>
#include <memory>

#include "cli/catalog_json.hpp"
#include "cli/command.hpp"
#include "core/repo/json_text.hpp"

namespace ark {

namespace {

void line(const char* label, const std::string& value) {
    std::printf("%-20s %s\n", label, value.c_str());
}

void print_text(const BackupMarker& m, const std::string& url) {
    line("backup", m.backup_id + " (" + m.type + ")");
    if (!m.parent.empty())
        line("builds on", m.parent);
    if (!m.full_because.empty())
        line("full because", m.full_because);
    if (m.changes) {
        line("changes", std::to_string(m.changes->changed_blocks) + " blocks of " +
                            std::to_string(m.changes->changed_files) + " files, " +
                            std::to_string(m.changes->whole_files) + " files whole, " +
                            std::to_string(m.changes->unchanged_files) + " unchanged");
    }
    line("repository", url + ", cluster " + m.cluster);
    line("reason", m.reason);
    line("asked for by", m.role + (m.created_by.empty() ? "" : " (" + m.created_by + ")"));
    line("started", to_iso8601(m.started_at));
    line("completed", to_iso8601(m.completed_at));
    line("restorable from", to_iso8601(m.stopped_at) + " (" + to_text(m.stop_lsn) + ") on");
    line("WAL needed", m.start_segment + " to " + m.stop_segment);
    line("timeline", std::to_string(m.timeline));
    line("server", "PostgreSQL " + m.pg_version + ", system identifier " +
                       std::to_string(m.system_identifier));
    line("data directory", m.data_directory + " on " + m.writer.host);
    line("files", std::to_string(m.files));
    line("size", human_bytes(m.database_bytes) + ", stored " + human_bytes(m.stored_bytes) +
                     " in " + std::to_string(m.packs.size()) + " packs");
    line("encrypted", m.is_encrypted ? "yes" : "no");
    for (const Tablespace& t : m.tablespaces) {
        line("tablespace", std::to_string(t.oid) + " " + t.location);
    }
    line("page checksums", m.page_checksums_verified
                               ? std::to_string(m.pages_verified) + " pages verified, " +
                                     std::to_string(m.corrupt_page_count) + " corrupt"
                               : "not verified: data checksums are off");
    for (const CorruptPage& page : m.corrupt_pages) {
        line("corrupt page",
             page.path + " block " + std::to_string(page.block) + " (" + page.reason + ")");
    }
}

int info(const RepositoryOptions& options, const std::string& id) {
    const auto repository = open_repository(options);
    ClusterKeys keys(options.key.source());
    std::vector<std::string> clusters = repository->clusters();
    if (!options.cluster.empty())
        clusters = {repository->resolve_cluster(options.cluster)};
    for (const std::string& cluster : clusters) {
        keys.use(*repository, cluster, options.key.require_encryption);
        const std::optional<BackupMarker> marker = find_backup(*repository, cluster, id);
        if (!marker)
            continue;
        if (options.output == OutputFormat::json) {
            nlohmann::json out = nlohmann::json::parse(to_json(*marker));
            out.update(summary_of(*marker));
            out["corrupt_pages"] = nlohmann::json::parse(to_json(*marker)).at("corrupt_pages");
            std::printf("%s\n", out.dump(2).c_str());
        } else {
            print_text(*marker, repository->url());
        }
        return 0;
    }
    throw Error(ErrorCode::not_found,
                "backup \"" + id + "\" is not in repository \"" + repository->url() + "\"", {},
                "\"pg_ark list\" shows which there are.");
}

}  // namespace

void add_info_command(const CommandContext& context) {
    CLI::App* command = context.app.add_subcommand("info", "Show one backup");
    auto options = std::make_shared<RepositoryOptions>();
    auto id = std::make_shared<std::string>();
    command->add_option("ID", *id, "the backup's id")->required();
    add_repository_options(*command, *options);
    add_retry_option(*command, *options);
    add_as_of_option(*command, *options);
    command->footer(
        "Example:\n"
        "  pg_ark info manual_20261120_021500_9f3a01bc --repo file:///srv/ark");
    command->callback([context, options, id] {
        context.output = options->output;
        context.status = info(*options, *id);
    });
}

}  // namespace ark
