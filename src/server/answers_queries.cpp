#include "server/answers_queries.hpp"

namespace ark {

const AnswersSetting kAnswersSettings[] = {
    {"DateStyle", "ISO, MDY"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "UTC"},
    {"extra_float_digits", "1"},
    {"bytea_output", "hex"},
    {"xmlbinary", "base64"},
    {"lc_monetary", "C"},
    {"quote_all_identifiers", "off"},
    {"row_security", "off"},
    {"jit", "off"},
    {"max_parallel_workers_per_gather", "0"},
};
const int kAnswersSettingCount = lengthof(kAnswersSettings);

// Types whose text is the same wherever it is made: PostgreSQL's own, without those that name
// objects (reg…) or depend on a locale (money). Domains and arrays are what they are made of; an
// enumeration's text is in the catalog, so its labels are in the digest. Rows of columns that
// were added later, too, with the value that older rows show. Generated columns that are
// computed when they are read are code. The drill leaves out a table whose digest is another one.
const char kTablesQuery[] =
    "WITH RECURSIVE leaf (type, leaf) AS ("
    "SELECT t.oid, t.oid FROM pg_catalog.pg_type AS t UNION ALL "
    "SELECT l.type, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END "
    "FROM leaf AS l JOIN pg_catalog.pg_type AS t ON t.oid = l.leaf "
    "WHERE t.typtype = 'd' OR (t.typcategory = 'A' AND t.typelem <> 0)), "
    "told AS (SELECT l.type, pg_catalog.bool_or(t.typtype = 'e' OR (t.oid < 16384 AND t.typname IN "
    "('bool', 'bytea', 'char', 'name', 'int8', 'int2', 'int4', 'text', 'oid', 'tid', 'xid', 'cid', "
    "'json', 'jsonb', 'xml', 'point', 'lseg', 'path', 'box', 'polygon', 'line', 'circle', "
    "'float4', "
    "'float8', 'macaddr', 'macaddr8', 'inet', 'cidr', 'bpchar', 'varchar', 'date', 'time', "
    "'timestamp', 'timestamptz', 'interval', 'timetz', 'bit', 'varbit', 'numeric', 'uuid', "
    "'pg_lsn', 'tsvector', 'tsquery', 'xid8', 'int4range', 'numrange', 'tsrange', 'tstzrange', "
    "'daterange', 'int8range', 'int4multirange', 'nummultirange', 'tsmultirange', "
    "'tstzmultirange', 'datemultirange', 'int8multirange'))) AS told, "
    "pg_catalog.string_agg((SELECT pg_catalog.string_agg(e.enumlabel, ',' ORDER BY e.oid) FROM "
    "pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid), ';') AS labels "
    "FROM leaf AS l JOIN pg_catalog.pg_type AS t ON t.oid = l.leaf GROUP BY l.type) "
    "SELECT c.oid, r.name, COALESCE(NULLIF(c.reltablespace, 0), d.dattablespace), c.relfilenode, "
    "COALESCE(NULLIF(x.reltablespace, 0), d.dattablespace), x.relfilenode, "
    "'SELECT pg_catalog.count(*), ' || COALESCE('pg_catalog.sum(pg_catalog.hashtextextended(ROW(' "
    "|| a.columns || ')::pg_catalog.text COLLATE \"C\", 0))::pg_catalog.text', 'NULL') || "
    "' FROM ONLY ' || r.name || ' AS t', "
    "pg_catalog.hashtextextended(pg_catalog.concat_ws(E'\\n', r.name, a.columns, a.types) "
    "COLLATE \"C\", 0)::pg_catalog.text "
    "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
    "JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database() "
    "LEFT JOIN pg_catalog.pg_class AS x ON x.oid = c.reltoastrelid "
    "CROSS JOIN LATERAL (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name) AS r "
    "CROSS JOIN LATERAL (SELECT pg_catalog.string_agg('t.' || pg_catalog.quote_ident(a.attname), "
    "', ' ORDER BY a.attnum) FILTER (WHERE told.told AND a.attgenerated::pg_catalog.text <> 'v') "
    "AS columns, "
    "pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, "
    "a.attisdropped, a.attmissingval, told.labels), E'\\n' ORDER BY a.attnum) AS types "
    "FROM pg_catalog.pg_attribute AS a LEFT JOIN told ON told.type = a.atttypid "
    "WHERE a.attrelid = c.oid AND a.attnum > 0) AS a "
    "WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND NOT c.relisshared AND "
    "c.oid >= 16384 AND c.relfilenode <> 0 "
    "ORDER BY c.relpages + COALESCE(x.relpages, 0), c.oid LIMIT 20000";

// Left out as catalogs: statistics; large objects' data; what changes by itself; what a drill's
// preparation of the copy removes. As columns: what changes without a change of the row's version
// (in place, by VACUUM and CREATE INDEX), what the preparation changes, and secrets. Names of
// functions and roles in values are told as numbers: they change elsewhere.
const char kCatalogsQuery[] =
    "WITH identity (catalog, key, class, object, part) AS (VALUES "
    "('pg_attribute', 't.attrelid >= 16384 AND t.attnum > 0', '1259', 't.attrelid', 't.attnum'), "
    "('pg_index', 't.indexrelid >= 16384', '1259', 't.indexrelid', '0'), "
    "('pg_aggregate', 't.aggfnoid::pg_catalog.oid >= 16384', '1255', "
    "'t.aggfnoid::pg_catalog.oid', '0'), "
    "('pg_inherits', 't.inhrelid >= 16384', '1259', 't.inhrelid', '0'), "
    "('pg_sequence', 't.seqrelid >= 16384', '1259', 't.seqrelid', '0'), "
    "('pg_partitioned_table', 't.partrelid >= 16384', '1259', 't.partrelid', '0'), "
    "('pg_foreign_table', 't.ftrelid >= 16384', '1259', 't.ftrelid', '0'), "
    "('pg_range', 't.rngtypid >= 16384', '1247', 't.rngtypid', '0'), "
    "('pg_enum', 't.oid >= 16384', '1247', 't.enumtypid', '0'), "
    "('pg_description', 't.objoid >= 16384', 't.classoid', 't.objoid', 't.objsubid'), "
    "('pg_seclabel', 't.objoid >= 16384', 't.classoid', 't.objoid', 't.objsubid'), "
    "('pg_init_privs', 't.objoid >= 16384', 't.classoid', 't.objoid', 't.objsubid'), "
    "('pg_ts_config_map', 't.mapcfg >= 16384', '3602', 't.mapcfg', '0'), "
    "('pg_auth_members', 'true', '1260', 't.member', '0'), "
    "('pg_authid', 'true', '1260', 't.oid', '0'), "
    "('pg_database', 'true', '1262', 't.oid', '0'), "
    "('pg_tablespace', 'true', '1213', 't.oid', '0'), "
    "('pg_event_trigger', 'true', 't.tableoid', 't.oid', '0'), "
    "('pg_depend', 'false', NULL, NULL, NULL), ('pg_shdepend', 'false', NULL, NULL, NULL), "
    "('pg_shdescription', 'false', NULL, NULL, NULL), "
    "('pg_shseclabel', 'false', NULL, NULL, NULL), "
    "('pg_largeobject_metadata', 'false', NULL, NULL, NULL)), "
    "catalog AS (SELECT c.oid, c.relname, c.relisshared, "
    "pg_catalog.pg_relation_filenode(c.oid) AS filenode, "
    "CASE WHEN c.relisshared THEN 1664 ELSE COALESCE(NULLIF(c.reltablespace, 0), d.dattablespace) "
    "END AS tablespace, a.columns, a.has_oid "
    "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_database AS d ON d.datname = "
    "pg_catalog.current_database() CROSS JOIN LATERAL (SELECT "
    "pg_catalog.bool_or(a.attname = 'oid') AS has_oid, pg_catalog.string_agg(CASE a.atttypid "
    "WHEN 24 THEN 't.' || a.attname || '::pg_catalog.oid' "
    "WHEN 1034 THEN 'CASE WHEN t.' || a.attname || ' IS NOT NULL THEN ARRAY(SELECT "
    "x::pg_catalog.text FROM pg_catalog.aclexplode(t.' || a.attname || ') AS x) END' "
    "ELSE 't.' || a.attname END, ', ' ORDER BY a.attnum) AS columns "
    "FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT "
    "a.attisdropped AND c.relname || '.' || a.attname <> ALL (ARRAY['pg_class.relpages', "
    "'pg_class.reltuples', 'pg_class.relallvisible', 'pg_class.relallfrozen', "
    "'pg_class.relhasindex', 'pg_class.relhasrules', 'pg_class.relhastriggers', "
    "'pg_class.relfrozenxid', 'pg_class.relminmxid', 'pg_attribute.attmissingval', "
    "'pg_database.datfrozenxid', 'pg_database.datminmxid', 'pg_database.datallowconn', "
    "'pg_database.datconnlimit', 'pg_database.datacl', 'pg_database.dathasloginevt', "
    "'pg_authid.rolsuper', "
    "'pg_authid.rolcreaterole', 'pg_authid.rolcreatedb', 'pg_authid.rolreplication', "
    "'pg_authid.rolcanlogin', 'pg_authid.rolconnlimit', "
    "'pg_authid.rolpassword', 'pg_event_trigger.evtenabled', 'pg_subscription.subconninfo'])) AS a "
    "WHERE c.relnamespace = 11 AND c.relkind = 'r' AND c.oid < 16384 AND c.relname <> ALL "
    "(ARRAY['pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_subscription_rel', "
    "'pg_replication_origin', 'pg_db_role_setting', 'pg_user_mapping']::pg_catalog.name[]) "
    "AND (NOT c.relisshared OR $1::pg_catalog.bool)) "
    "SELECT c.relname, c.tablespace, c.filenode, "
    "'SELECT r.key, pg_catalog.min(r.block), pg_catalog.count(*), "
    "pg_catalog.sum(r.hash)::pg_catalog.text, pg_catalog.bool_or(r.doubt), "
    "pg_catalog.bool_or(r.fresh), pg_catalog.min(r.name) FROM (SELECT CASE WHEN k.own THEN ' || "
    "CASE WHEN c.has_oid THEN '''o'' || t.oid' ELSE '''t'' || t.ctid::pg_catalog.text' END || "
    "' ELSE ''b'' || k.block END AS key, k.block, pg_catalog.hashtextextended(ROW(' || c.columns "
    "|| ')::pg_catalog.text COLLATE \"C\", 0) AS hash, t.xmax <> ''0''::pg_catalog.xid AS doubt, "
    "pg_catalog.age(t.xmin) <= pg_catalog.age(''' || $2 || '''::pg_catalog.xid) AS fresh, ' || "
    "COALESCE('CASE WHEN k.own THEN pg_catalog.pg_describe_object(' || i.class || ', ' || i.object "
    "|| ', ' || i.part || ') END', CASE WHEN i.key IS NULL THEN 'CASE WHEN k.own THEN "
    "pg_catalog.pg_describe_object(t.tableoid, t.oid, 0) END' ELSE 'NULL' END) || ' AS name FROM "
    "pg_catalog.' || c.relname || ' AS t CROSS JOIN LATERAL (SELECT ((t.ctid::pg_catalog.text"
    "::pg_catalog.point)[0])::pg_catalog.int8 AS block, (' || COALESCE(i.key, 't.oid >= 16384') || "
    "') AND ', ' AS own) AS k' || "
    "CASE c.relname WHEN 'pg_auth_members' THEN ' WHERE t.roleid NOT IN (4569, 4570, 4571)' ELSE "
    "'' END || ') AS r GROUP BY r.key', "
    "CASE WHEN c.relname <> ALL (ARRAY['pg_authid', 'pg_database', 'pg_tablespace', "
    "'pg_event_trigger']::pg_catalog.name[]) THEN 'SELECT pg_catalog.count(*) FROM (SELECT FROM "
    "pg_catalog.' || c.relname || ' AS t WHERE ' || COALESCE(i.key, 't.oid >= 16384') || "
    "' LIMIT 10001) AS n' END "
    "FROM catalog AS c LEFT JOIN identity AS i ON i.catalog = c.relname ORDER BY c.oid";

// Modes that go with changes of rows; they are held until the transaction ends, also while it is
// prepared.
const char kWritersQuery[] =
    "SELECT 1 FROM pg_catalog.pg_lock_status() AS l WHERE l.locktype = 'relation' AND l.granted "
    "AND "
    "l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = "
    "pg_catalog.current_database()) AND l.relation = $1::pg_catalog.oid AND l.mode IN "
    "('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

}  // namespace ark
