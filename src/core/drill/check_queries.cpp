#include "core/drill/check_queries.hpp"

#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

std::string regclass(const RelationInfo& relation) {
    return std::to_string(relation.oid) + "::pg_catalog.regclass";
}

}  // namespace

std::string heap_query(const std::string& schema, const RelationInfo& relation,
                       uint64_t first_block, bool toast) {
    std::string sql = "SELECT blkno, offnum, attnum, msg FROM " + schema + ".verify_heapam(" +
                      regclass(relation) + ", on_error_stop => false, check_toast => " +
                      (toast ? "true" : "false") + ", skip => 'none'";
    if (first_block > 0)
        sql += ", startblock => " + std::to_string(first_block);
    return sql + ") LIMIT " + std::to_string(kMostFindingsOfHeap + 1);
}

std::string index_query(const std::string& schema, const RelationInfo& relation, uint32_t major,
                        bool with_rows) {
    if (relation.method == AccessMethod::gin)
        return "SELECT " + schema + ".gin_index_check(" + regclass(relation) + ")";
    // Not rootdescend: it is for bugs of the operator class, and very slow. To look for duplicates
    // it needs the index's expressions, which may be what has failed.
    const std::string rows = with_rows ? "true" : "false";
    return "SELECT " + schema + ".bt_index_parent_check(" + regclass(relation) + ", " + rows +
           ", false" + (major >= kFirstWithUniqueCheck ? ", " + rows : "") + ")";
}

// amcheck looks for the table's rows in the index, but not for the index's rows in the table, as
// they are after a loss of its last pages.
std::string rows_query(const RelationInfo& relation, bool by_table, bool by_index) {
    const std::string count = "SELECT pg_catalog.count(*) FROM ONLY " + relation.name;
    std::string sql;
    if (by_table)
        sql = std::string(without_indexes()) + "; " + count;
    if (by_index) {
        sql += (by_table ? std::string("; ") : std::string()) +
               "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexonlyscan = on; "
               "SET LOCAL enable_indexscan = on; SET LOCAL random_page_cost = 0; " +
               count;
    }
    return sql;
}

std::string sequence_query(const RelationInfo& relation) {
    return "SELECT pg_catalog.pg_sequence_last_value(" + regclass(relation) + ")";
}

}  // namespace ark
