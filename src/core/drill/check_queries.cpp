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

// A change of a page takes both of its marks away, the map's and the page's own. One that is left
// in the map alone is of another time: rows of the page would not be seen by an index-only scan,
// and VACUUM would pass them by.
std::string visibility_query(const std::string& schema, const RelationInfo& relation) {
    const std::string with_map = "FROM (SELECT 1 WHERE pg_catalog.pg_relation_size(" +
                                 regclass(relation) + ", 'vm') > 0) AS map, LATERAL " + schema;
    return "SELECT pg_catalog.min(v.blkno), NULL, NULL, 'the visibility map takes all of the page "
           "for visible, the page itself does not: so it is with ' || pg_catalog.count(*) || ' "
           "pages' " +
           with_map + ".pg_visibility(" + regclass(relation) +
           ") AS v WHERE (v.all_visible OR v.all_frozen) AND NOT v.pd_all_visible HAVING "
           "pg_catalog.count(*) > 0 UNION ALL SELECT block, offnum, NULL, 'the visibility map "
           "takes "
           "all of the page for frozen, the row is not: so it is with ' || n || ' rows' FROM "
           "(SELECT (f.tid)[0]::pg_catalog.int8 AS block, (f.tid)[1]::pg_catalog.int4 AS offnum, "
           "pg_catalog.count(*) OVER () AS n FROM (SELECT "
           "t_ctid::pg_catalog.text::pg_catalog.point "
           "AS tid " +
           with_map + ".pg_check_frozen(" + regclass(relation) + ")) AS f LIMIT 1) AS first";
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
std::string rows_query(const RelationInfo& relation, bool by_index) {
    const std::string count = "SELECT pg_catalog.count(*) FROM ONLY " + relation.name;
    std::string sql = std::string(without_indexes()) + "; " + count;
    if (by_index) {
        sql +=
            "; SET enable_seqscan = off; SET enable_indexonlyscan = on; SET enable_indexscan = on; "
            "SET random_page_cost = 0; " +
            count;
    }
    return sql;
}

std::string sequence_query(const RelationInfo& relation) {
    return "SELECT pg_catalog.pg_sequence_last_value(" + regclass(relation) + ")";
}

}  // namespace ark
