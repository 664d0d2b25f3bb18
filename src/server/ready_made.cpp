#include "server/ready_made.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace ark {
namespace {

// Everything is run with search_path "$user", public: what is not named with its schema in a text
// that the catalogs give (an expression of a constraint or an index) is of pg_catalog or found in
// the same way again.

// Tables of users; options say which.
constexpr char kTables[] = R"(,
tables AS (
    SELECT c.oid, c.relkind, c.relowner, n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
           CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || pg_catalog.format('%I.%I', n.nspname, c.relname) AS own_rows,
           -- What is an expression cannot be shown as text then without waiting.
           EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock' AND l.granted
                   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())) AS locked
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace, options
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND NOT (n.nspname = 'ark' AND EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_ark'))
      AND (o -> 'schemas' IS NULL OR o -> 'schemas' ? n.nspname::text)
      AND NOT COALESCE(o -> 'exclude' ? pg_catalog.format('%s.%s', n.nspname, c.relname), false)),
annotated AS (
    SELECT t.oid, t.name, a.attnum, a.attname, pg_catalog.format('t.%I', a.attname) AS "column",
           pg_catalog.col_description(t.oid, a.attnum) AS note,
           CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_cast AS ca WHERE ca.castsource = a.atttypid AND ca.casttarget = 'pg_catalog.text'::pg_catalog.regtype
                             AND ca.castfunc >= 16384) THEN 'a user''s cast makes the column text' END AS skip
    FROM tables AS t JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE pg_catalog.col_description(t.oid, a.attnum) LIKE '%@ark:%'),
-- How the rows of both sides of a foreign key meet: by its own operators, as the server compares them. Types by
-- their names in pg_type: "character" and "bit" in a cast are of length 1.
foreign_keys AS (
    SELECT con.oid, con.conname, con.conrelid, con.confrelid, con.conkey, con.confkey, t.name, t.own_rows,
           pg_catalog.format('%I.%I', n.nspname, k.relname) AS key_name,
           CASE k.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || pg_catalog.format('%I.%I', n.nspname, k.relname) AS key_rows,
           CASE WHEN COALESCE((pg_catalog.to_jsonb(con) ->> 'conperiod')::boolean, false) THEN 'a foreign key with PERIOD is not checked'
                WHEN pairs.converted AND k.relowner <> t.relowner THEN 'a user''s cast converts its columns, and its tables have two owners' END AS skip,
           pairs.meet, pairs.filled, pairs.columns, pairs.first_key
    FROM pg_catalog.pg_constraint AS con JOIN tables AS t ON t.oid = con.conrelid
    JOIN pg_catalog.pg_class AS k ON k.oid = con.confrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = k.relnamespace
    CROSS JOIN LATERAL (
        SELECT pg_catalog.string_agg(pg_catalog.format('k.%I%s OPERATOR(%I.%s) f.%I%s%s', ka.attname,
                   CASE WHEN ka.atttypid <> op.oprleft AND lt.typtype <> 'p' THEN pg_catalog.format('::%I.%I', ltn.nspname, lt.typname) ELSE '' END,
                   opn.nspname, op.oprname, fa.attname,
                   CASE WHEN fa.atttypid <> op.oprright AND rt.typtype <> 'p' THEN pg_catalog.format('::%I.%I', rtn.nspname, rt.typname) ELSE '' END,
                   CASE WHEN ka.attcollation <> fa.attcollation AND ka.attcollation <> 0
                        THEN (SELECT pg_catalog.format(' COLLATE %I.%I', cn.nspname, c.collname) FROM pg_catalog.pg_collation AS c
                              JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.collnamespace WHERE c.oid = ka.attcollation) ELSE '' END),
               ' AND ' ORDER BY u.n) AS meet,
               pg_catalog.string_agg(pg_catalog.format('f.%I IS NOT NULL', fa.attname),
                   CASE con.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END ORDER BY u.n) AS filled,
               pg_catalog.string_agg(pg_catalog.format('f.%I', fa.attname), ', ' ORDER BY u.n) AS columns,
               pg_catalog.min(pg_catalog.format('k.%I', ka.attname)) AS first_key,
               -- Whose code that would be is not known; both tables' owner may run it.
               pg_catalog.bool_or((ka.atttypid <> op.oprleft OR fa.atttypid <> op.oprright) AND EXISTS (
                   SELECT FROM pg_catalog.pg_cast AS ca WHERE ca.castfunc >= 16384 AND ca.casttarget IN (op.oprleft, op.oprright))) AS converted
        FROM ROWS FROM (pg_catalog.unnest(con.conkey), pg_catalog.unnest(con.confkey), pg_catalog.unnest(con.conpfeqop)) WITH ORDINALITY AS u (f, k, op, n)
        JOIN pg_catalog.pg_attribute AS fa ON fa.attrelid = con.conrelid AND fa.attnum = u.f
        JOIN pg_catalog.pg_attribute AS ka ON ka.attrelid = con.confrelid AND ka.attnum = u.k
        JOIN pg_catalog.pg_operator AS op ON op.oid = u.op JOIN pg_catalog.pg_namespace AS opn ON opn.oid = op.oprnamespace
        JOIN pg_catalog.pg_type AS lt ON lt.oid = op.oprleft JOIN pg_catalog.pg_namespace AS ltn ON ltn.oid = lt.typnamespace
        JOIN pg_catalog.pg_type AS rt ON rt.oid = op.oprright JOIN pg_catalog.pg_namespace AS rtn ON rtn.oid = rt.typnamespace) AS pairs
    -- Those of partitions are the partitioned tables'. One that is NOT ENFORCED promises nothing.
    WHERE con.contype = 'f' AND con.conparentid = 0 AND COALESCE((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true)),
-- Sequences that give a column its values: owned by it, or in its default.
fed AS (
    SELECT DISTINCT s.oid AS sequence, pg_catalog.format('%I.%I', n.nspname, s.relname) AS sequence_name,
           t.oid AS table, t.name, a.attname, a.atttypid
    FROM tables AS t JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN LATERAL (
        SELECT d.objid AS seq FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND d.refobjid = t.oid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_attrdef AS def JOIN pg_catalog.pg_depend AS d
          ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = def.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        WHERE def.adrelid = t.oid AND def.adnum = a.attnum) AS dep ON true
    JOIN pg_catalog.pg_class AS s ON s.oid = dep.seq AND s.relkind = 'S' AND s.relpersistence <> 't'
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
    WHERE a.atttypid IN ('pg_catalog.int2'::pg_catalog.regtype, 'pg_catalog.int4'::pg_catalog.regtype,
                         'pg_catalog.int8'::pg_catalog.regtype, 'pg_catalog.numeric'::pg_catalog.regtype))
)";

// Of all tables of a check: it runs as him, unless he is a superuser, who may do without.
constexpr char kOwners[] = R"(), owned AS (
    SELECT m.number, CASE WHEN pg_catalog.count(DISTINCT c.relowner) = 1 AND NOT pg_catalog.bool_or(r.rolsuper)
                          THEN pg_catalog.min(c.relowner::pg_catalog.int8) END AS owner
    FROM made AS m CROSS JOIN LATERAL pg_catalog.unnest(m.tables) AS t (name)
    JOIN (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relowner
          FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')) AS c ON c.name = t.name
    JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner GROUP BY m.number)
SELECT made.*, owned.owner FROM made LEFT JOIN owned ON owned.number = made.number ORDER BY made.number)";

constexpr char kForeignKeys[] = R"(
SELECT pg_catalog.format('%I on %s', conname, name) AS object,
       pg_catalog.format('SELECT f.tableoid::pg_catalog.regclass AS "table", f.ctid AS "row", %s FROM %s AS f LEFT JOIN %s AS k ON %s WHERE %s IS NULL AND (%s)',
           columns, own_rows, key_rows, meet, first_key, filled) AS sql,
       ARRAY[name, key_name] AS tables,
       skip
FROM foreign_keys ORDER BY 1)";

// num_nulls: of a column that is NOT NULL the planner takes IS NULL for false without looking.
constexpr char kNotNull[] = R"(
SELECT t.name AS object,
       pg_catalog.format('SELECT t.ctid AS "row", pg_catalog.array_remove(ARRAY[%s], NULL) AS columns FROM ONLY %s AS t WHERE %s',
           pg_catalog.string_agg(pg_catalog.format('CASE WHEN pg_catalog.num_nulls(t.%I) > 0 THEN %L END', a.attname, a.attname), ', ' ORDER BY a.attnum),
           t.name,
           pg_catalog.string_agg(pg_catalog.format('pg_catalog.num_nulls(t.%I) > 0', a.attname), ' OR ' ORDER BY a.attnum)) AS sql,
       ARRAY[t.name] AS tables, NULL::text AS skip
FROM tables AS t JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
WHERE t.relkind = 'r' GROUP BY t.oid, t.name ORDER BY 1)";

// Expressions name the columns as they are: the table has no other name here. A partition's bound
// is a constraint too.
constexpr char kCheckConstraints[] = R"(
SELECT pg_catalog.format('%I on %s', con.conname, t.name) AS object,
       pg_catalog.format('SELECT ctid AS "row"%s FROM ONLY %s WHERE (%s) IS FALSE',
           (SELECT pg_catalog.string_agg(pg_catalog.format(', %I', a.attname), '' ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = t.oid AND a.attnum = ANY (con.conkey) AND a.attnum > 0), t.name, CASE WHEN NOT t.locked THEN pg_catalog.pg_get_expr(con.conbin, con.conrelid) END) AS sql,
       ARRAY[t.name] AS tables, NULL::text AS skip, t.locked
FROM pg_catalog.pg_constraint AS con JOIN tables AS t ON t.oid = con.conrelid
WHERE con.contype = 'c' AND t.relkind = 'r' AND COALESCE((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true)
UNION ALL
SELECT 'bounds of partition ' || t.name,
       pg_catalog.format('SELECT ctid AS "row" FROM ONLY %s WHERE (%s) IS FALSE', t.name,
                         CASE WHEN NOT t.locked THEN pg_catalog.pg_get_partition_constraintdef(t.oid) END),
       ARRAY[t.name], NULL, t.locked
FROM tables AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid AND c.relispartition
WHERE t.relkind = 'r' AND (t.locked OR pg_catalog.pg_get_partition_constraintdef(t.oid) IS NOT NULL)
ORDER BY 1)";

// Rows are grouped by what the index compares them by; where that is not how the type compares by
// itself there is no way to say so in SQL.
constexpr char kDuplicateKeys[] = R"(
SELECT pg_catalog.format('%I on %s', ic.relname, t.name) AS object,
       pg_catalog.format('SELECT %s, pg_catalog.count(*) AS rows FROM (SELECT %s FROM ONLY %s%s) AS keys%s GROUP BY %s HAVING pg_catalog.count(*) > 1',
           keys.names, keys.expressions, t.name, ' WHERE ' || CASE WHEN NOT t.locked THEN pg_catalog.pg_get_expr(i.indpred, i.indrelid) END,
           CASE WHEN i.indnullsnotdistinct THEN '' ELSE ' WHERE ' || keys.filled END, keys.names) AS sql,
       ARRAY[t.name] AS tables,
       CASE WHEN NOT keys.plain THEN 'the index compares its keys otherwise than their type does' END AS skip, t.locked
FROM pg_catalog.pg_index AS i JOIN tables AS t ON t.oid = i.indrelid
JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid AND ic.relkind = 'i' JOIN pg_catalog.pg_am AS am ON am.oid = ic.relam
CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(pg_catalog.format('key%s', n), ', ' ORDER BY n) AS names,
           pg_catalog.string_agg(pg_catalog.format('key%s IS NOT NULL', n), ' AND ' ORDER BY n) AS filled,
           pg_catalog.string_agg(pg_catalog.format('(%s)%s AS key%s', CASE WHEN NOT t.locked THEN pg_catalog.pg_get_indexdef(i.indexrelid, n, true) END,
               (SELECT pg_catalog.format(' COLLATE %I.%I', cn.nspname, c.collname) FROM pg_catalog.pg_collation AS c
                JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.collnamespace WHERE c.oid = i.indcollation[n - 1]), n), ', ' ORDER BY n) AS expressions,
           pg_catalog.bool_and(EXISTS (
               SELECT FROM pg_catalog.pg_opclass AS own JOIN pg_catalog.pg_opclass AS usual
                 ON usual.opcintype = own.opcintype AND usual.opcmethod = own.opcmethod AND usual.opcdefault
               JOIN pg_catalog.pg_amop AS own_equal ON own_equal.amopfamily = own.opcfamily AND own_equal.amopstrategy = 3
                AND own_equal.amoplefttype = own.opcintype AND own_equal.amoprighttype = own.opcintype
               JOIN pg_catalog.pg_amop AS usual_equal ON usual_equal.amopfamily = usual.opcfamily AND usual_equal.amopstrategy = 3
                AND usual_equal.amoplefttype = usual.opcintype AND usual_equal.amoprighttype = usual.opcintype
               WHERE own.oid = i.indclass[n - 1] AND own_equal.amopopr = usual_equal.amopopr)) AS plain
    FROM pg_catalog.generate_series(1, i.indnkeyatts::integer) AS n) AS keys
WHERE i.indisunique AND i.indislive AND am.amname = 'btree' ORDER BY 1)";

// One that is being built, or dropped, right now is not invalid for good.
constexpr char kInvalidIndexes[] = R"(
SELECT NULL::text AS object, pg_catalog.format($q$
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS index, i.indrelid::pg_catalog.regclass AS "table", i.indisvalid AS valid, i.indisready AS ready
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace,
     (SELECT %L::pg_catalog.jsonb AS o) AS options
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND n.nspname NOT LIKE 'pg\_temp\_%%'
  AND (o -> 'schemas' IS NULL OR o -> 'schemas' ? n.nspname::text)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.relation = i.indrelid AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
                  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
ORDER BY 1$q$, o) AS sql, '{}'::text[] AS tables, NULL::text AS skip FROM options)";

// A row without a tenant belongs to all.
constexpr char kTenantIsolation[] = R"(
, tenant_columns AS (
    SELECT DISTINCT ON (t.oid) t.oid, a.attnum, a.attname FROM pg_catalog.pg_class AS t
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped, options
    WHERE a.attname = o ->> 'tenant_column' OR pg_catalog.col_description(t.oid, a.attnum) ~ '(^|\s)@ark:tenant(\s|$)'
    ORDER BY t.oid, (pg_catalog.col_description(t.oid, a.attnum) ~ '(^|\s)@ark:tenant(\s|$)') DESC NULLS LAST, a.attnum)
SELECT pg_catalog.format('%I on %s', fk.conname, fk.name) AS object,
       pg_catalog.format('SELECT f.tableoid::pg_catalog.regclass AS "table", f.ctid AS "row", %s, f.%I AS tenant, k.%I AS tenant_referred_to '
                         'FROM %s AS f JOIN %s AS k ON %s WHERE f.%I IS NOT NULL AND k.%I IS NOT NULL AND f.%I IS DISTINCT FROM k.%I',
           fk.columns, f.attname, k.attname, fk.own_rows, fk.key_rows, fk.meet, f.attname, k.attname, f.attname, k.attname) AS sql,
       ARRAY[fk.name, fk.key_name] AS tables,
       fk.skip
FROM foreign_keys AS fk JOIN tenant_columns AS f ON f.oid = fk.conrelid JOIN tenant_columns AS k ON k.oid = fk.confrelid
-- A key that the tenant is a part of cannot refer to another's row.
WHERE NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(fk.conkey), pg_catalog.unnest(fk.confkey)) AS u (f, k)
                  WHERE u.f = f.attnum AND u.k = k.attnum)
ORDER BY 1)";

constexpr char kEmailShape[] = R"(
SELECT pg_catalog.format('%I of %s', attname, name) AS object,
       pg_catalog.format('SELECT t.tableoid::pg_catalog.regclass AS "table", t.ctid AS "row", %1$s AS value FROM %2$s AS t WHERE NOT (%1$s::pg_catalog.text ~ %3$L)',
           "column", name, '^[^@[:space:]]+@[^@[:space:].]+(\.[^@[:space:].]+)+$') AS sql,
       ARRAY[name] AS tables, skip
FROM annotated WHERE note ~ '(^|\s)@ark:email(\s|$)' ORDER BY 1)";

constexpr char kRequiredColumns[] = R"(
SELECT pg_catalog.format('%I of %s', attname, name) AS object,
       pg_catalog.format('SELECT t.tableoid::pg_catalog.regclass AS "table", t.ctid AS "row" FROM %2$s AS t WHERE pg_catalog.num_nulls(%1$s) > 0 OR pg_catalog.btrim(%1$s::pg_catalog.text, %3$L) = %4$L',
           "column", name, E' \t\r\n', '') AS sql,
       ARRAY[name] AS tables, skip
FROM annotated WHERE note ~ '(^|\s)@ark:required(\s|$)' ORDER BY 1)";

// What the sequence gives next must lie beyond what the column has. The table is seen as it was a
// moment before the sequence, which is never behind it while all is well.
constexpr char kSequencesBehind[] = R"(
SELECT pg_catalog.format('%s for %I of %s', sequence_name, attname, name) AS object,
       pg_catalog.format('SELECT s.last_value, s.is_called, m.value AS in_column FROM %s AS s, (SELECT pg_catalog.%s(t.%I)::pg_catalog.numeric AS value FROM %s AS t) AS m '
                         'WHERE m.value %s s.last_value::pg_catalog.numeric + CASE WHEN s.is_called THEN %s ELSE 0 END',
           sequence_name, CASE WHEN q.seqincrement > 0 THEN 'max' ELSE 'min' END, attname, name,
           CASE WHEN q.seqincrement > 0 THEN '>=' ELSE '<=' END, q.seqincrement) AS sql,
       ARRAY[name] AS tables, CASE WHEN q.seqcycle THEN 'the sequence begins again where it ends' END AS skip
FROM fed JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = fed.sequence ORDER BY 1)";

constexpr char kSequencesNearEnd[] = R"(
, ends AS (
    SELECT q.seqrelid, pg_catalog.format('%I.%I', n.nspname, s.relname) AS name, q.seqincrement > 0 AS up, q.seqmin, q.seqmax,
           LEAST(q.seqmax, (SELECT pg_catalog.min(CASE fed.atttypid WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767
               WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647 END) FROM fed WHERE fed.sequence = s.oid)) AS most
    FROM pg_catalog.pg_sequence AS q JOIN pg_catalog.pg_class AS s ON s.oid = q.seqrelid AND s.relpersistence <> 't'
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace, options
    WHERE NOT q.seqcycle AND NOT (n.nspname = 'ark' AND EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_ark')) AND (o -> 'schemas' IS NULL OR o -> 'schemas' ? n.nspname::text)
      AND NOT COALESCE(o -> 'exclude' ? pg_catalog.format('%s.%s', n.nspname, s.relname), false))
SELECT name AS object,
       pg_catalog.format('SELECT last_value, %s AS "end", pg_catalog.round(100.0 * %s, 1) AS percent_used FROM %s WHERE %s > %s',
           CASE WHEN up THEN most ELSE seqmin END, used.share, name, used.share, COALESCE((o ->> 'near_end')::numeric, 0.8)) AS sql,
       '{}'::text[] AS tables, NULL::text AS skip
FROM ends CROSS JOIN LATERAL (
    SELECT CASE WHEN up THEN pg_catalog.format('(last_value::pg_catalog.numeric - %s) / GREATEST(%s::pg_catalog.numeric - %s, 1)', q.seqstart, most, q.seqstart)
                ELSE pg_catalog.format('(%s - last_value::pg_catalog.numeric) / GREATEST(%s::pg_catalog.numeric - %s, 1)', q.seqstart, q.seqstart, seqmin) END AS share
    FROM pg_catalog.pg_sequence AS q WHERE q.seqrelid = ends.seqrelid) AS used, options
ORDER BY 1)";

// By the statistics of autovacuum: an estimate.
constexpr char kBloat[] = R"(
SELECT NULL::text AS object, pg_catalog.format($q$
SELECT pg_catalog.format('%%I.%%I', s.schemaname, s.relname) AS "table", s.n_live_tup AS live_rows, s.n_dead_tup AS dead_rows,
       pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size(s.relid)) AS size, s.last_autovacuum, s.last_vacuum
FROM pg_catalog.pg_stat_all_tables AS s, (SELECT %L::pg_catalog.jsonb AS o) AS options
WHERE s.n_dead_tup > 10000 AND s.n_dead_tup > COALESCE((o ->> 'bloat')::pg_catalog.numeric, 0.3) * (s.n_live_tup + s.n_dead_tup)
  AND (o -> 'schemas' IS NULL OR o -> 'schemas' ? s.schemaname::text)
  AND NOT COALESCE(o -> 'exclude' ? pg_catalog.format('%%s.%%s', s.schemaname, s.relname), false)
ORDER BY s.n_dead_tup DESC$q$, o) AS sql, '{}'::text[] AS tables, NULL::text AS skip FROM options)";

#define WRAPAROUND_BOUND                                                            \
    "LEAST(1500000000, GREATEST(500000000, 1.5 * GREATEST("                         \
    "pg_catalog.current_setting('autovacuum_freeze_max_age')::pg_catalog.numeric, " \
    "pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::pg_catalog.numeric)))"

// Of all relations: those of the system hold the database back as well.
constexpr char kWraparound[] = R"(
SELECT NULL::text AS object, pg_catalog.format($q$
SELECT c.oid::pg_catalog.regclass AS relation, pg_catalog.age(c.relfrozenxid) AS transactions, pg_catalog.mxid_age(c.relminmxid) AS multixacts,
       2147483648 - GREATEST(pg_catalog.age(c.relfrozenxid), pg_catalog.mxid_age(c.relminmxid)) AS distance
FROM pg_catalog.pg_class AS c, (SELECT %L::pg_catalog.jsonb AS o) AS options
WHERE c.relkind IN ('r', 'm', 't') AND c.relfrozenxid <> '0' AND GREATEST(pg_catalog.age(c.relfrozenxid), pg_catalog.mxid_age(c.relminmxid)) >
      COALESCE((o ->> 'wraparound')::pg_catalog.numeric, )" WRAPAROUND_BOUND R"()
ORDER BY 4$q$, o) AS sql, '{}'::text[] AS tables, NULL::text AS skip FROM options)";

}  // namespace

const char kWraparoundBound[] = WRAPAROUND_BOUND;

const ReadyMade kReadyMade[kReadyMadeCount] = {
    {"foreign_keys", "referential", "error", "Rows that refer to no row, for every foreign key",
     false, true, kForeignKeys, true},
    {"not_null", "validation", "error", "Null values in columns that are NOT NULL", false, true,
     kNotNull, true},
    {"check_constraints", "validation", "error",
     "Rows that a CHECK constraint, or the bounds of their partition, do not allow", false, true,
     kCheckConstraints, true},
    {"duplicate_keys", "consistency", "error",
     "Keys that a unique index should have once, counted without it", true, true, kDuplicateKeys,
     true},
    {"invalid_indexes", "consistency", "warning",
     "Indexes that no query uses: a build of theirs failed", false, true, kInvalidIndexes},
    {"tenant_isolation", "isolation", "critical", "Rows that refer to another tenant's row", false,
     true, kTenantIsolation, true},
    {"email_shape", "validation", "warning",
     "Values that do not look like an e-mail address, in columns with @ark:email in their comment",
     false, true, kEmailShape, true},
    {"required_columns", "validation", "error",
     "Null and blank values in columns with @ark:required in their comment", false, true,
     kRequiredColumns, true},
    {"sequences_behind", "consistency", "error",
     "Sequences whose next value their column has, or is past, already", false, true,
     kSequencesBehind},
    {"sequences_near_end", "performance", "warning", "Sequences that soon have no value left",
     false, true, kSequencesNearEnd},
    {"bloat", "performance", "info", "Tables with many dead rows, as autovacuum counts them", false,
     false, kBloat},
    {"wraparound", "performance", "error",
     "Relations that VACUUM has not frozen for too many transactions", false, true, kWraparound},
};

const ReadyMade* find_ready_made(const char* kind) {
    for (const ReadyMade& ready_made : kReadyMade) {
        if (strcmp(ready_made.kind, kind) == 0)
            return &ready_made;
    }
    return nullptr;
}

char* ready_made_query(const ReadyMade& ready_made, const char* options) {
    char* query = psprintf("WITH options AS (SELECT %s::pg_catalog.jsonb AS o)%s%s",
                           quote_literal_cstr(options), kTables, ready_made.query);
    if (!ready_made.runs_as_owner)
        return query;
    return psprintf(
        "WITH made AS (SELECT pg_catalog.row_number() OVER () AS number, q.* FROM (%s) AS q%s",
        query, kOwners);
}

char* ready_made_kinds() {
    StringInfoData text;
    initStringInfo(&text);
    for (int i = 0; i < kReadyMadeCount; i++)
        appendStringInfo(&text, "%s%s",
                         i == 0                     ? ""
                         : i == kReadyMadeCount - 1 ? " and "
                                                    : ", ",
                         kReadyMade[i].kind);
    return text.data;
}

}  // namespace ark
