#include "core/drill/database_check.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/drill/check_extensions.hpp"
#include "core/drill/check_queries.hpp"
#include "core/drill/server_log.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

constexpr uint32_t kGlobalTablespace = 1664;
constexpr uint32_t kDefaultCollation = 100;
constexpr int kMostHeapParts = 100;

uint64_t number_in(const std::optional<std::string>& text) {
    uint64_t value = 0;
    if (text)
        std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

// Not of the server, which speaks of damage as internal errors (XX), I/O (58), lack of resources
// (53), and of its own end (57, 08).
bool is_of_code(const SqlResult& result) {
    constexpr std::array kOfServer{"XX", "58", "53", "57", "08"};
    return !result.lost && result.sqlstate.size() == 5 &&
           std::ranges::count(kOfServer, result.sqlstate.substr(0, 2)) == 0;
}

std::string lines(const std::string& a, const std::string& b) {
    return a.empty() ? b : b.empty() ? a : a + " " + b;
}

}  // namespace

Finding finding_of(const FileDamage& damage) {
    Finding out;
    out.check = damage.check;
    out.path = damage.path;
    out.block = damage.block;
    out.message = damage.message;
    if (damage.place.file.fork == Fork::fsm)
        out.hint = "The free space map is made anew by VACUUM; no row is lost.";
    if (damage.place.file.fork == Fork::vm)
        out.hint = "The visibility map is made anew by VACUUM (DISABLE_PAGE_SKIPPING).";
    return out;
}

DatabaseCheck::DatabaseCheck(CheckContext& context, TaskPool& pool, DatabaseInfo database,
                             bool first)
    : context_(context), pool_(pool), database_(std::move(database)), first_(first) {}

bool DatabaseCheck::run() {
    if (!prepare() || !list())
        return !lost_ || pool_.revive();
    name_damage();
    check_files();
    check_census();
    std::vector<CheckTask> tasks = catalog_tasks();
    add_relation_tasks(tasks);
    return pool_.run(
        database_.name, std::move(tasks), context_.jobs,
        [this](const CheckTask& task) { return question(task); },
        [this](const CheckTask& task, const SqlResult& result) { return answer(task, result); });
}

void DatabaseCheck::add(Finding finding) {
    finding.database = database_.name;
    // A page that cannot be read is in the way of several checks.
    const std::string said = finding.relation + '\n' + finding.message + '\n' + finding.detail;
    if (!already_said_.insert(said).second)
        return;
    context_.findings->add(std::move(finding));
}

// The evidence has to fit a message.
void DatabaseCheck::note(const std::string& text) {
    constexpr size_t kMostNotes = 200;
    if (context_.notes->size() < kMostNotes) {
        context_.notes->push_back(database_.name + ": " + text);
    } else if (context_.notes->size() == kMostNotes) {
        context_.notes->emplace_back("and more of the kind");
    }
}

bool DatabaseCheck::ask(const std::string& sql, const char* check, const std::string& what,
                        SqlResult& out) {
    out = pool_.ask(database_.name, sql);
    return !is_failure(out, check, what);
}

bool DatabaseCheck::is_failure(const SqlResult& out, const char* check, const std::string& what) {
    if (!out.failed)
        return false;
    lost_ = out.lost;
    Finding finding;
    finding.check = check;
    finding.relation = what;
    finding.block = block_in(out.message);
    finding.path = path_in(out.message).value_or("");
    finding.message = out.message;
    finding.detail = out.detail;
    add(std::move(finding));
    return true;
}

// The copy is ours to change: event triggers would run somebody's code at CREATE EXTENSION.
bool DatabaseCheck::prepare() {
    SqlResult result;
    if (!ask("SELECT 1", "connect", "", result))
        return false;
    if (!ask("UPDATE pg_catalog.pg_event_trigger SET evtenabled = 'D' RETURNING evtname", "catalog",
             "pg_catalog.pg_event_trigger", result))
        return false;
    context_.counts.event_triggers += result.rows().size();
    const auto failed = make_check_functions(context_, pool_, database_.name);
    if (!failed)
        return true;
    lost_ = failed->lost;
    Finding finding;
    finding.check = "catalog";
    finding.message = failed->message;
    finding.detail = lines(failed->detail, "The functions that check could not be created.");
    finding.block = block_in(failed->message);
    finding.path = path_in(failed->message).value_or("");
    add(std::move(finding));
    return false;
}

bool DatabaseCheck::list() {
    const std::set<uint32_t> changed = changed_collations();
    const SqlResult result =
        pool_.ask_rows(database_.name, std::string(without_indexes()) + "; " + relations_query(),
                       [&](const SqlRow& row) { relations_.push_back(relation_of(row, changed)); });
    if (is_failure(result, "catalog", "pg_catalog.pg_class"))
        return false;
    std::ranges::sort(relations_, {}, &RelationInfo::oid);
    for (const RelationInfo& r : relations_) {
        if (r.kind == 'i' && r.method == AccessMethod::btree && r.checkable && r.full)
            indexed_.insert(r.table);
        if (r.kind == 'i' && !r.full)
            computing_.insert({r.oid, r.table});
    }
    return true;
}

// Those that have another version on this host than on the source.
std::set<uint32_t> DatabaseCheck::changed_collations() {
    std::set<uint32_t> out;
    const SqlResult result = pool_.ask(database_.name, changed_collations_query());
    if (result.failed) {
        context_.notes->push_back(
            "database " + database_.name +
            ": versions of collations could not be compared: " + result.message);
    }
    for (const SqlRow& row : result.rows())
        out.insert(oid_in(row[0]));
    if (database_.collation_differs)
        out.insert(kDefaultCollation);
    if (!out.empty()) {
        context_.notes->push_back(
            "database " + database_.name + ": " + std::to_string(out.size()) +
            " collations have another version on this host than on the source: indexes on text "
            "may rightly disagree here");
    }
    return out;
}

const RelationInfo* DatabaseCheck::relation(uint32_t oid) const {
    const auto found = std::ranges::lower_bound(relations_, oid, {}, &RelationInfo::oid);
    return found != relations_.end() && found->oid == oid ? &*found : nullptr;
}

// Of an index or a TOAST table.
std::string DatabaseCheck::table_of(const RelationInfo& r) const {
    const RelationInfo* table = relation(r.table);
    return table == nullptr ? "oid " + std::to_string(r.table) : table->name;
}

// Shared relations' files are in global, and are named in the first database.
void DatabaseCheck::name_damage() {
    if (context_.damage->empty())
        return;
    std::unordered_map<std::string_view, const RelationInfo*> by_path;
    for (const RelationInfo& r : relations_)
        by_path.emplace(r.path, &r);
    for (const FileDamage& damage : *context_.damage) {
        const bool shared = damage.place.tablespace == kGlobalTablespace;
        if (shared ? !first_ : damage.place.database != database_.oid)
            continue;
        Finding finding = finding_of(damage);
        const std::string path = damage.path.substr(0, damage.path.find_last_of('/') + 1) +
                                 std::to_string(damage.place.file.filenode);
        const auto found = by_path.find(path);
        if (found != by_path.end()) {
            const RelationInfo& r = *found->second;
            finding.relation = r.name;
            if (r.kind == 't')
                finding.detail = "It is the TOAST table of " + table_of(r) + ".";
            if (r.kind == 'i')
                finding.detail = "It is an index of " + table_of(r) + ".";
        } else {
            finding.detail = "No relation has this file.";
        }
        // Each block counts, whatever is said of the others.
        finding.database = shared ? "" : database_.name;
        context_.findings->add(std::move(finding));
    }
}

uint64_t DatabaseCheck::bytes_of(const RelationInfo& relation) const {
    const auto found = context_.file_bytes->find(relation.path);
    return found == context_.file_bytes->end() ? 0 : found->second;
}

void DatabaseCheck::check_files() {
    for (const RelationInfo& r : relations_) {
        if (r.shared && !first_)
            continue;
        ++context_.counts.relations;
        check_file(r);
    }
}

void DatabaseCheck::check_file(const RelationInfo& r) {
    const bool has_first_page = r.method >= AccessMethod::btree && r.method <= AccessMethod::brin;
    SqlResult wrong;
    if (r.path.empty()) {
        wrong.message = "the catalog names no file for the relation";
    } else if (!context_.file_bytes->contains(r.path)) {
        wrong.message = "the relation's file is missing";
    } else if (bytes_of(r) == 0 && r.kind == 'i' && has_first_page) {
        wrong.message = "the index has no page, not even its first";
    } else if (bytes_of(r) == 0 && r.kind == 'S') {
        wrong.message = "the sequence has no page";
    } else if (r.unlogged && !context_.init_forks->contains(r.path)) {
        wrong.message = "the unlogged relation's initialization fork is missing";
        wrong.detail = "After a crash it would not be made empty, and hold whatever was written.";
    } else {
        return;
    }
    add(finding("catalog", r, wrong));
}

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

std::vector<CheckTask> DatabaseCheck::catalog_tasks() {
    std::vector<CheckTask> tasks;
    const auto add_check = [&](const CatalogCheck& check) {
        tasks.push_back({TaskKind::catalog, 0, 0,
                         std::make_unique<Question>(Question{
                             check.what, std::string(without_indexes()) + "; " + check.sql})});
    };
    SqlResult references;
    if (ask(references_query(), "catalog", "", references)) {
        for (const CatalogCheck& check : reference_checks_of(references))
            add_check(check);
    }
    for (const CatalogCheck& check : agreement_checks())
        add_check(check);
    return tasks;
}

void DatabaseCheck::add_relation_tasks(std::vector<CheckTask>& tasks) {
    for (uint32_t i = 0; i < relations_.size(); ++i) {
        if (relations_[i].shared && !first_)
            continue;
        add_table_tasks(i, tasks);
        if (relations_[i].kind == 'i' && bytes_of(relations_[i]) > 0)
            add_index_task(i, tasks);
    }
}

Question DatabaseCheck::question(const CheckTask& task) const {
    const RelationInfo& r = relations_[task.relation];
    switch (task.kind) {
        case TaskKind::visibility:
            return {r.name, visibility_query(context_.schema, r)};
        case TaskKind::index:
        case TaskKind::index_alone:
            return {r.name,
                    index_query(context_.schema, r, context_.major, task.kind == TaskKind::index)};
        case TaskKind::rows:
            return {r.name,
                    r.kind == 'S' ? sequence_query(r) : rows_query(r, indexed_.contains(r.oid))};
        case TaskKind::heap:
        case TaskKind::catalog:  // has its question
            break;
    }
    return {r.name, heap_query(context_.schema, r, 0, true)};
}

// Without a reader the superuser asks, and nobody's code is to run as such.
bool DatabaseCheck::may_ask(const RelationInfo& relation) const {
    return !context_.reader.empty() || !computing_.contains(relation.oid);
}

void DatabaseCheck::add_table_tasks(uint32_t i, std::vector<CheckTask>& tasks) {
    const RelationInfo& r = relations_[i];
    const uint64_t bytes = bytes_of(r);
    const bool is_table = r.kind == 'r' || r.kind == 'm';
    const bool is_heap = (is_table || r.kind == 't') && r.method == AccessMethod::heap;
    const bool is_sequence = r.kind == 'S';
    if (bytes > 0 && (is_heap || (is_sequence && context_.major >= kFirstWithSequenceCheck))) {
        ++context_.counts.heaps;
        context_.counts.heap_bytes += bytes;
        tasks.push_back({TaskKind::heap, i, bytes, nullptr});
    }
    if (bytes > 0 && is_heap)
        tasks.push_back({TaskKind::visibility, i, bytes, nullptr});
    if ((bytes > 0 && is_sequence) || (is_table && r.checkable && may_ask(r)))
        tasks.push_back({TaskKind::rows, i, bytes, nullptr});
}

void DatabaseCheck::add_index_task(uint32_t i, std::vector<CheckTask>& tasks) {
    const RelationInfo& r = relations_[i];
    CheckCounts& counts = context_.counts;
    const uint64_t bytes = bytes_of(r);
    const bool is_gin = r.method == AccessMethod::gin && context_.major >= kFirstWithGinCheck;
    if (!r.checkable) {
        ++counts.invalid_indexes;
    } else if (r.method == AccessMethod::btree || is_gin) {
        ++(is_gin ? counts.gins : counts.btrees);
        counts.btree_bytes += is_gin ? 0 : bytes;
        if (may_ask(r))
            tasks.push_back({TaskKind::index, i, bytes, nullptr});
    } else {
        ++counts.unchecked_indexes;
    }
}

// Of the rest of a table, and without the rows' TOAST.
CheckTask DatabaseCheck::rest_of_heap(uint32_t i, uint64_t first_block) const {
    const RelationInfo& r = relations_[i];
    return {TaskKind::heap, i, bytes_of(r),
            std::make_unique<Question>(
                Question{r.name, heap_query(context_.schema, r, first_block, false)})};
}

std::optional<CheckTask> DatabaseCheck::answer(const CheckTask& task, const SqlResult& result) {
    switch (task.kind) {
        case TaskKind::catalog:
            answer_catalog(task, result);
            break;
        case TaskKind::heap:
            return answer_heap(task, result);
        case TaskKind::visibility:
            answer_visibility(task, result);
            break;
        case TaskKind::index:
        case TaskKind::index_alone:
            return answer_index(task, result);
        case TaskKind::rows:
            answer_rows(task, result);
            break;
    }
    return std::nullopt;
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

std::optional<CheckTask> DatabaseCheck::answer_heap(const CheckTask& task,
                                                    const SqlResult& result) {
    const RelationInfo& r = relations_[task.relation];
    add_places(r, result);
    if (!result.failed)
        return std::nullopt;
    if (result.lost || ++heap_parts_[task.relation] > kMostHeapParts)
        return std::nullopt;
    // Behind a page that cannot be read there are others.
    const auto block = block_in(result.message);
    const bool own = path_in(result.message) == r.path;
    constexpr uint64_t kPage = 8192;
    if (own && block && (*block + 1) * kPage < bytes_of(r))
        return rest_of_heap(task.relation, *block + 1);
    if (!own && task.question->sql.find("check_toast => true") != std::string::npos)
        return rest_of_heap(task.relation, 0);
    return std::nullopt;
}

void DatabaseCheck::answer_visibility(const CheckTask& task, const SqlResult& result) {
    add_places(relations_[task.relation], result);
}

// Of an operator class, say, where its package is not on this host: nothing is known then.
bool DatabaseCheck::is_without_library(const SqlResult& result) {
    if (!result.message.starts_with("could not access file \"") &&
        !result.message.starts_with("could not load library \""))
        return false;
    if (!context_.missing) {
        context_.missing = Error(ErrorCode::not_found, "the scratch server misses a library",
                                 "In database " + database_.name + ": " + result.message + ".",
                                 "Install on this host what the source has, and test again.");
    }
    return true;
}

std::optional<CheckTask> DatabaseCheck::answer_index(const CheckTask& task,
                                                     const SqlResult& result) {
    if (!result.failed || is_without_library(result))
        return std::nullopt;
    const RelationInfo& r = relations_[task.relation];
    if (task.kind == TaskKind::index && computing_.contains(r.oid) && is_of_code(result)) {
        note("rows were not looked for in index " + r.name +
             ", whose functions fail in the copy: " + result.message);
        return CheckTask{TaskKind::index_alone, task.relation, bytes_of(r), nullptr};
    }
    constexpr const char* kIndexCorrupted = "XX002";
    if (result.sqlstate == kIndexCorrupted && r.changed_collation) {
        note("index " + r.name +
             " disagrees with its collation's version on this host: " + result.message);
        return std::nullopt;
    }
    Finding found = finding("index_structure", r, result);
    // Of its two relations the message means the table.
    if (result.message.starts_with("heap tuple"))
        found.block.reset();
    found.detail = lines(found.detail, "It is an index of " + table_of(r) + ".");
    add(std::move(found));
    return std::nullopt;
}

void DatabaseCheck::answer_rows(const CheckTask& task, const SqlResult& result) {
    const RelationInfo& r = relations_[task.relation];
    const uint64_t counts = r.kind == 'S' || r.of_system ? 0 : 1;
    context_.counts.tables += counts;
    if (result.failed && computing_.contains(r.oid) && is_of_code(result)) {
        note("rows of " + r.name +
             " were not counted, since a function of its indexes fails in "
             "the copy: " +
             result.message);
        return;
    }
    if (result.failed) {
        if (!is_without_library(result))
            add(finding("rows", r, result));
        return;
    }
    if (r.kind == 'S')
        return;
    const uint64_t in_table = number_in(result.sets.front().front()[0]);
    context_.counts.rows += counts * in_table;
    if (result.sets.size() < 2)
        return;
    context_.counts.index_counts += counts;
    const uint64_t in_index = number_in(result.sets.back().front()[0]);
    if (in_index == in_table)
        return;
    SqlResult wrong;
    wrong.message = "the table has " + std::to_string(in_table) + " rows, its index " +
                    std::to_string(in_index);
    add(finding("rows", r, wrong));
}

void DatabaseCheck::check_census() {
    if (context_.census == nullptr)
        return;
    for (const CensusEntry& entry : *context_.census) {
        const TableState& table = entry.table;
        if (table.database_oid != database_.oid || !entry.unchanged)
            continue;
        ++context_.counts.compared;
        const RelationInfo* now = relation(table.oid);
        Finding wrong;
        wrong.check = "rows";
        wrong.relation = table.schema + "." + table.name;
        if (now == nullptr) {
            wrong.message = "the table is missing";
            wrong.detail = "It was there when the backup was taken.";
        } else if (bytes_of(*now) != table.bytes) {
            wrong.relation = now->name;
            wrong.path = now->path;
            wrong.message = "the table has " + std::to_string(bytes_of(*now)) + " bytes; it had " +
                            std::to_string(table.bytes) +
                            " when the backup was taken, and was not changed meanwhile";
        } else {
            continue;
        }
        add(std::move(wrong));
    }
}

}  // namespace ark
