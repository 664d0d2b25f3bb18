-- Run by CREATE EXTENSION pg_ark. Everything is qualified; what is created is superuser's alone until granted.
\echo Use "CREATE EXTENSION pg_ark" to load this file. \quit

-- Refuses a server that has not preloaded the library, and a database that pg_ark.database does not name.
CREATE FUNCTION pg_catalog.pg_ark_check_install() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_ark_check_install';
SELECT pg_catalog.pg_ark_check_install();
DROP FUNCTION pg_catalog.pg_ark_check_install();

CREATE SCHEMA ark;
COMMENT ON SCHEMA ark IS 'pg_ark: backups, WAL archiving and restore tests';
REVOKE ALL ON SCHEMA ark FROM PUBLIC;
GRANT USAGE ON SCHEMA ark TO pg_monitor;

----------------------------------------------------------------------------------------------------
-- Tables
----------------------------------------------------------------------------------------------------

CREATE TABLE ark.backup_log (
    backup_id text PRIMARY KEY,
    backup_type text NOT NULL CONSTRAINT backup_log_type_check
        CHECK (backup_type IN ('manual', 'full', 'incremental', 'differential', 'scheduled')),
    reason text NOT NULL DEFAULT '',
    created_by uuid,
    requested_by text,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    status text NOT NULL CONSTRAINT backup_log_status_check
        CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled', 'expired')),
    parent text,
    full_because text,
    timeline bigint,
    start_lsn pg_catalog.pg_lsn,
    stop_lsn pg_catalog.pg_lsn,
    start_segment text,
    stop_segment text,
    files bigint,
    database_bytes bigint,
    stored_bytes bigint,
    changed_blocks bigint,
    audited_blocks bigint,
    audit_misses bigint,
    corrupt_page_count bigint,
    corrupt_pages jsonb,
    repository text,
    repository_id text,
    cluster text,
    pg_version text,
    system_identifier bigint,
    error jsonb
);
CREATE INDEX backup_log_started_at ON ark.backup_log (started_at);
COMMENT ON TABLE ark.backup_log IS 'Every backup that was asked for here, and those that the repository holds. A copy: the repository is the truth';
COMMENT ON INDEX ark.backup_log_started_at IS 'For the newest backups';
COMMENT ON COLUMN ark.backup_log.backup_id IS 'Type, UTC time and 8 random hexadecimal digits; the name of the backup in the repository';
COMMENT ON COLUMN ark.backup_log.backup_type IS 'manual (create_manual_backup), full, incremental, differential, scheduled';
COMMENT ON COLUMN ark.backup_log.reason IS 'What the caller said the backup is for';
COMMENT ON COLUMN ark.backup_log.created_by IS 'Whoever the caller names: an application''s user, for example';
COMMENT ON COLUMN ark.backup_log.requested_by IS 'Role that called the function';
COMMENT ON COLUMN ark.backup_log.started_at IS 'When the worker began';
COMMENT ON COLUMN ark.backup_log.completed_at IS 'When it ended, well or not';
COMMENT ON COLUMN ark.backup_log.status IS 'in_progress, completed, failed, cancelled, or expired: no longer in the repository';
COMMENT ON COLUMN ark.backup_log.parent IS 'Backup that an incremental or differential one builds on; null for a full one';
COMMENT ON COLUMN ark.backup_log.full_because IS 'Why it is a full one where an incremental or differential one was asked for';
COMMENT ON COLUMN ark.backup_log.timeline IS 'Timeline of the server at the end of the backup';
COMMENT ON COLUMN ark.backup_log.start_lsn IS 'WAL is needed from here';
COMMENT ON COLUMN ark.backup_log.stop_lsn IS 'Recovery is consistent from here on';
COMMENT ON COLUMN ark.backup_log.start_segment IS 'WAL segment of start_lsn';
COMMENT ON COLUMN ark.backup_log.stop_segment IS 'Last WAL segment that the backup needs';
COMMENT ON COLUMN ark.backup_log.files IS 'Number of files';
COMMENT ON COLUMN ark.backup_log.database_bytes IS 'Bytes of all files';
COMMENT ON COLUMN ark.backup_log.stored_bytes IS 'Bytes in the repository, without WAL';
COMMENT ON COLUMN ark.backup_log.changed_blocks IS 'Blocks that an incremental one holds of files of which it holds a part; null for a full one';
COMMENT ON COLUMN ark.backup_log.audited_blocks IS 'Blocks called unchanged that were read all the same (pg_ark.audit_fraction)';
COMMENT ON COLUMN ark.backup_log.audit_misses IS 'Of these: had changed, though no WAL says so. Their files were copied whole';
COMMENT ON COLUMN ark.backup_log.corrupt_page_count IS 'Number of pages with a wrong checksum, and of files of relations that were missing';
COMMENT ON COLUMN ark.backup_log.corrupt_pages IS 'The first 1000 of them: relation, database, fork, block, path, reason';
COMMENT ON COLUMN ark.backup_log.repository IS 'URL of the repository';
COMMENT ON COLUMN ark.backup_log.repository_id IS 'Identity of the repository, whatever its URL';
COMMENT ON COLUMN ark.backup_log.cluster IS 'Directory of the cluster in the repository';
COMMENT ON COLUMN ark.backup_log.pg_version IS 'Version of the server';
COMMENT ON COLUMN ark.backup_log.system_identifier IS 'As pg_control_system() shows it';
COMMENT ON COLUMN ark.backup_log.error IS 'Why it is no backup: sqlstate, message, detail, hint, phase; leftovers while some remain to be removed';

CREATE TABLE ark.backup_verification (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    backup_id text NOT NULL,
    verification_type text NOT NULL CONSTRAINT backup_verification_type_check
        CHECK (verification_type IN ('checksum', 'restore_test', 'integrity_check', 'change_audit')),
    verification_date timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    success boolean,
    details jsonb,
    verified_by uuid
);
CREATE INDEX backup_verification_backup_id ON ark.backup_verification (backup_id);
COMMENT ON TABLE ark.backup_verification IS 'What was checked of a backup, and what came out';
COMMENT ON INDEX ark.backup_verification_backup_id IS 'For the verifications of one backup';
COMMENT ON COLUMN ark.backup_verification.id IS 'Identity of the verification';
COMMENT ON COLUMN ark.backup_verification.backup_id IS 'Backup that was checked; no foreign key, the row outlives that of an expired backup';
COMMENT ON COLUMN ark.backup_verification.verification_type IS 'checksum (page checksums while the backup was taken; everything in the repository by ark.verify_backup), restore_test, integrity_check, change_audit (ark.audit_backup)';
COMMENT ON COLUMN ark.backup_verification.verification_date IS 'When the check ended; while ark.verify_backup runs, when it began';
COMMENT ON COLUMN ark.backup_verification.success IS 'true: checked and right; false: checked and wrong; null: nothing could be checked, details says why';
COMMENT ON COLUMN ark.backup_verification.details IS 'What was checked and found, or why nothing could be: error; in_progress while ark.verify_backup runs. restore_test: test_id, error_count';
COMMENT ON COLUMN ark.backup_verification.verified_by IS 'Whoever the caller named; null for checks that belong to the backup';

CREATE TABLE ark.backup_tests (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    backup_id text,
    test_type text NOT NULL CONSTRAINT backup_tests_type_check
        CHECK (test_type IN ('restore_test', 'drill', 'integrity_check', 'spot_check')),
    test_environment text,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    completed_at timestamptz,
    success boolean,
    errors jsonb,
    data_verified jsonb,
    tested_by uuid,
    notes text
);
CREATE INDEX backup_tests_backup_id ON ark.backup_tests (backup_id);
COMMENT ON TABLE ark.backup_tests IS 'Restores of a backup to a scratch server, and what was asked of it there';
COMMENT ON INDEX ark.backup_tests_backup_id IS 'For the tests of one backup';
COMMENT ON COLUMN ark.backup_tests.id IS 'Identity of the test';
COMMENT ON COLUMN ark.backup_tests.backup_id IS 'Backup that was tested; null while a drill has yet to find the one that leads to its target';
COMMENT ON COLUMN ark.backup_tests.test_type IS 'restore_test, drill, integrity_check, spot_check';
COMMENT ON COLUMN ark.backup_tests.test_environment IS 'Where it ran: host, version of PostgreSQL, scratch directory';
COMMENT ON COLUMN ark.backup_tests.started_at IS 'When it began';
COMMENT ON COLUMN ark.backup_tests.completed_at IS 'When it ended; null while it runs';
COMMENT ON COLUMN ark.backup_tests.success IS 'true: a server came up from the backup and nothing was wrong; false: damage was found; null while it runs, and where nothing is known: errors and notes say why';
COMMENT ON COLUMN ark.backup_tests.errors IS 'What was wrong, each with relation and block where there is one';
COMMENT ON COLUMN ark.backup_tests.data_verified IS 'What was checked, how much of it, and the seconds of each step; rto_seconds is the time until the server was up; of a drill steps (which were chosen and left_out), target (what was asked, what was reached), rules, and checks (what came out of each of the user''s own)';
COMMENT ON COLUMN ark.backup_tests.tested_by IS 'Whoever the caller named';
COMMENT ON COLUMN ark.backup_tests.notes IS 'What the caller noted, and what could not be checked';

CREATE TABLE ark.audit_log (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    act text NOT NULL,
    outcome text NOT NULL CONSTRAINT audit_log_outcome_check
        CHECK (outcome IN ('accepted', 'refused', 'completed', 'failed', 'cancelled', 'lost')),
    target text,
    backup_id text,
    session_role text,
    acting_role text,
    client text,
    application text,
    backend text,
    pid integer,
    sqlstate text,
    message text,
    times bigint NOT NULL DEFAULT 1,
    mirrored_at timestamptz
);
CREATE INDEX audit_log_at ON ark.audit_log (at);
CREATE INDEX audit_log_unmirrored ON ark.audit_log (at) WHERE mirrored_at IS NULL;
CREATE INDEX audit_log_target ON ark.audit_log (target) WHERE target IS NOT NULL;
COMMENT ON TABLE ark.audit_log IS 'Who did what with backups, from where, when, and with which outcome; refused calls too. Append-only for everyone but superusers';
COMMENT ON INDEX ark.audit_log_at IS 'For the newest entries';
COMMENT ON INDEX ark.audit_log_unmirrored IS 'For what is on its way to the repository';
COMMENT ON INDEX ark.audit_log_target IS 'For what became of one act';
COMMENT ON COLUMN ark.audit_log.id IS 'Identity of the entry';
COMMENT ON COLUMN ark.audit_log.at IS 'When; of several refusals that are alike, the first';
COMMENT ON COLUMN ark.audit_log.act IS 'Function or procedure that was called; setting: a setting that a reload changed; access: a refused use of a table or of the schema; audit: the log itself';
COMMENT ON COLUMN ark.audit_log.outcome IS 'accepted, refused; then of what was accepted completed, failed, cancelled; lost: entries that could not be kept';
COMMENT ON COLUMN ark.audit_log.target IS 'Backup that was started or cancelled, test or verification, setting, table';
COMMENT ON COLUMN ark.audit_log.backup_id IS 'Backup that was taken or tested';
COMMENT ON COLUMN ark.audit_log.session_role IS 'session_user: who logged in. Of an end: of whoever began it';
COMMENT ON COLUMN ark.audit_log.acting_role IS 'current_user: differs after SET ROLE, and in a SECURITY DEFINER function';
COMMENT ON COLUMN ark.audit_log.client IS 'Address of the client; [local] for a Unix socket; null for a process of the server';
COMMENT ON COLUMN ark.audit_log.application IS 'application_name, which the client chooses';
COMMENT ON COLUMN ark.audit_log.backend IS 'Kind of process: client backend, or what a background worker calls itself';
COMMENT ON COLUMN ark.audit_log.pid IS 'Its process id';
COMMENT ON COLUMN ark.audit_log.sqlstate IS 'Why it was refused or failed';
COMMENT ON COLUMN ark.audit_log.message IS 'The same in words; of a setting from what to what, unless only superusers may see it';
COMMENT ON COLUMN ark.audit_log.times IS 'How many refusals that are alike, or lost entries, the row stands for';
COMMENT ON COLUMN ark.audit_log.mirrored_at IS 'Since when the repository has it; null: not yet';

CREATE FUNCTION ark.audit_guard() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_audit_guard';
COMMENT ON FUNCTION ark.audit_guard() IS 'Lets superusers alone write ark.audit_log, whoever owns it';
CREATE TRIGGER audit_log_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ark.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION ark.audit_guard();
-- Also where session_replication_role is replica.
ALTER TABLE ark.audit_log ENABLE ALWAYS TRIGGER audit_log_guard;

CREATE TABLE ark.integrity_checks (
    name text PRIMARY KEY,
    category text NOT NULL CONSTRAINT integrity_checks_category_check
        CHECK (category IN ('referential', 'isolation', 'validation', 'consistency', 'performance', 'custom')),
    description text,
    sql text,
    ready_made text,
    generated boolean GENERATED ALWAYS AS (ready_made IS NOT NULL) STORED,
    options jsonb NOT NULL DEFAULT '{}',
    severity text NOT NULL DEFAULT 'error' CONSTRAINT integrity_checks_severity_check
        CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    threshold bigint NOT NULL DEFAULT 0 CONSTRAINT integrity_checks_threshold_check CHECK (threshold >= 0),
    tables text[] NOT NULL DEFAULT '{}',
    database text,
    enabled boolean NOT NULL DEFAULT true,
    runs_on text NOT NULL DEFAULT 'both' CONSTRAINT integrity_checks_runs_on_check
        CHECK (runs_on IN ('live', 'drill', 'both')),
    timeout interval CONSTRAINT integrity_checks_timeout_check CHECK (timeout BETWEEN '1 millisecond' AND '24 hours'),
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_by text DEFAULT SESSION_USER,
    CONSTRAINT integrity_checks_sql_check CHECK (pg_catalog.num_nonnulls(sql, ready_made) = 1)
);
COMMENT ON TABLE ark.integrity_checks IS 'Queries that return what violates a rule of the data; see ark.add_integrity_check and ark.add_ready_made_checks. pg_dump keeps the rows';
COMMENT ON COLUMN ark.integrity_checks.name IS 'Name of the check';
COMMENT ON COLUMN ark.integrity_checks.category IS 'referential, isolation, validation, consistency, performance, custom';
COMMENT ON COLUMN ark.integrity_checks.description IS 'What it is for';
COMMENT ON COLUMN ark.integrity_checks.sql IS 'Query that returns a row for each violation; null for a ready-made check';
COMMENT ON COLUMN ark.integrity_checks.ready_made IS 'Kind of a ready-made check: which checks it makes is decided by the catalogs when it runs; null: somebody wrote it';
COMMENT ON COLUMN ark.integrity_checks.generated IS 'Whether it is a ready-made one';
COMMENT ON COLUMN ark.integrity_checks.options IS 'Of a ready-made one: schemas, exclude, tenant_column, near_end, bloat, wraparound';
COMMENT ON COLUMN ark.integrity_checks.severity IS 'info, warning: only in the results; error, critical: a run or a drill that finds it does not succeed';
COMMENT ON COLUMN ark.integrity_checks.threshold IS 'Number of violations that are tolerated';
COMMENT ON COLUMN ark.integrity_checks.tables IS 'Tables that it is about, with their schemas';
COMMENT ON COLUMN ark.integrity_checks.database IS 'Where it runs; null: where the extension is';
COMMENT ON COLUMN ark.integrity_checks.enabled IS 'false: it rests';
COMMENT ON COLUMN ark.integrity_checks.runs_on IS 'live, drill (on a restored copy), both';
COMMENT ON COLUMN ark.integrity_checks.timeout IS 'How long it may run; null: as pg_ark.integrity_timeout says';
COMMENT ON COLUMN ark.integrity_checks.created_at IS 'When it was added';
COMMENT ON COLUMN ark.integrity_checks.created_by IS 'Role that added it';

CREATE TABLE ark.critical_functions (
    name text PRIMARY KEY,
    description text,
    sql text NOT NULL,
    expected text,
    predicate text,
    database text,
    timeout interval CONSTRAINT critical_functions_timeout_check CHECK (timeout BETWEEN '1 millisecond' AND '24 hours'),
    enabled boolean NOT NULL DEFAULT true,
    tier text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_by text DEFAULT SESSION_USER
);
COMMENT ON TABLE ark.critical_functions IS 'What the application has to be able to do: queries that a drill runs on the restored server, each in a transaction of its own. pg_dump keeps the rows';
COMMENT ON COLUMN ark.critical_functions.name IS 'Name of the function';
COMMENT ON COLUMN ark.critical_functions.description IS 'What it is for';
COMMENT ON COLUMN ark.critical_functions.sql IS 'Query to run';
COMMENT ON COLUMN ark.critical_functions.expected IS 'What the first column of its first row must be, as text; null: anything';
COMMENT ON COLUMN ark.critical_functions.predicate IS 'Expression over the columns of its result that must be true of every row; null: none';
COMMENT ON COLUMN ark.critical_functions.database IS 'Where it runs; null: where the extension is';
COMMENT ON COLUMN ark.critical_functions.timeout IS 'How long it may run; null: as pg_ark.integrity_timeout says';
COMMENT ON COLUMN ark.critical_functions.enabled IS 'false: it rests';
COMMENT ON COLUMN ark.critical_functions.tier IS 'critical, important, non-critical or a name of yours: critical ones run first';
COMMENT ON COLUMN ark.critical_functions.created_at IS 'When it was added';
COMMENT ON COLUMN ark.critical_functions.created_by IS 'Role that added it';

CREATE TABLE ark.recorded_values (
    name text PRIMARY KEY,
    description text,
    sql text NOT NULL,
    database text,
    timeout interval CONSTRAINT recorded_values_timeout_check CHECK (timeout BETWEEN '1 millisecond' AND '1 hour'),
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    created_by text DEFAULT SESSION_USER
);
COMMENT ON TABLE ark.recorded_values IS 'Queries whose results each backup records, and which a drill asks again of the copy where nothing that they read has changed since. pg_dump keeps the rows';
COMMENT ON COLUMN ark.recorded_values.name IS 'Name of the value';
COMMENT ON COLUMN ark.recorded_values.description IS 'What it is for';
COMMENT ON COLUMN ark.recorded_values.sql IS 'One query, up to 100 rows of whose result are recorded: of tables, the same whenever it is asked, in an order of its own. What it returns is kept in the repository';
COMMENT ON COLUMN ark.recorded_values.database IS 'Where it runs; null: where the extension is';
COMMENT ON COLUMN ark.recorded_values.timeout IS 'How long it may run; null: 10 seconds. pg_ark.census_timeout is for all';
COMMENT ON COLUMN ark.recorded_values.enabled IS 'false: it rests';
COMMENT ON COLUMN ark.recorded_values.created_at IS 'When it was added';
COMMENT ON COLUMN ark.recorded_values.created_by IS 'Role that added it';

CREATE TABLE ark.integrity_runs (
    id uuid PRIMARY KEY,
    category text,
    options jsonb,
    requested_by text,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    status text NOT NULL CONSTRAINT integrity_runs_status_check
        CHECK (status IN ('running', 'completed', 'failed', 'cancelled')),
    success boolean,
    checks bigint,
    passed bigint,
    failed bigint,
    errors bigint,
    skipped bigint,
    error jsonb
);
CREATE INDEX integrity_runs_started_at ON ark.integrity_runs (started_at);
COMMENT ON TABLE ark.integrity_runs IS 'Runs of integrity checks on the live server';
COMMENT ON INDEX ark.integrity_runs_started_at IS 'For the newest runs';
COMMENT ON COLUMN ark.integrity_runs.id IS 'Identity of the run: run_id of its results';
COMMENT ON COLUMN ark.integrity_runs.category IS 'Category that was asked for; null: all';
COMMENT ON COLUMN ark.integrity_runs.options IS 'As given: checks, database, notes';
COMMENT ON COLUMN ark.integrity_runs.requested_by IS 'Role that called';
COMMENT ON COLUMN ark.integrity_runs.started_at IS 'When it began';
COMMENT ON COLUMN ark.integrity_runs.completed_at IS 'When it ended; null while it runs';
COMMENT ON COLUMN ark.integrity_runs.status IS 'running, completed (whatever it found), failed, cancelled';
COMMENT ON COLUMN ark.integrity_runs.success IS 'true: no check of severity error or critical failed, and all of them could run; null: it did not complete';
COMMENT ON COLUMN ark.integrity_runs.checks IS 'Number of results';
COMMENT ON COLUMN ark.integrity_runs.passed IS 'Checks with no more violations than their threshold';
COMMENT ON COLUMN ark.integrity_runs.failed IS 'Checks with more';
COMMENT ON COLUMN ark.integrity_runs.errors IS 'Checks that could not run';
COMMENT ON COLUMN ark.integrity_runs.skipped IS 'Checks that were left out';
COMMENT ON COLUMN ark.integrity_runs.error IS 'Why it did not complete: sqlstate, message, hint';

CREATE TABLE ark.integrity_results (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid,
    check_name text NOT NULL,
    category text,
    severity text,
    object text,
    environment text NOT NULL DEFAULT 'live' CONSTRAINT integrity_results_environment_check
        CHECK (environment IN ('live', 'drill')),
    test_id uuid,
    backup_id text,
    database text,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    duration interval,
    status text NOT NULL CONSTRAINT integrity_results_status_check
        CHECK (status IN ('passed', 'failed', 'error', 'skipped')),
    violations bigint,
    violations_is_lower_bound boolean NOT NULL DEFAULT false,
    samples jsonb,
    error jsonb
);
CREATE INDEX integrity_results_run_id ON ark.integrity_results (run_id);
CREATE INDEX integrity_results_check_name ON ark.integrity_results (check_name, started_at);
CREATE INDEX integrity_results_started_at ON ark.integrity_results (started_at);
COMMENT ON TABLE ark.integrity_results IS 'What came of each check. Samples and errors show data of the tables that were checked: pg_monitor reads ark.integrity_status, which has neither';
COMMENT ON INDEX ark.integrity_results_run_id IS 'For the results of one run';
COMMENT ON INDEX ark.integrity_results_check_name IS 'For the history of one check';
COMMENT ON INDEX ark.integrity_results_started_at IS 'For pg_ark.integrity_retention';
COMMENT ON COLUMN ark.integrity_results.run_id IS 'Row of ark.integrity_runs; null for one of a drill';
COMMENT ON COLUMN ark.integrity_results.check_name IS 'Name in ark.integrity_checks, or in ark.critical_functions';
COMMENT ON COLUMN ark.integrity_results.category IS 'Of the check, then; critical_function for one of these';
COMMENT ON COLUMN ark.integrity_results.severity IS 'Of the check, then';
COMMENT ON COLUMN ark.integrity_results.object IS 'Of a ready-made check: the constraint, index, column or table that it is about';
COMMENT ON COLUMN ark.integrity_results.environment IS 'live, or drill: on a restored copy';
COMMENT ON COLUMN ark.integrity_results.test_id IS 'Row of ark.backup_tests; null for one of the live server';
COMMENT ON COLUMN ark.integrity_results.backup_id IS 'Backup that the copy was restored from';
COMMENT ON COLUMN ark.integrity_results.database IS 'Where it ran';
COMMENT ON COLUMN ark.integrity_results.started_at IS 'When it began';
COMMENT ON COLUMN ark.integrity_results.duration IS 'How long it took, the start of its process included';
COMMENT ON COLUMN ark.integrity_results.status IS 'passed, failed (more violations than the threshold), error (it could not run), skipped (error says why)';
COMMENT ON COLUMN ark.integrity_results.violations IS 'Rows that its query returned; null where it could not run';
COMMENT ON COLUMN ark.integrity_results.violations_is_lower_bound IS 'Whether there are more: no more than 100000 are counted';
COMMENT ON COLUMN ark.integrity_results.samples IS 'The first 10 of them, as JSON';
COMMENT ON COLUMN ark.integrity_results.error IS 'Why it could not run: sqlstate, message, detail, hint';

-- What somebody wrote is kept by pg_dump; what came of it belongs to the server that it was found on.
SELECT pg_catalog.pg_extension_config_dump('ark.integrity_checks', '');
SELECT pg_catalog.pg_extension_config_dump('ark.critical_functions', '');
SELECT pg_catalog.pg_extension_config_dump('ark.recorded_values', '');

-- As which integrity checks run: it reads everything, writes nothing, and nobody can log in as it but a worker of the server.
-- A role of that name that is there already is left as it is.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'ark_checker') THEN
        CREATE ROLE ark_checker LOGIN CONNECTION LIMIT 0 BYPASSRLS IN ROLE pg_read_all_data;
        COMMENT ON ROLE ark_checker IS 'pg_ark: runs integrity checks';
    END IF;
END $$;

CREATE TABLE ark.recovery_objectives (
    tier text PRIMARY KEY CONSTRAINT recovery_objectives_tier_check CHECK (tier <> ''),
    "position" integer NOT NULL DEFAULT 100,
    rpo interval CONSTRAINT recovery_objectives_rpo_check CHECK (rpo > interval '0'),
    rto interval CONSTRAINT recovery_objectives_rto_check CHECK (rto > interval '0'),
    databases text[] NOT NULL DEFAULT '{}',
    schemas text[] NOT NULL DEFAULT '{}',
    tables text[] NOT NULL DEFAULT '{}',
    evidence_age interval NOT NULL DEFAULT '100 days'
        CONSTRAINT recovery_objectives_evidence_age_check CHECK (evidence_age > interval '0'),
    description text NOT NULL DEFAULT '',
    is_example boolean NOT NULL DEFAULT false,
    CONSTRAINT recovery_objectives_some_check CHECK (rpo IS NOT NULL OR rto IS NOT NULL)
);
COMMENT ON TABLE ark.recovery_objectives IS 'How much may be lost and how long a recovery may take, by tiers of what is in the cluster; see ark.recovery_status for what is';
COMMENT ON COLUMN ark.recovery_objectives.tier IS 'Name of the tier';
COMMENT ON COLUMN ark.recovery_objectives."position" IS 'Order of work: the lower, the earlier a drill checks and reports it';
COMMENT ON COLUMN ark.recovery_objectives.rpo IS 'Of the newest changes, so much may be lost; null: no objective';
COMMENT ON COLUMN ark.recovery_objectives.rto IS 'So long may it take until a recovered server answers; null: no objective';
COMMENT ON COLUMN ark.recovery_objectives.databases IS 'Databases that belong to it as a whole';
COMMENT ON COLUMN ark.recovery_objectives.schemas IS 'Schemas, in every database; database.schema: in that one';
COMMENT ON COLUMN ark.recovery_objectives.tables IS 'Tables, as schema.table; database.schema.table: in that database';
COMMENT ON COLUMN ark.recovery_objectives.evidence_age IS 'A drill that is older proves nothing any more';
COMMENT ON COLUMN ark.recovery_objectives.description IS 'What it is for; shown in reports';
COMMENT ON COLUMN ark.recovery_objectives.is_example IS 'As it came with the extension: nothing belongs to it, and it is in no dump. The first change makes it yours';
INSERT INTO ark.recovery_objectives (tier, "position", rpo, rto, description, is_example) VALUES
    ('critical', 10, '15 minutes', '1 hour', 'What the business stands still without', true),
    ('important', 20, '1 hour', '4 hours', 'What can be missed for half a day', true),
    ('non-critical', 30, '24 hours', '48 hours', 'What can be made or entered again', true);
SELECT pg_catalog.pg_extension_config_dump('ark.recovery_objectives', 'WHERE NOT is_example');

CREATE FUNCTION ark.objective_changes() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_objective_changes';
COMMENT ON FUNCTION ark.objective_changes() IS 'A row of one''s own takes the place of an example, when a dump is restored too; a changed example is one no more';
CREATE TRIGGER recovery_objectives_changes BEFORE INSERT OR UPDATE ON ark.recovery_objectives
    FOR EACH ROW EXECUTE FUNCTION ark.objective_changes();

CREATE FUNCTION ark.schedule_interval(p_schedule text) RETURNS interval
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    RETURN CASE p_schedule WHEN 'daily' THEN interval '1 day' WHEN 'weekly' THEN interval '7 days' WHEN 'monthly' THEN interval '1 month'
                           WHEN 'quarterly' THEN interval '3 months' ELSE p_schedule::interval END;
COMMENT ON FUNCTION ark.schedule_interval(text) IS 'daily, weekly, monthly, quarterly, or an interval, as one';

CREATE TABLE ark.drills (
    name text PRIMARY KEY CONSTRAINT drills_name_check CHECK (name <> ''),
    schedule text NOT NULL CONSTRAINT drills_schedule_check
        CHECK (ark.schedule_interval(schedule) >= interval '1 hour' AND pg_catalog.isfinite(ark.schedule_interval(schedule))),
    first_run timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp() CONSTRAINT drills_first_run_check CHECK (pg_catalog.isfinite(first_run)),
    timezone text NOT NULL DEFAULT pg_catalog.current_setting('TimeZone')
        CONSTRAINT drills_timezone_check CHECK ((timestamptz '2000-01-01 00:00:00+00' AT TIME ZONE timezone) IS NOT NULL),
    next_run timestamptz,
    target text NOT NULL DEFAULT 'consistency',
    backup text NOT NULL DEFAULT 'newest' CONSTRAINT drills_backup_check CHECK (backup IN ('newest', 'oldest', 'random')),
    options jsonb NOT NULL DEFAULT '{}' CONSTRAINT drills_options_check CHECK (pg_catalog.jsonb_typeof(options) = 'object'),
    enabled boolean NOT NULL DEFAULT true,
    last_started_at timestamptz,
    last_test_id uuid,
    last_result text CONSTRAINT drills_last_result_check
        CHECK (last_result IN ('running', 'passed', 'failed', 'unknown', 'not_started')),
    last_message text,
    failures integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    created_by text NOT NULL DEFAULT CURRENT_USER
);
COMMENT ON TABLE ark.drills IS 'Drills that pg_ark starts by itself when they are due';
COMMENT ON COLUMN ark.drills.name IS 'Name of the drill';
COMMENT ON COLUMN ark.drills.schedule IS 'daily, weekly, monthly, quarterly, or an interval of an hour or more';
COMMENT ON COLUMN ark.drills.first_run IS 'The runs are counted from here: monthly ones come on this day of the month, or its last';
COMMENT ON COLUMN ark.drills.timezone IS 'Where the days of the schedule begin, so that the hour stays when the clocks change';
COMMENT ON COLUMN ark.drills.next_run IS 'When it is due; one that was missed runs once, when the server is back';
COMMENT ON COLUMN ark.drills.target IS 'consistency, latest, random, or a time, as of ark.start_drill';
COMMENT ON COLUMN ark.drills.backup IS 'newest (that fits the target), oldest, random';
COMMENT ON COLUMN ark.drills.options IS 'Options of ark.start_drill';
COMMENT ON COLUMN ark.drills.enabled IS 'false: it rests';
COMMENT ON COLUMN ark.drills.last_started_at IS 'When it was last begun';
COMMENT ON COLUMN ark.drills.last_test_id IS 'Its row in ark.backup_tests';
COMMENT ON COLUMN ark.drills.last_result IS 'running, passed, failed (damage was found), unknown (nothing is known of the backup), not_started (tried again at retry_at)';
COMMENT ON COLUMN ark.drills.last_message IS 'Why it is unknown or not_started, or that a run was skipped';
COMMENT ON COLUMN ark.drills.failures IS 'Tries to start it that failed, in a row';
COMMENT ON COLUMN ark.drills.retry_at IS 'When it is tried again';
COMMENT ON COLUMN ark.drills.created_by IS 'Role that scheduled it';
SELECT pg_catalog.pg_extension_config_dump('ark.drills', '');

----------------------------------------------------------------------------------------------------
-- Functions that start a job and return
----------------------------------------------------------------------------------------------------

CREATE FUNCTION ark.create_manual_backup(p_reason text, p_created_by uuid DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_create_manual_backup';
COMMENT ON FUNCTION ark.create_manual_backup(text, uuid) IS 'Starts a full backup and returns its id once its row in ark.backup_log can be seen by everybody; the backup goes on even where the caller''s transaction rolls back';

CREATE FUNCTION ark.start_backup(p_type text DEFAULT 'full', p_reason text DEFAULT '', p_options jsonb DEFAULT '{}') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_start_backup';
COMMENT ON FUNCTION ark.start_backup(text, text, jsonb) IS 'Starts a full, incremental (on the newest backup) or differential (on the newest full one) backup and returns its id; options: created_by, jobs, compression_level, audit_fraction';

CREATE FUNCTION ark.compact_backup(p_backup_id text, p_options jsonb DEFAULT '{}') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_compact_backup';
COMMENT ON FUNCTION ark.compact_backup(text, jsonb) IS 'Starts making a full backup of an incremental one and those that it builds on, inside the repository, and returns its id; options: created_by, jobs, compression_level';

CREATE FUNCTION ark.cancel_backup(p_backup_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_cancel_backup';
COMMENT ON FUNCTION ark.cancel_backup(text) IS 'Asks a running backup to stop; false where it has ended already';

CREATE FUNCTION ark.start_restore_test(p_backup_id text, p_options jsonb DEFAULT '{}') RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_start_restore_test';
COMMENT ON FUNCTION ark.start_restore_test(text, jsonb) IS 'Starts a restore test and returns the id of its row in ark.backup_tests; options: tested_by, jobs, notes';

CREATE FUNCTION ark.start_drill(p_backup_id text DEFAULT NULL, p_target text DEFAULT 'consistency', p_options jsonb DEFAULT '{}') RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_start_drill';
COMMENT ON FUNCTION ark.start_drill(text, text, jsonb) IS 'Starts a drill and returns the id of its row in ark.backup_tests. p_backup_id null: the newest that leads to the target; p_target: consistency, latest, random, or a time; options: checks (array of names), seed, tested_by, jobs, notes';

CREATE FUNCTION ark.cancel_restore_test(p_test_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_cancel_restore_test';
COMMENT ON FUNCTION ark.cancel_restore_test(uuid) IS 'Asks a running restore test, drill or verification to stop; false where it has ended already';

CREATE FUNCTION ark.adopt() RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_adopt';
COMMENT ON FUNCTION ark.adopt() IS 'Tells a restored cluster that it has taken the original''s place: archiving goes on, and a full backup is started, whose id is returned';

CREATE FUNCTION ark.run_integrity_checks(p_category text DEFAULT NULL, p_options jsonb DEFAULT '{}') RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_run_integrity_checks';
COMMENT ON FUNCTION ark.run_integrity_checks(text, jsonb) IS 'Starts the checks of ark.integrity_checks on the live server, of one category or all, and returns the run''s id; results come into ark.integrity_results, the end into ark.integrity_runs. Options: checks (names), database, notes';

CREATE FUNCTION ark.cancel_integrity_run(p_run_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_cancel_integrity_run';
COMMENT ON FUNCTION ark.cancel_integrity_run(uuid) IS 'Asks a run of integrity checks to stop; false where it has ended already';

----------------------------------------------------------------------------------------------------
-- What is checked
----------------------------------------------------------------------------------------------------

CREATE FUNCTION ark.add_integrity_check(p_name text, p_category text, p_sql text, p_severity text DEFAULT 'error', p_threshold bigint DEFAULT 0, p_tables text[] DEFAULT '{}', p_options jsonb DEFAULT '{}') RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_add_integrity_check';
COMMENT ON FUNCTION ark.add_integrity_check(text, text, text, text, bigint, text[], jsonb) IS 'Adds a query that returns a row for each violation; it is parsed, and not run. Options: description, database, enabled, runs_on (live, drill, both), timeout, replace';

CREATE FUNCTION ark.remove_integrity_check(p_name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_remove_integrity_check';
COMMENT ON FUNCTION ark.remove_integrity_check(text) IS 'Removes an integrity check; its results stay';

CREATE FUNCTION ark.add_ready_made_checks(p_schemas text[] DEFAULT NULL, p_options jsonb DEFAULT '{}') RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_add_ready_made_checks';
COMMENT ON FUNCTION ark.add_ready_made_checks(text[], jsonb) IS 'Adds the checks that need no writing, for all schemas of a database or some, and returns how many kinds; called again it changes their schemas and options. Options: kinds, exclude, tenant_column, near_end, bloat, database, enabled, timeout';

CREATE FUNCTION ark.add_critical_function(p_name text, p_sql text, p_expected text DEFAULT NULL, p_options jsonb DEFAULT '{}') RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_add_critical_function';
COMMENT ON FUNCTION ark.add_critical_function(text, text, text, jsonb) IS 'Adds a query that drills run on the restored server, and what it must return; it is parsed, and not run. Options: description, predicate, database, tier, enabled, timeout, replace';

CREATE FUNCTION ark.remove_critical_function(p_name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_remove_critical_function';
COMMENT ON FUNCTION ark.remove_critical_function(text) IS 'Removes a critical function; its results stay';

----------------------------------------------------------------------------------------------------
-- Functions that wait. Their snapshot holds VACUUM back until they return; cancelling one ends the job.
----------------------------------------------------------------------------------------------------

CREATE FUNCTION ark.test_backup_restoration(p_backup_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_test_backup_restoration';
COMMENT ON FUNCTION ark.test_backup_restoration(text) IS 'Restores a backup to a scratch server and questions it: true where nothing is wrong, false where damage was found; an error where nothing is known. Waits; the row is in ark.backup_tests';

CREATE FUNCTION ark.verify_backup(p_backup_id text, p_options jsonb DEFAULT '{}') RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_verify_backup';
COMMENT ON FUNCTION ark.verify_backup(text, jsonb) IS 'Reads a backup and its WAL back from the repository and checks every checksum; returns the id of its row in ark.backup_verification. Waits unless options say {"wait": false}; what was verified within pg_ark.verify_freshness is read again where they say {"full": true}; others: tested_by, jobs, notes';

CREATE FUNCTION ark.audit_backup(p_backup_id text, p_options jsonb DEFAULT '{}') RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_audit_backup';
COMMENT ON FUNCTION ark.audit_backup(text, jsonb) IS 'Reads every block that an incremental backup calls unchanged, here in the data directory, and holds its LSN against that; returns the id of its row in ark.backup_verification. A backup with a miss is no parent any more. Waits unless options say {"wait": false}; others: tested_by, jobs, notes';

----------------------------------------------------------------------------------------------------
-- Procedures that wait. They commit while they wait, so they cannot pin their search_path: their code
-- names every object with its schema.
----------------------------------------------------------------------------------------------------

CREATE PROCEDURE ark.backup(p_type text DEFAULT 'full', p_reason text DEFAULT '', p_options jsonb DEFAULT '{}', INOUT p_backup_id text DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'pg_ark_backup';
COMMENT ON PROCEDURE ark.backup(text, text, jsonb, text) IS 'Takes a backup and waits for its end, telling its progress; returns the id, or the error that the backup ended with';

CREATE PROCEDURE ark.wait_for_backup(p_backup_id text, p_timeout interval DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'pg_ark_wait_for_backup';
COMMENT ON PROCEDURE ark.wait_for_backup(text, interval) IS 'Waits for the end of a backup; an error where it failed or the time is over. Cancelling the wait leaves the backup running';

CREATE PROCEDURE ark.restore_test(p_backup_id text, p_options jsonb DEFAULT '{}', INOUT p_test_id uuid DEFAULT NULL, INOUT p_success boolean DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'pg_ark_restore_test';
COMMENT ON PROCEDURE ark.restore_test(text, jsonb, uuid, boolean) IS 'Does a restore test and waits for its end, telling its progress; returns the id of its row in ark.backup_tests and what came out. Cancelling the call ends the test';

CREATE PROCEDURE ark.check_integrity(p_category text DEFAULT NULL, p_options jsonb DEFAULT '{}', INOUT p_run_id uuid DEFAULT NULL, INOUT p_success boolean DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'pg_ark_check_integrity';
COMMENT ON PROCEDURE ark.check_integrity(text, jsonb, uuid, boolean) IS 'Runs integrity checks and waits for their end, telling the progress; returns the run''s id and whether nothing of severity error or critical was found. Cancelling the call ends the run';

CREATE PROCEDURE ark.drill(p_backup_id text DEFAULT NULL, p_target text DEFAULT 'consistency', p_options jsonb DEFAULT '{}', INOUT p_test_id uuid DEFAULT NULL, INOUT p_success boolean DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'pg_ark_drill';
COMMENT ON PROCEDURE ark.drill(text, text, jsonb, uuid, boolean) IS 'Does a drill (see ark.start_drill) and waits for its end, telling its progress; returns the id of its row in ark.backup_tests and what came out. Cancelling the call ends the drill';

----------------------------------------------------------------------------------------------------
-- State
----------------------------------------------------------------------------------------------------

CREATE FUNCTION ark.preflight(OUT name text, OUT ok boolean, OUT detail text, OUT hint text) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_preflight';
COMMENT ON FUNCTION ark.preflight() IS 'One row for everything that has to be right for backups, with what was found and what to do';

CREATE FUNCTION ark.running_backups(
    OUT backup_id text, OUT phase text, OUT requested_at timestamptz, OUT copy_started_at timestamptz,
    OUT updated_at timestamptz, OUT files bigint, OUT files_total bigint, OUT bytes bigint,
    OUT bytes_total bigint, OUT stored_bytes bigint, OUT corrupt_pages bigint, OUT segment text,
    OUT cancel_requested boolean, OUT worker_pid integer) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_running_backups';
COMMENT ON FUNCTION ark.running_backups() IS 'Running backups as shared memory knows them; see the view ark.backup_progress';

CREATE VIEW ark.backup_progress AS
    SELECT r.backup_id, r.phase, r.files, r.files_total, r.bytes AS bytes_done,
           r.bytes_total AS bytes_expected, r.stored_bytes,
           CASE WHEN r.bytes_total > 0 THEN pg_catalog.round(100.0 * r.bytes / r.bytes_total, 1) END AS percent,
           CASE WHEN t.seconds > 0 THEN (r.bytes / t.seconds)::bigint END AS bytes_per_second,
           CASE WHEN t.seconds > 0 AND r.bytes > 0 AND r.phase = 'copying'
                THEN pg_catalog.make_interval(secs => pg_catalog.round(
                     (GREATEST(r.bytes_total - r.bytes, 0) * t.seconds / r.bytes)::numeric)::double precision)
           END AS time_left,
           r.segment, r.corrupt_pages, r.requested_at AS started_at, r.updated_at, r.cancel_requested, r.worker_pid
    FROM ark.running_backups() AS r
    CROSS JOIN LATERAL (SELECT EXTRACT(epoch FROM r.updated_at - r.copy_started_at)::double precision AS seconds) AS t;
COMMENT ON VIEW ark.backup_progress IS 'Running backups: how far, how fast, how long still';
COMMENT ON COLUMN ark.backup_progress.backup_id IS 'Id of the backup';
COMMENT ON COLUMN ark.backup_progress.phase IS 'starting, opening, preparing, checkpoint, listing, copying, stopping, waiting_for_wal, finishing';
COMMENT ON COLUMN ark.backup_progress.files IS 'Files copied';
COMMENT ON COLUMN ark.backup_progress.files_total IS 'Files to copy';
COMMENT ON COLUMN ark.backup_progress.bytes_done IS 'Bytes read';
COMMENT ON COLUMN ark.backup_progress.bytes_expected IS 'Bytes to read';
COMMENT ON COLUMN ark.backup_progress.stored_bytes IS 'Bytes written to the repository';
COMMENT ON COLUMN ark.backup_progress.percent IS 'bytes_done of bytes_expected';
COMMENT ON COLUMN ark.backup_progress.bytes_per_second IS 'Bytes read a second, on average since copying began';
COMMENT ON COLUMN ark.backup_progress.time_left IS 'Until all is copied, at that rate';
COMMENT ON COLUMN ark.backup_progress.segment IS 'WAL segment that is waited for';
COMMENT ON COLUMN ark.backup_progress.corrupt_pages IS 'Pages with a wrong checksum so far';
COMMENT ON COLUMN ark.backup_progress.started_at IS 'When the backup was asked for';
COMMENT ON COLUMN ark.backup_progress.updated_at IS 'When the figures were last reported';
COMMENT ON COLUMN ark.backup_progress.cancel_requested IS 'Whether ark.cancel_backup was called';
COMMENT ON COLUMN ark.backup_progress.worker_pid IS 'Process id of the background worker';

CREATE FUNCTION ark.running_tests(
    OUT test_id uuid, OUT backup_id text, OUT kind text, OUT phase text, OUT doing text,
    OUT done bigint, OUT total bigint, OUT requested_at timestamptz, OUT updated_at timestamptz,
    OUT cancel_requested boolean, OUT worker_pid integer) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 2 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_running_tests';
COMMENT ON FUNCTION ark.running_tests() IS 'Running restore tests, verifications and runs of integrity checks as shared memory knows them; see the view ark.test_progress';

CREATE VIEW ark.test_progress AS
    SELECT r.test_id, r.backup_id, r.kind, r.phase, r.doing, r.done, r.total,
           CASE WHEN r.total > 0 THEN pg_catalog.round(100.0 * LEAST(r.done, r.total) / r.total, 1) END AS percent,
           r.requested_at AS started_at, r.updated_at, r.cancel_requested, r.worker_pid
    FROM ark.running_tests() AS r;
COMMENT ON VIEW ark.test_progress IS 'Running restore tests, drills, verifications and runs of integrity checks: what they are at, how far';
COMMENT ON COLUMN ark.test_progress.test_id IS 'Id of its row in ark.backup_tests, of a verification in ark.backup_verification, of integrity checks in ark.integrity_runs';
COMMENT ON COLUMN ark.test_progress.backup_id IS 'Backup that is tested; null for integrity checks, and for a drill that has not chosen yet';
COMMENT ON COLUMN ark.test_progress.kind IS 'restore_test, drill, verification, integrity';
COMMENT ON COLUMN ark.test_progress.phase IS 'starting, waiting (for its turn), opening; of a restore test preparing, restoring, verifying_files, recovering, asking, checking_pages, checking, cleaning; of a verification marker, packs, files, manifest, wal; of integrity checks running';
COMMENT ON COLUMN ark.test_progress.doing IS 'What it is at';
COMMENT ON COLUMN ark.test_progress.done IS 'Done in this phase: bytes, or relations when checking, or integrity checks';
COMMENT ON COLUMN ark.test_progress.total IS 'To do in this phase';
COMMENT ON COLUMN ark.test_progress.percent IS 'done of total';
COMMENT ON COLUMN ark.test_progress.started_at IS 'When it was asked for';
COMMENT ON COLUMN ark.test_progress.updated_at IS 'When it last reported';
COMMENT ON COLUMN ark.test_progress.cancel_requested IS 'Whether it was told to stop';
COMMENT ON COLUMN ark.test_progress.worker_pid IS 'Process id of the background worker';

CREATE VIEW ark.integrity_status AS
    SELECT DISTINCT ON (r.environment, r.database, r.check_name, r.object) r.check_name, r.object, r.category, r.severity, r.environment,
           r.database, r.status, r.violations, r.violations_is_lower_bound, r.error ->> 'sqlstate' AS sqlstate, r.started_at, r.duration,
           r.run_id, r.test_id, r.backup_id
    FROM ark.integrity_results AS r
    ORDER BY r.environment, r.database, r.check_name, r.object, r.started_at DESC, r.id DESC;
COMMENT ON VIEW ark.integrity_status IS 'The newest result of each check, live and in drills, without the data that it found';
COMMENT ON COLUMN ark.integrity_status.check_name IS 'Name of the check';
COMMENT ON COLUMN ark.integrity_status.object IS 'What a ready-made check is about';
COMMENT ON COLUMN ark.integrity_status.category IS 'Its category, then';
COMMENT ON COLUMN ark.integrity_status.severity IS 'Its severity, then';
COMMENT ON COLUMN ark.integrity_status.environment IS 'live, or drill: on a restored copy';
COMMENT ON COLUMN ark.integrity_status.database IS 'Where it ran';
COMMENT ON COLUMN ark.integrity_status.status IS 'passed, failed, error, skipped';
COMMENT ON COLUMN ark.integrity_status.violations IS 'Number of violations; null where it could not run';
COMMENT ON COLUMN ark.integrity_status.violations_is_lower_bound IS 'Whether there are more';
COMMENT ON COLUMN ark.integrity_status.sqlstate IS 'Why it could not run; the message is in ark.integrity_results';
COMMENT ON COLUMN ark.integrity_status.started_at IS 'When it began';
COMMENT ON COLUMN ark.integrity_status.duration IS 'How long it took';
COMMENT ON COLUMN ark.integrity_status.run_id IS 'Run of the live server that it belongs to';
COMMENT ON COLUMN ark.integrity_status.test_id IS 'Drill that it belongs to';
COMMENT ON COLUMN ark.integrity_status.backup_id IS 'Backup that the drill restored';

CREATE FUNCTION ark.archiver_state(
    OUT last_file text, OUT last_stored_at timestamptz, OUT stored_count bigint, OUT ahead bigint,
    OUT failing_file text, OUT failing_since timestamptz, OUT tries bigint, OUT failed_count bigint,
    OUT last_failed_at timestamptz, OUT error_sqlstate text, OUT error_message text,
    OUT error_detail text, OUT error_hint text) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_archiver_state';
COMMENT ON FUNCTION ark.archiver_state() IS 'The archiver as shared memory knows it; see the view ark.archiver_status';

CREATE VIEW ark.archiver_status AS SELECT * FROM ark.archiver_state();
COMMENT ON VIEW ark.archiver_status IS 'One row: what the archive module last did, since the start of the server';
COMMENT ON COLUMN ark.archiver_status.last_file IS 'Last WAL file that is durable in the repository';
COMMENT ON COLUMN ark.archiver_status.last_stored_at IS 'When that was known';
COMMENT ON COLUMN ark.archiver_status.stored_count IS 'Files archived';
COMMENT ON COLUMN ark.archiver_status.ahead IS 'Segments stored already that the server has not asked for yet';
COMMENT ON COLUMN ark.archiver_status.failing_file IS 'File that cannot be archived now';
COMMENT ON COLUMN ark.archiver_status.failing_since IS 'null: archiving works';
COMMENT ON COLUMN ark.archiver_status.tries IS 'Failed tries since failing_since';
COMMENT ON COLUMN ark.archiver_status.failed_count IS 'All failed tries';
COMMENT ON COLUMN ark.archiver_status.last_failed_at IS 'Time of the last failed try';
COMMENT ON COLUMN ark.archiver_status.error_sqlstate IS 'SQLSTATE of the error that lasts';
COMMENT ON COLUMN ark.archiver_status.error_message IS 'Its message';
COMMENT ON COLUMN ark.archiver_status.error_detail IS 'Its detail';
COMMENT ON COLUMN ark.archiver_status.error_hint IS 'What to do';

CREATE FUNCTION ark.audit_state(
    OUT waiting_bytes bigint, OUT lost bigint, OUT last_written_at timestamptz, OUT failures bigint,
    OUT error_sqlstate text, OUT error_message text, OUT last_mirrored_at timestamptz,
    OUT mirror_failures bigint, OUT mirror_error_sqlstate text, OUT mirror_error_message text, OUT unmirrored bigint) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_audit_state';
COMMENT ON FUNCTION ark.audit_state() IS 'How ark.audit_log is written; see the view ark.audit_status';

CREATE VIEW ark.audit_status AS SELECT * FROM ark.audit_state();
COMMENT ON VIEW ark.audit_status IS 'One row: whether ark.audit_log has everything, and the repository too';
COMMENT ON COLUMN ark.audit_status.last_mirrored_at IS 'When nothing was left to put into the repository, since the start of the server';
COMMENT ON COLUMN ark.audit_status.mirror_failures IS 'Tries to put entries into the repository that failed, in a row';
COMMENT ON COLUMN ark.audit_status.mirror_error_sqlstate IS 'SQLSTATE of the last of them';
COMMENT ON COLUMN ark.audit_status.mirror_error_message IS 'Its message';
COMMENT ON COLUMN ark.audit_status.unmirrored IS 'Entries that the repository does not have yet; null: not counted, since somebody has the table locked';
COMMENT ON COLUMN ark.audit_status.waiting_bytes IS 'Entries that are on their way into the table; more than a moment of it means that they cannot be written';
COMMENT ON COLUMN ark.audit_status.lost IS 'Entries that had no room, and are not yet in the table as such';
COMMENT ON COLUMN ark.audit_status.last_written_at IS 'When a writer last ended well, since the start of the server';
COMMENT ON COLUMN ark.audit_status.failures IS 'Writers that failed, in a row';
COMMENT ON COLUMN ark.audit_status.error_sqlstate IS 'SQLSTATE of the last failure; null where the last writer ended well';
COMMENT ON COLUMN ark.audit_status.error_message IS 'Its message';

CREATE FUNCTION ark.wal_state(
    OUT state text, OUT mode text, OUT timeline bigint, OUT durable_lsn pg_catalog.pg_lsn, OUT durable_at timestamptz,
    OUT flush_lsn pg_catalog.pg_lsn, OUT unprotected_bytes bigint, OUT unprotected interval, OUT missing_segment text,
    OUT segments_waiting bigint, OUT last_archived text, OUT last_archived_at timestamptz,
    OUT pieces_per_minute double precision, OUT segments_per_minute double precision, OUT retries bigint,
    OUT error_sqlstate text, OUT error_message text, OUT error_detail text, OUT error_hint text,
    OUT error_at timestamptz, OUT wal_bytes bigint, OUT wal_growth bigint, OUT wal_free_bytes bigint,
    OUT until_full interval, OUT worker_pid integer, OUT child_pid integer, OUT walsender_pid integer) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_wal_state';
COMMENT ON FUNCTION ark.wal_state() IS 'WAL on its way to the repository, as shared memory knows it; see the view ark.wal_status';

CREATE VIEW ark.wal_status AS SELECT * FROM ark.wal_state();
COMMENT ON VIEW ark.wal_status IS 'One row: how much WAL is in the repository, what would be lost now, and how long pg_wal has room';
COMMENT ON COLUMN ark.wal_status.state IS 'streaming, catching_up (waits for the archiver), gap (WAL is missing in the repository), retrying, starting, stopped (tries again later); off, not_archiving, clone, no_repository, standby, not_running';
COMMENT ON COLUMN ark.wal_status.mode IS 'sync: commits wait until their WAL is in the repository; async; null: not connected';
COMMENT ON COLUMN ark.wal_status.timeline IS 'Timeline of this server; null on a standby';
COMMENT ON COLUMN ark.wal_status.durable_lsn IS 'All WAL up to here can be read back from the repository; null: not known';
COMMENT ON COLUMN ark.wal_status.durable_at IS 'When the last piece was stored';
COMMENT ON COLUMN ark.wal_status.flush_lsn IS 'Up to here WAL is on this server''s disk';
COMMENT ON COLUMN ark.wal_status.unprotected_bytes IS 'WAL that would be lost if this server were lost now, in bytes';
COMMENT ON COLUMN ark.wal_status.unprotected IS 'How long the oldest of it has been there, to a second or so; 0: nothing would be lost';
COMMENT ON COLUMN ark.wal_status.missing_segment IS 'First WAL segment that the newest backup needs and nobody has any more; take a full backup';
COMMENT ON COLUMN ark.wal_status.segments_waiting IS 'Finished WAL segments that are not archived yet';
COMMENT ON COLUMN ark.wal_status.last_archived IS 'Last WAL file that is durable as a whole, since the start of the server';
COMMENT ON COLUMN ark.wal_status.last_archived_at IS 'When that was known';
COMMENT ON COLUMN ark.wal_status.pieces_per_minute IS 'Pieces of segments stored in the last minute';
COMMENT ON COLUMN ark.wal_status.segments_per_minute IS 'Files archived in the last minute';
COMMENT ON COLUMN ark.wal_status.retries IS 'Requests of the streaming process that had to be repeated, since the start of the server';
COMMENT ON COLUMN ark.wal_status.error_sqlstate IS 'SQLSTATE of the last error of streaming, also where it is over; state tells what is now';
COMMENT ON COLUMN ark.wal_status.error_message IS 'Its message';
COMMENT ON COLUMN ark.wal_status.error_detail IS 'Its detail';
COMMENT ON COLUMN ark.wal_status.error_hint IS 'What to do';
COMMENT ON COLUMN ark.wal_status.error_at IS 'When it was last met';
COMMENT ON COLUMN ark.wal_status.wal_bytes IS 'Size of pg_wal, in bytes of whole segments';
COMMENT ON COLUMN ark.wal_status.wal_growth IS 'How fast pg_wal grew over the last five minutes, in bytes a second';
COMMENT ON COLUMN ark.wal_status.wal_free_bytes IS 'Room that is left on its file system, in bytes';
COMMENT ON COLUMN ark.wal_status.until_full IS 'When it is full at that rate; null: it does not grow, or no more than max_wal_size allows while nothing waits';
COMMENT ON COLUMN ark.wal_status.worker_pid IS 'Process id of the WAL worker';
COMMENT ON COLUMN ark.wal_status.child_pid IS 'Process id of the streaming process';
COMMENT ON COLUMN ark.wal_status.walsender_pid IS 'Its row in pg_stat_replication; null: not connected';

CREATE FUNCTION ark.change_state(
    OUT state text, OUT timeline bigint, OUT lsn pg_catalog.pg_lsn, OUT behind_bytes bigint, OUT behind_since timestamptz,
    OUT tables bigint, OUT segments bigint, OUT wal_bytes bigint, OUT gaps bigint, OUT last_gap text,
    OUT since_lsn pg_catalog.pg_lsn, OUT changed_relations bigint, OUT changed_blocks bigint, OUT changed_bytes bigint,
    OUT cpu_seconds double precision, OUT cpu_per_segment double precision, OUT audit_misses bigint,
    OUT error_sqlstate text, OUT error_message text, OUT error_detail text, OUT error_hint text, OUT error_at timestamptz,
    OUT child_pid integer) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_change_state';
COMMENT ON FUNCTION ark.change_state() IS 'How the tracking of changed blocks fares, as shared memory knows it; see the view ark.change_tracking';

CREATE VIEW ark.change_tracking AS SELECT * FROM ark.change_state();
COMMENT ON VIEW ark.change_tracking IS 'One row: how far the tracking of changed blocks is, what it missed, what it costs, and how much an incremental backup would hold now';
COMMENT ON COLUMN ark.change_tracking.state IS 'tracking (it keeps up), reading (it is behind), retrying (the repository is away), starting, stopped (tries again later); off, not_archiving, clone, no_repository, standby, not_running';
COMMENT ON COLUMN ark.change_tracking.timeline IS 'Timeline of this server; null before it has begun';
COMMENT ON COLUMN ark.change_tracking.lsn IS 'WAL before it was read; whole segments are';
COMMENT ON COLUMN ark.change_tracking.behind_bytes IS 'WAL behind that, in bytes: up to a segment is usual';
COMMENT ON COLUMN ark.change_tracking.behind_since IS 'Since when more than the newest segment is not read; null: it keeps up';
COMMENT ON COLUMN ark.change_tracking.tables IS 'Change tables stored, since the start of the server';
COMMENT ON COLUMN ark.change_tracking.segments IS 'WAL segments read, since the start of the server';
COMMENT ON COLUMN ark.change_tracking.wal_bytes IS 'Bytes of WAL in them';
COMMENT ON COLUMN ark.change_tracking.gaps IS 'Stretches of WAL that it could not read, since the start of the server; a backup whose parent began before one is a full backup';
COMMENT ON COLUMN ark.change_tracking.last_gap IS 'The last one, and why';
COMMENT ON COLUMN ark.change_tracking.since_lsn IS 'Where the newest backup begins, since which the next three count; null: there is none, or it cannot be told';
COMMENT ON COLUMN ark.change_tracking.changed_relations IS 'Relations that changed since then';
COMMENT ON COLUMN ark.change_tracking.changed_blocks IS 'Blocks of tables and indexes that changed since then; looked at every 10 seconds';
COMMENT ON COLUMN ark.change_tracking.changed_bytes IS 'The same in bytes, uncompressed: what an incremental backup would hold now, besides the files that it holds as a whole';
COMMENT ON COLUMN ark.change_tracking.cpu_seconds IS 'CPU time of the tracking processes, since the start of the server';
COMMENT ON COLUMN ark.change_tracking.cpu_per_segment IS 'CPU seconds that reading one WAL segment took';
COMMENT ON COLUMN ark.change_tracking.audit_misses IS 'Pages that a backup''s audit found changed although no table said so, since the start of the server: 0, or a bug';
COMMENT ON COLUMN ark.change_tracking.error_sqlstate IS 'SQLSTATE of the last error, also where it is over; state tells what is now';
COMMENT ON COLUMN ark.change_tracking.error_message IS 'Its message';
COMMENT ON COLUMN ark.change_tracking.error_detail IS 'Its detail';
COMMENT ON COLUMN ark.change_tracking.error_hint IS 'What to do';
COMMENT ON COLUMN ark.change_tracking.error_at IS 'When it was last met';
COMMENT ON COLUMN ark.change_tracking.child_pid IS 'Process id of the tracking process';

CREATE FUNCTION ark.find_wal_gaps(
    OUT timeline bigint, OUT first_segment text, OUT last_segment text, OUT start_lsn pg_catalog.pg_lsn,
    OUT end_lsn pg_catalog.pg_lsn, OUT segments bigint, OUT bytes bigint, OUT backups text[],
    OUT in_pg_wal boolean) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_find_wal_gaps';
COMMENT ON FUNCTION ark.find_wal_gaps() IS 'Asks the repository which WAL is missing; see the view ark.wal_gaps';

CREATE VIEW ark.wal_gaps AS SELECT * FROM ark.find_wal_gaps();
COMMENT ON VIEW ark.wal_gaps IS 'WAL that is missing in the repository and that some backup needs to reach the newest moment. Asks the repository: seconds. What waits for the archiver is not missing';
COMMENT ON COLUMN ark.wal_gaps.timeline IS 'Timeline of the missing segments';
COMMENT ON COLUMN ark.wal_gaps.first_segment IS 'First missing WAL segment';
COMMENT ON COLUMN ark.wal_gaps.last_segment IS 'Last missing WAL segment: all between them are missing too';
COMMENT ON COLUMN ark.wal_gaps.start_lsn IS 'Where the first one begins: recovery gets no further';
COMMENT ON COLUMN ark.wal_gaps.end_lsn IS 'Where the last one ends';
COMMENT ON COLUMN ark.wal_gaps.segments IS 'Number of segments';
COMMENT ON COLUMN ark.wal_gaps.bytes IS 'Bytes of WAL';
COMMENT ON COLUMN ark.wal_gaps.backups IS 'Backups that cannot recover past it, oldest first, at most 2000';
COMMENT ON COLUMN ark.wal_gaps.in_pg_wal IS 'Whether this server has all of it in pg_wal still: then it can be put into the repository';

CREATE FUNCTION ark.find_recoverable_ranges(
    OUT timeline bigint, OUT from_time timestamptz, OUT from_lsn pg_catalog.pg_lsn, OUT until_time timestamptz,
    OUT until_lsn pg_catalog.pg_lsn, OUT wal_end pg_catalog.pg_lsn, OUT first_backup text, OUT last_backup text,
    OUT backups bigint, OUT is_open boolean) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_find_recoverable_ranges';
COMMENT ON FUNCTION ark.find_recoverable_ranges() IS 'Asks the repository to which moments one can recover; see the view ark.recoverable_ranges';

CREATE VIEW ark.recoverable_ranges AS SELECT * FROM ark.find_recoverable_ranges();
COMMENT ON VIEW ark.recoverable_ranges IS 'From which moment to which moment one can recover, a row for each timeline and unbroken range of WAL. Asks the repository: seconds';
COMMENT ON COLUMN ark.recoverable_ranges.timeline IS 'Timeline that recovery follows to its end; ranges that lie in another timeline''s as a whole are left out';
COMMENT ON COLUMN ark.recoverable_ranges.from_time IS 'When the first backup ended: recovery can stop then or later';
COMMENT ON COLUMN ark.recoverable_ranges.from_lsn IS 'Where that was: the first consistent position';
COMMENT ON COLUMN ark.recoverable_ranges.until_time IS 'When the last transaction in the archived WAL ended, or the last backup where none did since; null: not found in the last GB of WAL, or that is damaged';
COMMENT ON COLUMN ark.recoverable_ranges.until_lsn IS 'Where that was';
COMMENT ON COLUMN ark.recoverable_ranges.wal_end IS 'Where the archived WAL ends: all before it comes back with --target latest';
COMMENT ON COLUMN ark.recoverable_ranges.first_backup IS 'Oldest backup of the range';
COMMENT ON COLUMN ark.recoverable_ranges.last_backup IS 'Newest backup of the range';
COMMENT ON COLUMN ark.recoverable_ranges.backups IS 'Number of backups that lead through the range';
COMMENT ON COLUMN ark.recoverable_ranges.is_open IS 'Whether the range grows: this server archives what follows without a gap';

CREATE FUNCTION ark.can_recover(
    p_target timestamptz, OUT possible boolean, OUT detail text, OUT hint text, OUT backup_id text,
    OUT timeline bigint, OUT last_transaction_at timestamptz, OUT next_transaction_at timestamptz,
    OUT wal_segments bigint, OUT wal_bytes bigint, OUT backup_bytes bigint, OUT fetch_bytes bigint,
    OUT restore_time interval, OUT replay_time interval, OUT estimated_time interval)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_can_recover';
COMMENT ON FUNCTION ark.can_recover(timestamptz) IS 'Whether pg_ark restore --target-time would get there, from which backup, between which transactions it stops, how many bytes it fetches, and how long it should take by the last restore tests (null: none tells)';

CREATE FUNCTION ark.known_backup(p_backup_id text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_known_backup';
COMMENT ON FUNCTION ark.known_backup(text) IS 'The id itself; an error where ark.backup_log has no such backup';

CREATE FUNCTION ark.backup_chain(
    p_backup_id text, OUT "position" int, OUT backup_id text, OUT type text, OUT status text, OUT started_at timestamptz,
    OUT start_lsn pg_catalog.pg_lsn, OUT stop_lsn pg_catalog.pg_lsn, OUT changed_blocks bigint, OUT stored_bytes bigint)
    RETURNS SETOF record LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE chain AS (
        SELECT 1 AS depth, ark.known_backup(p_backup_id) AS id
        UNION ALL
        SELECT chain.depth + 1, log.parent FROM chain JOIN ark.backup_log AS log ON log.backup_id = chain.id
        WHERE log.parent IS NOT NULL AND chain.depth < 10000)
    SELECT (pg_catalog.row_number() OVER (ORDER BY chain.depth DESC))::int, chain.id,
           CASE WHEN log.parent IS NULL THEN CASE WHEN log.status = 'completed' THEN 'full'
                                                  WHEN log.status IN ('failed', 'cancelled') THEN 'unfinished' END
                WHEN log.backup_type = 'differential' THEN 'differential' ELSE 'incremental' END,
           COALESCE(log.status, 'missing'), log.started_at, log.start_lsn, log.stop_lsn, log.changed_blocks, log.stored_bytes
    FROM chain LEFT JOIN ark.backup_log AS log ON log.backup_id = chain.id
    ORDER BY chain.depth DESC;
END;
COMMENT ON FUNCTION ark.backup_chain(text) IS 'The backups that it takes to restore this one, the full one first, this one last; status is missing where ark.backup_log does not know one';

----------------------------------------------------------------------------------------------------
-- Recovery objectives and scheduled drills
----------------------------------------------------------------------------------------------------

CREATE FUNCTION ark.set_recovery_objective(
    p_tier text, p_rpo interval DEFAULT NULL, p_rto interval DEFAULT NULL, p_tables text[] DEFAULT NULL,
    p_schemas text[] DEFAULT NULL, p_databases text[] DEFAULT NULL, p_position integer DEFAULT NULL,
    p_description text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_set_recovery_objective';
COMMENT ON FUNCTION ark.set_recovery_objective(text, interval, interval, text[], text[], text[], integer, text) IS 'Makes or changes a tier in ark.recovery_objectives; what is null stays as it is. The tiers critical (15 min / 1 h), important (1 h / 4 h) and non-critical (24 h / 48 h) are there as examples';

CREATE FUNCTION ark.name_parts(p_name text) RETURNS text[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN p_name ~ '^\s*("([^"]|"")+"|[[:alpha:]_\u0080-\uffff][[:alnum:]_$\u0080-\uffff]*)(\.("([^"]|"")+"|[[:alpha:]_\u0080-\uffff][[:alnum:]_$\u0080-\uffff]*))*\s*$'
                THEN pg_catalog.parse_ident(p_name) END;
COMMENT ON FUNCTION ark.name_parts(text) IS 'The parts of a qualified name as the catalogs have them; null where it is none';

CREATE FUNCTION ark.tier_of(p_table text DEFAULT NULL, p_database text DEFAULT NULL) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH place AS (
        SELECT ARRAY[COALESCE(CASE pg_catalog.cardinality(n.parts) WHEN 3 THEN n.parts[1] END, p_database, pg_catalog.current_database()),
                     CASE pg_catalog.cardinality(n.parts) WHEN 3 THEN n.parts[2] WHEN 2 THEN n.parts[1] ELSE 'public' END,
                     n.parts[pg_catalog.cardinality(n.parts)]] AS p
        FROM (SELECT ark.name_parts(p_table) AS parts) AS n)
    SELECT o.tier FROM ark.recovery_objectives AS o CROSS JOIN place
        CROSS JOIN LATERAL (SELECT CASE
            WHEN EXISTS (SELECT FROM pg_catalog.unnest(o.tables) AS t (name) WHERE ark.name_parts(t.name) = place.p) THEN 1
            WHEN EXISTS (SELECT FROM pg_catalog.unnest(o.tables) AS t (name) WHERE ark.name_parts(t.name) = place.p[2:3]) THEN 2
            WHEN place.p[3] IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.unnest(o.schemas) AS t (name) WHERE ark.name_parts(t.name) = place.p[1:2]) THEN 3
            WHEN place.p[3] IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.unnest(o.schemas) AS t (name) WHERE ark.name_parts(t.name) = place.p[2:2]) THEN 4
            WHEN place.p[1] = ANY (o.databases) THEN 5 END AS closeness) AS c
    WHERE c.closeness IS NOT NULL
    ORDER BY c.closeness, o."position", o.tier LIMIT 1;
END;
COMMENT ON FUNCTION ark.tier_of(text, text) IS 'The tier of a table (schema.table), or with null of a database: as ark.recovery_objectives names the table itself, its schema, its database, in this order; null: none';

CREATE FUNCTION ark.tier_position(p_tables text[] DEFAULT NULL, p_database text DEFAULT NULL, p_tier text DEFAULT NULL) RETURNS integer
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT COALESCE(
        (SELECT o."position" FROM ark.recovery_objectives AS o WHERE pg_catalog.translate(o.tier, '- ', '__') = pg_catalog.translate(p_tier, '- ', '__')),
        (SELECT pg_catalog.min(o."position") FROM ark.recovery_objectives AS o
         WHERE o.tier IN (SELECT ark.tier_of(t.name, p_database) FROM pg_catalog.unnest(p_tables) AS t (name))),
        (SELECT o."position" FROM ark.recovery_objectives AS o WHERE o.tier = ark.tier_of(NULL, p_database)),
        2147483647);
END;
COMMENT ON FUNCTION ark.tier_position(text[], text, text) IS 'Where work on these tables comes: the position of the named tier, of the first of the tables'' tiers, of the database''s; after all others where there is none';

-- Counted from the first run, not from the last: the 31st comes back after February. Months differ in length, so the number of runs so far is
-- bracketed, not computed.
CREATE FUNCTION ark.next_drill_run(p_first timestamptz, p_schedule text, p_timezone text, p_after timestamptz) RETURNS timestamptz
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.min(run.at) FROM (SELECT ark.schedule_interval(p_schedule) AS step) AS s
        CROSS JOIN LATERAL (SELECT pg_catalog.floor(EXTRACT(epoch FROM p_after - p_first) / NULLIF(EXTRACT(epoch FROM s.step), 0))::bigint AS about) AS n
        CROSS JOIN LATERAL pg_catalog.generate_series(
            GREATEST(0, CASE WHEN EXTRACT(year FROM s.step) * 12 + EXTRACT(month FROM s.step) > 0 THEN n.about - n.about / 25 - 2 ELSE n.about - 2 END),
            GREATEST(0, n.about + 2)) AS i (n)
        CROSS JOIN LATERAL (SELECT ((p_first AT TIME ZONE p_timezone) + i.n * s.step) AT TIME ZONE p_timezone AS at) AS run
    WHERE run.at > p_after;
END;
COMMENT ON FUNCTION ark.next_drill_run(timestamptz, text, text, timestamptz) IS 'The first run of a schedule after a moment';

CREATE FUNCTION ark.schedule_drill(
    p_name text, p_schedule text DEFAULT 'monthly', p_target text DEFAULT 'consistency', p_backup text DEFAULT 'newest',
    p_options jsonb DEFAULT '{}', p_first_run timestamptz DEFAULT NULL, p_enabled boolean DEFAULT true) RETURNS timestamptz
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_schedule_drill';
COMMENT ON FUNCTION ark.schedule_drill(text, text, text, text, jsonb, timestamptz, boolean) IS 'Makes or changes a drill that pg_ark starts when it is due, and returns when that is next; p_first_run null: at the next 02:00 of the session''s time zone';

CREATE FUNCTION ark.unschedule_drill(p_name text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_unschedule_drill';
COMMENT ON FUNCTION ark.unschedule_drill(text) IS 'Takes a drill off the schedule; one that runs goes on. false where there is none of that name';

CREATE FUNCTION ark.restore_estimate(p_bytes bigint, p_wal_bytes bigint, OUT restore_time interval, OUT replay_time interval)
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_restore_estimate';
COMMENT ON FUNCTION ark.restore_estimate(bigint, bigint) IS 'How long it should take to restore so many bytes and to replay so much WAL, by the last restore tests; null: none tells';

CREATE FUNCTION ark.unprotected_history(OUT "from" timestamptz, OUT until timestamptz, OUT worst interval, OUT unknown_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 24 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_unprotected_history';
COMMENT ON FUNCTION ark.unprotected_history() IS 'The most that would have been lost, by the hour, in the last 24 hours, since the start of the server at most; unknown_at: when in that hour it was last not known';

CREATE VIEW ark.recovery_status AS
    WITH wal AS (
        SELECT w.state, w.unprotected, w.unprotected_bytes, w.flush_lsn, w.missing_segment, w.error_hint FROM ark.wal_state() AS w
    ), newest AS (
        SELECT l.backup_id, l.database_bytes, l.start_lsn, l.completed_at FROM ark.backup_log AS l WHERE l.status = 'completed'
        ORDER BY l.started_at DESC LIMIT 1
    ), lost AS (
        -- Without a backup no WAL brings anything back.
        SELECT n.backup_id, w.state, w.missing_segment, w.error_hint,
               CASE WHEN n.backup_id IS NOT NULL THEN w.unprotected END AS measured, w.unprotected_bytes
        FROM wal AS w LEFT JOIN newest AS n ON true
    ), window_ AS (
        SELECT pg_catalog.max(h.worst) AS worst, pg_catalog.min(h."from") AS since
        FROM ark.unprotected_history() AS h
    ), ended AS (
        -- A drill of some of the checks that found nothing says nothing of what the others found: whether it counts, what was before it says.
        SELECT d.*, pg_catalog.max(CASE WHEN d.success AND NOT d.partial THEN d.started_at END) OVER before AS whole_at,
               pg_catalog.max(CASE WHEN NOT d.success THEN d.started_at END) OVER before AS failed_at
        FROM (SELECT t.id, t.started_at, t.completed_at, t.success, t.data_verified, (t.data_verified #> '{steps,left_out,0}') IS NOT NULL AS partial
              FROM ark.backup_tests AS t
              WHERE t.test_type IN ('restore_test', 'drill') AND t.success IS NOT NULL AND t.completed_at IS NOT NULL) AS d
        WINDOW before AS (ORDER BY d.started_at)
    ), test AS (
        SELECT t.id, t.completed_at, t.success, pg_catalog.make_interval(secs => (t.data_verified ->> 'rto_seconds')::double precision) AS rto,
               pg_catalog.row_number() OVER (ORDER BY t.started_at DESC) AS n
        FROM ended AS t
        WHERE NOT (t.partial AND t.success) OR t.failed_at IS NULL OR t.failed_at < t.whole_at
    ), last_good AS (
        SELECT * FROM test WHERE success AND rto IS NOT NULL ORDER BY n LIMIT 1
    ), recent AS (
        SELECT t.completed_at, EXTRACT(epoch FROM t.rto)::double precision AS seconds,
               EXTRACT(epoch FROM t.completed_at)::double precision / 86400 AS day
        FROM test AS t WHERE t.success AND t.rto IS NOT NULL ORDER BY t.n LIMIT 12
    ), trend AS (
        SELECT CASE WHEN pg_catalog.count(*) >= 3 AND pg_catalog.max(r.day) - pg_catalog.min(r.day) >= 1
                    THEN pg_catalog.make_interval(secs => pg_catalog.round((30 * pg_catalog.regr_slope(r.seconds, r.day))::numeric, 1)::double precision) END AS trend
        FROM recent AS r
    ), estimate AS (
        SELECT e.restore_time + e.replay_time AS predicted
        FROM newest AS n CROSS JOIN wal AS w
        CROSS JOIN LATERAL ark.restore_estimate(n.database_bytes, GREATEST(w.flush_lsn - n.start_lsn, 0)::bigint) AS e
    ), judged AS (
        SELECT o.*, l.state, l.backup_id, l.missing_segment, l.error_hint, l.measured AS rpo_measured, h.worst AS rpo_worst, h.since AS window_since,
               g.id AS test_id, g.completed_at AS tested_at, g.rto AS rto_measured, f.id AS failed_id, f.completed_at AS failed_at,
               e.predicted, r.trend,
               CASE WHEN o.rpo IS NULL THEN 'none'
                    WHEN l.state IN ('standby', 'clone') THEN 'unknown'
                    WHEN l.backup_id IS NULL OR l.missing_segment IS NOT NULL THEN 'missed'
                    WHEN l.measured IS NULL THEN 'unknown'
                    WHEN l.measured > o.rpo THEN 'missed' ELSE 'met' END AS rpo_status,
               CASE WHEN o.rto IS NULL THEN 'none'
                    WHEN f.id IS NOT NULL THEN 'missed'
                    WHEN g.id IS NULL OR g.completed_at < pg_catalog.now() - o.evidence_age THEN 'unknown'
                    WHEN g.rto > o.rto THEN 'missed'
                    WHEN e.predicted > o.rto THEN 'at_risk' ELSE 'met' END AS rto_status
        FROM ark.recovery_objectives AS o CROSS JOIN lost AS l CROSS JOIN window_ AS h CROSS JOIN trend AS r
        LEFT JOIN last_good AS g ON true
        LEFT JOIN test AS f ON f.n = 1 AND NOT f.success
        LEFT JOIN estimate AS e ON true
    )
    SELECT j.tier, j."position", (j.tables <> '{}' OR j.schemas <> '{}' OR j.databases <> '{}') AS assigned,
           j.rpo, j.rpo_measured, j.rpo_worst, j.window_since AS rpo_window_since, j.rpo_status,
           CASE j.rpo_status
               WHEN 'missed' THEN CASE WHEN j.rpo_measured > j.rpo THEN pg_catalog.now() - (j.rpo_measured - j.rpo) END
               WHEN 'met' THEN (SELECT GREATEST(pg_catalog.max(CASE WHEN u.worst > j.rpo THEN u.until END), pg_catalog.max(u.unknown_at), pg_catalog.min(u."from"))
                                FROM ark.unprotected_history() AS u) END AS rpo_since,
           j.rto, j.rto_measured, j.test_id AS rto_test_id, j.tested_at AS rto_tested_at, j.predicted AS rto_predicted, j.trend AS rto_trend,
           j.rto_status,
           CASE j.rto_status
               WHEN 'met' THEN s.since WHEN 'at_risk' THEN s.since
               WHEN 'missed' THEN COALESCE(s.since, j.failed_at) END AS rto_since,
           NULLIF(pg_catalog.concat_ws(' ',
               CASE WHEN j.tables = '{}' AND j.schemas = '{}' AND j.databases = '{}'
                    THEN pg_catalog.format('Nothing belongs to this tier yet: SELECT ark.set_recovery_objective(%L, p_schemas => ''{...}'').', j.tier) END,
               CASE WHEN j.rpo_status IN ('none', 'met') THEN NULL
                    WHEN j.state IN ('standby', 'clone') THEN 'This server archives nothing: look at the primary server.'
                    WHEN j.backup_id IS NULL THEN 'There is no complete backup, so all would be lost: SELECT ark.start_backup().'
                    WHEN j.missing_segment IS NOT NULL THEN 'WAL is missing in the repository: take a full backup now, SELECT ark.start_backup().'
                    WHEN j.rpo_status = 'unknown' THEN 'Nobody knows what would be lost: see ark.wal_status, ark.archiver_status and ark.preflight().'
                    ELSE pg_catalog.concat_ws(' ', pg_catalog.format('More would be lost now than may be (streaming is %s): see ark.wal_status and ark.archiver_status.', j.state), j.error_hint) END,
               CASE j.rto_status WHEN 'met' THEN NULL WHEN 'none' THEN NULL
                    WHEN 'missed' THEN CASE WHEN j.failed_id IS NOT NULL
                         THEN pg_catalog.format('The newest drill has failed: look at errors in ark.backup_tests, id %s. Rows that break a rule are repaired in the live database, where it has them too; damage of files needs a new backup, and its drill.', j.failed_id)
                         ELSE 'A recovery takes longer than it may: restore with more jobs, from nearer storage or to faster disks, or take backups more often.' END
                    WHEN 'at_risk' THEN 'At today''s size a recovery should take longer than it may: plan for it.'
                    ELSE CASE WHEN j.test_id IS NULL THEN 'No drill has measured a recovery yet: SELECT ark.schedule_drill(''monthly'').'
                         ELSE pg_catalog.format('The last drill is of %s: drill again, or SELECT ark.schedule_drill(''monthly'').', j.tested_at::date) END END), '') AS what_to_do
    FROM judged AS j
    -- Since when the drills say what the newest says of this objective.
    CROSS JOIN LATERAL (
        SELECT pg_catalog.min(t.completed_at) AS since FROM test AS t
        WHERE t.n < COALESCE((SELECT pg_catalog.min(o.n) FROM test AS o
                              WHERE (o.success AND o.rto <= j.rto) IS DISTINCT FROM (SELECT x.success AND x.rto <= j.rto FROM test AS x WHERE x.n = 1)), 9223372036854775807)) AS s;
COMMENT ON VIEW ark.recovery_status IS 'What is measured against ark.recovery_objectives, a row for each tier: what would be lost now, how long a recovery takes, and what to do';
COMMENT ON COLUMN ark.recovery_status.tier IS 'Name of the tier';
COMMENT ON COLUMN ark.recovery_status."position" IS 'Order of work';
COMMENT ON COLUMN ark.recovery_status.assigned IS 'Whether any table, schema or database belongs to it';
COMMENT ON COLUMN ark.recovery_status.rpo IS 'So much may be lost';
COMMENT ON COLUMN ark.recovery_status.rpo_measured IS 'So much would be lost now: the age of the oldest change that is not in the repository; null: not known';
COMMENT ON COLUMN ark.recovery_status.rpo_worst IS 'The most that would have been lost since rpo_window_since';
COMMENT ON COLUMN ark.recovery_status.rpo_window_since IS '24 hours ago, or the start of the server';
COMMENT ON COLUMN ark.recovery_status.rpo_status IS 'met, missed, unknown; none: there is no objective';
COMMENT ON COLUMN ark.recovery_status.rpo_since IS 'Since when; for one that is met as far back as is remembered';
COMMENT ON COLUMN ark.recovery_status.rto IS 'So long may a recovery take';
COMMENT ON COLUMN ark.recovery_status.rto_measured IS 'So long it took in the newest drill that succeeded, until a server answered';
COMMENT ON COLUMN ark.recovery_status.rto_test_id IS 'That drill, in ark.backup_tests';
COMMENT ON COLUMN ark.recovery_status.rto_tested_at IS 'When it ended';
COMMENT ON COLUMN ark.recovery_status.rto_predicted IS 'So long it should take now, from the newest backup and with the WAL since; null: no drill tells';
COMMENT ON COLUMN ark.recovery_status.rto_trend IS 'By so much it grows in 30 days, by the last 12 drills; null: fewer than three, or less than a day apart';
COMMENT ON COLUMN ark.recovery_status.rto_status IS 'met, at_risk (it was, and is predicted not to be), missed (too long, or the newest drill failed, which one of only some checks does not clear), unknown (no drill, or none within evidence_age); none: there is no objective';
COMMENT ON COLUMN ark.recovery_status.rto_since IS 'Since which drill';
COMMENT ON COLUMN ark.recovery_status.what_to_do IS 'What to do; null: nothing';

-- What a drill keeps in its evidence, so that a report can be made without this database.
CREATE FUNCTION ark.drill_context() RETURNS jsonb
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_build_object(
        'objectives', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
                'tier', s.tier, 'position', s."position", 'rpo_seconds', EXTRACT(epoch FROM s.rpo), 'rto_seconds', EXTRACT(epoch FROM s.rto),
                'rpo_measured_seconds', EXTRACT(epoch FROM s.rpo_measured), 'description', NULLIF(o.description, ''))) ORDER BY s."position", s.tier)
            FROM ark.recovery_status AS s JOIN ark.recovery_objectives AS o ON o.tier = s.tier WHERE NOT o.is_example),
        'tiers', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('position', o."position", 'databases', o.databases,
                'schemas', (SELECT pg_catalog.jsonb_agg(ark.name_parts(n.name)) FROM pg_catalog.unnest(o.schemas) AS n (name)),
                'tables', (SELECT pg_catalog.jsonb_agg(ark.name_parts(n.name)) FROM pg_catalog.unnest(o.tables) AS n (name))))
            FROM ark.recovery_objectives AS o WHERE NOT o.is_example),
        'history', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
                'test_id', h.id, 'at', pg_catalog.to_char(h.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'success', h.success,
                'bytes', h.data_verified #> '{files,bytes}', 'fetch_seconds', h.data_verified #> '{seconds,fetch}',
                'recover_seconds', h.data_verified #> '{seconds,recover}', 'rto_seconds', h.data_verified -> 'rto_seconds',
                'partial', CASE WHEN (h.data_verified #> '{steps,left_out,0}') IS NOT NULL THEN true END)) ORDER BY h.started_at)
            FROM (SELECT t.id, t.started_at, t.success, t.data_verified FROM ark.backup_tests AS t WHERE t.success IS NOT NULL AND t.test_type IN ('restore_test', 'drill')
                  ORDER BY t.started_at DESC LIMIT 120) AS h));
END;
COMMENT ON FUNCTION ark.drill_context() IS 'Objectives and earlier drills, for the evidence of a drill; what belongs to which tier, for its order';

----------------------------------------------------------------------------------------------------
-- For pg_ark's own workers
----------------------------------------------------------------------------------------------------

-- Text that is not UTF-8 stands in a marker as {"hex": "..."}: it is shown as it is.
CREATE FUNCTION ark.marker_text(p_value jsonb) RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    RETURN CASE pg_catalog.jsonb_typeof(p_value) WHEN 'object' THEN '\x' || (p_value ->> 'hex')
           ELSE p_value #>> '{}' END;
COMMENT ON FUNCTION ark.marker_text(jsonb) IS 'Text of a marker''s field';

CREATE FUNCTION ark.marker_fields(
    p_marker jsonb, OUT backup_type text, OUT reason text, OUT created_by uuid, OUT requested_by text,
    OUT started_at timestamptz, OUT completed_at timestamptz, OUT parent text, OUT timeline bigint,
    OUT start_lsn pg_catalog.pg_lsn, OUT stop_lsn pg_catalog.pg_lsn, OUT start_segment text,
    OUT stop_segment text, OUT files bigint, OUT database_bytes bigint, OUT stored_bytes bigint,
    OUT corrupt_page_count bigint, OUT pg_version text, OUT system_identifier bigint,
    OUT full_because text, OUT changed_blocks bigint, OUT audited_blocks bigint, OUT audit_misses bigint)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT p_marker ->> 'backup_type', COALESCE(ark.marker_text(p_marker -> 'reason'), ''),
           NULLIF(p_marker ->> 'created_by', '')::uuid, NULLIF(ark.marker_text(p_marker -> 'role'), ''),
           (p_marker ->> 'started_at')::timestamptz, (p_marker ->> 'completed_at')::timestamptz,
           NULLIF(p_marker ->> 'parent', ''), (p_marker ->> 'timeline')::bigint,
           (p_marker ->> 'start_lsn')::pg_catalog.pg_lsn, (p_marker ->> 'stop_lsn')::pg_catalog.pg_lsn,
           p_marker ->> 'start_segment', p_marker ->> 'stop_segment', (p_marker ->> 'files')::bigint,
           (p_marker ->> 'database_bytes')::bigint, (p_marker ->> 'stored_bytes')::bigint,
           (p_marker ->> 'corrupt_page_count')::bigint, p_marker ->> 'pg_version',
           -- 64 bits without a sign there, with one here, as pg_control_system() shows it.
           CASE WHEN (p_marker ->> 'system_identifier')::numeric >= 9223372036854775808
                THEN ((p_marker ->> 'system_identifier')::numeric - 18446744073709551616)::bigint
                ELSE (p_marker ->> 'system_identifier')::bigint END,
           ark.marker_text(p_marker -> 'full_because'), (p_marker -> 'changes' ->> 'changed_blocks')::bigint,
           (p_marker -> 'changes' ->> 'audited_blocks')::bigint, (p_marker -> 'changes' ->> 'audit_misses')::bigint;
END;
COMMENT ON FUNCTION ark.marker_fields(jsonb) IS 'Columns of ark.backup_log from a backup''s marker in the repository';

CREATE FUNCTION ark.drill_checks(
    OUT kind text, OUT name text, OUT category text, OUT severity text, OUT threshold bigint, OUT database text,
    OUT sql text, OUT expected text, OUT predicate text, OUT timeout_ms bigint, OUT "position" bigint,
    OUT ready_made text, OUT options jsonb) RETURNS SETOF record
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.kind, c.name, c.category, c.severity, c.threshold, c.database, c.sql, c.expected, c.predicate,
           pg_catalog.round(EXTRACT(epoch FROM COALESCE(c.timeout, pg_catalog.current_setting('pg_ark.integrity_timeout')::interval)) * 1000)::bigint,
           pg_catalog.row_number() OVER (ORDER BY c.tier, c.kind, c.gravity, c.name), c.ready_made, c.options
    FROM (SELECT 'critical' AS kind, f.name, NULL::text AS category, 'critical' AS severity, 0::bigint AS threshold, f.database, f.sql, f.expected,
                 f.predicate, f.timeout, ark.tier_position(p_tier => f.tier, p_database => COALESCE(f.database, pg_catalog.current_database())) AS tier, 0 AS gravity,
                 NULL::text AS ready_made, NULL::jsonb AS options
          FROM ark.critical_functions AS f WHERE f.enabled
          UNION ALL
          SELECT 'integrity', i.name, i.category, i.severity, i.threshold, i.database, i.sql, NULL, NULL, i.timeout,
                 ark.tier_position(i.tables, COALESCE(i.database, pg_catalog.current_database())),
                 pg_catalog.array_position(ARRAY['critical', 'error', 'warning', 'info'], i.severity),
                 i.ready_made, i.options
          FROM ark.integrity_checks AS i WHERE i.enabled AND i.runs_on IN ('drill', 'both')) AS c
    ORDER BY 11;
END;
COMMENT ON FUNCTION ark.drill_checks() IS 'What a drill runs of ark.integrity_checks and ark.critical_functions, in the order of the tiers, critical functions of one first';

CREATE FUNCTION ark.keep_check_results(p_test_id uuid, p_backup_id text, p_checks jsonb) RETURNS bigint
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH kept AS (
        INSERT INTO ark.integrity_results (check_name, category, severity, object, environment, test_id, backup_id, database, started_at, duration,
                                           status, violations, violations_is_lower_bound, samples, error)
        SELECT ark.marker_text(e -> 'name'), CASE WHEN e ->> 'kind' = 'critical' THEN 'critical_function' ELSE e ->> 'category' END, e ->> 'severity',
               ark.marker_text(e -> 'object'), 'drill', p_test_id, p_backup_id, ark.marker_text(e -> 'database'), pg_catalog.clock_timestamp(),
               pg_catalog.make_interval(secs => COALESCE((e ->> 'seconds')::double precision, 0)), e ->> 'status',
               (e ->> 'violations')::bigint, COALESCE((e ->> 'violations_is_lower_bound')::boolean, false),
               NULLIF(NULLIF(e -> 'samples', 'null'), '[]'), NULLIF(e -> 'error', 'null')
        FROM pg_catalog.jsonb_array_elements(COALESCE(NULLIF(p_checks, 'null'), '[]')) AS e
        WHERE NOT EXISTS (SELECT FROM ark.integrity_results AS r WHERE r.test_id = p_test_id)
        RETURNING id)
    SELECT pg_catalog.count(*) FROM kept;
END;
COMMENT ON FUNCTION ark.keep_check_results(uuid, text, jsonb) IS 'Makes rows of ark.integrity_results of the checks in a drill''s evidence, once; returns how many';

----------------------------------------------------------------------------------------------------
-- Privileges: superusers do, pg_monitor looks. Everything else is the DBA's to grant.
----------------------------------------------------------------------------------------------------

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ark FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA ark FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA ark FROM PUBLIC;
-- Also of an owner to come who is no superuser.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ark.audit_log FROM CURRENT_USER;
GRANT SELECT ON ALL TABLES IN SCHEMA ark TO pg_monitor;
-- Its samples and errors show what is in the tables that were checked.
REVOKE ALL ON ark.integrity_results FROM pg_monitor;
GRANT EXECUTE ON FUNCTION ark.known_backup(text), ark.backup_chain(text) TO pg_monitor;
GRANT EXECUTE ON FUNCTION ark.running_backups(), ark.running_tests(), ark.archiver_state(), ark.wal_state(), ark.change_state(), ark.audit_state() TO pg_monitor;
GRANT EXECUTE ON FUNCTION ark.find_wal_gaps(), ark.find_recoverable_ranges(), ark.can_recover(timestamptz) TO pg_monitor;
GRANT EXECUTE ON FUNCTION ark.tier_of(text, text), ark.tier_position(text[], text, text), ark.name_parts(text), ark.schedule_interval(text), ark.next_drill_run(timestamptz, text, text, timestamptz), ark.restore_estimate(bigint, bigint), ark.unprotected_history() TO pg_monitor;
