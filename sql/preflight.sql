-- preflight() has a row for everything, whatever the state of each.
SELECT name FROM ark.preflight() WITH ORDINALITY ORDER BY ordinality;
SELECT name, ok, hint FROM ark.preflight()
    WHERE name IN ('library_loaded', 'database', 'not_standby', 'clone', 'wal_level', 'archive_mode', 'archive_library',
                   'repository_setting', 'launcher', 'data_checksums', 'full_page_writes', 'timeouts');
SELECT count(*) AS without_detail FROM ark.preflight() WHERE detail IS NULL;
SELECT count(*) AS without_hint FROM ark.preflight() WHERE NOT ok AND hint IS NULL;
