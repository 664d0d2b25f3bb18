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
SELECT ark.start_backup('incremental');
\echo :LAST_ERROR_SQLSTATE
SELECT ark.start_backup('differential');
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
