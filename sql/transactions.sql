-- What a caller's own transaction may and may not do.
\set SHOW_CONTEXT never
-- Waiting pins a snapshot for hours: not inside a transaction block or a function.
BEGIN;
CALL ark.wait_for_backup('manual_20200101_000000_00000000');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
CALL ark.backup('full', 'x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
CALL ark.restore_test('x');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
CREATE FUNCTION pg_temp.waits() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL ark.wait_for_backup('x'); END $$;
SELECT pg_temp.waits();
\echo :LAST_ERROR_SQLSTATE
DO $$ BEGIN CALL ark.wait_for_backup('manual_20200101_000000_00000000'); END $$;
\echo :LAST_ERROR_SQLSTATE
-- A caller that holds what the worker needs gets an error in time.
BEGIN;
LOCK TABLE ark.backup_log;
SELECT ark.create_manual_backup('locked');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DROP EXTENSION pg_ark;
BEGIN;
CREATE EXTENSION pg_ark;
SELECT ark.create_manual_backup('too early');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
CREATE EXTENSION pg_ark;
SELECT count(*) FROM ark.backup_progress;
