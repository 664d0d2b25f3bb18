# Who may not read the data does not see it by what a drill found: samples, what the server quotes, answers of critical
# functions. pg_monitor sees tests and their findings; the data is in ark.integrity_results, and in the evidence.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill qw(drill_finds);
use PgArk::Test;

my ($repository, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => "autovacuum = off\n");
set_config($node, 'pg_ark.scratch_directory' => $node->basedir . '/scratch');
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }

# The statements below are in the server's log: none of them spells the word.
my $secret = 's3cret';
sql(<<'SQL');
CREATE TABLE patients (id int PRIMARY KEY, name text);
INSERT INTO patients SELECT n, concat('s3', 'cret-', n) FROM generate_series(1, 20) n;
-- Both work for who made them, and quote what they are given in the copy.
CREATE FUNCTION loud(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF session_user::text <> 'OWNER' OR current_setting('cluster_name') = 'pg_ark drill' THEN RAISE EXCEPTION 'not %', t USING DETAIL = t, HINT = t; END IF; RETURN t; END $$;
SQL
sql(q{DO $$ BEGIN EXECUTE replace((SELECT pg_get_functiondef('loud'::regproc)), 'OWNER', session_user); END $$});
sql(<<'SQL');
CREATE TABLE guarded (name text CHECK (loud(name) IS NOT NULL)); INSERT INTO guarded SELECT name FROM patients;
CREATE TABLE looked_up (name text); INSERT INTO looked_up SELECT name FROM patients; CREATE INDEX ON looked_up (loud(name));
CREATE FUNCTION answer() RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM public.patients WHERE id = 1';
SELECT ark.add_integrity_check('sample', 'custom', 'SELECT * FROM patients', 'error');
SELECT ark.add_integrity_check('sample of a warning', 'custom', 'SELECT * FROM patients', 'warning');
SELECT ark.add_integrity_check('quoted', 'custom', 'SELECT name::int FROM patients', 'critical');
SELECT ark.add_integrity_check('quoted by a warning', 'custom', 'SELECT name::int FROM patients', 'warning');
SELECT ark.add_integrity_check('quoted in all fields', 'custom', 'SELECT loud(name) FROM patients', 'error');
SELECT ark.add_integrity_check('looks like a place', 'custom', 'SELECT (concat($$base/$$, name))::int FROM patients', 'error');
SELECT ark.add_critical_function('answer', 'SELECT answer()', 'fine');
SELECT ark.add_critical_function('failing', 'SELECT answer()::int');
SELECT ark.add_critical_function('untrue', 'SELECT answer() AS a', p_options => '{"predicate": "a = $$fine$$"}');
CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
SQL
my $id = backup_ok($node, 'first');

# Everything of the schema that the role may read, and where the word is in it.
sub seen_by {
    my ($role) = @_;
    my @relations = split /\n/, sql("SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'ark'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')"
        . " AND has_table_privilege('$role', c.oid, 'SELECT') ORDER BY 1");
    cmp_ok(scalar @relations, '>=', 10, "$role may read " . scalar(@relations) . ' relations');
    return grep { sql("SET ROLE $role; SELECT count(*) FROM $_ AS r WHERE strpos(to_jsonb(r)::text, concat('s3', 'cret')) > 0") > 0 } @relations;
}
is_deeply([ seen_by('watcher') ], [], 'before the drill pg_monitor sees nothing');

my ($rc, $out) = $node->psql('postgres', "CALL ark.drill('$id')");
my ($test) = ($out // '') =~ /^([0-9a-f-]{36})\|f$/m or BAIL_OUT("the drill found nothing: " . ($out // ''));
my $row = JSON::PP::decode_json(sql("SELECT to_jsonb(t) FROM ark.backup_tests t WHERE id = '$test'"));
is_deeply([ sort map { "$_->{check} $_->{message}" } @{ $row->{errors} } ], [
    'critical_function "answer": the answer is not what is expected', 'critical_function "failing": it could not run (SQLSTATE 22P02)',
    'critical_function "untrue": the answer is not what is expected', 'integrity "looks like a place": it could not run (SQLSTATE 22P02)',
    'integrity "quoted in all fields": it could not run (SQLSTATE P0001)', 'integrity "quoted": it could not run (SQLSTATE 22P02)',
    'integrity "sample": 20 violations' ], 'findings say what is wrong') or diag(JSON::PP::encode_json($row->{errors}));
is_deeply([ grep { exists $_->{detail} || $_->{hint} ne 'ark.integrity_results has what was found.' || exists $_->{path} || exists $_->{block} } @{ $row->{errors} } ], [], 'and where the rest is');
is_deeply([ grep { exists $_->{samples} || exists(($_->{error} // {})->{message}) } @{ $row->{data_verified}{checks} } ], [], 'results are without samples and messages');
my %by = map { $_->{name} => $_ } @{ $row->{data_verified}{checks} };
is($by{sample}{violations}, 20, 'counts stay');
is($by{quoted}{error}{sqlstate}, '22P02', 'so does the SQLSTATE');
for my $note ('check sample of a warning (warning): 20 violations', 'check quoted by a warning (warning): it could not run (SQLSTATE 22P02)') {
    like($row->{notes}, qr/\Q$note\E/, "a note: $note");
}
like($row->{notes}, qr/of public\.guarded was not checked, since its code fails in the copy \(SQLSTATE P0001\)/, 'a rule whose code fails');
like($row->{notes}, qr/rows were not looked for in index public\.looked_up_loud_idx, whose functions fail in the copy \(SQLSTATE P0001\)/, 'an index whose function fails');
is_deeply([ seen_by('watcher') ], [], 'after the drill pg_monitor sees none of the data');
is(sql("SELECT count(*) FROM ark.integrity_results WHERE test_id = '$test' AND strpos(concat(samples, error), concat('s3', 'cret')) > 0"), 8, 'ark.integrity_results has all of it, but for a predicate that shows none');
my ($status, undef, $err) = $node->psql('postgres', 'SET ROLE watcher; SELECT * FROM ark.integrity_results');
like($err, qr/permission denied/, 'which pg_monitor may not read');
unlike(slurp_file($node->logfile), qr/\Q$secret\E/, "nor is it in the server's log");

# ---- the report

my ($plain) = run_command([ 'pg_ark', 'report', 'drill', $test, '--repo', $url ]);
like($plain, qr/The answer is not what is expected/, 'a report');
unlike($plain, qr/\Q$secret\E/, 'has no data');
my ($json) = run_command([ 'pg_ark', 'report', 'drill', $test, '--repo', $url, '--format', 'json' ]);
unlike($json, qr/\Q$secret\E/, 'nor has its JSON');
my ($full) = run_command([ 'pg_ark', 'report', 'drill', $test, '--repo', $url, '--samples' ]);
like($full, qr/\Q$secret\E-1</, '--samples: the evidence in the repository is whole');
like($full, qr/invalid input syntax for type integer/, 'with what the server said');

# ---- a drill of another host

my $away = PostgreSQL::Test::Utils::tempdir('away');
append_to_file("$away/checks.sql", "-- name: elsewhere\nSELECT name FROM patients;\n-- name: called\n-- kind: critical\n-- expected: fine\nSELECT answer()\n-- name: quoted\nSELECT name::int FROM patients\n");
my $evidence = drill_finds($node, 'elsewhere', [ { check => 'integrity', object => 'elsewhere', message => qr/^"elsewhere": 20 violations$/, detail => qr/\Q$secret\E-1/ },
        { check => 'critical_function', detail => qr/it gave "\Q$secret\E-1"/ }, { check => 'integrity', object => 'quoted', detail => qr/\Q$secret\E/ } ],
    '--scratch', $away, '--checks', "$away/checks.sql", '--only', 'checks,critical_functions');
$node->restart;    # the launcher looks
poll_until('it has a row', sub { sql("SELECT count(*) FROM ark.integrity_results WHERE test_id = '$evidence->{test_id}'") eq '3' });
is(sql("SELECT jsonb_array_length(errors) FROM ark.backup_tests WHERE id = '$evidence->{test_id}'"), 3, 'its findings came');
is_deeply([ seen_by('watcher') ], [], 'without the data');
done_testing();
