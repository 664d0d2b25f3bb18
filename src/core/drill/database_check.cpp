#include "core/drill/database_check.hpp"

#include <algorithm>

#include "core/drill/check_extensions.hpp"
#include "core/drill/check_queries.hpp"
#include "core/drill/server_log.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

constexpr uint32_t kDefaultCollation = 100;

}  // namespace

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
    finding.detail = failed->detail + (failed->detail.empty() ? "" : " ") +
                     "The functions that check could not be created.";
    finding.block = block_in(failed->message);
    finding.path = path_in(failed->message).value_or("");
    add(std::move(finding));
    return false;
}

bool DatabaseCheck::list() {
    const std::set<uint32_t> changed = changed_collations();
    const SqlResult result = pool_.ask_rows(
        database_.name,
        std::string(without_indexes()) + "; " + relations_query(context_.version_directory),
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
    constexpr size_t kMostOfOne = 3;
    tasks.reserve(tasks.size() + kMostOfOne * relations_.size());
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

}  // namespace ark
