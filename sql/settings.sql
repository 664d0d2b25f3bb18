-- The settings with their units, and what they refuse.
\set SHOW_CONTEXT never
SELECT name, vartype, unit, context, boot_val, min_val, max_val FROM pg_settings
    WHERE name LIKE 'pg_ark.%' AND name <> 'pg_ark.fault' ORDER BY name COLLATE "C";
SELECT count(*) AS without_description FROM pg_settings WHERE name LIKE 'pg_ark.%' AND coalesce(short_desc, '') = '';
ALTER SYSTEM SET pg_ark.repositories = 'not a url';
ALTER SYSTEM SET pg_ark.repositories = '/var/lib/pg_ark';
ALTER SYSTEM SET pg_ark.repositories = 'ftp://host/backups';
ALTER SYSTEM SET pg_ark.repositories = 's3://key:secret@bucket/prefix';
ALTER SYSTEM SET pg_ark.repositories = 's3:///prefix';
ALTER SYSTEM SET pg_ark.repositories = 'file://host/backups';
ALTER SYSTEM SET pg_ark.repositories = 'file:///one, file:///two';
ALTER SYSTEM SET pg_ark.repositories = 'file:///one?x=y';
ALTER SYSTEM SET pg_ark.cluster = '../other';
ALTER SYSTEM SET pg_ark.cluster = '.hidden';
ALTER SYSTEM SET pg_ark.program = 'bin/pg_ark';
ALTER SYSTEM SET pg_ark.compression_level = 0;
ALTER SYSTEM SET pg_ark.backup_jobs = 65;
-- 17 writes these bounds with their unit.
\set VERBOSITY sqlstate
ALTER SYSTEM SET pg_ark.push_timeout = '2h';
\set VERBOSITY default
ALTER SYSTEM SET pg_ark.wal_streaming = 'perhaps';
\set VERBOSITY sqlstate
ALTER SYSTEM SET pg_ark.wal_stream_interval = '10ms';
ALTER SYSTEM SET pg_ark.wal_stream_interval = '2h';
\set VERBOSITY default
ALTER SYSTEM SET pg_ark.scratch_directory = 'scratch';
ALTER SYSTEM SET pg_ark.restore_test_limit = 0;
ALTER SYSTEM SET pg_ark.restore_test_when_busy = 'maybe';
\set VERBOSITY sqlstate
ALTER SYSTEM SET pg_ark.restore_test_memory = '1MB';
\set VERBOSITY default
SET pg_ark.repositories = 'file:///elsewhere';
SET pg_ark.no_such_setting = 1;
