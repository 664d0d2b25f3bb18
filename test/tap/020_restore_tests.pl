# Restore tests from SQL: the verdict and its evidence; what is refused, and how that reads; every way in which a
# call can end before its test does; limits; kill -9 of every process involved, also where PostgreSQL is process 1.
# Whatever happens, no process, directory or open row stays.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use PgArk::Test;
use PgArk::Namespace;

my ($repository, $url) = new_repository();
# The step at which a test is held for as long as it takes to look at it; it sleeps, and can be woken by SIGTERM alone.
my $HOLD = 'restore_after_files=sleep';

# ---- what the tests below ask

sub set_scratch {
    my ($node) = @_;
    $node->{scratch} = $node->basedir . '/scratch';
    set_config($node, 'pg_ark.scratch_directory' => $node->{scratch});
}

sub test_row {
    my ($node, $id) = @_;
    my $json = $node->safe_psql('postgres', "SELECT to_jsonb(t) FROM ark.backup_tests t WHERE id = '$id'");
    return $json eq '' ? undef : JSON::PP::decode_json($json);
}

sub last_test {
    my ($node) = @_;
    return test_row($node, $node->safe_psql('postgres', 'SELECT id FROM ark.backup_tests ORDER BY started_at DESC LIMIT 1'));
}

sub wait_test {
    my ($node, $id) = @_;
    return poll_until("test $id has ended", sub {
        my $row = eval { test_row($node, $id) };
        $row && defined $row->{completed_at} && $row });
}

sub start_test {
    my ($node, $backup, $options) = @_;
    return $node->safe_psql('postgres', sprintf q{SELECT ark.start_restore_test('%s', '%s')}, $backup, $options // '{}');
}

sub wait_phase {
    my ($node, $id, $phase) = @_;
    poll_until("test $id is $phase", sub {
        $node->safe_psql('postgres', "SELECT phase FROM ark.test_progress WHERE test_id = '$id'") eq $phase });
}

# { pid => [ children ] } of all processes, and { pid => command line }.
sub processes {
    my (%children, %command);
    for my $directory (glob '/proc/[0-9]*') {
        my ($pid) = $directory =~ /(\d+)$/;
        open my $stat, '<', "$directory/stat" or next;
        my $line = <$stat> // next;
        push @{ $children{$1} }, $pid if $line =~ /^\d+ \(.*\) [^Z] (\d+)/s;
        open my $handle, '<', "$directory/cmdline" or next;
        ($command{$pid} = do { local $/; <$handle> } // '') =~ tr/\0/ /;
    }
    return (\%children, \%command);
}

# The processes of a node's tests: pg_ark's, and all that those started. { pid => command line }
sub test_processes {
    my ($node) = @_;
    my ($children, $command) = processes();
    my @found = map { ark_children($node, $_) } qw(server-drill server-verify);
    for (my $i = 0; $i < @found; $i++) { push @found, @{ $children->{ $found[$i] } // [] } }
    return { map { $_ => $command->{$_} // '' } @found };
}

# Those that belong to a scratch directory, whoever their parent is by now.
sub scratch_processes {
    my ($node) = @_;
    my (undef, $command) = processes();
    return grep { $command->{$_} =~ /\Q$node->{scratch}\E\/pg_ark-test-/ || (readlink("/proc/$_/cwd") // '') =~ /^\Q$node->{scratch}\E\/pg_ark-test-/ } keys %$command;
}

sub scratch_directories {
    my ($node) = @_;
    my $inside = $node->{handle} ? path_inside($node->{handle}, $node->{scratch}) : $node->{scratch};
    return glob "$inside/pg_ark-test-*";
}

# Nothing of a test is left: at once (seconds 0), or within seconds. `pids`: processes seen before.
sub nothing_left {
    my ($node, $what, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @left;
    my $gone = eval {
        poll_until('nothing is left', sub {
            @left = (
                (map { "process $_" } scratch_processes($node), keys %{ test_processes($node) }, grep { kill 0, $_ } @{ $options{pids} // [] }),
                (map { "directory $_" } scratch_directories($node)),
                (map { "row $_" } split /\n/, $node->safe_psql('postgres', q{
                    SELECT 'test ' || id FROM ark.backup_tests WHERE completed_at IS NULL UNION ALL
                    SELECT 'verification ' || id FROM ark.backup_verification WHERE details ? 'in_progress' UNION ALL
                    SELECT 'job ' || test_id FROM ark.test_progress})));
            !@left }, $options{seconds} // 30);
        1 };
    return ok($gone, "$what: nothing is left") || diag(join "\n", @left);
}

# A statement in a session of its own. Returns a handle.
sub start_call {
    my ($node, $statement, @before) = @_;
    my $call = { out => '', err => '', began => time };
    $call->{run} = IPC::Run::start(
        [ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . ' application_name=the_call', (map { ('-c', $_) } @before, $statement) ],
        '<', '/dev/null', '>', \$call->{out}, '2>', \$call->{err});
    return $call;
}

sub end_call {
    my ($call) = @_;
    poll_until('the call has ended', sub { $call->{run}->pump_nb; !$call->{run}->pumpable });
    eval { $call->{run}->finish };
    return $call->{status} = $call->{run}->full_result(0);
}

sub call_backend {
    my ($node) = @_;
    return poll_until('the call waits', sub {
        $node->safe_psql('postgres', q{SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'the_call' AND state = 'active'
            AND EXISTS (SELECT FROM ark.test_progress WHERE phase = 'restoring')}) });
}

# ---- a clean backup

my $node = ark_cluster('source', repository => $url, conf => "max_worker_processes = 24\n");
set_scratch($node);
load_shop($node);
PostgreSQL::Test::Utils::system_or_bail('pgbench', '-i', '-q', '-s', 3, '-h', $node->host, '-p', $node->port, 'postgres');
my $id = backup_ok($node, 'clean');
my $mark = log_mark($node);

is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 't', 'a clean backup: true');
nothing_left($node, 'after a test', seconds => 2);
my $row = last_test($node);
ok($row->{success}, 'the row says so');
is($row->{backup_id}, $id, 'of that backup');
is_deeply($row->{errors}, [], 'without errors') or diag(JSON::PP::encode_json($row->{errors} // {}));
like($row->{test_environment}, qr/, PostgreSQL \d+.*, \Q$node->{scratch}\E$/, "test_environment: $row->{test_environment}");
my $verified = $row->{data_verified};
note(JSON::PP->new->canonical->pretty->encode($row));
cmp_ok($verified->{$_->[0]}{$_->[1]}, '>', 0, "data_verified: $_->[0].$_->[1]")
  for [qw(files count)], [qw(files bytes)], [qw(pages checked)], [qw(heap relations)], [qw(btree indexes)], [qw(rows rows)];
cmp_ok(scalar(grep { $_ eq 'postgres' || $_ eq 'template1' } @{ $verified->{databases} }), '==', 2, 'data_verified: databases');
cmp_ok($verified->{seconds}{$_}, '>=', 0, "seconds of $_") for qw(fetch recover check total);
cmp_ok(abs($verified->{rto_seconds} - $verified->{seconds}{fetch} - $verified->{seconds}{recover}), '<', 0.1, 'rto_seconds: fetch and recover');
is($node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE verification_type = 'restore_test' AND details ->> 'test_id' = '$row->{id}'"),
    't', 'a row in backup_verification');
is(scalar(() = find_objects($repository, qr{/\Q$id\E/tests/\Q$row->{id}\E\.json})), 1, 'the evidence is in the repository');

# By procedure, with options; by a function that starts it; by a verification.
my $out = $node->safe_psql('postgres', qq{CALL ark.restore_test('$id', '{"tested_by": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "notes": "by procedure", "jobs": 1}')});
my ($test) = $out =~ /^([0-9a-f-]{36})\|t$/;
ok($test, "CALL restore_test returns the id and the verdict: $out");
$row = test_row($node, $test);
is($row->{tested_by}, '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'tested_by');
like($row->{notes}, qr/^by procedure/, 'notes');
ok(wait_test($node, start_test($node, $id))->{success}, 'start_restore_test');
my $verification = $node->safe_psql('postgres', "SELECT ark.verify_backup('$id')");
my $details = JSON::PP::decode_json($node->safe_psql('postgres', "SELECT to_jsonb(v) FROM ark.backup_verification v WHERE id = '$verification'"));
ok($details->{success}, 'verify_backup of a clean backup') or diag(JSON::PP::encode_json($details));
is($details->{verification_type}, 'checksum', 'is of type checksum');
cmp_ok($details->{details}{bytes}, '>', 0, 'and says what it read');
$verification = $node->safe_psql('postgres', qq{SELECT ark.verify_backup('$id', '{"wait": false}')});
poll_until('the verification has ended', sub { $node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE id = '$verification'") eq 't' });
pass('verify_backup that does not wait');
is($node->safe_psql('postgres', "SELECT ark.cancel_restore_test('$verification')"), 'f', 'cancel_restore_test of what has ended: false');
nothing_left($node, 'after all these');

# ---- who may, and where

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA ark TO app');
my $as_app = sub { $node->psql('postgres', $_[0], extra_params => [ '-U', 'app' ]) };
my ($status, undef, $err) = $as_app->("SELECT ark.test_backup_restoration('$id')");
like($err, qr/permission denied for function test_backup_restoration/, 'not a superuser: refused');
$node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION ark.test_backup_restoration TO app');
($status, $out, $err) = $as_app->("SELECT ark.test_backup_restoration('$id')");
is("$status$out", '0t', 'a grant is enough') or diag($err);
$node->safe_psql('postgres', 'CREATE DATABASE other');
($status, undef, $err) = $node->psql('other', 'CREATE EXTENSION pg_ark');
like($err, qr/pg_ark belongs to database "postgres"/, 'another database: refused');

# What keeps a test from running says nothing of the backup: an error, and a row without a verdict.
sub has_no_result {
    my ($what, $pattern) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $out, $err) = $node->psql('postgres', "SELECT ark.test_backup_restoration('$id')");
    ok($status != 0 && $out eq '', "$what: an error");
    like($err, $pattern, "$what: the message");
    my $row = last_test($node);
    ok(!defined $row->{success} && defined $row->{completed_at}, "$what: the row has an end and no verdict");
    like($row->{errors}[0]{message}, $pattern, "$what: and the reason");
    like($row->{notes}, qr/nothing is known about the backup/, "$what: in words too");
    nothing_left($node, $what, seconds => 2);
}
set_config($node, 'pg_ark.scratch_directory' => $node->data_dir . '/scratch');
has_no_result('a scratch directory in the data directory', qr/scratch directory/);
ok(!-e $node->data_dir . '/scratch', 'and it is not made');
set_config($node, 'pg_ark.scratch_directory' => "$repository/scratch");
has_no_result('a scratch directory in the repository', qr/scratch directory/);
ok(!-e "$repository/scratch", 'and it is not made');
mkdir $node->basedir . '/closed', 0500 or die $!;
set_config($node, 'pg_ark.scratch_directory' => $node->basedir . '/closed/scratch');
has_no_result('a scratch directory that cannot be made', qr/closed/);
set_scratch($node);
rename $repository, "$repository.away" or die $!;
has_no_result('a repository that is away', qr/repo/);
rename "$repository.away", $repository or die $!;
set_config($node, 'pg_ark.restore_test_libraries' => 'no_such_library');
# A server that does not start for want of a library says nothing of the backup either, but it cannot know that.
$node->psql('postgres', "SELECT ark.test_backup_restoration('$id')");
isnt(JSON::PP::encode_json([ last_test($node)->{success} ]), '[true]', 'a library that does not exist: never true');
set_config($node, 'pg_ark.restore_test_libraries' => undef);
nothing_left($node, 'after what could not run');

# A standby cannot keep the result. A restored copy may test, which harms nobody.
$node->backup('for_standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'for_standby', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
for my $statement ("SELECT ark.test_backup_restoration('$id')", "SELECT ark.start_restore_test('$id')", "SELECT ark.verify_backup('$id')", "CALL ark.restore_test('$id')") {
    ($status, undef, $err) = $standby->psql('postgres', $statement);
    like($err, qr/a standby cannot test backups.*HINT/s, "on a standby: $statement");
}
$standby->stop;
archive_now($node);
my $clone = restore_node($node, 'clone');
start_restored($clone);
set_config($clone, 'pg_ark.scratch_directory' => '');    # ALTER SYSTEM of the source came along
$clone->poll_query_until('postgres', 'SELECT count(*) = 1 FROM ark.backup_log WHERE backup_id = ' . "'$id' AND status = 'completed'");
is($clone->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 't', 'a restored copy may test');
my $default = $clone->basedir . '/pg_ark-scratch-';
like(last_test($clone)->{test_environment}, qr/, \Q$default\E\d+$/, 'in the default scratch directory, beside the data directory');
is_deeply([ glob "$default*" ], [], 'which the test made and removed');
$clone->stop;

# ---- a call that ends before its test

sub held { return with_fault($node, $HOLD, $_[0]) }
my %ways = (
    'pg_cancel_backend'    => [ sub { $node->safe_psql('postgres', "SELECT pg_cancel_backend($_[1])") }, qr/canceling statement due to user request/ ],
    'pg_terminate_backend' => [ sub { $node->safe_psql('postgres', "SELECT pg_terminate_backend($_[1])") }, qr/terminating connection/ ],
    'statement_timeout'    => [ sub { }, qr/statement timeout/, q{SET statement_timeout = '5s'} ],
    'a client that is gone' => [ sub { $_[0]{run}->kill_kill(grace => 0) }, undef ],
    'cancel_restore_test'  => [ sub { $node->safe_psql('postgres', 'SELECT ark.cancel_restore_test(test_id) FROM ark.test_progress') }, qr/was cancelled/ ],
);
held(sub {
    for my $way (sort keys %ways) {
        for my $statement ("SELECT ark.test_backup_restoration('$id')", "CALL ark.restore_test('$id')") {
            my ($end, $pattern, @before) = @{ $ways{$way} };
            my $what    = "$way, $statement";
            my $call    = start_call($node, $statement, @before);
            my $backend = call_backend($node);
            my @pids    = keys %{ test_processes($node) };
            cmp_ok(scalar @pids, '>', 0, "$what: there is something to end");
            my $began = time;
            $end->($call, $backend);
            end_call($call) if $pattern;
            # Where the backend lives on the call returns when all is over.
            nothing_left($node, $what, pids => \@pids, seconds => $way =~ /cancel_backend|timeout/ ? 3 : 25);
            cmp_ok(time - $began, '<', 30, "$what: within seconds");
            like($call->{err}, $pattern, "$what: the message") if $pattern;
            ok(!defined last_test($node)->{success}, "$what: no verdict");
        }
    }

    # A call that nobody waits for is ended by its id, before and while it works.
    my $one = start_test($node, $id);
    is($node->safe_psql('postgres', "SELECT ark.cancel_restore_test('$one')"), 't', 'cancel_restore_test at once');
    $row = wait_test($node, $one);
    like($row->{errors}[0]{message}, qr/cancelled/, 'the row says so');
    nothing_left($node, 'cancelled at once');

    # Two at once; a third waits for its turn, or is refused.
    my @two = map { start_test($node, $id) } 1, 2;
    wait_phase($node, $_, 'restoring') for @two;
    my $third = start_test($node, $id);
    wait_phase($node, $third, 'waiting');
    set_config($node, 'pg_ark.restore_test_when_busy' => 'refuse');
    ($status, undef, $err) = $node->psql('postgres', "SELECT ark.start_restore_test('$id')");
    like($err, qr/restore tests are under way.*restore_test_limit.*HINT/s, 'refuse: one more is refused');
    set_config($node, 'pg_ark.restore_test_when_busy' => undef);

    # Meanwhile a backup, DROP DATABASE and a checkpoint go on as ever.
    backup_ok($node, 'while tests run');
    my $began = time;
    $node->safe_psql('postgres', 'DROP DATABASE other; CREATE DATABASE other; CHECKPOINT');
    cmp_ok(time - $began, '<', 20, 'DROP DATABASE is not held up');
    is($node->safe_psql('postgres', "SELECT phase FROM ark.test_progress WHERE test_id = '$third'"), 'waiting', 'the third still waits');
    $node->safe_psql('postgres', "SELECT ark.cancel_restore_test('$two[0]')");
    wait_phase($node, $third, 'restoring');
    pass('its turn comes when one has ended');
    $node->safe_psql('postgres', 'SELECT ark.cancel_restore_test(test_id) FROM ark.test_progress');
    wait_test($node, $_) for @two, $third;
    nothing_left($node, 'three at once');

    # A shutdown does not wait for a test; the next start ends its row.
    my $last = start_test($node, $id);
    wait_phase($node, $last, 'restoring');
    my @pids = keys %{ test_processes($node) };
    $began = time;
    $node->stop('fast');
    cmp_ok(time - $began, '<', 30, 'a shutdown is not held up');
    ok(!(grep { kill 0, $_ } @pids), 'and leaves no process');
    $node->start;
    like(wait_test($node, $last)->{errors}[0]{message}, qr/shutdown|ended before/, 'its row has an end');
    nothing_left($node, 'a shutdown');
});
never_restarted($node, $mark, 'nothing of this restarted the server');

# ---- damage

$node->safe_psql('postgres', q{
    CREATE TABLE damaged (id int, payload text) WITH (autovacuum_enabled = off);
    INSERT INTO damaged SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i;
    VACUUM FREEZE damaged});
my $path = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('damaged')});
$node->stop;
open my $file, '+<:raw', $node->data_dir . "/$path" or die $!;
seek $file, 3 * 8192 + 5000, 0;
read $file, my $byte, 1;
seek $file, 3 * 8192 + 5000, 0;
print $file chr(ord($byte) ^ 4);
close $file;
$node->start;
my $bad = backup_ok($node, 'with a flipped bit');
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$bad')"), 'f', 'a damaged backup: false');
$row = last_test($node);
is(JSON::PP::encode_json([ $row->{success} ]), '[false]', 'the row says so');
ok((grep { ($_->{relation} // '') =~ /damaged/ && defined $_->{block} && $_->{block} == 3 } @{ $row->{errors} }), 'and names relation and block')
  or diag(JSON::PP::encode_json($row->{errors}));
ok(log_has($node, qr/WARNING:.*restore test of backup "\Q$bad\E" found damage/), 'a warning in the log');
is($node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE details ->> 'test_id' = '$row->{id}'"), 'f', 'backup_verification too');
nothing_left($node, 'after damage', seconds => 2);
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 't', 'the older backup is as good as it was');

# A damaged pack is found by both.
my ($pack) = map { "$repository/$_" } find_objects($repository, qr{/\Q$id\E/data/});
chmod 0600, $pack;
open $file, '+<:raw', $pack or die $!;
seek $file, (-s $pack) / 2, 0;
read $file, $byte, 1;
seek $file, (-s $pack) / 2, 0;
print $file chr(ord($byte) ^ 4);
close $file;
$verification = $node->safe_psql('postgres', "SELECT ark.verify_backup('$id')");
is($node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE id = '$verification'"), 'f', 'verify_backup: a damaged pack');
like($node->safe_psql('postgres', "SELECT details -> 'errors' FROM ark.backup_verification WHERE id = '$verification'"), qr/data\/\d+\.tar\.zst/, 'is named');
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 'f', 'and its restore test: false');
isnt(last_test($node)->{errors}[0]{message} // '', '', 'with the reason: ' . (last_test($node)->{errors}[0]{message} // ''));
nothing_left($node, 'after a damaged pack', seconds => 2);
$node->stop;

# ---- no room

SKIP: {
    skip 'this kernel or container allows no user namespaces', 2 unless namespaces_work();
    my $small = ark_cluster('small', start => 0);
    $small->append_conf('postgresql.conf', "pg_ark.scratch_directory = '/mnt/scratch'\n");
    my $handle = start_in_namespace($small, { tmpfs => { '/mnt' => '8m' } });
    $small->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
    my $backup = backup_ok($small, 'for a small disk');
    ($status, undef, $err) = $small->psql('postgres', "SELECT ark.test_backup_restoration('$backup')");
    like($err, qr/could not be tested: .*(?:space|room|free)/, 'no room: an error that says so');
    is($small->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_tests WHERE success IS NULL AND completed_at IS NOT NULL}), '1', 'no room: the row has no verdict');
    stop_in_namespace($handle);
}

# ---- kill -9

my @modes = ('as ever');
if (namespaces_work()) { push @modes, 'as process 1' }
else                   { diag('this kernel or container allows no user namespaces: process 1 is not tested') }
for my $mode (@modes) {
    (my $name = $mode) =~ s/ /_/g;
    my $node = ark_cluster($name, start => 0);
    if ($mode eq 'as ever') { $node->start }
    else                    { $node->{handle} = start_in_namespace($node, { pid => 1 }) }
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
    set_scratch($node);
    PostgreSQL::Test::Utils::system_or_bail('pgbench', '-i', '-q', '-s', 10, '-h', $node->host, '-p', $node->port, 'postgres');
    my $id = backup_ok($node, $mode);
    my $mark = log_mark($node);

    # What of a test's processes is meant.
    my %victims = (
        'the child'              => qr/ server-drill /,
        'the guard'              => qr/ server-guard /,
        'the scratch postmaster' => qr/^\S*postgres (?!--single).*-D/,
    );
    # Until all of them are there, for more than a moment: the postmaster that recovers ends soon, and may have ended when
    # it is killed.
    my $running = sub {
        my ($test) = @_;
        return poll_until('the scratch server runs', sub {
            my $row = test_row($node, $test);
            die 'the test ended too soon: ' . JSON::PP::encode_json($row) if defined $row->{completed_at};
            return if $node->safe_psql('postgres', "SELECT phase FROM ark.test_progress WHERE test_id = '$test'") ne 'checking';
            # Asked after the phase: before, it may be the postmaster that recovered and is gone.
            my $all = test_processes($node);
            my %found;
            for my $victim (keys %victims) { ($found{$victim}) = grep { "$all->{$_} " =~ $victims{$victim} } keys %$all }
            (grep { !defined } values %found) ? undef : { all => $all, victims => \%found } });
    };
    for my $victim (sort keys %victims) {
        my $test = start_test($node, $id);
        my $seen = $running->($test);
        kill 'KILL', $seen->{victims}{$victim};
        my $row = wait_test($node, $test);
        ok(!defined $row->{success}, "$mode, kill -9 of $victim: nothing is known of the backup") or diag(JSON::PP::encode_json($row));
        isnt($row->{errors}[0]{message} // '', '', "$mode, kill -9 of $victim: with a reason: " . ($row->{errors}[0]{message} // ''));
        nothing_left($node, "$mode, kill -9 of $victim", pids => [ keys %{ $seen->{all} } ]);
    }
    never_restarted($node, $mark, "$mode: no fate of a test's processes restarted the server");

    # The worker: a process with shared memory, so PostgreSQL restarts once; what it leaves must not be a second crash.
    my $test   = start_test($node, $id);
    my $seen   = $running->($test);
    my $worker = $node->safe_psql('postgres', 'SELECT worker_pid FROM ark.test_progress');
    kill 'KILL', $node->{handle} ? pid_outside($node->{handle}, $worker) : $worker;
    wait_log($node, qr/reinitializing/, $mark);
    wait_running($node);
    ok(!defined wait_test($node, $test)->{success}, "$mode, kill -9 of the worker: the row has an end");
    nothing_left($node, "$mode, kill -9 of the worker", pids => [ keys %{ $seen->{all} } ]);
    my $log = slurp_file($node->logfile, $mark);
    is(scalar(() = $log =~ /all server processes terminated; reinitializing/g), 1, "$mode, kill -9 of the worker: one crash, not two");

    # The same at each of the worker's own steps.
    for my $point ($node->{handle} ? () : fault_points('server', qr/^module_test/)) {
        my $mark = log_mark($node);
        set_config($node, 'pg_ark.fault' => $point);
        $node->psql('postgres', "SELECT ark.start_restore_test('$id')");    # may die with the server
        wait_log($node, qr/reinitializing/, $mark);
        poll_until('the fault is gone', sub { eval { set_config($node, 'pg_ark.fault' => undef); 1 } });
        wait_running($node);
        nothing_left($node, "$mode, worker killed at $point");
        ok(!defined last_test($node)->{success}, "$mode, worker killed at $point: no verdict");
    }

    # The postmaster.
    if (!$node->{handle}) {
        $test = start_test($node, $id);
        $seen = $running->($test);
        my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
        $node->kill9;
        poll_until('all of the dead server has ended', sub { !kill(0, $postmaster) && !grep { (readlink($_) // '') eq $node->data_dir } glob '/proc/[0-9]*/cwd' });
        poll_until('and so have the processes of the test', sub { !(grep { kill 0, $_ } keys %{ $seen->{all} }) && !scratch_processes($node) });
        $node->start;
        ok(!defined wait_test($node, $test)->{success}, "$mode, kill -9 of the postmaster: the row has an end");
        nothing_left($node, "$mode, kill -9 of the postmaster");
    }
    is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 't', "$mode: and the backup is good");
    if ($node->{handle}) { is(stop_in_namespace($node->{handle}), 0, "$mode: stops cleanly") }
    else                 { $node->stop }
}
done_testing();
