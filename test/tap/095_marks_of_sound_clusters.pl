# What a drill takes from pages instead of asking for it is true of sound clusters that took odd ways: no false alarm.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $tablespace = PostgreSQL::Test::Utils::tempdir('space');

my $node = ark_cluster('odd', conf => "autovacuum = off\n");
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE grown (a int NOT NULL, b text, c text);
INSERT INTO grown SELECT n, NULL, 'c' FROM generate_series(1, 5000) n;
ALTER TABLE grown DROP COLUMN b;
ALTER TABLE grown ADD COLUMN d int NOT NULL DEFAULT 7;
INSERT INTO grown SELECT n, 'c', 8 FROM generate_series(1, 500) n;
CREATE TABLE in_space (n int PRIMARY KEY, t text NOT NULL) TABLESPACE elsewhere;
INSERT INTO in_space SELECT n, 't' FROM generate_series(1, 5000) n;
CREATE UNLOGGED TABLE loose (n int NOT NULL PRIMARY KEY);
INSERT INTO loose SELECT generate_series(1, 5000);
CREATE MATERIALIZED VIEW empty_view AS SELECT * FROM grown WITH NO DATA;
CREATE MATERIALIZED VIEW full_view AS SELECT * FROM grown;
CREATE TABLE parts (n int NOT NULL, t text NOT NULL) PARTITION BY RANGE (n);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (1000) TO (9000) TABLESPACE elsewhere;
INSERT INTO parts SELECT n, 't' FROM generate_series(0, 5000) n;
CREATE TABLE locked (n int PRIMARY KEY, t text NOT NULL);
INSERT INTO locked SELECT n, 't' FROM generate_series(1, 5000) n;
CREATE TABLE refers (n int REFERENCES locked);
INSERT INTO refers SELECT n FROM generate_series(1, 5000, 3) n;
CREATE TABLE big (t text NOT NULL);
ALTER TABLE big ALTER t SET STORAGE EXTERNAL;
INSERT INTO big SELECT repeat(md5(n::text), 200) FROM generate_series(1, 300) n;
CREATE TABLE once_null (n int, t text);
INSERT INTO once_null SELECT n, NULL FROM generate_series(1, 2000) n;
UPDATE once_null SET t = 'x';
ALTER TABLE once_null ALTER t SET NOT NULL;
CREATE TABLE upserted (n int PRIMARY KEY, t text NOT NULL);
INSERT INTO upserted SELECT n % 1000, 't' FROM generate_series(1, 5000) n ON CONFLICT DO NOTHING;
SQL
$node->safe_psql('postgres', 'VACUUM FREEZE');
$node->safe_psql('postgres', 'VACUUM FULL');
$node->safe_psql('postgres', 'VACUUM');
$node->safe_psql('postgres', <<'SQL');
BEGIN; SELECT count(*) FROM (SELECT 1 FROM locked WHERE n % 100 = 0 FOR UPDATE) x; COMMIT;
BEGIN; SAVEPOINT a; SELECT count(*) FROM (SELECT 1 FROM locked WHERE n % 77 = 0 FOR KEY SHARE) x; SAVEPOINT b; SELECT count(*) FROM (SELECT 1 FROM locked WHERE n % 77 = 0 FOR UPDATE) x; ROLLBACK;
BEGIN; INSERT INTO grown SELECT n, 'gone', 8 FROM generate_series(1, 5000) n; ROLLBACK;
BEGIN; DELETE FROM in_space; ROLLBACK;
DELETE FROM part2 WHERE n > 4000;
BEGIN; CREATE TABLE copied (n int NOT NULL PRIMARY KEY, t text NOT NULL); COPY copied FROM PROGRAM 'seq -f %g%%t 1 5000 | sed "s/%t/\tx/"' WITH (FREEZE); COMMIT;
SQL
backup_ok($node, 'odd ways');
my $rows = $node->safe_psql('postgres', <<'SQL');
SELECT sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM ONLY %s', oid::regclass), false, true, '')))[1]::text::int)
FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'm') AND relpersistence <> 'u' AND relispopulated AND relnamespace <> 'ark'::regnamespace
SQL
my $evidence = drill_ok($node, 'odd ways', '--scratch', $scratch, qw(--target latest --jobs 2));
# Our own tables go on: the newest of their rows were not archived yet.
ok($evidence->{verified}{rows}{rows} >= $rows && $evidence->{verified}{rows}{rows} <= $rows + 20, 'as many rows as there are');
nothing_left($scratch, 'odd ways');

# ---- code of a rule that changes its session says nothing of the questions behind it

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION changes_its_session(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        PERFORM pg_catalog.set_config('role', 'pg_read_all_data', false);
    END IF;
    RETURN true;
END $$;
CREATE TABLE with_code (n int CHECK (changes_its_session(n)), filler text);
INSERT INTO with_code SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n;
VACUUM with_code;
SQL
backup_ok($node, 'a rule that changes its session');
drill_ok($node, 'a rule that changes its session', '--scratch', $scratch, qw(--jobs 1));
done_testing();
