#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/drill/drill_steps.hpp"
#include "core/drill/inventory.hpp"
#include "core/drill/page_check.hpp"
#include "core/drill/task_pool.hpp"
#include "core/repo/evidence.hpp"

namespace ark {

/// How much was checked, in all databases together.
struct CheckCounts {
    uint64_t references = 0;  ///< between catalogs
    uint64_t relations = 0;   ///< whose files were looked for
    uint64_t heaps = 0;
    uint64_t heap_bytes = 0;
    uint64_t btrees = 0;
    uint64_t btree_bytes = 0;
    uint64_t gins = 0;
    uint64_t unchecked_indexes = 0;  ///< of access methods that amcheck does not know
    uint64_t invalid_indexes = 0;    ///< left so by a failed CREATE INDEX CONCURRENTLY
    uint64_t tables = 0;             ///< whose rows were counted
    uint64_t rows = 0;
    uint64_t index_counts = 0;    ///< tables that were counted by an index too
    uint64_t compared = 0;        ///< with the backup's census
    uint64_t event_triggers = 0;  ///< put out of action in the copy
};

/// What the checks of all databases share.
struct CheckContext {
    uint32_t major = 15;
    std::string version_directory;  ///< below each tablespace
    std::string schema;             ///< to make in each database, for the functions that check
    std::string reader;  ///< may call them; empty: what runs code of the backup is left out
    const std::unordered_map<std::string, uint64_t>* file_bytes =
        nullptr;                                        ///< of main forks, by path
    const std::set<std::string>* init_forks = nullptr;  ///< by the path of the main fork
    const std::vector<FileDamage>* damage = nullptr;    ///< of files, to be named
    /// By tables' pages; none where those were not looked at.
    const std::map<RelationId, RowsSeen>* rows = nullptr;
    const Expected* census = nullptr;  ///< none where the backup has none
    DrillSteps steps = DrillSteps::all();
    const TierOrder* tiers = nullptr;
    CheckCounts counts;
    Findings* findings = nullptr;
    std::vector<std::string>* notes = nullptr;
    std::optional<Error> missing;  ///< what an index needs and this host has not
};

/// Questions the catalogs and relations of one database. `first` is set for the first one: it
/// answers for what all share.
class DatabaseCheck final : public Asker {
 public:
    DatabaseCheck(CheckContext& context, TaskPool& pool, DatabaseInfo database, bool first);

    bool add_tasks(std::vector<CheckTask>& tasks) override;
    Question question(const CheckTask& task) const override;
    std::vector<CheckTask> answer(const CheckTask& task, const SqlResult& result) override;
    const char* step_of(const CheckTask& task) const override;

 private:
    bool is_failure(const SqlResult& out, const char* check, const std::string& what);
    bool ask(const std::string& sql, const char* check, const std::string& what, SqlResult& out);
    bool prepare();
    bool list();
    std::set<uint32_t> changed_collations();
    const RelationInfo* relation(uint32_t oid) const;
    int tier_of(const RelationInfo& relation) const;
    std::string table_of(const RelationInfo& relation) const;
    void name_damage();
    void check_files();
    void check_file(const RelationInfo& relation);
    void add_catalog_tasks(std::vector<CheckTask>& tasks);
    void add_relation_tasks(std::vector<CheckTask>& tasks);
    void add_table_tasks(uint32_t i, std::vector<CheckTask>& tasks);
    void add_index_task(uint32_t i, std::vector<CheckTask>& tasks);
    CheckTask rest_of_heap(uint32_t i, uint64_t first_block);
    std::vector<CheckTask> answer_heap(const CheckTask& task, const SqlResult& result);
    void add_places(const RelationInfo& relation, const SqlResult& result);
    std::vector<CheckTask> answer_index(const CheckTask& task, const SqlResult& result);
    void answer_rows(const CheckTask& task, const SqlResult& result);
    void answer_catalog(const CheckTask& task, const SqlResult& result);
    void check_census();
    Finding finding(const char* check, const RelationInfo& relation, const SqlResult& result) const;
    void add(Finding finding);
    void note(const std::string& text);
    uint64_t bytes_of(const RelationInfo& relation) const;
    bool is_without_library(const SqlResult& result);
    std::optional<uint64_t> rows_seen(const RelationInfo& relation) const;
    void count_rows_of(const RelationInfo& relation, uint64_t rows);
    bool may_ask(const RelationInfo& relation) const;

    CheckContext& context_;
    TaskPool& pool_;
    const DatabaseInfo database_;
    const bool first_;
    std::vector<RelationInfo> relations_;  ///< in the order of their oids
    std::set<uint32_t> indexed_;           ///< tables with a btree that counts rows
    std::set<uint32_t> computing_;  ///< indexes with expressions or a predicate, and their tables
    bool lost_ = false;             ///< the server, with the last question
    std::set<std::string> already_said_;
    std::map<size_t, int> heap_parts_;
};

/// What checks look for first: the names by which findings call damaged files' relations, where the
/// server cannot be asked: the path alone.
Finding finding_of(const FileDamage& damage);

}  // namespace ark
