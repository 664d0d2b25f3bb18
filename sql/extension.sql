-- CREATE EXTENSION: where it may be, what it brings. The other tests go on in this database.
\set SHOW_CONTEXT never
\c postgres
CREATE EXTENSION pg_ark;
\echo :LAST_ERROR_SQLSTATE
\c contrib_regression
CREATE EXTENSION pg_ark SCHEMA public;
\echo :LAST_ERROR_SQLSTATE
CREATE EXTENSION pg_ark;
SELECT extname, extnamespace::regnamespace, extrelocatable FROM pg_extension WHERE extname = 'pg_ark';
SELECT pg_describe_object(classid, objid, 0) COLLATE "C" AS object FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_ark')
      AND classid <> 'pg_type'::regclass -- of a table, its row type: a member of its own since 17
    ORDER BY object;
-- It goes without a trace, and comes back.
DROP EXTENSION pg_ark;
SELECT count(*) FROM pg_namespace WHERE nspname = 'ark';
SELECT count(*) FROM pg_proc WHERE proname LIKE '%pg_ark%';
CREATE EXTENSION pg_ark;
