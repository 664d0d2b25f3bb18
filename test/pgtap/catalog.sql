-- Every object of the extension: documented, pinned, closed to the public. Run by pg_prove in a database with pg_ark and pgtap.
BEGIN;
SELECT * FROM no_plan();

CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_ark';
CREATE TEMP VIEW functions AS
    SELECT p.* FROM pg_proc p JOIN members m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass;
CREATE TEMP VIEW relations AS
    SELECT c.* FROM pg_class c JOIN members m ON m.objid = c.oid AND m.classid = 'pg_class'::regclass;

SELECT cmp_ok((SELECT count(*)::int FROM functions), '>=', 6, 'the extension has functions');
SELECT cmp_ok((SELECT count(*)::int FROM relations), '>=', 4, 'the extension has relations');

SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE obj_description(oid, 'pg_proc') IS NULL$$,
    'every function has a comment');
SELECT is_empty($$SELECT oid::regclass FROM relations WHERE relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL$$,
    'every table and view has a comment');
SELECT is_empty($$SELECT c.oid::regclass, a.attname FROM relations c JOIN pg_attribute a ON a.attrelid = c.oid
                  WHERE c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL
                    AND a.attname NOT IN ('id', 'notes')$$,
    'every column has a comment');
SELECT isnt(obj_description((SELECT oid FROM pg_namespace WHERE nspname = 'ark'), 'pg_namespace'), NULL, 'the schema has a comment');

-- A procedure that commits can have no SET clause: PostgreSQL forbids it. Those are written with qualified names.
SELECT is_empty($$SELECT oid::regprocedure FROM functions
                  WHERE prokind = 'f' AND NOT EXISTS (SELECT FROM unnest(proconfig) s WHERE s LIKE 'search_path=%')
                    AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')$$,
    'every function pins its search_path');
SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE prosecdef AND NOT EXISTS
                    (SELECT FROM unnest(proconfig) s WHERE s ~ '^search_path=.*pg_temp$')$$,
    'SECURITY DEFINER functions have pg_temp last');
SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE has_function_privilege('public', oid, 'EXECUTE')$$,
    'nothing can be executed by everyone');
SELECT is_empty($$SELECT oid::regclass FROM relations WHERE relkind IN ('r', 'v') AND
                    (has_table_privilege('public', oid, 'SELECT') OR has_table_privilege('public', oid, 'INSERT, UPDATE, DELETE'))$$,
    'nothing can be read or written by everyone');
SELECT is_empty($$SELECT oid::regclass FROM relations WHERE relkind IN ('r', 'v') AND
                    has_table_privilege('pg_monitor', oid, 'INSERT, UPDATE, DELETE, TRUNCATE')$$,
    'pg_monitor writes nothing');
SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE proparallel <> 'u' OR provolatile <> 'v'$$,
    'every function is VOLATILE and PARALLEL UNSAFE');
SELECT is_empty($$SELECT oid::regprocedure, n FROM functions, unnest(proargnames) n
                  WHERE n !~ '^p_' AND prokind = 'p'$$, 'arguments of procedures are named p_…');

-- What the interface promises.
SELECT has_function('ark', 'create_manual_backup', ARRAY['text', 'uuid']);
SELECT function_returns('ark', 'create_manual_backup', ARRAY['text', 'uuid'], 'text');
SELECT has_function('ark', 'start_backup', ARRAY['text', 'text', 'jsonb']);
SELECT function_returns('ark', 'start_backup', ARRAY['text', 'text', 'jsonb'], 'text');
SELECT has_function('ark', 'cancel_backup', ARRAY['text']);
SELECT has_function('ark', 'preflight', ARRAY[]::name[]);
SELECT is((SELECT count(*)::int FROM functions WHERE proname IN ('backup', 'wait_for_backup', 'restore_test', 'drill') AND prokind = 'p'), 4,
    'backup, wait_for_backup, restore_test and drill are procedures');
SELECT function_returns('ark', 'start_drill', ARRAY['text', 'text', 'jsonb'], 'uuid');
SELECT function_returns('ark', 'test_backup_restoration', ARRAY['text'], 'boolean');
SELECT function_returns('ark', 'start_restore_test', ARRAY['text', 'jsonb'], 'uuid');
SELECT function_returns('ark', 'verify_backup', ARRAY['text', 'jsonb'], 'uuid');
SELECT function_returns('ark', 'run_integrity_checks', ARRAY['text', 'jsonb'], 'uuid');
SELECT function_returns('ark', 'cancel_integrity_run', ARRAY['uuid'], 'boolean');
SELECT function_returns('ark', 'add_integrity_check', ARRAY['text', 'text', 'text', 'text', 'bigint', 'text[]', 'jsonb'], 'void');
SELECT function_returns('ark', 'add_critical_function', ARRAY['text', 'text', 'text', 'jsonb'], 'void');
SELECT function_returns('ark', 'add_ready_made_checks', ARRAY['text[]', 'jsonb'], 'integer');
SELECT function_returns('ark', 'drill_checks', ARRAY[]::name[], 'setof record');
SELECT function_returns('ark', 'keep_check_results', ARRAY['uuid', 'text', 'jsonb'], 'bigint');
SELECT columns_are('ark', 'integrity_checks', ARRAY['name', 'category', 'description', 'sql', 'ready_made', 'generated', 'options', 'severity', 'threshold',
    'tables', 'database', 'enabled', 'runs_on', 'timeout', 'created_at', 'created_by'], 'the columns of integrity_checks');
SELECT columns_are('ark', 'critical_functions', ARRAY['name', 'description', 'sql', 'expected', 'predicate', 'database', 'timeout', 'enabled', 'tier',
    'created_at', 'created_by'], 'the columns of critical_functions');
SELECT columns_are('ark', 'recorded_values', ARRAY['name', 'description', 'sql', 'database', 'timeout', 'enabled', 'created_at', 'created_by'],
    'the columns of recorded_values');
SELECT columns_are('ark', 'integrity_results', ARRAY['id', 'run_id', 'check_name', 'category', 'severity', 'object', 'environment', 'test_id', 'backup_id',
    'database', 'started_at', 'duration', 'status', 'violations', 'violations_is_lower_bound', 'samples', 'error'], 'the columns of integrity_results');
SELECT bag_eq($$SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'pg_ark'$$,
    ARRAY['ark.integrity_checks', 'ark.critical_functions', 'ark.recorded_values', 'ark.recovery_objectives', 'ark.drills'], 'pg_dump keeps what somebody wrote');
-- As which checks run: it reads, and that is all.
SELECT is((SELECT (rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin, rolconnlimit, rolbypassrls)::text FROM pg_roles WHERE rolname = 'ark_checker'),
    '(f,f,f,f,t,0,t)', 'the attributes of the role of checks');
SELECT is((SELECT string_agg(roleid::regrole::text, ', ') FROM pg_auth_members WHERE member = 'ark_checker'::regrole), 'pg_read_all_data', 'and its memberships');
SELECT is((SELECT count(*)::int FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = 'ark_checker'::regrole AND deptype = 'o'), 0, 'it owns nothing');
SELECT function_returns('ark', 'cancel_restore_test', ARRAY['uuid'], 'boolean');
SELECT columns_are('ark', 'test_progress', ARRAY['test_id', 'backup_id', 'kind', 'phase', 'doing', 'done', 'total', 'percent',
    'started_at', 'updated_at', 'cancel_requested', 'worker_pid'], 'the columns of test_progress');
SELECT columns_are('ark', 'wal_status', ARRAY['state', 'mode', 'timeline', 'durable_lsn', 'durable_at', 'flush_lsn',
    'unprotected_bytes', 'unprotected', 'missing_segment', 'segments_waiting', 'last_archived', 'last_archived_at',
    'pieces_per_minute', 'segments_per_minute', 'retries', 'error_sqlstate', 'error_message', 'error_detail', 'error_hint',
    'error_at', 'wal_bytes', 'wal_growth', 'wal_free_bytes', 'until_full', 'worker_pid', 'child_pid', 'walsender_pid'],
    'the columns of wal_status');
SELECT columns_are('ark', 'change_tracking', ARRAY['state', 'timeline', 'lsn', 'behind_bytes', 'behind_since', 'tables', 'segments',
    'wal_bytes', 'gaps', 'last_gap', 'since_lsn', 'changed_relations', 'changed_blocks', 'changed_bytes', 'cpu_seconds',
    'cpu_per_segment', 'audit_misses', 'error_sqlstate', 'error_message', 'error_detail', 'error_hint', 'error_at', 'child_pid'],
    'the columns of change_tracking');
SELECT is((SELECT count(*)::int FROM ark.change_tracking), 1, 'change_tracking has one row');
SELECT is((SELECT count(*)::int FROM ark.wal_status), 1, 'wal_status has one row');
SELECT is((SELECT timeline FROM ark.wal_status), 1::bigint, 'of this timeline');
SELECT cmp_ok((SELECT wal_bytes FROM ark.wal_status), '>=', (16 << 20)::bigint, 'pg_wal has a segment at least');
SELECT cmp_ok((SELECT wal_free_bytes FROM ark.wal_status), '>', 0::bigint, 'and room');
SELECT columns_are('ark', 'wal_gaps', ARRAY['timeline', 'first_segment', 'last_segment', 'start_lsn', 'end_lsn', 'segments', 'bytes',
    'backups', 'in_pg_wal'], 'the columns of wal_gaps');
SELECT columns_are('ark', 'recoverable_ranges', ARRAY['timeline', 'from_time', 'from_lsn', 'until_time', 'until_lsn', 'wal_end',
    'first_backup', 'last_backup', 'backups', 'is_open'], 'the columns of recoverable_ranges');
SELECT has_function('ark', 'can_recover', ARRAY['timestamp with time zone']);
SELECT is_empty($$SELECT v FROM unnest(ARRAY['ark.wal_gaps', 'ark.recoverable_ranges']) v
                  WHERE NOT has_table_privilege('pg_monitor', v, 'SELECT')$$, 'pg_monitor sees what can be recovered');
SELECT has_view('ark', 'backup_progress', 'backup_progress is a view');
SELECT columns_are('ark', 'audit_log', ARRAY['id', 'at', 'act', 'outcome', 'target', 'backup_id', 'session_role', 'acting_role', 'client',
    'application', 'backend', 'pid', 'sqlstate', 'message', 'times', 'mirrored_at'], 'the columns of audit_log');
SELECT columns_are('ark', 'audit_status', ARRAY['waiting_bytes', 'lost', 'last_written_at', 'failures', 'error_sqlstate', 'error_message',
    'last_mirrored_at', 'mirror_failures', 'mirror_error_sqlstate', 'mirror_error_message', 'unmirrored'], 'the columns of audit_status');
SELECT is((SELECT count(*)::int FROM ark.audit_status), 1, 'audit_status has one row');
SELECT results_eq($$SELECT tgenabled::text FROM pg_trigger WHERE tgrelid = 'ark.audit_log'::regclass AND NOT tgisinternal$$, ARRAY['A'],
    'the guard of audit_log is on in replicas too');
SELECT throws_ok($$INSERT INTO ark.audit_log (act, outcome) VALUES ('x', 'perhaps')$$, '23514', NULL, 'an outcome that nobody defined is refused');
SELECT columns_are('ark', 'backup_verification', ARRAY['id', 'backup_id', 'verification_type', 'verification_date',
    'success', 'details', 'verified_by'], 'the columns of backup_verification');
SELECT columns_are('ark', 'backup_tests', ARRAY['id', 'backup_id', 'test_type', 'test_environment', 'started_at',
    'completed_at', 'success', 'errors', 'data_verified', 'tested_by', 'notes'], 'the columns of backup_tests');
SELECT has_column('ark', 'backup_log', c, format('backup_log has %s', c))
    FROM unnest(ARRAY['backup_id', 'backup_type', 'reason', 'created_by', 'started_at', 'completed_at', 'status', 'error',
                      'timeline', 'start_lsn', 'stop_lsn']) c;
SELECT col_type_is('ark', 'backup_log', 'error', 'jsonb', 'backup_log.error is jsonb');
SELECT col_is_pk('ark', 'backup_log', 'backup_id', 'backup_id is the key');

-- Statuses and kinds that nobody defined cannot be stored.
SELECT throws_ok($$INSERT INTO ark.backup_verification (backup_id, verification_type, success)
                   VALUES ('x', 'guess', true)$$, NULL, 'an unknown kind of verification is refused');
SELECT throws_ok($$INSERT INTO ark.backup_tests (backup_id, test_type, started_at) VALUES ('x', 'guess', now())$$,
    NULL, 'an unknown kind of test is refused');

SELECT * FROM finish();
ROLLBACK;
