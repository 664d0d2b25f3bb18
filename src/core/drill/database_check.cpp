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

bool DatabaseCheck::add_tasks(std::vector<CheckTask>& tasks) {
    if (!prepare() || !list())
        return !lost_ || pool_.revive();
    name_damage();
    check_files();
    if (context_.steps.has(DrillStep::rows))
        check_census();
    if (context_.steps.has(DrillStep::catalog))
        add_catalog_tasks(tasks);
    add_relation_tasks(tasks);
    return true;
}

void DatabaseCheck::add(Finding finding) {
    finding.database = database_.name;
    // A page that cannot be read is in the way of several checks.
    const std::string said = finding.relation + '\n' + finding.message + '\n' + finding.detail;
    if (!already_said_.insert(said).second)
        return;
    const auto found = std::ranges::find(relations_, finding.relation, &RelationInfo::name);
    if (!finding.relation.empty())
        finding.tier = found == relations_.end() ? TierOrder::kLast : tier_of(*found);
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

int DatabaseCheck::tier_of(const RelationInfo& r) const {
    const RelationInfo* table = r.table == 0 ? &r : relation(r.table);
    if (context_.tiers == nullptr || table == nullptr)
        return TierOrder::kLast;
    return context_.tiers->position(database_.name, table->name);
}

// Of an index or a TOAST table.
std::string DatabaseCheck::table_of(const RelationInfo& r) const {
    const RelationInfo* table = relation(r.table);
    return table == nullptr ? "oid " + std::to_string(r.table) : table->name;
}

void DatabaseCheck::add_catalog_tasks(std::vector<CheckTask>& tasks) {
    const auto add_check = [&](const CatalogCheck& check) {
        tasks.push_back({this, TaskKind::catalog, 0, 0,
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
}

void DatabaseCheck::add_relation_tasks(std::vector<CheckTask>& tasks) {
    constexpr size_t kMostOfOne = 3;
    tasks.reserve(tasks.size() + kMostOfOne * relations_.size());
    for (uint32_t i = 0; i < relations_.size(); ++i) {
        if (relations_[i].shared && !first_)
            continue;
        add_table_tasks(i, tasks);
        if (relations_[i].kind == 'i' && bytes_of(relations_[i]) > 0 &&
            context_.steps.has(DrillStep::amcheck))
            add_index_task(i, tasks);
    }
}

Question DatabaseCheck::question(const CheckTask& task) const {
    const RelationInfo& r = relations_[task.relation];
    switch (task.kind) {
        case TaskKind::index:
        case TaskKind::index_alone:
            return {r.name,
                    index_query(context_.schema, r, context_.major, task.kind == TaskKind::index)};
        case TaskKind::rows:
            return {r.name, r.kind == 'S' ? sequence_query(r)
                                          : rows_query(r, !rows_seen(r), indexed_.contains(r.oid))};
        case TaskKind::heap:
        case TaskKind::catalog:  // has its question
        case TaskKind::rule:     // another's
            break;
    }
    return {r.name, heap_query(context_.schema, r, 0, true)};
}

const char* DatabaseCheck::step_of(const CheckTask& task) const {
    switch (task.kind) {
        case TaskKind::heap:
            return "tables";
        case TaskKind::index:
        case TaskKind::index_alone:
            return "indexes";
        case TaskKind::rows:
            return "rows";
        case TaskKind::catalog:
        case TaskKind::rule:  // another's
            break;
    }
    return "catalog";
}

// Those that the page check has counted need not be counted again. Catalogs, which VACUUM FULL
// gives files as users' tables have them, are others since: the drill's own roles and functions are
// in.
std::optional<uint64_t> DatabaseCheck::rows_seen(const RelationInfo& r) const {
    const auto place = parse_relation_path(r.path);
    if (context_.rows == nullptr || r.of_system || r.method != AccessMethod::heap || !place)
        return std::nullopt;
    const auto found = context_.rows->find(place->relation());
    return found == context_.rows->end() ? std::nullopt : found->second.visible;
}

void DatabaseCheck::count_rows_of(const RelationInfo& r, uint64_t rows) {
    context_.counts.tables += r.of_system ? 0 : 1;
    context_.counts.rows += r.of_system ? 0 : rows;
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
    const bool wants_rows = context_.steps.has(DrillStep::rows);
    const bool wants_heap = context_.steps.has(DrillStep::amcheck);
    if (wants_heap && bytes > 0 &&
        (is_heap || (is_sequence && context_.major >= kFirstWithSequenceCheck))) {
        ++context_.counts.heaps;
        context_.counts.heap_bytes += bytes;
        tasks.push_back({this, TaskKind::heap, i, bytes, nullptr, tier_of(r)});
    }
    const bool counts_rows = wants_rows && is_table && r.checkable;
    if (counts_rows && rows_seen(r) && !indexed_.contains(r.oid))
        count_rows_of(r, *rows_seen(r));
    else if ((wants_rows && bytes > 0 && is_sequence) || (counts_rows && may_ask(r)))
        tasks.push_back({this, TaskKind::rows, i, bytes, nullptr, tier_of(r)});
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
        const RelationInfo* table = relation(r.table);
        if (may_ask(r))
            tasks.push_back({this, TaskKind::index, i,
                             bytes + (table == nullptr ? 0 : bytes_of(*table)), nullptr,
                             tier_of(r)});
    } else {
        ++counts.unchecked_indexes;
    }
}

}  // namespace ark
