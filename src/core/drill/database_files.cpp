// DatabaseCheck: what can be said of relations' files without asking the server.
#include "core/drill/database_check.hpp"

namespace ark {

namespace {

constexpr uint32_t kGlobalTablespace = 1664;

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
    if (damage.check == "commit_log")
        out.hint = "Rows of that transaction may be missing, or back, in every table.";
    return out;
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
        if (damage.of_table &&
            (found == by_path.end() || found->second->method != AccessMethod::heap))
            continue;
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

void DatabaseCheck::check_census() {
    if (context_.census == nullptr)
        return;
    // Every database has catalogs.
    if (!context_.census->databases.contains(database_.oid))
        note("the backup has no sizes of its tables: they were not compared with what they were");
    for (const ExpectedTable& table : context_.census->tables) {
        if (table.database != database_.oid)
            continue;
        ++context_.counts.compared;
        const RelationInfo* now = relation(table.oid);
        Finding wrong;
        wrong.check = "rows";
        wrong.relation = table.name;
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
