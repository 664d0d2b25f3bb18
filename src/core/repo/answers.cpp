#include "core/repo/answers.hpp"

#include "core/repo/json_text.hpp"

namespace ark {

namespace {

using nlohmann::json;

// A longer one is no line of ours; it has to fit a message of the server's.
constexpr size_t kMostLineBytes = 1 << 20;

Error invalid(const std::string& what) {
    return {ErrorCode::invalid_argument, what};
}

Lsn lsn_in(const json& j) {
    const auto lsn = parse_lsn(j.at("lsn").get<std::string>());
    if (!lsn)
        throw invalid("not an LSN");
    return *lsn;
}

RelationId file_in(const json& j) {
    if (!j.is_array() || j.size() != 3)
        throw invalid("not a file");
    return {strict_value<uint32_t>(j[0]), strict_value<uint32_t>(j[1]),
            strict_value<uint32_t>(j[2])};
}

std::vector<RelationId> files_in(const json& j) {
    std::vector<RelationId> files;
    for (const json& file : j.at("files"))
        files.push_back(file_in(file));
    if (files.size() > kMostLineBytes)
        throw invalid("too many files");
    return files;
}

Answer database_in(const json& j) {
    AnsweringDatabase out{text_member(j, "name"), member<uint32_t>(j, "oid"), {}, {}};
    for (const auto& [name, value] : j.at("settings").items())
        out.settings.emplace_back(name, value.get<std::string>());
    if (j.contains("tables_query"))
        out.tables_query = text_member(j, "tables_query");
    return out;
}

Answer catalog_in(const json& j) {
    return CatalogAnswer{text_member(j, "name"), file_in(j.at("file")), lsn_in(j),
                         text_member(j, "query")};
}

Answer object_in(const json& j) {
    const json& a = j.at("row");
    if (!a.is_array() || a.size() != 6)
        throw invalid("not a row of a catalog");
    return ObjectAnswer{strict_value<std::string>(a[0]), strict_value<uint64_t>(a[1]),
                        strict_value<uint64_t>(a[2]),    strict_value<std::string>(a[3]),
                        strict_value<bool>(a[4]),        a[5].is_null() ? "" : text_of_json(a[5])};
}

Answer table_in(const json& j) {
    TableAnswer out{member<uint32_t>(j, "oid"), text_member(j, "name"),      files_in(j), lsn_in(j),
                    text_member(j, "shape"),    member<uint64_t>(j, "rows"), std::nullopt};
    if (!j.at("sum").is_null())
        out.sum = member<std::string>(j, "sum");
    return out;
}

Answer value_in(const json& j) {
    ValueAnswer out{text_member(j, "name"),
                    text_member(j, "query"),
                    member<uint64_t>(j, "timeout_ms"),
                    lsn_in(j),
                    files_in(j),
                    {},
                    {}};
    for (const json& shape : j.at("shapes"))
        out.shapes.emplace_back(strict_value<uint32_t>(shape.at(0)),
                                strict_value<std::string>(shape.at(1)));
    for (const json& row : j.at("rows"))
        out.rows.push_back(strict_value<std::string>(row));
    return out;
}

Answer answer_in(const json& j) {
    const auto kind = member<std::string>(j, "kind");
    if (kind == "database")
        return database_in(j);
    if (kind == "catalog")
        return catalog_in(j);
    if (kind == "object")
        return object_in(j);
    if (kind == "table")
        return table_in(j);
    if (kind == "value")
        return value_in(j);
    if (kind == "left_out")
        return LeftOut{text_member(j, "why"), member<uint64_t>(j, "count")};
    throw invalid("unknown kind \"" + kind + "\"");
}

}  // namespace

std::optional<std::string> checked_answer_line(const std::string& line) {
    if (line.size() > kMostLineBytes || !is_utf8(line))
        return std::nullopt;
    try {
        return with_parsed_json(line, "answer", [](const json& j) {
            static_cast<void>(answer_in(j));
            return j.dump() + "\n";
        });
    } catch (const Error&) {
        return std::nullopt;
    }
}

AnswersReader::AnswersReader(Repository& repository, const std::string& cluster,
                             const std::string& backup_id, std::string expected_sha256)
    : object_(repository.store(), cluster, ObjectKind::answers, place::answers(backup_id)),
      lines_(object_),
      expected_(std::move(expected_sha256)) {}

std::optional<Answer> AnswersReader::next() {
    const auto line = lines_.next();
    if (line)
        return with_parsed_json(*line, object_.name(), answer_in);
    object_.check_digest(expected_);
    return std::nullopt;
}

}  // namespace ark
