-- Each wrong argument has its message, its SQLSTATE and its hint; none starts anything.
\set SHOW_CONTEXT never
SELECT ark.create_manual_backup(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.create_manual_backup(repeat('x', 4097));
\echo :LAST_ERROR_SQLSTATE
SELECT ark.create_manual_backup('x', 'no uuid');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('sideways');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('incremental', 'x', '{"audit_fraction": 1.5}');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('differential', 'x', '{"audit_fraction": "all"}');
SELECT ark.backup_chain('no_such');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.compact_backup('no_such');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.audit_backup(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('full', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('full', 'x', '[1]');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('full', 'x', '{"no_such_option": 1}');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('full', 'x', '{"jobs": 0}');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('full', 'x', '{"jobs": 1.5}');
SELECT ark.start_backup('full', 'x', '{"jobs": "2"}');
SELECT ark.start_backup('full', 'x', '{"jobs": [2]}');
SELECT ark.start_backup('full', 'x', '{"jobs": null}');
SELECT ark.start_backup('full', 'x', '{"compression_level": 20}');
SELECT ark.start_backup('full', 'x', '{"compression_level": 99999999999999999999}');
SELECT ark.start_backup('full', 'x', '{"created_by": "me"}');
SELECT ark.cancel_backup(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.cancel_backup('manual_20200101_000000_00000000');
\echo :LAST_ERROR_SQLSTATE
CALL ark.wait_for_backup(NULL);
\echo :LAST_ERROR_SQLSTATE
CALL ark.wait_for_backup('manual_20200101_000000_00000000');
\echo :LAST_ERROR_SQLSTATE
CALL ark.backup('sideways');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.adopt();
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM ark.backup_progress;
SELECT count(*) FROM ark.backup_log WHERE status = 'in_progress';
-- Moments.
SELECT ark.can_recover(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.can_recover('infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.can_recover('1969-12-31 23:59:59+00');
SELECT ark.can_recover('10000-01-01 00:00:00+00');
-- Restore tests and verifications.
SELECT ark.test_backup_restoration(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.test_backup_restoration('manual_20200101_000000_00000000');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_restore_test(NULL);
SELECT ark.verify_backup(NULL);
SELECT ark.verify_backup('manual_20200101_000000_00000000');
CALL ark.restore_test(NULL);
CALL ark.restore_test('manual_20200101_000000_00000000');
SELECT ark.cancel_restore_test(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ark.cancel_restore_test('6ba7b810-9dad-11d1-80b4-00c04fd430c8');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO ark.backup_log (backup_id, backup_type, started_at, status)
    VALUES ('regress_failed', 'manual', now(), 'failed'), ('regress_good', 'manual', now(), 'completed');
SELECT ark.test_backup_restoration('regress_failed');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_restore_test('regress_good', '[1]');
SELECT ark.start_restore_test('regress_good', '{"wait": false}');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_restore_test('regress_good', '{"jobs": 65}');
SELECT ark.start_restore_test('regress_good', '{"jobs": true}');
SELECT ark.start_restore_test('regress_good', '{"tested_by": "me"}');
SELECT ark.start_restore_test('regress_good', '{"notes": 1}');
SELECT ark.start_restore_test('regress_good', jsonb_build_object('notes', repeat('x', 4097)));
CALL ark.restore_test('regress_good', '{"no_such_option": 1}');
SELECT ark.verify_backup('regress_good', '{"wait": "yes"}');
SELECT ark.verify_backup('regress_good', '{"no_such_option": 1}');
DELETE FROM ark.backup_log WHERE backup_id LIKE 'regress%';
SELECT count(*) FROM ark.test_progress;
SELECT (SELECT count(*) FROM ark.backup_tests) + (SELECT count(*) FROM ark.backup_verification) AS rows;
