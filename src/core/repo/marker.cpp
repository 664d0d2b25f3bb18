#include "core/repo/marker.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include "core/base/error.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/json_text.hpp"
#include "core/repo/vault_store.hpp"

namespace ark {

namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr uint64_t kMarkerLimit = 64 << 20;

json json_of_time(UnixMicros time) {
    return to_iso8601(time);
}

UnixMicros time_of_json(const json& value) {
    const auto time = parse_time(value.get<std::string>(), false);
    if (!time)
        throw json::type_error::create(302, "not a time: " + value.dump(), nullptr);
    return *time;
}

Lsn lsn_of_json(const json& value) {
    const auto lsn = parse_lsn(value.get<std::string>());
    if (!lsn)
        throw json::type_error::create(302, "not an LSN: " + value.dump(), nullptr);
    return *lsn;
}

uint64_t number_of_text(const json& value) {
    const auto text = value.get<std::string>();
    uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, number);
    if (text.empty() || result.ec != std::errc{} || result.ptr != end)
        throw json::type_error::create(302, "not a number: " + value.dump(), nullptr);
    return number;
}

// The member, an array or an object as `kind` says: the library walks over anything.
const json& list_member(const json& j, const char* key, json::value_t kind) {
    const json& list = j.at(key);
    if (list.type() != kind)
        throw json::type_error::create(302, std::string(key) + ": not a list", nullptr);
    return list;
}

json lists_to_json(const BackupMarker& m) {
    json out{{"packs", json::array()},
             {"tablespaces", json::array()},
             {"corrupt_pages", json::array()},
             {"config_files", json::object()},
             {"config_includes", json::array()}};
    for (const PackInfo& p : m.packs) {
        out["packs"].push_back({{"stored_bytes", p.stored_bytes}, {"sha256", p.sha256}});
    }
    for (const Tablespace& t : m.tablespaces) {
        out["tablespaces"].push_back({{"oid", t.oid}, {"location", json_of_text(t.location)}});
    }
    for (const CorruptPage& c : m.corrupt_pages) {
        out["corrupt_pages"].push_back(
            {{"path", json_of_text(c.path)}, {"block", c.block}, {"reason", c.reason}});
    }
    for (const auto& [kind, path] : m.config_files)
        out["config_files"][kind] = json_of_text(path);
    for (const std::string& path : m.config_includes) {
        out["config_includes"].push_back(json_of_text(path));
    }
    return out;
}

void lists_of_json(const json& j, BackupMarker& m) {
    for (const json& p : list_member(j, "packs", json::value_t::array)) {
        m.packs.push_back({member<uint64_t>(p, "stored_bytes"), member<std::string>(p, "sha256")});
    }
    for (const json& t : list_member(j, "tablespaces", json::value_t::array)) {
        m.tablespaces.push_back({member<uint32_t>(t, "oid"), text_member(t, "location")});
    }
    for (const json& c : list_member(j, "corrupt_pages", json::value_t::array)) {
        m.corrupt_pages.push_back({text_member(c, "path"), member<uint64_t>(c, "block"),
                                   member<std::string>(c, "reason")});
    }
    for (const auto& [kind, path] : list_member(j, "config_files", json::value_t::object).items()) {
        m.config_files[kind] = text_of_json(path);
    }
    for (const json& path : list_member(j, "config_includes", json::value_t::array))
        m.config_includes.push_back(text_of_json(path));
}

void server_of_json(const json& j, BackupMarker& m) {
    // The identifier uses all 64 bits; JSON numbers are safe to 53 in many readers, so it is text.
    m.system_identifier = read_member(j, "system_identifier", number_of_text);
    m.cluster = member<std::string>(j, "cluster");
    m.pg_version = member<std::string>(j, "pg_version");
    m.pg_version_num = member<uint32_t>(j, "pg_version_num");
    m.catalog_version = member<uint32_t>(j, "catalog_version");
    m.control_version = member<uint32_t>(j, "control_version");
    m.wal_segment_size = member<uint64_t>(j, "wal_segment_size");
    m.block_size = member<uint32_t>(j, "block_size");
    m.relation_segment_blocks = member<uint32_t>(j, "relation_segment_blocks");
    m.data_checksum_version = member<uint32_t>(j, "data_checksum_version");
    m.data_directory = text_member(j, "data_directory");
}

json json_of_changes(const IncrementalSummary& s) {
    return {{"whole_files", s.whole_files},         {"changed_files", s.changed_files},
            {"unchanged_files", s.unchanged_files}, {"changed_blocks", s.changed_blocks},
            {"audited_blocks", s.audited_blocks},   {"audit_misses", s.audit_misses}};
}

IncrementalSummary changes_of_json(const json& j) {
    return {member<uint64_t>(j, "whole_files"),     member<uint64_t>(j, "changed_files"),
            member<uint64_t>(j, "unchanged_files"), member<uint64_t>(j, "changed_blocks"),
            member<uint64_t>(j, "audited_blocks"),  member<uint64_t>(j, "audit_misses")};
}

void origin_of_json(const json& j, BackupMarker& m) {
    m.backup_id = member<std::string>(j, "backup_id");
    m.type = member<std::string>(j, "type");
    m.backup_type = member<std::string>(j, "backup_type");
    m.reason = text_member(j, "reason");
    m.created_by = member<std::string>(j, "created_by");
    m.role = text_member(j, "role");
    m.superuser = text_member(j, "superuser");
    m.parent = member<std::string>(j, "parent");
    if (j.contains("parent_index_sha256"))
        m.parent_index_sha256 = member<std::string>(j, "parent_index_sha256");
    if (j.contains("resumed"))
        m.resumed = member<bool>(j, "resumed");
    if (j.contains("compacted_from"))
        m.compacted_from = member<std::string>(j, "compacted_from");
    if (j.contains("full_because"))
        m.full_because = text_member(j, "full_because");
    if (j.contains("changes"))
        m.changes = changes_of_json(j.at("changes"));
    m.started_at = read_member(j, "started_at", time_of_json);
    m.stopped_at = read_member(j, "stopped_at", time_of_json);
    m.completed_at = read_member(j, "completed_at", time_of_json);
    m.timeline = member<uint32_t>(j, "timeline");
    m.start_lsn = read_member(j, "start_lsn", lsn_of_json);
    m.stop_lsn = read_member(j, "stop_lsn", lsn_of_json);
    m.start_segment = member<std::string>(j, "start_segment");
    m.stop_segment = member<std::string>(j, "stop_segment");
    m.stop_snapshot = member<std::string>(j, "stop_snapshot");
}

void content_of_json(const json& j, BackupMarker& m) {
    m.page_checksums_verified = member<bool>(j, "page_checksums_verified");
    m.pages_verified = member<uint64_t>(j, "pages_verified");
    m.corrupt_page_count = member<uint64_t>(j, "corrupt_page_count");
    m.files = member<uint64_t>(j, "files");
    m.database_bytes = member<uint64_t>(j, "database_bytes");
    m.stored_bytes = member<uint64_t>(j, "stored_bytes");
    m.manifest_sha256 = member<std::string>(j, "manifest_sha256");
    m.index_sha256 = member<std::string>(j, "index_sha256");
    m.census_sha256 = member<std::string>(j, "census_sha256");
    if (j.contains("answers_sha256"))
        m.answers_sha256 = member<std::string>(j, "answers_sha256");
    m.has_config_archive = member<bool>(j, "has_config_archive");
    m.program_version = member<std::string>(j, "program_version");
    const json& w = j.at("writer");
    m.writer = {text_member(w, "host"), text_member(w, "boot_id"), text_member(w, "data_directory"),
                read_member(w, "time", time_of_json)};
}

// Segments are counted with these.
void check_wal(const BackupMarker& m) {
    if (!is_valid_segment_size(m.wal_segment_size) || m.start_lsn >= m.stop_lsn)
        throw json::type_error::create(302, "the WAL that it names is impossible", nullptr);
}

// Whoever takes an incremental backup for a whole one restores a part.
void check_parent(const BackupMarker& m) {
    const bool is_full = m.type == kTypeFull || m.type == kTypeUnfinished;
    if (!is_full && m.type != kTypeIncremental && m.type != kTypeDifferential)
        throw json::type_error::create(302, "type: unknown: " + m.type, nullptr);
    if (is_full != m.parent.empty() || (is_full && !m.parent_index_sha256.empty()))
        throw json::type_error::create(302, "parent: does not go with the type", nullptr);
}

// The last member is the digest of all that stands before its comma: a flipped bit in a name or a
// number would be valid JSON.
std::string seal(std::string text) {
    text.erase(text.rfind("\n}"));
    const std::string digest = sha256_hex(as_bytes(text));
    return text + ",\n  \"sha256\": \"" + digest + "\"\n}\n";
}

void check_seal(std::string_view text, const std::string& name) {
    const size_t comma = text.rfind(',');
    const std::string_view sealed = text.substr(0, comma == std::string_view::npos ? 0 : comma);
    const std::string end = ",\n  \"sha256\": \"" + sha256_hex(as_bytes(sealed)) + "\"\n}\n";
    if (text.substr(sealed.size()) == end)
        return;
    throw Error(ErrorCode::corrupt, "invalid content in \"" + name + "\"",
                "It is not what its checksum says.", "Use another backup (\"pg_ark list\").");
}

}  // namespace

std::string to_json(const BackupMarker& m) {
    json j{{"pg_ark_backup", kFormat},
           {"backup_id", m.backup_id},
           {"type", m.type},
           {"backup_type", m.backup_type},
           {"status", "completed"},
           {"reason", json_of_text(m.reason)},
           {"created_by", m.created_by},
           {"role", json_of_text(m.role)},
           {"superuser", json_of_text(m.superuser)},
           {"parent", m.parent},
           {"started_at", json_of_time(m.started_at)},
           {"stopped_at", json_of_time(m.stopped_at)},
           {"completed_at", json_of_time(m.completed_at)},
           {"timeline", m.timeline},
           {"start_lsn", to_text(m.start_lsn)},
           {"stop_lsn", to_text(m.stop_lsn)},
           {"start_segment", m.start_segment},
           {"stop_segment", m.stop_segment},
           {"stop_snapshot", m.stop_snapshot},
           {"system_identifier", std::to_string(m.system_identifier)},
           {"cluster", m.cluster},
           {"pg_version", m.pg_version},
           {"pg_version_num", m.pg_version_num},
           {"catalog_version", m.catalog_version},
           {"control_version", m.control_version},
           {"wal_segment_size", m.wal_segment_size},
           {"block_size", m.block_size},
           {"relation_segment_blocks", m.relation_segment_blocks},
           {"data_checksum_version", m.data_checksum_version},
           {"data_directory", json_of_text(m.data_directory)},
           {"page_checksums_verified", m.page_checksums_verified},
           {"pages_verified", m.pages_verified},
           {"corrupt_page_count", m.corrupt_page_count},
           {"files", m.files},
           {"database_bytes", m.database_bytes},
           {"stored_bytes", m.stored_bytes},
           {"manifest_sha256", m.manifest_sha256},
           {"index_sha256", m.index_sha256},
           {"census_sha256", m.census_sha256},
           {"has_config_archive", m.has_config_archive},
           {"program_version", m.program_version},
           {"writer",
            {{"host", json_of_text(m.writer.host)},
             {"boot_id", json_of_text(m.writer.boot_id)},
             {"data_directory", json_of_text(m.writer.data_directory)},
             {"time", json_of_time(m.writer.time)}}}};
    if (!m.parent_index_sha256.empty())
        j["parent_index_sha256"] = m.parent_index_sha256;
    if (!m.answers_sha256.empty())
        j["answers_sha256"] = m.answers_sha256;
    if (m.resumed)
        j["resumed"] = true;
    if (!m.compacted_from.empty())
        j["compacted_from"] = m.compacted_from;
    if (!m.full_because.empty())
        j["full_because"] = json_of_text(m.full_because);
    if (m.changes)
        j["changes"] = json_of_changes(*m.changes);
    j.update(lists_to_json(m));
    return seal(j.dump(2));
}

BackupMarker parse_marker(std::string_view text, const std::string& name) {
    return with_parsed_json(text, name, [&](const json& j) {
        // Before the format: a flipped bit there is damage, no newer version.
        check_seal(text, name);
        if (member<int>(j, "pg_ark_backup") != kFormat) {
            throw Error(ErrorCode::unsupported,
                        "backup \"" + name + "\" has a format that this version does not read", {},
                        "Use a newer pg_ark.");
        }
        BackupMarker m;
        origin_of_json(j, m);
        server_of_json(j, m);
        content_of_json(j, m);
        lists_of_json(j, m);
        check_wal(m);
        check_parent(m);
        return m;
    });
}

std::optional<BackupMarker> find_backup(Repository& repository, const std::string& cluster,
                                        const std::string& backup_id) {
    auto marker = find_chain_link(repository, cluster, backup_id);
    return marker && marker->type != kTypeUnfinished ? std::move(marker) : std::nullopt;
}

std::optional<BackupMarker> find_chain_link(Repository& repository, const std::string& cluster,
                                            const std::string& backup_id) {
    if (!is_valid_name_part(backup_id))
        return std::nullopt;
    const std::string name = cluster + "/" + place::marker(backup_id);
    bool is_encrypted = false;
    const std::optional<Bytes> content =
        read_small(repository.store(), cluster, ObjectKind::marker, place::marker(backup_id),
                   kMarkerLimit, &is_encrypted);
    if (!content)
        return std::nullopt;
    BackupMarker marker = parse_marker(as_text(*content), name);
    if (marker.backup_id != backup_id || marker.cluster != cluster) {
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is in the wrong place",
                    "It is the marker of backup \"" + marker.backup_id + "\" of cluster \"" +
                        marker.cluster + "\".");
    }
    marker.is_encrypted = is_encrypted;
    if (const auto vault = vault_of(repository.store(), cluster))
        vault->expect_below(place::backup(backup_id), is_encrypted);
    return marker;
}

std::optional<BackupName> parse_backup_id(const std::string& backup_id) {
    constexpr std::array<std::string_view, 5> kTypes{"manual", "full", "incremental",
                                                     "differential", "scheduled"};
    constexpr size_t kTimeBegin = 1;    // behind the type: "_20261120_021500_"
    constexpr size_t kBehindType = 25;  // and eight digits
    const size_t type_end = backup_id.find('_');
    if (type_end == std::string::npos || backup_id.size() != type_end + kBehindType ||
        std::ranges::find(kTypes, backup_id.substr(0, type_end)) == kTypes.end())
        return std::nullopt;
    const std::string at = backup_id.substr(type_end + kTimeBegin);
    const auto started_at =
        parse_time(at.substr(0, 4) + "-" + at.substr(4, 2) + "-" + at.substr(6, 2) + " " +
                       at.substr(9, 2) + ":" + at.substr(11, 2) + ":" + at.substr(13, 2) + "+00",
                   false);
    if (!started_at)
        return std::nullopt;
    return BackupName{backup_id.substr(0, type_end), *started_at};
}

std::optional<BackupOutline> outline_backup(Repository& repository, const std::string& cluster,
                                            const std::string& backup_id) {
    try {
        std::optional<BackupMarker> marker = find_backup(repository, cluster, backup_id);
        if (!marker)
            return std::nullopt;
        const BackupRange range{marker->timeline, marker->start_lsn, marker->stop_lsn};
        const UnixMicros completed_at = marker->completed_at;
        return BackupOutline{backup_id, range, completed_at, std::move(marker)};
    } catch (const Error& error) {
        if (error.code != ErrorCode::invalid_key)
            throw;
    }
    const std::string name = cluster + "/" + place::marker(backup_id);
    const std::optional<ObjectHeader> header = read_header(repository.store(), name);
    if (!header)
        return std::nullopt;
    if (header->kind != ObjectKind::marker || header->place != place::marker(backup_id) ||
        !header->range) {
        throw Error(ErrorCode::corrupt, "object \"" + name + "\" is damaged",
                    "Its header is not that of this backup's marker.");
    }
    return BackupOutline{backup_id, *header->range, header->writer.time, std::nullopt};
}

std::vector<BackupMarker> list_backups(Repository& repository, const std::string& cluster,
                                       std::vector<std::string>* bad) {
    std::vector<BackupMarker> out;
    for (const std::string& id : repository.store().list_parts(cluster + "/backup")) {
        try {
            std::optional<BackupMarker> marker = find_backup(repository, cluster, id);
            if (marker)
                out.push_back(std::move(*marker));
        } catch (const Error& error) {
            // Without the key older backups must not pass for all that there are.
            if (bad == nullptr || error.retryable || error.code == ErrorCode::invalid_key)
                throw;
            bad->push_back(id + ": " + error.message +
                           (error.detail.empty() ? "" : " (" + error.detail + ")"));
        }
    }
    std::ranges::sort(out, [](const BackupMarker& a, const BackupMarker& b) {
        return std::tie(a.start_lsn, a.timeline, a.backup_id) <
               std::tie(b.start_lsn, b.timeline, b.backup_id);
    });
    return out;
}

}  // namespace ark
