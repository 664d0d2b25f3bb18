-- Every function, procedure, table and view of the extension times every role of docs/rights.md: what may be done, and nothing besides.
-- Run by pg_prove in a database with pg_ark and pgtap.
BEGIN;
SELECT * FROM no_plan();

CREATE ROLE app NOLOGIN;
CREATE ROLE alice NOLOGIN;
CREATE ROLE onlooker NOLOGIN IN ROLE pg_monitor;
CREATE ROLE stranger NOLOGIN;
-- The grants of docs/rights.md, word for word: test/lint/grants.t compares them.
CREATE ROLE backup_operator NOLOGIN;
GRANT USAGE ON SCHEMA ark TO backup_operator;
GRANT SELECT ON ALL TABLES IN SCHEMA ark TO backup_operator;
REVOKE SELECT ON ark.integrity_results FROM backup_operator;
GRANT EXECUTE ON FUNCTION ark.running_backups, ark.running_tests, ark.archiver_state, ark.wal_state, ark.change_state, ark.audit_state TO backup_operator;
GRANT EXECUTE ON FUNCTION ark.find_wal_gaps, ark.find_recoverable_ranges, ark.can_recover, ark.known_backup, ark.backup_chain TO backup_operator;
GRANT EXECUTE ON FUNCTION ark.tier_of, ark.tier_position, ark.name_parts, ark.schedule_interval, ark.next_drill_run, ark.restore_estimate, ark.unprotected_history TO backup_operator;
GRANT EXECUTE ON FUNCTION ark.create_manual_backup, ark.start_backup, ark.compact_backup, ark.cancel_backup, ark.verify_backup, ark.audit_backup, ark.preflight TO backup_operator;
GRANT EXECUTE ON FUNCTION ark.run_integrity_checks, ark.cancel_integrity_run TO backup_operator;
GRANT EXECUTE ON PROCEDURE ark.backup, ark.wait_for_backup, ark.check_integrity TO backup_operator;
GRANT backup_operator TO alice;
GRANT USAGE ON SCHEMA ark TO app;
GRANT EXECUTE ON FUNCTION ark.create_manual_backup TO app;
GRANT EXECUTE ON PROCEDURE ark.wait_for_backup TO app;

CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_ark';

-- Who may execute what. m: pg_monitor, o: operator, a: application. A call with these arguments does nothing and passes or
-- fails by itself; by SQLSTATE one sees whether it was let in. NULL: too much is done to call it here.
CREATE TEMP TABLE routines (name text PRIMARY KEY, who text NOT NULL, call text);
INSERT INTO routines VALUES
    ('create_manual_backup',     'oa', 'SELECT ark.create_manual_backup(NULL)'),
    ('start_backup',             'o',  'SELECT ark.start_backup(NULL)'),
    ('cancel_backup',            'o',  'SELECT ark.cancel_backup(NULL)'),
    ('backup',                   'o',  'CALL ark.backup(NULL)'),
    ('wait_for_backup',          'oa', 'CALL ark.wait_for_backup(NULL)'),
    ('compact_backup',           'o',  'SELECT ark.compact_backup(NULL)'),
    ('audit_backup',             'o',  'SELECT ark.audit_backup(NULL)'),
    ('known_backup',             'mo', 'SELECT ark.known_backup(NULL)'),
    ('backup_chain',             'mo', 'SELECT ark.backup_chain(NULL)'),
    ('verify_backup',            'o',  'SELECT ark.verify_backup(NULL)'),
    ('preflight',                'o',  NULL),
    ('start_restore_test',       '',   'SELECT ark.start_restore_test(NULL)'),
    ('start_drill',              '',   'SELECT ark.start_drill(p_target => NULL)'),
    ('drill',                    '',   'CALL ark.drill(p_target => NULL)'),
    ('test_backup_restoration',  '',   'SELECT ark.test_backup_restoration(NULL)'),
    ('restore_test',             '',   'CALL ark.restore_test(NULL)'),
    ('cancel_restore_test',      '',   'SELECT ark.cancel_restore_test(NULL)'),
    ('adopt',                    '',   'SELECT ark.adopt()'),
    ('running_backups',          'mo', 'SELECT ark.running_backups()'),
    ('running_tests',            'mo', 'SELECT ark.running_tests()'),
    ('archiver_state',           'mo', 'SELECT ark.archiver_state()'),
    ('wal_state',                'mo', 'SELECT ark.wal_state()'),
    ('find_wal_gaps',            'mo', NULL),
    ('find_recoverable_ranges',  'mo', NULL),
    ('can_recover',              'mo', 'SELECT ark.can_recover(NULL)'),
    ('change_state',             'mo', 'SELECT ark.change_state()'),
    ('audit_state',              'mo', 'SELECT ark.audit_state()'),
    ('audit_guard',              '',   NULL),
    ('run_integrity_checks',     'o',  'SELECT ark.run_integrity_checks(''none'')'),
    ('check_integrity',          'o',  'CALL ark.check_integrity(''none'')'),
    ('cancel_integrity_run',     'o',  'SELECT ark.cancel_integrity_run(NULL)'),
    ('add_integrity_check',      '',   'SELECT ark.add_integrity_check(NULL, NULL, NULL)'),
    ('remove_integrity_check',   '',   'SELECT ark.remove_integrity_check(NULL)'),
    ('add_ready_made_checks',    '',   'SELECT ark.add_ready_made_checks(p_options => ''{"kinds": ["none"]}'')'),
    ('add_critical_function',    '',   'SELECT ark.add_critical_function(NULL, NULL)'),
    ('remove_critical_function', '',   'SELECT ark.remove_critical_function(NULL)'),
    ('drill_checks',             '',   'SELECT ark.drill_checks()'),
    ('keep_check_results',       '',   'SELECT ark.keep_check_results(NULL, NULL, NULL)'),
    ('set_recovery_objective',   '',   'SELECT ark.set_recovery_objective(NULL)'),
    ('objective_changes',        '',   NULL),
    ('tier_of',                  'mo', 'SELECT ark.tier_of(NULL)'),
    ('tier_position',            'mo', 'SELECT ark.tier_position()'),
    ('name_parts',               'mo', 'SELECT ark.name_parts(NULL)'),
    ('schedule_drill',           '',   'SELECT ark.schedule_drill(NULL)'),
    ('unschedule_drill',         '',   'SELECT ark.unschedule_drill(NULL)'),
    ('schedule_interval',        'mo', 'SELECT ark.schedule_interval(NULL)'),
    ('next_drill_run',           'mo', 'SELECT ark.next_drill_run(NULL, NULL, NULL, NULL)'),
    ('restore_estimate',         'mo', 'SELECT ark.restore_estimate(NULL, NULL)'),
    ('unprotected_history',      'mo', 'SELECT ark.unprotected_history()'),
    ('drill_context',            '',   NULL),
    ('marker_text',              '',   'SELECT ark.marker_text(NULL)'),
    ('marker_fields',            '',   'SELECT ark.marker_fields(NULL)');
CREATE TEMP TABLE relations (name text PRIMARY KEY, who text NOT NULL);
INSERT INTO relations VALUES
    ('audit_log', 'mo'), ('audit_status', 'mo'), ('backup_log', 'mo'), ('backup_verification', 'mo'), ('backup_tests', 'mo'), ('backup_progress', 'mo'), ('test_progress', 'mo'),
    ('integrity_checks', 'mo'), ('critical_functions', 'mo'), ('recorded_values', 'mo'), ('integrity_runs', 'mo'), ('integrity_status', 'mo'), ('integrity_results', ''), ('integrity_results_id_seq', ''),
    ('archiver_status', 'mo'), ('wal_status', 'mo'), ('change_tracking', 'mo'), ('wal_gaps', 'mo'), ('recoverable_ranges', 'mo'),
    ('recovery_objectives', 'mo'), ('recovery_status', 'mo'), ('drills', 'mo');
-- alice has hers by membership, stranger has none, public is everybody.
CREATE TEMP TABLE roles (role name PRIMARY KEY, letter text NOT NULL);
INSERT INTO roles VALUES ('public', '-'), ('stranger', '-'), ('pg_monitor', 'm'), ('onlooker', 'm'), ('backup_operator', 'o'),
    ('alice', 'o'), ('app', 'a');

SELECT set_eq($$SELECT DISTINCT p.proname::text FROM pg_proc p JOIN members m ON m.objid = p.oid AND m.classid = 'pg_proc'::regclass$$,
    'SELECT name FROM routines', 'every function and procedure is in the table of rights');
SELECT set_eq($$SELECT c.relname::text FROM pg_class c JOIN members m ON m.objid = c.oid AND m.classid = 'pg_class'::regclass
                WHERE c.relkind NOT IN ('i', 't')$$,
    'SELECT name FROM relations', 'every table and view is in the table of rights');

SELECT is(CASE WHEN r.role = 'public' THEN has_schema_privilege('public', 'ark', 'USAGE') ELSE has_schema_privilege(r.role, 'ark', 'USAGE') END,
          r.letter <> '-', format('%s: may %sname what is in the schema', r.role, CASE WHEN r.letter = '-' THEN 'not ' ELSE '' END))
    FROM roles r;
SELECT is(has_schema_privilege(r.role, 'ark', 'CREATE'), false, format('%s: may not create anything in the schema', r.role)) FROM roles r;
SELECT is(has_function_privilege(r.role, p.oid, 'EXECUTE'), f.who LIKE '%' || r.letter || '%',
          format('%s: %s %s', r.role, CASE WHEN f.who LIKE '%' || r.letter || '%' THEN 'may execute' ELSE 'may not execute' END,
                 p.oid::regprocedure))
    FROM routines f JOIN pg_proc p ON p.proname = f.name AND p.pronamespace = 'ark'::regnamespace CROSS JOIN roles r;
SELECT is(has_table_privilege(r.role, c.oid, 'SELECT'), t.who LIKE '%' || r.letter || '%',
          format('%s: %s %s', r.role, CASE WHEN t.who LIKE '%' || r.letter || '%' THEN 'may read' ELSE 'may not read' END, t.name))
    FROM relations t JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'ark'::regnamespace CROSS JOIN roles r;
SELECT is(has_table_privilege(r.role, c.oid, p), false, format('%s: may not %s %s', r.role, p, t.name))
    FROM relations t JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'ark'::regnamespace CROSS JOIN roles r
    CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p;
SELECT is(has_any_column_privilege(r.role, c.oid, p), false, format('%s: may not %s a column of %s', r.role, p, t.name))
    FROM relations t JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'ark'::regnamespace CROSS JOIN roles r
    CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) p;

-- What the catalogs say, and what happens, are two things: each role calls and reads.
CREATE FUNCTION pg_temp.sqlstate_as(p_role name, p_statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', p_role);
    EXECUTE p_statement;
    RESET ROLE;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    -- The role goes with the subtransaction.
    RETURN SQLSTATE;
END $$;
SELECT is(pg_temp.sqlstate_as(r.role, f.call) <> '42501', f.who LIKE '%' || r.letter || '%',
          format('%s: %s: %s', r.role, f.call, CASE WHEN f.who LIKE '%' || r.letter || '%' THEN 'is let in' ELSE 'is turned away' END))
    FROM routines f CROSS JOIN roles r WHERE r.role <> 'public' AND f.call IS NOT NULL;
-- These two ask the repository, which takes seconds.
SELECT is(pg_temp.sqlstate_as(r.role, format('SELECT FROM ark.%I', t.name)) <> '42501', t.who LIKE '%' || r.letter || '%',
          format('%s: reads ark.%s: %s', r.role, t.name, t.who LIKE '%' || r.letter || '%'))
    FROM relations t CROSS JOIN roles r
    WHERE r.role <> 'public' AND (t.name NOT IN ('wal_gaps', 'recoverable_ranges') OR r.role IN ('alice', 'app'));
SELECT is(pg_temp.sqlstate_as(r.role, format('DELETE FROM ark.%I', t.name)), '42501', format('%s: deletes nothing from ark.%s', r.role, t.name))
    FROM relations t JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'ark'::regnamespace AND c.relkind = 'r'
    CROSS JOIN roles r WHERE r.role <> 'public';
-- adopt() is a superuser's even where somebody granted it.
GRANT EXECUTE ON FUNCTION ark.adopt TO backup_operator;
SELECT is(pg_temp.sqlstate_as('backup_operator', 'SELECT ark.adopt()'), '42501', 'adopt() refuses all but superusers');

SELECT * FROM finish();
ROLLBACK;
