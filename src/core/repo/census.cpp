#include "core/repo/census.hpp"

#include <utility>

#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

uint64_t key_of(const TableState& table) {
    return uint64_t{table.database_oid} << 32 | table.oid;
}

std::string to_json_line(const CensusEntry& entry) {
    const TableState& t = entry.table;
    json j{{"database", json_of_text(t.database)},
           {"schema", json_of_text(t.schema)},
           {"name", json_of_text(t.name)},
           {"database_oid", t.database_oid},
           {"oid", t.oid},
           {"filenode", t.filenode},
           {"bytes", t.bytes},
           {"unchanged", entry.unchanged}};
    if (t.rows)
        j["rows"] = *t.rows;
    return j.dump() + "\n";
}

CensusEntry parse_line(std::string_view line, const std::string& name) {
    return with_parsed_json(line, name, [](const json& j) {
        CensusEntry entry;
        TableState& t = entry.table;
        t.database = text_member(j, "database");
        t.schema = text_member(j, "schema");
        t.name = text_member(j, "name");
        t.database_oid = member<uint32_t>(j, "database_oid");
        t.oid = member<uint32_t>(j, "oid");
        t.filenode = member<uint32_t>(j, "filenode");
        t.bytes = member<uint64_t>(j, "bytes");
        if (j.contains("rows"))
            t.rows = member<uint64_t>(j, "rows");
        entry.unchanged = member<bool>(j, "unchanged");
        return entry;
    });
}

}  // namespace

void CensusWriter::at_start(const TableState& table) {
    seen_[key_of(table)] = {table.filenode, table.bytes, table.changes};
}

void CensusWriter::at_stop(ObjectWriter& out, const TableState& table) {
    const auto found = seen_.find(key_of(table));
    const bool unchanged = found != seen_.end() && found->second.filenode == table.filenode &&
                           found->second.bytes == table.bytes &&
                           found->second.changes == table.changes;
    out.append(as_bytes(to_json_line({table, unchanged})));
}

CensusReader::CensusReader(Repository& repository, const std::string& cluster,
                           const std::string& backup_id, std::string expected_sha256)
    : object_(repository.store(), cluster, ObjectKind::census, place::census(backup_id)),
      lines_(object_),
      expected_(std::move(expected_sha256)) {}

std::optional<CensusEntry> CensusReader::next() {
    const auto line = lines_.next();
    if (line)
        return parse_line(*line, object_.name());
    object_.check_digest(expected_);
    return std::nullopt;
}

}  // namespace ark
