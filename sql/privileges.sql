-- Superusers act, pg_monitor looks, everybody else needs a grant.
\set SHOW_CONTEXT never
CREATE ROLE regress_ark_app;
CREATE ROLE regress_ark_monitor IN ROLE pg_monitor;
SET ROLE regress_ark_app;
SELECT ark.create_manual_backup('x');
SELECT * FROM ark.backup_log;
SELECT * FROM ark.preflight();
RESET ROLE;
SET ROLE regress_ark_monitor;
SELECT count(*) >= 0 AS reads FROM ark.backup_log;
SELECT count(*) >= 0 AS reads FROM ark.backup_progress;
SELECT count(*) AS rows FROM ark.archiver_status;
SELECT count(*) AS rows FROM ark.wal_status;
SELECT count(*) >= 0 AS reads FROM ark.backup_verification;
SELECT count(*) >= 0 AS reads FROM ark.backup_tests;
SELECT ark.create_manual_backup('x');
SELECT ark.cancel_backup('x');
SELECT count(*) >= 0 AS reads FROM ark.test_progress;
SELECT ark.test_backup_restoration('x');
SELECT ark.start_restore_test('x');
SELECT ark.cancel_restore_test('6ba7b810-9dad-11d1-80b4-00c04fd430c8');
SELECT ark.verify_backup('x');
CALL ark.restore_test('x');
CALL ark.wait_for_backup('x');
DELETE FROM ark.backup_log;
RESET ROLE;
-- A grant is enough for the function; what it has to read it reads itself.
GRANT USAGE ON SCHEMA ark TO regress_ark_app;
GRANT EXECUTE ON FUNCTION ark.cancel_backup TO regress_ark_app;
GRANT EXECUTE ON FUNCTION ark.adopt TO regress_ark_app;
GRANT EXECUTE ON FUNCTION ark.test_backup_restoration TO regress_ark_app;
GRANT EXECUTE ON FUNCTION ark.cancel_restore_test TO regress_ark_app;
GRANT EXECUTE ON PROCEDURE ark.wait_for_backup TO regress_ark_app;
SET ROLE regress_ark_app;
SELECT ark.cancel_backup('manual_20200101_000000_00000000');
CALL ark.wait_for_backup('manual_20200101_000000_00000000');
SELECT ark.adopt();
SELECT ark.test_backup_restoration('manual_20200101_000000_00000000');
SELECT ark.cancel_restore_test('6ba7b810-9dad-11d1-80b4-00c04fd430c8');
RESET ROLE;
-- Nothing is open to everybody.
SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'ark'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE');
SELECT oid::regclass FROM pg_class WHERE relnamespace = 'ark'::regnamespace AND relkind IN ('r', 'v') AND has_table_privilege('public', oid, 'SELECT');
DROP OWNED BY regress_ark_app;
DROP ROLE regress_ark_app, regress_ark_monitor;
