// DatabaseCheck: what the answers to its questions mean.
#include <algorithm>
#include <charconv>

#include "core/drill/check_queries.hpp"
#include "core/drill/database_check.hpp"
#include "core/drill/server_log.hpp"

namespace ark {

namespace {

constexpr int kMostHeapParts = 100;

uint64_t number_in(const std::optional<std::string>& text) {
    uint64_t value = 0;
    if (text)
        std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

std::string lines(const std::string& a, const std::string& b) {
    return a.empty() ? b : b.empty() ? a : a + " " + b;
}

}  // namespace

Finding DatabaseCheck::finding(const char* check, const RelationInfo& r,
                               const SqlResult& result) const {
    Finding out;
    out.check = check;
    out.relation = r.name;
    out.path = r.path;
    out.message = result.message;
    out.detail = result.detail;
    out.block = block_in(result.message);
    if (!out.block)
        out.block = block_in(result.detail);
    // A message of another relation's page.
    const auto path = path_in(result.message);
    if (path && *path != r.path) {
        out.path = *path;
        for (const RelationInfo& other : relations_) {
            if (other.path == *path)
                out.relation = other.name;
        }
    }
    return out;
}

// Of the rest of a table, and without the rows' TOAST.
CheckTask DatabaseCheck::rest_of_heap(uint32_t i, uint64_t first_block) {
    const RelationInfo& r = relations_[i];
    return {this, TaskKind::heap, i, bytes_of(r),
            std::make_unique<Question>(
                Question{r.name, heap_query(context_.schema, r, first_block, false)})};
}

namespace {

// An initializer list copies, and tasks move.
std::vector<CheckTask> only(CheckTask task) {
    std::vector<CheckTask> out;
    out.push_back(std::move(task));
    return out;
}

}  // namespace

std::vector<CheckTask> DatabaseCheck::answer(const CheckTask& task, const SqlResult& result) {
    switch (task.kind) {
        case TaskKind::catalog:
            answer_catalog(task, result);
            break;
        case TaskKind::heap:
            return answer_heap(task, result);
        case TaskKind::index:
        case TaskKind::index_alone:
            return answer_index(task, result);
        case TaskKind::rows:
            answer_rows(task, result);
            break;
        case TaskKind::rule:
            break;
    }
    return {};
}

void DatabaseCheck::answer_catalog(const CheckTask& task, const SqlResult& result) {
    ++context_.counts.references;
    if (!result.failed && result.rows().empty())
        return;
    Finding finding;
    finding.check = "catalog";
    finding.relation = task.question->what;
    if (result.failed) {
        finding.message = result.message;
        finding.detail = result.detail;
        finding.block = block_in(result.message);
        finding.path = path_in(result.message).value_or("");
    } else {
        const SqlRow& row = result.rows().front();
        finding.message = row[0].value_or("") + " rows refer to something that is not there";
        finding.detail = "One is at " + row[1].value_or("?") + ".";
    }
    add(std::move(finding));
}

void DatabaseCheck::add_places(const RelationInfo& r, const SqlResult& result) {
    for (const SqlRow& row : result.rows()) {
        Finding found;
        found.check = "heap";
        found.relation = r.name;
        found.path = r.path;
        if (row[0])
            found.block = number_in(row[0]);
        found.message = row[3].value_or("");
        if (row[1])
            found.detail =
                "Row " + *row[1] + " of the page" + (row[2] ? ", column " + *row[2] : "") + ".";
        if (r.kind == 't')
            found.detail = lines(found.detail, "It is the TOAST table of " + table_of(r) + ".");
        if (row[0])
            found.detail = lines(found.detail, "Block " + *row[0] + ".");
        add(std::move(found));
    }
    if (result.failed)
        add(finding("heap", r, result));
}

std::vector<CheckTask> DatabaseCheck::answer_heap(const CheckTask& task, const SqlResult& result) {
    const RelationInfo& r = relations_[task.relation];
    add_places(r, result);
    if (!result.failed)
        return {};
    if (result.lost || ++heap_parts_[task.relation] > kMostHeapParts)
        return {};
    // Behind a page that cannot be read there are others.
    const auto block = block_in(result.message);
    const bool own = path_in(result.message) == r.path;
    constexpr uint64_t kPage = 8192;
    if (own && block && (*block + 1) * kPage < bytes_of(r))
        return only(rest_of_heap(task.relation, *block + 1));
    if (!own && task.question->sql.find("check_toast => true") != std::string::npos)
        return only(rest_of_heap(task.relation, 0));
    return {};
}

bool DatabaseCheck::is_without_library(const SqlResult& result) {
    auto missing = missing_library(result, database_.name);
    if (!missing)
        return false;
    if (!context_.missing)
        context_.missing = std::move(missing);
    return true;
}

std::vector<CheckTask> DatabaseCheck::answer_index(const CheckTask& task, const SqlResult& result) {
    if (!result.failed || is_without_library(result))
        return {};
    const RelationInfo& r = relations_[task.relation];
    if (task.kind == TaskKind::index && computing_.contains(r.oid) && is_of_code(result)) {
        note("rows were not looked for in index " + r.name +
             ", whose functions fail in the copy (SQLSTATE " + result.sqlstate + ")");
        return only({this, TaskKind::index_alone, task.relation, bytes_of(r)});
    }
    constexpr const char* kIndexCorrupted = "XX002";
    if (result.sqlstate == kIndexCorrupted && r.changed_collation) {
        note("index " + r.name +
             " disagrees with its collation's version on this host: " + result.message);
        return {};
    }
    Finding found = finding("index_structure", r, result);
    // Of its two relations the message means the table.
    if (result.message.starts_with("heap tuple"))
        found.block.reset();
    found.detail = lines(found.detail, "It is an index of " + table_of(r) + ".");
    add(std::move(found));
    return {};
}

void DatabaseCheck::answer_rows(const CheckTask& task, const SqlResult& result) {
    const RelationInfo& r = relations_[task.relation];
    const auto seen = rows_seen(r);
    if (r.kind != 'S' && (result.failed || seen))
        count_rows_of(r, seen.value_or(0));
    if (result.failed && computing_.contains(r.oid) && is_of_code(result)) {
        note("rows of " + r.name +
             " were not counted, since a function of its indexes fails in "
             "the copy (SQLSTATE " +
             result.sqlstate + ")");
        return;
    }
    if (result.failed) {
        if (!is_without_library(result))
            add(finding("rows", r, result));
        return;
    }
    if (r.kind == 'S')
        return;
    const uint64_t in_table = seen ? *seen : number_in(result.sets.front().front()[0]);
    if (!seen)
        count_rows_of(r, in_table);
    if (!indexed_.contains(r.oid))
        return;
    context_.counts.index_counts += r.of_system ? 0 : 1;
    const uint64_t in_index = number_in(result.sets.back().front()[0]);
    if (in_index == in_table)
        return;
    SqlResult wrong;
    wrong.message = "the table has " + std::to_string(in_table) + " rows, its index " +
                    std::to_string(in_index);
    add(finding("rows", r, wrong));
}

}  // namespace ark
