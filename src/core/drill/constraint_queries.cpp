#include "core/drill/constraint_queries.hpp"

#include <charconv>
#include <sstream>

namespace ark {

namespace {

constexpr const char* kRelation =
    "pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname)";

// relpages is what the last VACUUM saw: good enough for an order.
constexpr const char* kBytes = "r.relpages::pg_catalog.int8 * 8192";

std::string literal_number(uint64_t number) {
    return std::to_string(number);
}

uint64_t number_in(const std::optional<std::string>& text) {
    uint64_t value = 0;
    if (text)
        std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

// Equality as the index has it, which for these is the type's default one.
std::string unique_indexes() {
    return "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class r ON r.oid = i.indrelid "
           "JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace "
           "JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid "
           "JOIN pg_catalog.pg_am a ON a.oid = x.relam "
           "WHERE i.indisunique AND i.indisvalid AND i.indislive AND r.relkind = 'r' "
           "AND r.relpersistence <> 't' AND r.oid >= 16384 AND a.amname = 'btree' "
           "AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(i.indclass) AS u(c) JOIN "
           "pg_catalog.pg_opclass o ON o.oid = u.c WHERE NOT o.opcdefault) ";
}

}  // namespace

// As RI_Initial_Check asks (src/backend/utils/adt/ri_triggers.c): the key's own operators, with
// their types; of tables with children that are no partitions the table alone. Types by their names
// in pg_type, as its add_cast_to has it: "character" and "bit" in a cast are of length 1.
const char* foreign_keys_query() {
    static const std::string sql =
        std::string("SELECT ") + kRelation +
        ", 'foreign key \"' || c.conname || '\"' || CASE WHEN c.convalidated THEN '' ELSE ' (NOT "
        "VALID)' END, "
        "CASE WHEN k.converted THEN '' ELSE "
        "'SELECT pg_catalog.count(*), pg_catalog.min(v.place), NULL FROM (SELECT "
        "fk.tableoid::pg_catalog.regclass::pg_catalog.text || '' '' || "
        "fk.ctid::pg_catalog.text AS place FROM ' || CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' "
        "END || " +
        kRelation +
        " || ' AS fk LEFT JOIN ' || CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || "
        "pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(p.relname) || "
        "' AS pk ON ' || k.joined || ' WHERE pk.' || k.first_key || ' IS NULL AND (' || "
        "CASE c.confmatchtype WHEN 'f' THEN k.any_given ELSE k.all_given END || ')) AS v HAVING "
        "pg_catalog.count(*) > 0' END, " +
        kBytes +
        ", false FROM pg_catalog.pg_constraint c "
        "JOIN pg_catalog.pg_class r ON r.oid = c.conrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace "
        "JOIN pg_catalog.pg_class p ON p.oid = c.confrelid "
        "JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace, LATERAL (SELECT "
        "pg_catalog.string_agg('pk.' || pg_catalog.quote_ident(pa.attname) || l.cast_to || CASE "
        "WHEN pa.attcollation <> fa.attcollation AND pa.attcollation <> 0 THEN ' COLLATE ' || "
        "col.name ELSE '' END || ' OPERATOR(' || pg_catalog.quote_ident(opn.nspname) || '.' || "
        "o.oprname || ') fk.' || pg_catalog.quote_ident(fa.attname) || ri.cast_to || CASE WHEN "
        "pa.attcollation <> fa.attcollation AND pa.attcollation <> 0 THEN ' COLLATE ' || "
        "col.name ELSE '' END, ' AND ' ORDER BY u.i) AS joined, "
        "(pg_catalog.array_agg(pg_catalog.quote_ident(pa.attname) ORDER BY u.i))[1] AS first_key, "
        "pg_catalog.bool_or((l.cast_to <> '' OR ri.cast_to <> '') AND EXISTS (SELECT FROM "
        "pg_catalog.pg_cast ca WHERE ca.castfunc >= 16384 AND ca.casttarget IN (lt.oid, rt.oid))) "
        "AS converted, "
        "pg_catalog.string_agg('fk.' || pg_catalog.quote_ident(fa.attname) || ' IS NOT NULL', "
        "' OR ' ORDER BY u.i) AS any_given, "
        "pg_catalog.string_agg('fk.' || pg_catalog.quote_ident(fa.attname) || ' IS NOT NULL', "
        "' AND ' ORDER BY u.i) AS all_given "
        "FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey), "
        "pg_catalog.unnest(c.conpfeqop)) WITH ORDINALITY AS u(f, p, op, i) "
        "JOIN pg_catalog.pg_attribute fa ON fa.attrelid = c.conrelid AND fa.attnum = u.f "
        "JOIN pg_catalog.pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = u.p "
        "JOIN pg_catalog.pg_operator o ON o.oid = u.op "
        "JOIN pg_catalog.pg_namespace opn ON opn.oid = o.oprnamespace "
        "JOIN pg_catalog.pg_type lt ON lt.oid = o.oprleft "
        "JOIN pg_catalog.pg_namespace ln ON ln.oid = lt.typnamespace "
        "JOIN pg_catalog.pg_type rt ON rt.oid = o.oprright "
        "JOIN pg_catalog.pg_namespace rn ON rn.oid = rt.typnamespace, "
        "LATERAL (SELECT CASE WHEN lt.typtype = 'p' OR lt.oid = pa.atttypid THEN '' ELSE '::' || "
        "pg_catalog.quote_ident(ln.nspname) || '.' || pg_catalog.quote_ident(lt.typname) END AS "
        "cast_to) AS l, "
        "LATERAL (SELECT CASE WHEN rt.typtype = 'p' OR rt.oid = fa.atttypid THEN '' ELSE '::' || "
        "pg_catalog.quote_ident(rn.nspname) || '.' || pg_catalog.quote_ident(rt.typname) END AS "
        "cast_to) AS ri "
        ", LATERAL (SELECT (SELECT pg_catalog.quote_ident(cn.nspname) || '.' || "
        "pg_catalog.quote_ident(cl.collname) FROM pg_catalog.pg_collation cl JOIN "
        "pg_catalog.pg_namespace cn ON cn.oid = cl.collnamespace WHERE cl.oid = pa.attcollation) "
        "AS name) AS col) AS k "
        "WHERE c.contype = 'f' AND c.conparentid = 0 AND k.joined IS NOT NULL "
        "AND coalesce(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true' "
        "AND coalesce(pg_catalog.to_jsonb(c) ->> 'conperiod', 'false') = 'false'";
    return sql.c_str();
}

// The columns of a NOT NULL are told of what has rows as heap_page.hpp knows them (2 is the heap).
// num_nulls, and not IS NULL: the planner believes in NOT NULL, and a row of nulls is one.
const char* row_rules_query() {
    static const std::string sql =
        std::string("SELECT ") + kRelation + ", v.what, v.broken, " + kBytes +
        ", false, pg_catalog.pg_relation_filepath(r.oid), CASE r.relam WHEN 2 THEN v.columns END "
        "FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = "
        "r.relnamespace, LATERAL ("
        "SELECT 'NOT NULL of ' || pg_catalog.string_agg('\"' || a.attname || '\"', ', ' ORDER BY "
        "a.attnum) AS what, 'pg_catalog.num_nulls(' || "
        "pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) || ') > "
        "0' AS broken, pg_catalog.string_agg(a.attnum::pg_catalog.text, ' ') AS columns "
        "FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnotnull AND "
        "a.attnum > 0 AND NOT a.attisdropped GROUP BY a.attnum / 50 "
        "UNION ALL SELECT 'check constraint \"' || c.conname || '\"' || CASE WHEN c.convalidated "
        "THEN '' ELSE ' (NOT VALID)' END, 'NOT (' || pg_catalog.pg_get_expr(c.conbin, c.conrelid) "
        "|| ')', NULL FROM pg_catalog.pg_constraint c WHERE c.conrelid = r.oid AND c.contype = 'c' "
        "AND "
        "coalesce(pg_catalog.to_jsonb(c) ->> 'conenforced', 'true') = 'true' "
        "UNION ALL SELECT 'bounds of the partition', 'NOT (' || b.bound || ')', NULL FROM "
        "pg_catalog.pg_get_partition_constraintdef(r.oid) AS b(bound) WHERE r.relispartition AND "
        "b.bound IS NOT NULL) AS v "
        "WHERE r.relkind = 'r' AND r.relpersistence <> 't' AND r.oid >= 16384 AND v.broken IS NOT "
        "NULL ORDER BY r.oid";
    return sql.c_str();
}

// By names: GROUP BY takes a constant for the number of a column.
std::string unique_keys_query(uint64_t most_bytes) {
    return std::string("SELECT ") + kRelation +
           ", 'unique key \"' || x.relname || '\"', "
           "'SELECT pg_catalog.count(*), pg_catalog.min(d.place)::pg_catalog.text, NULL FROM "
           "(SELECT pg_catalog.min(t.place) AS place FROM (SELECT ctid AS place, ' || "
           "k.expressions || ' FROM ONLY ' || " +
           kRelation +
           " || CASE WHEN i.indpred IS NULL THEN '' ELSE ' WHERE ' || "
           "pg_catalog.pg_get_expr(i.indpred, i.indrelid) END || ') AS t' || CASE WHEN "
           "i.indnullsnotdistinct THEN '' ELSE ' WHERE pg_catalog.num_nulls(' || k.names || ') = "
           "0' END || ' GROUP BY ' || k.names || ' HAVING pg_catalog.count(*) > 1) AS d HAVING "
           "pg_catalog.count(*) > 0', " +
           kBytes + ", false " +
           unique_indexes().insert(
               unique_indexes().find("WHERE"),
               ", LATERAL (SELECT pg_catalog.string_agg('key' || e.k, ', ' ORDER BY e.k) AS names, "
               "pg_catalog.string_agg('(' || e.expr || ')' || e.collated || ' AS key' || e.k, ', ' "
               "ORDER BY e.k) AS expressions "
               "FROM (SELECT g.k, pg_catalog.pg_get_indexdef(i.indexrelid, g.k, false) AS expr, "
               "coalesce((SELECT ' COLLATE ' || pg_catalog.quote_ident(cn.nspname) || '.' || "
               "pg_catalog.quote_ident(cl.collname) FROM pg_catalog.pg_collation cl JOIN "
               "pg_catalog.pg_namespace cn ON cn.oid = cl.collnamespace WHERE cl.oid = "
               "i.indcollation[g.k - 1]), '') AS collated "
               "FROM pg_catalog.generate_series(1, i.indnkeyatts) AS g(k)) AS e) AS k ") +
           "AND " + kBytes + " <= " + literal_number(most_bytes);
}

std::string large_unique_keys_query(uint64_t most_bytes) {
    return "SELECT pg_catalog.count(*) " + unique_indexes() + "AND " + kBytes + " > " +
           literal_number(most_bytes);
}

// A value that the sequence can still come to: within its bounds and in step with it. What the
// column has is data, and not said.
const char* sequences_query() {
    static const std::string sql =
        std::string("SELECT DISTINCT ON (r.oid, a.attnum, s.oid) ") + kRelation +
        ", 'sequence ' || pg_catalog.quote_ident(sn.nspname) || '.' || "
        "pg_catalog.quote_ident(s.relname) || ' of column \"' || a.attname || '\"', "
        "'SELECT 1, NULL, ''Steps until it is past the column: '' || pg_catalog.div(v.most - "
        "v.next, ' || d.seqincrement || ') + 1 || ''.'' FROM (SELECT m.most, CASE WHEN q.is_called "
        "THEN "
        "q.last_value::pg_catalog.numeric + (' || d.seqincrement || ') ELSE q.last_value END AS "
        "next FROM ' || pg_catalog.quote_ident(sn.nspname) || '.' || "
        "pg_catalog.quote_ident(s.relname) || ' AS q, LATERAL (SELECT pg_catalog.' || CASE WHEN "
        "d.seqincrement > 0 THEN 'max' ELSE 'min' END || '(t.' || "
        "pg_catalog.quote_ident(a.attname) || ') AS most FROM ' || " +
        kRelation +
        " || ' AS t WHERE t.' || pg_catalog.quote_ident(a.attname) || ' BETWEEN ' || d.seqmin || ' "
        "AND ' || d.seqmax || CASE WHEN pg_catalog.abs(d.seqincrement) = 1 THEN '' ELSE ' AND (t.' "
        "|| pg_catalog.quote_ident(a.attname) || '::pg_catalog.numeric - q.last_value) % (' || "
        "d.seqincrement || ') = 0' END || ') AS m) AS v WHERE v.most ' || CASE WHEN d.seqincrement "
        "> 0 THEN '>=' ELSE '<=' END || ' v.next', " +
        kBytes +
        ", NOT EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = r.oid AND "
        "i.indisunique AND a.attnum = ANY (i.indkey)) "
        "FROM (SELECT p.refobjid AS rel, p.refobjsubid AS att, p.objid AS seq FROM "
        "pg_catalog.pg_depend p WHERE p.classid = 1259 AND p.refclassid = 1259 AND p.refobjsubid > "
        "0 AND p.deptype IN ('a', 'i') UNION SELECT f.adrelid, f.adnum, p.refobjid FROM "
        "pg_catalog.pg_depend p JOIN pg_catalog.pg_attrdef f ON f.oid = p.objid WHERE p.classid = "
        "2604 AND p.refclassid = 1259 AND p.refobjsubid = 0) AS o "
        "JOIN pg_catalog.pg_class s ON s.oid = o.seq AND s.relkind = 'S' AND s.relpersistence <> "
        "'t' JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace "
        "JOIN pg_catalog.pg_sequence d ON d.seqrelid = s.oid AND NOT d.seqcycle "
        "JOIN pg_catalog.pg_class r ON r.oid = o.rel AND r.relkind IN ('r', 'p') AND "
        "r.relpersistence <> 't' AND NOT r.relispartition "
        "JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = o.att AND "
        "a.atttypid IN (20, 21, 23, 1700) AND NOT a.attisdropped ORDER BY r.oid, a.attnum, s.oid";
    return sql.c_str();
}

const char* owners_query() {
    static const std::string sql =
        std::string("SELECT ") + kRelation +
        ", a.rolname FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = "
        "r.relnamespace JOIN pg_catalog.pg_authid a ON a.oid = r.relowner WHERE r.relkind IN "
        "('r', 'p') AND r.oid >= 16384";
    return sql.c_str();
}

Rule rule_of(const SqlRow& row) {
    Rule rule;
    rule.relation = row[0].value_or("");
    rule.what = row[1].value_or("");
    rule.sql = row[2].value_or("");
    rule.bytes = number_in(row[3]);
    rule.is_note = row[4] == "t";
    if (row.size() < 7 || !row[6])
        return rule;
    rule.file = row[5].value_or("");
    std::istringstream columns(*row[6]);
    for (uint32_t column = 0; columns >> column;)
        rule.not_null.push_back(column);
    return rule;
}

std::string row_rules_question(const std::vector<Rule>& rules) {
    std::string counts;
    std::string values;
    for (size_t i = 0; i < rules.size(); ++i) {
        const std::string n = std::to_string(i);
        const std::string filter = " FILTER (WHERE " + rules[i].sql + ")";
        counts += (i > 0 ? ", " : "") + ("pg_catalog.count(*)" + filter) + " AS n" + n +
                  ", pg_catalog.min(ctid)" + filter + " AS p" + n;
        values += (i > 0 ? ", " : "") + ("(" + n) + ", s.n" + n + ", s.p" + n + ")";
    }
    return "SELECT v.i, v.n, v.place FROM (SELECT " + counts + " FROM ONLY " +
           rules.front().relation + ") AS s, LATERAL (VALUES " + values +
           ") AS v(i, n, place) WHERE v.n > 0";
}

std::optional<uint64_t> block_of_place(const std::string& place) {
    const size_t at = place.rfind('(');
    if (at == std::string::npos)
        return std::nullopt;
    uint64_t block = 0;
    const char* end = place.data() + place.size();
    const auto result = std::from_chars(place.data() + at + 1, end, block);
    return result.ec == std::errc{} ? std::optional(block) : std::nullopt;
}

}  // namespace ark
