-- Shapes: columns, rules of the tables, what the marker's fields become.
\set SHOW_CONTEXT never
SELECT attrelid::regclass AS relation, string_agg(attname || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN ' not null' ELSE '' END, E'\n' ORDER BY attnum) AS columns
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'ark'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
    GROUP BY attrelid ORDER BY attrelid::regclass::text COLLATE "C";
SELECT oid::regprocedure AS function, prokind, provolatile, proparallel, prosecdef, proconfig FROM pg_proc
    WHERE pronamespace = 'ark'::regnamespace ORDER BY oid::regprocedure::text COLLATE "C";

\set VERBOSITY terse
INSERT INTO ark.backup_log (backup_id, backup_type, started_at, status) VALUES ('x', 'guess', now(), 'failed');
INSERT INTO ark.backup_log (backup_id, backup_type, started_at, status) VALUES ('x', 'full', now(), 'half');
INSERT INTO ark.backup_verification (backup_id, verification_type, success) VALUES ('x', 'guess', true);
INSERT INTO ark.backup_tests (backup_id, test_type) VALUES ('x', 'guess');

\set VERBOSITY default

\x on
SET timezone = 'UTC';
SELECT * FROM ark.marker_fields('{"backup_type": "manual", "reason": "why", "created_by": "", "role": {"hex": "ff41"},
    "started_at": "2026-11-20T02:15:00.000001Z", "completed_at": "2026-11-20T02:16:00Z", "parent": "", "timeline": 2,
    "start_lsn": "0/2000028", "stop_lsn": "1/2000100", "start_segment": "000000020000000000000002",
    "stop_segment": "000000020000000100000002", "files": 12, "database_bytes": 345, "stored_bytes": 67,
    "corrupt_page_count": 0, "pg_version": "15.8", "system_identifier": "18446744073709551615"}');
\x off
