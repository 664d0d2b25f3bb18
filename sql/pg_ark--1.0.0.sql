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
    backup_id text NOT NULL,
    test_type text NOT NULL CONSTRAINT backup_tests_type_check
        CHECK (test_type IN ('restore_test', 'integrity_check', 'spot_check')),
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
COMMENT ON COLUMN ark.backup_tests.backup_id IS 'Backup that was tested';
COMMENT ON COLUMN ark.backup_tests.test_type IS 'restore_test, integrity_check, spot_check';
COMMENT ON COLUMN ark.backup_tests.test_environment IS 'Where it ran: host, version of PostgreSQL, scratch directory';
COMMENT ON COLUMN ark.backup_tests.started_at IS 'When it began';
COMMENT ON COLUMN ark.backup_tests.completed_at IS 'When it ended; null while it runs';
COMMENT ON COLUMN ark.backup_tests.success IS 'true: a server came up from the backup and nothing was wrong; false: damage was found; null while it runs, and where nothing is known: errors and notes say why';
COMMENT ON COLUMN ark.backup_tests.errors IS 'What was wrong, each with relation and block where there is one';
COMMENT ON COLUMN ark.backup_tests.data_verified IS 'What was checked, how much of it, and the seconds of each step; rto_seconds is the time until the server was up';
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

CREATE FUNCTION ark.cancel_restore_test(p_test_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_cancel_restore_test';
COMMENT ON FUNCTION ark.cancel_restore_test(uuid) IS 'Asks a running restore test or verification to stop; false where it has ended already';

CREATE FUNCTION ark.adopt() RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'pg_ark_adopt';
COMMENT ON FUNCTION ark.adopt() IS 'Tells a restored cluster that it has taken the original''s place: archiving goes on, and a full backup is started, whose id is returned';

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
COMMENT ON FUNCTION ark.verify_backup(text, jsonb) IS 'Reads a backup and its WAL back from the repository and checks every checksum; returns the id of its row in ark.backup_verification. Waits unless options say {"wait": false}; others: tested_by, jobs, notes';

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
COMMENT ON FUNCTION ark.running_tests() IS 'Running restore tests and verifications as shared memory knows them; see the view ark.test_progress';

CREATE VIEW ark.test_progress AS
    SELECT r.test_id, r.backup_id, r.kind, r.phase, r.doing, r.done, r.total,
           CASE WHEN r.total > 0 THEN pg_catalog.round(100.0 * LEAST(r.done, r.total) / r.total, 1) END AS percent,
           r.requested_at AS started_at, r.updated_at, r.cancel_requested, r.worker_pid
    FROM ark.running_tests() AS r;
COMMENT ON VIEW ark.test_progress IS 'Running restore tests and verifications: what they are at, how far';
COMMENT ON COLUMN ark.test_progress.test_id IS 'Id of its row in ark.backup_tests, of a verification in ark.backup_verification';
COMMENT ON COLUMN ark.test_progress.backup_id IS 'Backup that is tested';
COMMENT ON COLUMN ark.test_progress.kind IS 'restore_test, verification';
COMMENT ON COLUMN ark.test_progress.phase IS 'starting, waiting (for its turn), opening; of a restore test preparing, restoring, verifying_files, recovering, checking_pages, checking, cleaning; of a verification marker, packs, files, manifest, wal';
COMMENT ON COLUMN ark.test_progress.doing IS 'What it is at';
COMMENT ON COLUMN ark.test_progress.done IS 'Done in this phase: bytes, or relations when checking';
COMMENT ON COLUMN ark.test_progress.total IS 'To do in this phase';
COMMENT ON COLUMN ark.test_progress.percent IS 'done of total';
COMMENT ON COLUMN ark.test_progress.started_at IS 'When it was asked for';
COMMENT ON COLUMN ark.test_progress.updated_at IS 'When it last reported';
COMMENT ON COLUMN ark.test_progress.cancel_requested IS 'Whether it was told to stop';
COMMENT ON COLUMN ark.test_progress.worker_pid IS 'Process id of the background worker';

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

----------------------------------------------------------------------------------------------------
-- Privileges: superusers do, pg_monitor looks. Everything else is the DBA's to grant.
----------------------------------------------------------------------------------------------------

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ark FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA ark FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA ark FROM PUBLIC;
-- Also of an owner to come who is no superuser.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ark.audit_log FROM CURRENT_USER;
GRANT SELECT ON ALL TABLES IN SCHEMA ark TO pg_monitor;
GRANT EXECUTE ON FUNCTION ark.known_backup(text), ark.backup_chain(text) TO pg_monitor;
GRANT EXECUTE ON FUNCTION ark.running_backups(), ark.running_tests(), ark.archiver_state(), ark.wal_state(), ark.change_state(), ark.audit_state() TO pg_monitor;
GRANT EXECUTE ON FUNCTION ark.find_wal_gaps(), ark.find_recoverable_ranges(), ark.can_recover(timestamptz) TO pg_monitor;
