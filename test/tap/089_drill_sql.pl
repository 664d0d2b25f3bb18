# Drills from SQL: the row, what was asked and reached, the checks in the database; what is refused; the ends a call can
# come to; and drills of other hosts, which become rows from what the repository holds of them.
use strict;
use warnings;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill qw(drill_ok drill_finds processes_in);
use PgArk::Test;

my $node = ark_cluster('source', conf => "autovacuum = off\n");
my $scratch = $node->basedir . '/scratch';
set_config($node, 'pg_ark.scratch_directory' => $scratch);
load_shop($node);

sub test_row { my ($id) = @_; return JSON::PP::decode_json($node->safe_psql('postgres', "SELECT to_jsonb(t) FROM ark.backup_tests t WHERE id = '$id'") || 'null') }
sub wait_test {
    my ($id) = @_;
    return poll_until("test $id has ended", sub { my $row = test_row($id); $row && defined $row->{completed_at} && $row });
}
sub fails {
    my ($sql, $pattern, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, undef, $err) = $node->psql('postgres', $sql);
    ok($status != 0 && $err =~ $pattern, $what) or diag($err);
}
sub nothing_left {
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(eval { poll_until('nothing is left', sub { !processes_in($scratch) && !(() = glob "$scratch/pg_ark-test-*") && !ark_children($node, 'server-drill')
                && $node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_tests WHERE completed_at IS NULL') eq '0' }, 20) }, "$what: nothing is left");
}

# A check and a critical function of the database's own, in its tables where it has them.
$node->safe_psql('postgres', 'CREATE TABLE tally (n int PRIMARY KEY); INSERT INTO tally VALUES (1), (2)');
my @checks = (
    { kind => 'critical', name => 'tally', severity => 'critical', sql => 'SELECT count(*) FROM tally', expected => '2' },
    { kind => 'integrity', name => 'odd ones', severity => 'warning', sql => 'SELECT n FROM tally WHERE n % 2 = 1' });
if ($node->safe_psql('postgres', q{SELECT to_regprocedure('ark.drill_checks()') IS NOT NULL}) eq 't') {
    $node->safe_psql('postgres', q{INSERT INTO ark.critical_functions (name, sql, expected) VALUES ('tally', 'SELECT count(*) FROM tally', '2');
        INSERT INTO ark.integrity_checks (name, category, sql, severity) VALUES ('odd ones', 'custom', 'SELECT n FROM tally WHERE n % 2 = 1', 'warning')});
} else {
    $node->safe_psql('postgres', q{CREATE FUNCTION ark.drill_checks(OUT kind text, OUT name text, OUT category text, OUT severity text, OUT threshold bigint, OUT database text,
            OUT sql text, OUT expected text, OUT predicate text, OUT timeout_ms bigint, OUT "position" bigint) RETURNS SETOF record LANGUAGE sql AS $$
        VALUES ('critical', 'tally', NULL, 'critical', 0::bigint, NULL, 'SELECT count(*) FROM tally', '2', NULL, 60000::bigint, 1::bigint),
               ('integrity', 'odd ones', 'custom', 'warning', 0, NULL, 'SELECT n FROM tally WHERE n % 2 = 1', NULL, NULL, 60000, 2) $$});
}

my $first = backup_ok($node, 'first');
$node->safe_psql('postgres', 'CREATE TABLE steps AS SELECT 1 AS n');
my $at = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', 'SELECT pg_sleep(0.1); INSERT INTO steps VALUES (2)');
archive_now($node);
$node->safe_psql('postgres', 'INSERT INTO steps VALUES (3)');
archive_now($node);

# ---- each target

my $id = $node->safe_psql('postgres', 'SELECT ark.start_drill()');
my $row = wait_test($id);
ok($row->{success}, 'start_drill()') or diag(JSON::PP::encode_json($row));
is($row->{test_type}, 'drill', 'its type');
is($row->{backup_id}, $first, 'the backup that was found');
is($row->{data_verified}{target}{kind}, 'consistency', 'its target');
is_deeply([ map { "$_->{name}: $_->{status}" } @{ $row->{data_verified}{checks} } ], [ 'tally: passed', 'odd ones: failed' ], "the database's checks");
like($row->{notes}, qr/odd ones \(warning\): 1 violation/, 'a warning is a note');
cmp_ok($row->{data_verified}{seconds}{$_}, '>=', 0, "seconds of $_")
  for qw(fetch verify_objects verify_files recover pages check foreign_keys sequences constraints checks critical_functions);
is($node->safe_psql('postgres', "SELECT verification_type || ' ' || success FROM ark.backup_verification WHERE details ->> 'test_id' = '$id'"), 'restore_test true', 'a row in backup_verification');
is($node->safe_psql('postgres', "SELECT count(*) FROM ark.integrity_results WHERE test_id = '$id'"), 2, 'results have rows')
  if $node->safe_psql('postgres', q{SELECT to_regclass('ark.integrity_results') IS NOT NULL}) eq 't';

my $out = $node->safe_psql('postgres', qq{CALL ark.drill(NULL, 'latest', '{"notes": "to the end", "jobs": 1, "checks": ["foreign_keys", "critical_functions"]}')});
like($out, qr/^[0-9a-f-]{36}\|t$/, 'CALL ark.drill');
$row = test_row($out =~ s/\|t$//r);
is($row->{data_verified}{target}{kind}, 'latest', 'latest');
like($row->{notes}, qr/^to the end\nonly these checks were made: foreign_keys, critical_functions; nothing is said of the others/, 'notes, with what was left out');
ok(!exists $row->{data_verified}{seconds}{sequences}, 'only the checks that were named');
is(scalar @{ $row->{data_verified}{checks} }, 1, 'and of the own ones only the critical');

$out = $node->safe_psql('postgres', "CALL ark.drill('$first', '$at')");
$row = test_row($out =~ s/\|t$//r);
is($row->{data_verified}{target}{kind}, 'time', 'a time');
is($row->{data_verified}{target}{asked}, $at, 'as it was asked for');
like($row->{data_verified}{target}{stopped}, qr/^before /, 'reached');
$out = $node->safe_psql('postgres', q{CALL ark.drill(p_target => 'random', p_options => '{"seed": 11}')});
$row = test_row($out =~ s/\|t$//r);
is($row->{data_verified}{target}{seed}, 11, 'random, with its seed');
$out = $node->safe_psql('postgres', q{CALL ark.drill(p_target => 'random', p_options => '{"checks": ["catalog"]}')});
my $drawn = test_row($out =~ s/\|t$//r)->{data_verified}{target};
$out = $node->safe_psql('postgres', qq{CALL ark.drill(p_target => 'random', p_options => '{"seed": $drawn->{seed}, "checks": ["catalog"]}')});
# The point is the same only while the repository is: 085.
is(test_row($out =~ s/\|t$//r)->{data_verified}{target}{seed}, $drawn->{seed}, 'a seed that was drawn can be given back');
nothing_left('each target');

# ---- what is refused

fails(q{SELECT ark.start_drill(p_target => NULL)}, qr/p_target must not be null/, 'no target');
fails(q{SELECT ark.start_drill(p_target => 'nonsense')}, qr/invalid input syntax for type timestamp/, 'no time');
fails(q{SELECT ark.start_drill(p_target => 'infinity')}, qr/invalid target "infinity"/, 'no such time');
fails(q{SELECT ark.start_drill(p_target => '2999-01-01')}, qr/is in the future/, 'the future');
fails(q{SELECT ark.start_drill('no_such')}, qr/does not exist/, 'no such backup');
fails(q{SELECT ark.start_drill(p_options => '{"seed": 3}')}, qr/belongs to the target "random"/, 'a seed for nothing');
fails(q{SELECT ark.start_drill(p_options => '{"checks": "all"}')}, qr/invalid value for option "checks"/, 'checks that are no array');
fails(q{SELECT ark.start_drill(p_options => '{"checks": []}')}, qr/invalid value for option "checks"/, 'no checks');
my $rows_before = $node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_tests');
fails(q{\set VERBOSITY verbose
    CALL ark.drill(p_options => '{"checks": ["nothing"]}')}, qr/22023: unknown check "nothing".*HINT:  The checks are objects, .*, census\./s, 'a check that there is not');
fails(q{SELECT ark.start_drill(p_target => 'random', p_options => '{"seed": 4294967296}')}, qr/invalid value for option "seed".*from 1 to 4294967295/s, 'a seed that is too large');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_tests'), $rows_before, 'they have no rows');

# Targets that cannot be: an error, and no verdict on a backup that nobody read.
my $verdicts = $node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_verification');
for ([ q{p_target => '2020-01-01'}, qr/no backup leads to/ ],
    [ "'$first', '2020-01-01'", qr/backup \S+ does not lead to/ ],
    [ 'p_target => (SELECT clock_timestamp()::text)', qr/no archived transaction is later than the target/ ]) {
    my ($arguments, $pattern) = @$_;
    my $sql = $arguments =~ /SELECT/ ? q{SELECT format('CALL ark.drill(p_target => %L)', clock_timestamp()) \gexec} : "CALL ark.drill($arguments);";
    fails("\\set VERBOSITY verbose\n$sql\n", qr/22023: .*$pattern/s, "$arguments: an error");
    $row = JSON::PP::decode_json($node->safe_psql('postgres', 'SELECT to_jsonb(t) FROM ark.backup_tests t ORDER BY started_at DESC LIMIT 1'));
    ok(!defined $row->{success} && defined $row->{completed_at}, "$arguments: no verdict");
    like($row->{errors}[0]{message}, $pattern, "$arguments: the reason is in the row");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_verification'), $verdicts, 'and nothing is held against a backup');
fails(q{BEGIN; CALL ark.drill()}, qr/cannot wait inside a transaction block/, 'inside a transaction');
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA ark TO app');
my (undef, undef, $err) = $node->psql('postgres', 'SELECT ark.start_drill()', extra_params => [ '-U', 'app' ]);
like($err, qr/permission denied for function start_drill/, 'not a superuser');

# ---- found

$node->safe_psql('postgres', 'INSERT INTO tally VALUES (3)');
archive_now($node);
my ($status) = $node->psql('postgres', q{CALL ark.drill(p_target => 'latest')}, stdout => \$out);
like($out, qr/\|f$/, 'a critical function that fails: false');
$row = test_row($out =~ s/\|f$//r);
is_deeply([ map { "$_->{check} $_->{object}: $_->{message}" } @{ $row->{errors} } ], [ 'critical_function tally: "tally": the answer is not what is expected' ], 'and is the error');

ok(log_has($node, qr/HINT:  Look at errors in ark\.backup_tests, id \S+\. Rows that break a rule are repaired in the live database/), 'the log says what helps');

# ---- ends

with_fault($node, 'restore_after_files=sleep', sub {
    $id = $node->safe_psql('postgres', q{SELECT ark.start_drill(p_target => 'latest')});
    poll_until('it restores', sub { $node->safe_psql('postgres', "SELECT phase FROM ark.test_progress WHERE test_id = '$id'") eq 'restoring' });
    is($node->safe_psql('postgres', "SELECT kind || ' ' || coalesce(backup_id, 'none yet') FROM ark.test_progress"), 'drill none yet', 'ark.test_progress');
    is($node->safe_psql('postgres', "SELECT ark.cancel_restore_test('$id')"), 't', 'it is cancelled');
    $row = wait_test($id);
    ok(!defined $row->{success}, 'and has no verdict');
    is($row->{errors}[0]{sqlstate}, '57014', 'but a reason');
    nothing_left('a cancelled drill');
    my $call = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres') . ' application_name=the_call', '-c', q{CALL ark.drill(p_target => 'random')} ], '<', '/dev/null', '>', \my $o, '2>', \my $e);
    poll_until('it restores', sub { $node->safe_psql('postgres', 'SELECT phase FROM ark.test_progress') eq 'restoring' });
    $node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'the_call'});
    my $began = time;
    $call->finish;
    cmp_ok(time - $began, '<', 20, 'a cancelled call ends within seconds');
    nothing_left('a cancelled call');
    # One more than there may be waits, or is refused.
    set_config($node, 'pg_ark.restore_test_limit' => 2, 'pg_ark.restore_test_when_busy' => 'refuse');
    my @ids = map { $node->safe_psql('postgres', 'SELECT ark.start_drill()') } 1, 2;
    fails('SELECT ark.start_drill()', qr/2 restore tests are under way/, 'a third is refused');
    set_config($node, 'pg_ark.restore_test_when_busy' => 'wait');
    push @ids, $node->safe_psql('postgres', 'SELECT ark.start_drill()');
    poll_until('the third waits', sub { $node->safe_psql('postgres', "SELECT phase FROM ark.test_progress WHERE test_id = '$ids[2]'") eq 'waiting' });
    pass('a third waits');
    $node->safe_psql('postgres', "SELECT ark.cancel_restore_test('$_')") for @ids;
    wait_test($_) for @ids;
    nothing_left('three at once');
});

# ---- drills of other hosts

my $away = PostgreSQL::Test::Utils::tempdir('away');
my $elsewhere = drill_ok($node, 'elsewhere', '--scratch', $away, '--target', 'latest', '--only', 'catalog');
append_to_file("$away/checks.sql", "-- name: none\n-- kind: critical\n-- expected: 0\nSELECT count(*) FROM tally\n");
my $bad = drill_finds($node, 'elsewhere, with a finding', [ { check => 'critical_function' } ], '--scratch', $away, '--checks', "$away/checks.sql", '--only', 'critical_functions');
is($node->safe_psql('postgres', "SELECT count(*) FROM ark.backup_tests WHERE id IN ('$elsewhere->{test_id}', '$bad->{test_id}')"), 0, 'the server does not know of them yet');
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_tests');
$node->restart;    # the launcher looks
poll_until('they have rows', sub { $node->safe_psql('postgres', "SELECT count(*) FROM ark.backup_tests WHERE id IN ('$elsewhere->{test_id}', '$bad->{test_id}')") eq '2' });
$row = test_row($elsewhere->{test_id});
ok($row->{success} && $row->{test_type} eq 'drill' && $row->{backup_id} eq $first, 'a row says what came out') or diag(JSON::PP::encode_json($row));
like($row->{test_environment}, qr/^\Q$elsewhere->{host}\E, pg_ark drill \d/, 'and where it was done');
is($row->{data_verified}{target}{kind}, 'latest', 'with what was verified');
$row = test_row($bad->{test_id});
is($row->{success}, JSON::PP::false, 'and of the other, what was found');
is($row->{errors}[0]{check}, 'critical_function', 'with its errors');
is($node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE details ->> 'test_id' = '$bad->{test_id}'"), 'f', 'in backup_verification too');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_tests'), $before + 2, 'no row but theirs came');
$node->restart;
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM ark.backup_tests') or die;
sleep 2;
is($node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_tests'), $before + 2, 'nor twice');

# ---- what comes first by its tier is checked and told first

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE trivial (id int, parent int REFERENCES parents);
CREATE TABLE vital (id int, parent int REFERENCES parents);
SET session_replication_role = replica;
INSERT INTO trivial SELECT n, n FROM generate_series(1, 5000) n;
INSERT INTO vital VALUES (1, 1);
SQL
my $broken = backup_ok($node, 'with broken rules');
sub found_in_order {
    $node->psql('postgres', "CALL ark.drill('$broken', p_options => '{\"checks\": [\"foreign_keys\"]}')");
    return $node->safe_psql('postgres', q{SELECT string_agg(e ->> 'relation', ' ' ORDER BY n) FROM
        (SELECT errors FROM ark.backup_tests ORDER BY started_at DESC LIMIT 1) AS t, jsonb_array_elements(t.errors) WITH ORDINALITY AS f (e, n)});
}
$node->safe_psql('postgres', q{SELECT ark.set_recovery_objective('critical', p_tables => '{public.trivial}')});
is(found_in_order(), 'public.trivial public.vital', 'what was thought to be critical comes first');
$node->safe_psql('postgres', q{SELECT ark.set_recovery_objective('critical', p_tables => '{public.vital}')});
is(found_in_order(), 'public.vital public.trivial', 'what is critical comes first');
done_testing();
