# Constraints and indexes run the code of whoever wrote them: in checks of the live server, and in drills of its
# copies, with their owner's rights, and not with those of a role that may read everything or touch files.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

# What is freed is not to be read by luck.
$ENV{MALLOC_PERTURB_} = 165;
$ENV{MALLOC_MMAP_THRESHOLD_} = 4096;
my $node = ark_cluster('source', conf => "autovacuum = off\n");
delete @ENV{qw(MALLOC_PERTURB_ MALLOC_MMAP_THRESHOLD_)};
my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $outside = PostgreSQL::Test::Utils::tempdir('outside');
chmod 0777, $outside;
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }

sql(<<"SQL");
CREATE TABLE secret AS SELECT 'the crown jewels' AS t;
CREATE ROLE mallory LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE SCHEMA alien;
SELECT lo_from_bytea(77777, 'hello');
CREATE FUNCTION carry(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN
    IF current_setting('cluster_name') = 'pg_ark drill' THEN PERFORM lo_export(77777, '$outside/of_index'); END IF; RETURN i; END \$\$;
CREATE FUNCTION carry_for_others() RETURNS int SECURITY DEFINER LANGUAGE plpgsql AS \$\$ BEGIN
    PERFORM lo_export(77777, '$outside/of_function'); RETURN 1; END \$\$;
CREATE TABLE carried (i int); INSERT INTO carried VALUES (1); CREATE INDEX ON carried (carry(i));
SET ROLE mallory;
-- False where it may do more than he may.
CREATE FUNCTION mallory.is_mine() RETURNS boolean LANGUAGE sql AS \$\$ SELECT NOT has_table_privilege('public.secret', 'SELECT')
    AND NOT has_function_privilege('pg_catalog.lo_export(oid, text)', 'EXECUTE') AND NOT has_function_privilege('pg_catalog.pg_read_file(text)', 'EXECUTE') \$\$;
CREATE TABLE mallory.t (n int); INSERT INTO mallory.t VALUES (1);
ALTER TABLE mallory.t ADD CONSTRAINT mine CHECK (mallory.is_mine()) NOT VALID;
-- It would read what it may not, and does so in an index: nobody can say that it is wrong, only that it cannot.
CREATE FUNCTION mallory.peek(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN
    IF current_user <> 'mallory' THEN RAISE EXCEPTION 'I am %', current_user; END IF; RETURN i; END \$\$;
CREATE TABLE mallory.peeked (i int); INSERT INTO mallory.peeked VALUES (1), (2); CREATE UNIQUE INDEX ON mallory.peeked (mallory.peek(i));
-- A name that comes before the catalogs'.
CREATE FUNCTION mallory.shadow() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN
    EXECUTE 'CREATE TEMP VIEW pg_proc AS SELECT p.ctid, p.* FROM pg_catalog.pg_proc p WHERE false'; RETURN true;
    EXCEPTION WHEN OTHERS THEN RETURN true; END \$\$;
CREATE TABLE mallory.shadowed (n int); INSERT INTO mallory.shadowed VALUES (1);
ALTER TABLE mallory.shadowed ADD CHECK (mallory.shadow()) NOT VALID;
CREATE TYPE mallory.mood AS ENUM ('good', 'bad');
CREATE FUNCTION mallory.told(mallory.mood) RETURNS text STABLE LANGUAGE plpgsql AS \$\$ BEGIN
    IF current_user <> 'mallory' THEN RAISE EXCEPTION 'I am %', current_user; END IF; RETURN format('%s', \$1); END \$\$;
CREATE CAST (mallory.mood AS text) WITH FUNCTION mallory.told(mallory.mood) AS IMPLICIT;
RESET ROLE;
CREATE TABLE words (word text PRIMARY KEY); INSERT INTO words VALUES ('good'); GRANT REFERENCES, SELECT ON words TO mallory;
SET ROLE mallory;
CREATE TABLE mallory.own_words (word text PRIMARY KEY); INSERT INTO mallory.own_words VALUES ('good');
CREATE TABLE mallory.moods (a mallory.mood CONSTRAINT own_key REFERENCES mallory.own_words, b mallory.mood CONSTRAINT foreign_key REFERENCES public.words);
RESET ROLE;
-- His tables where he cannot go, and with policies that bind him, too.
CREATE TABLE alien.his (n int CHECK (n > 0)); INSERT INTO alien.his VALUES (1); ALTER TABLE alien.his OWNER TO mallory; REVOKE ALL ON alien.his FROM mallory;
CREATE TABLE mallory.forced (n int); INSERT INTO mallory.forced VALUES (1), (-1); ALTER TABLE mallory.forced OWNER TO mallory;
ALTER TABLE mallory.forced ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
ALTER TABLE mallory.forced ENABLE ROW LEVEL SECURITY; ALTER TABLE mallory.forced FORCE ROW LEVEL SECURITY; CREATE POLICY none ON mallory.forced USING (false);
SQL

# ---- on the live server

sql('SELECT ark.add_ready_made_checks()');
sql('CALL ark.check_integrity()');
my %found = map { my ($object, $rest) = split /\|/, $_, 2; ($object => $rest) }
    split /\n/, sql(q{SELECT object, status, violations, coalesce(error ->> 'sqlstate', '') FROM ark.integrity_results WHERE object LIKE '%mallory.%' OR object LIKE '%alien.%'});
is($found{'mine on mallory.t'}, 'passed|0|', "live: a constraint has its owner's rights");
is($found{'peeked_peek_idx on mallory.peeked'}, 'passed|0|', 'live: so has an index');
is($found{'positive on mallory.forced'}, 'failed|1|', 'live: policies hide no row');
is($found{'his_n_check on alien.his'}, 'error||42501', 'live: a table that its owner may not read is an error in its row, and nobody else reads it for him');
is($found{'own_key on mallory.moods'}, 'passed|0|', 'live: a cast of his between his own tables');
is($found{'foreign_key on mallory.moods'}, 'skipped||', 'live: to another\'s table nobody runs it');
is(sql('SELECT count(*) FROM ark.integrity_results WHERE violations IS NULL AND status = \'passed\''), 0, 'each has its count');
is(sql('SELECT pg_postmaster_start_time() < min(started_at) FROM ark.integrity_runs'), 't', 'the server has not crashed');

# ---- in a drill

backup_ok($node);
my $checks = PostgreSQL::Test::Utils::tempdir('checks') . '/checks.sql';
append_to_file($checks, "-- name: carries\n-- severity: warning\nSELECT carry_for_others() WHERE false OR carry_for_others() = 2\n");
my $evidence = drill_finds($node, 'a drill', [ { check => 'constraint', relation => 'mallory.forced', message => qr/^1 row breaks check constraint "positive"/ } ],
    '--scratch', $scratch, '--checks', $checks, '--jobs', 1);
is($evidence->{error_count}, 1, 'and nothing else') or diag(JSON::PP::encode_json($evidence->{errors}));
is_deeply([ grep { !/"carries"|check carries|carried_carry_idx|recorded tables changed|user's cast/ } @{ $evidence->{notes} } ], [], 'all of his was looked at');
is((grep { /user's cast converts its columns/ } @{ $evidence->{notes} }), 2, 'but for his casts, which are noted');
ok(!-e "$outside/of_index", "an index's function writes no file");
ok(!-e "$outside/of_function", "nor does one of a superuser's that anybody may call");
$evidence = (PgArk::Drill::run_drill($node, '--scratch', $scratch, '--jobs', 1, '--only', 'catalog,constraints'))[1];
is($evidence->{error_count}, 1, 'temporary objects of his hide nothing') or diag(JSON::PP::encode_json($evidence->{errors}));

done_testing();
