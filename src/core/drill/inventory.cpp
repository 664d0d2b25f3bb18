#include "core/drill/inventory.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

namespace ark {

namespace {

const std::string& text_in(const std::optional<std::string>& value) {
    static const std::string none;
    return value ? *value : none;
}

bool is_true(const std::optional<std::string>& value) {
    return value == "t";
}

// `text` is an oidvector: numbers with blanks between them.
bool has_one_of(const std::string& text, const std::set<uint32_t>& oids) {
    std::istringstream words(text);
    for (uint32_t oid = 0; words >> oid;) {
        if (oids.contains(oid))
            return true;
    }
    return false;
}

AccessMethod method_of(const std::string& name) {
    constexpr std::array<std::string_view, 8> kNames{"",    "heap", "btree",  "hash",
                                                     "gin", "gist", "spgist", "brin"};
    const auto found = std::ranges::find(kNames, name);
    return static_cast<AccessMethod>(found - kNames.begin());
}

}  // namespace

uint32_t oid_in(const std::optional<std::string>& text) {
    uint32_t oid = 0;
    if (text)
        std::from_chars(text->data(), text->data() + text->size(), oid);
    return oid;
}

const char* databases_query() {
    return "SELECT d.oid, d.datname, d.datconnlimit = -2, coalesce(d.datcollversion <> "
           "pg_catalog.pg_database_collation_actual_version(d.oid), false) "
           "FROM pg_catalog.pg_database d ORDER BY d.oid";
}

std::vector<DatabaseInfo> databases_of(const SqlResult& result) {
    std::vector<DatabaseInfo> out;
    for (const SqlRow& row : result.rows())
        out.push_back({oid_in(row[0]), text_in(row[1]), is_true(row[2]), is_true(row[3])});
    return out;
}

// pg_relation_filepath would leave a row of pg_class in the session's cache, for each relation.
std::string relations_query(const std::string& version_directory) {
    return "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || "
           "pg_catalog.quote_ident(c.relname), c.relkind, coalesce(a.amname, ''), c.relisshared, "
           "c.oid < 16384, CASE WHEN c.relfilenode = 0 THEN pg_catalog.pg_relation_filepath(c.oid) "
           "ELSE CASE s.oid WHEN 1663 THEN 'base/' || d.oid WHEN 1664 THEN 'global' "
           "ELSE 'pg_tblspc/' || s.oid || '/" +
           version_directory +
           "/' || d.oid END || '/' || c.relfilenode END, "
           "coalesce(i.indisvalid AND i.indisready AND i.indislive, c.relispopulated), "
           "coalesce(i.indpred IS NULL AND i.indexprs IS NULL, true), "
           "coalesce(i.indrelid, t.oid, 0), "
           "coalesce(i.indcollation::pg_catalog.text, ''), c.relpersistence = 'u' "
           "FROM pg_catalog.pg_class c "
           "LEFT JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database() "
           "LEFT JOIN LATERAL (SELECT CASE c.reltablespace WHEN 0 THEN d.dattablespace "
           "ELSE c.reltablespace END AS oid) s ON true "
           "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
           "LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam "
           "LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid "
           "LEFT JOIN pg_catalog.pg_class t ON t.reltoastrelid = c.oid AND c.relkind = 't' "
           "WHERE c.relkind IN ('r', 'm', 't', 'S', 'i') AND c.relpersistence <> 't'";
}

RelationInfo relation_of(const SqlRow& row, const std::set<uint32_t>& changed_collations) {
    RelationInfo r;
    r.oid = oid_in(row[0]);
    r.name = row[1].value_or("oid " + std::to_string(r.oid));
    r.kind = text_in(row[2]).empty() ? 'r' : row[2]->front();
    r.method = method_of(text_in(row[3]));
    r.shared = is_true(row[4]);
    r.of_system = is_true(row[5]);
    r.path = text_in(row[6]);
    r.checkable = is_true(row[7]);
    r.full = is_true(row[8]);
    r.table = oid_in(row[9]);
    r.changed_collation = has_one_of(text_in(row[10]), changed_collations);
    r.unlogged = is_true(row[11]);
    r.name.shrink_to_fit();
    r.path.shrink_to_fit();
    return r;
}

const char* changed_collations_query() {
    return "SELECT oid FROM pg_catalog.pg_collation "
           "WHERE collversion <> pg_catalog.pg_collation_actual_version(oid)";
}

const char* without_indexes() {
    return "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; "
           "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_tidscan = off; "
           "SET LOCAL enable_seqscan = on";
}

// As src/test/regress/sql/oidjoins.sql asks.
const char* references_query() {
    return "SELECT k.fktable::pg_catalog.text || ' (' || "
           "pg_catalog.array_to_string(k.fkcols, ', ') || ') -> ' || "
           "k.pktable::pg_catalog.text, "
           "'SELECT count(*), min(fk.ctid::pg_catalog.text) FROM ' || "
           "CASE WHEN k.is_array THEN '(SELECT ctid' || "
           "coalesce((SELECT pg_catalog.string_agg(', ' || pg_catalog.quote_ident(f), '' ORDER BY "
           "o) FROM pg_catalog.unnest(k.fkcols) WITH ORDINALITY AS u(f, o) WHERE o < "
           "pg_catalog.cardinality(k.fkcols)), '') || ', pg_catalog.unnest(' || "
           "pg_catalog.quote_ident(k.fkcols[pg_catalog.cardinality(k.fkcols)]) || ') AS ' || "
           "pg_catalog.quote_ident(k.fkcols[pg_catalog.cardinality(k.fkcols)]) || ' FROM ' || "
           "k.fktable::pg_catalog.text || ') fk' ELSE k.fktable::pg_catalog.text || ' fk' END || "
           "' WHERE ' || CASE WHEN k.is_opt THEN (SELECT pg_catalog.string_agg('fk.' || "
           "pg_catalog.quote_ident(f) || ' <> 0 AND ', '') FROM pg_catalog.unnest(k.fkcols) AS "
           "u(f)) ELSE '' END || 'NOT EXISTS (SELECT 1 FROM ' || k.pktable::pg_catalog.text || "
           "' pk WHERE ' || (SELECT pg_catalog.string_agg('pk.' || pg_catalog.quote_ident(p) || ' "
           "= fk.' || pg_catalog.quote_ident(f), ' AND ') FROM ROWS FROM "
           "(pg_catalog.unnest(k.fkcols), pg_catalog.unnest(k.pkcols)) AS u(f, p)) || "
           "') HAVING count(*) > 0' "
           "FROM pg_catalog.pg_get_catalog_foreign_keys() k";
}

std::vector<CatalogCheck> reference_checks_of(const SqlResult& result) {
    std::vector<CatalogCheck> out;
    for (const SqlRow& row : result.rows())
        out.push_back({text_in(row[0]), text_in(row[1])});
    return out;
}

namespace {

// A constraint below another (conparentid) has one side's: that of the partition which it is for,
// be it of the referenced table or of the referencing one. The functions are RI_FKey_check_ins and
// _upd, and those from RI_FKey_cascade_del to RI_FKey_noaction_upd
// (src/include/catalog/pg_proc.dat). A trigger that is disabled has its row.
const char* foreign_key_triggers_query() {
    return "SELECT pg_catalog.count(*), "
           "pg_catalog.min(c.conrelid::pg_catalog.regclass::pg_catalog.text || ' (' || "
           "c.conname || ')') FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_constraint p "
           "ON p.oid = c.conparentid LEFT JOIN (SELECT tgconstraint, pg_catalog.count(*) FILTER "
           "(WHERE tgfoid IN (1644, 1645)) AS checks, pg_catalog.count(*) FILTER (WHERE tgfoid "
           "BETWEEN 1646 AND 1655) AS actions FROM pg_catalog.pg_trigger WHERE tgconstraint <> 0 "
           "GROUP BY tgconstraint) t ON t.tgconstraint = c.oid WHERE c.contype = 'f' AND "
           "(c.conparentid = 0 OR p.oid IS NOT NULL) AND "
           "coalesce(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true' AND "
           "(coalesce(t.checks, 0) < CASE WHEN c.conrelid = p.conrelid THEN 0 ELSE 2 END OR "
           "coalesce(t.actions, 0) < CASE WHEN c.conrelid <> p.conrelid THEN 0 ELSE 2 END) HAVING "
           "pg_catalog.count(*) > 0";
}

// User mappings, memberships and settings are none of these: the drill itself takes rows of theirs
// away.
constexpr const char* kWithDependencies =
    "pg_am pg_amop pg_amproc pg_attrdef pg_cast pg_class pg_collation pg_constraint pg_conversion "
    "pg_extension pg_foreign_data_wrapper pg_foreign_server pg_language pg_namespace pg_opclass "
    "pg_operator pg_opfamily pg_policy pg_proc pg_publication pg_publication_rel pg_rewrite "
    "pg_statistic_ext pg_trigger pg_ts_config pg_ts_dict pg_ts_parser pg_type";

// What a lost row depended on, and what depended on it, is still written down: of a trigger or a
// rule there is hardly another trace.
std::string dependencies_query() {
    std::string names;
    std::string objects;
    std::istringstream catalogs(kWithDependencies);
    for (std::string catalog; catalogs >> catalog;) {
        names += (names.empty() ? "'pg_catalog." : ", 'pg_catalog.") + catalog +
                 "'::pg_catalog.regclass";
        objects += (objects.empty() ? "" : " UNION ALL ") +
                   ("SELECT tableoid, oid FROM pg_catalog." + catalog);
    }
    return "SELECT pg_catalog.count(*), "
           "pg_catalog.min(d.catalog::pg_catalog.regclass::pg_catalog.text || ' ' || "
           "d.object) FROM (SELECT classid AS catalog, objid AS object FROM pg_catalog.pg_depend "
           "UNION SELECT refclassid, refobjid FROM pg_catalog.pg_depend UNION SELECT classid, "
           "objid FROM pg_catalog.pg_shdepend WHERE dbid = (SELECT oid FROM "
           "pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) d WHERE "
           "d.object <> 0 AND d.catalog IN (" +
           names + ") AND NOT EXISTS (SELECT 1 FROM (" + objects +
           ") o WHERE o.tableoid = d.catalog AND o.oid = d.object) HAVING pg_catalog.count(*) > 0";
}

}  // namespace

std::vector<CatalogCheck> agreement_checks() {
    return {
        {"pg_class and pg_attribute: the number of columns",
         "SELECT count(*), min(c.oid::pg_catalog.text) FROM pg_catalog.pg_class c LEFT JOIN "
         "(SELECT attrelid, count(*) AS n FROM pg_catalog.pg_attribute WHERE attnum > 0 GROUP BY "
         "attrelid) a ON a.attrelid = c.oid WHERE c.relnatts <> coalesce(a.n, 0) "
         "HAVING count(*) > 0"},
        {"pg_class and pg_index: indexes",
         "SELECT count(*), min(c.oid::pg_catalog.text) FROM pg_catalog.pg_class c WHERE c.relkind "
         "IN ('i', 'I') AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indexrelid = "
         "c.oid) HAVING count(*) > 0"},
        {"pg_class and pg_attrdef: column defaults",
         "SELECT count(*), min(a.attrelid::pg_catalog.text) FROM pg_catalog.pg_attribute a WHERE "
         "a.atthasdef AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attrdef d WHERE d.adrelid = "
         "a.attrelid AND d.adnum = a.attnum) HAVING count(*) > 0"},
        {"pg_class and pg_constraint: the number of check constraints",
         "SELECT pg_catalog.count(*), pg_catalog.min(c.oid::pg_catalog.regclass::pg_catalog.text) "
         "FROM pg_catalog.pg_class c LEFT JOIN (SELECT conrelid, pg_catalog.count(*) AS n FROM "
         "pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0 GROUP BY conrelid) k ON "
         "k.conrelid = c.oid WHERE c.relchecks <> coalesce(k.n, 0) HAVING pg_catalog.count(*) > 0"},
        {"pg_constraint and pg_trigger: triggers of foreign keys", foreign_key_triggers_query()},
        // relhasrules is no promise: it stays true when the last rule is dropped.
        {"pg_class and pg_rewrite: queries of views",
         "SELECT pg_catalog.count(*), pg_catalog.min(c.oid::pg_catalog.regclass::pg_catalog.text) "
         "FROM pg_catalog.pg_class c WHERE c.relkind IN ('v', 'm') AND NOT EXISTS (SELECT 1 FROM "
         "pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN') HAVING "
         "pg_catalog.count(*) > 0"},
        {"pg_depend and pg_shdepend: what objects depend on", dependencies_query()},
    };
}

}  // namespace ark
