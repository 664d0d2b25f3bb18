# What can be recovered, and what is missing: ark.recoverable_ranges, ark.wal_gaps, ark.can_recover and pg_ark ranges say
# what restores then do, at random moments, with holes in the archive and on two timelines.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use PgArk::Test;

my ($directory, $url) = new_repository();
my $seed = $ENV{PG_ARK_SEED} // time;
srand $seed;
note "PG_ARK_SEED=$seed";

# ---- what the tests below ask

sub rows {
    my ($node, $query) = @_;
    return @{ JSON::PP::decode_json($node->safe_psql('postgres', "SELECT coalesce(json_agg(r), '[]') FROM ($query) r")) };
}
sub ranges { my ($node) = @_; return rows($node, 'SELECT * FROM ark.recoverable_ranges') }
sub gaps   { my ($node) = @_; return rows($node, 'SELECT * FROM ark.wal_gaps') }

sub can_recover {
    my ($node, $target) = @_;
    my ($row) = rows($node, "SELECT * FROM ark.can_recover('$target')");
    return $row;
}

# The same question to the command line.
sub dry_run {
    my ($target) = @_;
    my ($status, $out, $err) = ark('restore', '--repo', $url, '-D', PostgreSQL::Test::Utils::tempdir('plan') . '/data', '--dry-run', '--output', 'json', '--target-time', $target);
    return $status == 0 ? JSON::PP::decode_json((split /\n/, $out)[0]) : { error => $err };
}

# Both give one answer.
sub agrees_ok {
    my ($node, $target, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($answer, $plan) = (can_recover($node, $target), dry_run($target));
    my $same = $answer->{possible}
      ? !$plan->{error} && $plan->{backup_id} eq $answer->{backup_id} && $plan->{timeline} == $answer->{timeline}
      : $plan->{error} && defined $answer->{detail} && !defined $answer->{backup_id};
    ok($same, "$what: the same answer as pg_ark restore --dry-run (" . ($answer->{possible} ? 'yes' : 'no') . ')')
      or diag(JSON::PP::encode_json([ $answer, $plan ]));
    return $answer;
}

sub now { my ($node) = @_; return $node->safe_psql('postgres', 'SELECT clock_timestamp()') }

sub plus { my ($node, $time, $interval) = @_; return $node->safe_psql('postgres', "SELECT '$time'::timestamptz + '$interval'") }

sub segment_object {
    my ($segment) = @_;
    my ($found) = find_objects($directory, qr{/wal/.*/\Q$segment\E\.zst$});
    return defined $found ? "$directory/$found" : undef;
}

# ---- nothing yet

my $node = ark_cluster('source', repository => $url);
$node->safe_psql('postgres', 'SET client_min_messages = error; CREATE TABLE log (n serial, at timestamptz DEFAULT clock_timestamp())');
archive_now($node);
is_deeply([ ranges($node) ], [], 'without a backup nothing can be recovered');
is_deeply([ gaps($node) ], [], 'and nothing is missing');
my $no = can_recover($node, now($node));
ok(!$no->{possible} && $no->{detail} =~ /no backup/, 'can_recover says why not') or diag(JSON::PP::encode_json($no));

# ---- one backup, an open range

my @backups = (backup_ok($node, 'first'));
my @moments;    # [ time, rows committed by then ]

sub write_rows {
    my ($node, $count) = @_;
    for (1 .. $count) {
        $node->safe_psql('postgres', 'INSERT INTO log DEFAULT VALUES');
        push @moments, [ split /\|/, $node->safe_psql('postgres', q{SELECT clock_timestamp(), count(*) FROM log}) ];
        usleep(20_000);
    }
}
write_rows($node, 4);
archive_now($node);
my ($range, @others) = ranges($node);
is(scalar @others, 0, 'one range');
my $row = backup_row($node, $backups[0]);
is($range->{timeline}, 1, 'on timeline 1');
is("$range->{first_backup} $range->{last_backup} $range->{backups}", "$backups[0] $backups[0] 1", 'from the one backup');
is($range->{from_lsn}, $row->{stop_lsn}, 'from its stop');
ok($range->{is_open}, 'it is open: the server archives');
is($node->safe_psql('postgres', qq{SELECT '$range->{until_time}' > '$moments[-1][0]'::timestamptz AND '$range->{until_time}' <= clock_timestamp()
      AND '$range->{until_lsn}'::pg_lsn <= '$range->{wal_end}'::pg_lsn AND '$range->{wal_end}'::pg_lsn <= pg_current_wal_lsn()}), 't', 'until the last transaction that was archived')
  or diag(JSON::PP::encode_json($range));
is_deeply([ gaps($node) ], [], 'nothing is missing');

# The edges are exact.
for my $edge ([ from_time => 0, 1 ], [ from_time => -1, 0 ], [ until_time => 0, 0 ], [ until_time => -1, 1 ]) {
    my ($column, $micros, $expected) = @$edge;
    my $target = plus($node, $range->{$column}, "$micros microseconds");
    my $answer = agrees_ok($node, $target, "$column $micros µs");
    is($answer->{possible} ? 1 : 0, $expected, "$column $micros µs: " . ($expected ? 'can' : 'cannot') . ' be recovered');
}
my $future = agrees_ok($node, plus($node, now($node), '1 hour'), 'in an hour');
like($future->{detail}, qr/in the future/, 'the future cannot');

# ---- what a restore would take

my $answer = can_recover($node, $moments[2][0]);
ok($answer->{possible}, 'a moment between two transactions');
is($node->safe_psql('postgres', "SELECT '$answer->{last_transaction_at}'::timestamptz <= '$moments[2][0]' AND '$answer->{next_transaction_at}'::timestamptz > '$moments[2][0]'"),
    't', 'it stops between the transactions around it') or diag(JSON::PP::encode_json($answer));
is($answer->{backup_bytes}, $row->{stored_bytes}, 'the backup\'s bytes');
my $wal = 0;
$wal += -s "$directory/$_" for grep { m{/([0-9A-F]{24})\.zst$} && $1 ge $row->{start_segment} } find_objects($directory, qr{/wal/});
ok($answer->{wal_bytes} > 0 && $answer->{wal_bytes} <= $wal, "the WAL's: $answer->{wal_bytes} of $wal");
is($answer->{fetch_bytes}, $answer->{wal_bytes} + $answer->{backup_bytes}, 'together');
is($answer->{estimated_time}, undef, 'no time is estimated before a restore test has measured');
set_config($node, 'pg_ark.scratch_directory' => $node->basedir . '/scratch');
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$backups[0]')"), 't', 'a restore test');
is($node->safe_psql('postgres', qq{
    SELECT restore_time > '0' AND replay_time > '0' AND estimated_time = restore_time + replay_time AND estimated_time < interval '10 minutes'
    FROM ark.can_recover('$moments[2][0]')}), 't', 'then it is');

# ---- a hole

my @lost;
push @lost, archive_now($node) for 1 .. 2;
write_rows($node, 2);
archive_now($node);
push @backups, backup_ok($node, 'second');
write_rows($node, 3);
my $last = archive_now($node);
my %kept = map { my $object = segment_object($_); $_ => { path => $object, bytes => slurp_file($object) } } @lost;
unlink $kept{$_}{path} or die $! for @lost;
@others = ranges($node);
is(scalar @others, 2, 'a hole makes two ranges');
is("$others[0]{last_backup} $others[1]{first_backup}", "$backups[0] $backups[1]", 'one a backup');
ok(!$others[0]{is_open} && $others[1]{is_open}, 'the second one is open');
my ($gap, @more) = gaps($node);
is(scalar @more, 0, 'and one gap');
is("$gap->{timeline} $gap->{first_segment} $gap->{last_segment} $gap->{segments} $gap->{bytes}", join(' ', 1, @lost, 2, 2 * 16 * 1024 * 1024), 'of the two segments');
is($node->safe_psql('postgres', "SELECT '$gap->{end_lsn}'::pg_lsn - '$gap->{start_lsn}'::pg_lsn"), $gap->{bytes}, 'with its positions');
is_deeply($gap->{backups}, [ $backups[0] ], 'the first backup cannot pass it');
is($gap->{in_pg_wal} ? 1 : 0, (grep { !-e $node->data_dir . "/pg_wal/$_" } @lost) ? 0 : 1, 'whether pg_wal has it is told');
agrees_ok($node, $_->[0], "with a hole, $_->[0]") for @moments[ 0, 4, 5, -2 ];

my ($told) = @{ JSON::PP::decode_json(ark_ok([ 'ranges', '--repo', $url, '--output', 'json' ], 'pg_ark ranges')) };
is_deeply([ map { $_->{first_backup} } @{ $told->{ranges} } ], \@backups, 'shows the same ranges');
is_deeply([ map { $_->{first_segment} } @{ $told->{gaps} } ], [ $lost[0] ], 'and the gap');
my $text = ark_ok([ 'ranges', '--repo', $url ], 'for people, too');
like($text, qr/^  MISSING  \Q$lost[0]\E to \Q$lost[1]\E \(2 segments/m, 'names the gap');
like($text, qr/^  timeline 1  from \S+ \(\S+\) until \S+ \(\S+\)$/m, 'and the ranges');

# WAL that the server made and nobody stored: missing before there is anything behind it.
for my $segment (@lost) {
    open my $file, '>', $kept{$segment}{path} or die $!;
    binmode $file;
    print $file $kept{$segment}{bytes};
    close $file;
}
is_deeply([ gaps($node) ], [], 'put back, nothing is missing');
my $newest = segment_object($last);
my $bytes = slurp_file($newest);
unlink $newest or die $!;
($gap) = gaps($node);
is($gap && $gap->{first_segment}, $last, 'the newest segment is missed by the server that wrote it');
is_deeply([ map { $_->{is_open} ? 1 : 0 } ranges($node) ], [0], 'nothing is open then');
is_deeply($gap->{backups}, \@backups, 'no backup passes it');
open my $file, '>', $newest or die $!;
binmode $file;
print $file $bytes;
close $file;

# What waits for the archiver is not missing.
my ($wal_directory) = $newest =~ m{(.*)/};
chmod 0500, $wal_directory or die $!;
$node->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'x', 'x'); SELECT pg_switch_wal()});
poll_until('the archiver fails', sub { $node->safe_psql('postgres', 'SELECT failing_since IS NOT NULL FROM ark.archiver_status') eq 't' });
is_deeply([ gaps($node) ], [], 'what the archiver cannot store now is its business');
is_deeply([ map { $_->{is_open} ? 1 : 0 } ranges($node) ], [1], 'the range stays open');
chmod 0700, $wal_directory or die $!;

# Nor is what is stored out of order while much is written.
my %load = (out => '', err => '');
my $load = IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c',
        q{DO $$BEGIN FOR n IN 1 .. 60 LOOP PERFORM pg_logical_emit_message(false, 'x', repeat('x', 8000000)); PERFORM pg_sleep(0.05); COMMIT; END LOOP; END$$} ],
    '<', '/dev/null', '>', \$load{out}, '2>', \$load{err});
my ($looks, @alarms) = (0);
do {
    push @alarms, gaps($node), grep { !$_->{is_open} } ranges($node);
    $looks++;
} while ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$BEGIN FOR%'}) > 0);
ok($load->finish, "the load is over, after $looks looks") or diag($load{err});
is_deeply(\@alarms, [], 'no false alarm under load');

# ---- agreement with real restores

archive_now($node);
for my $n (1 .. 3) {
    my $moment = $moments[ int rand @moments ];
    my $can = agrees_ok($node, $moment->[0], "moment $moment->[0]");
    ok($can->{possible}, 'it can be recovered') or next;
    my $restored = restore_node($node, "restored$n", '--target-time', $moment->[0], '--target-action', 'promote');
    start_restored($restored);
    is($restored->safe_psql('postgres', 'SELECT count(*) FROM log'), $moment->[1], 'a restore has the rows of that moment');
    is($restored->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()') > $can->{timeline} ? 1 : 0, 1, 'from that timeline');
    $restored->stop;
}
# Anywhere between: a restore exists exactly where the answer is yes.
my ($begin, $end) = split /\|/, $node->safe_psql('postgres', q{SELECT extract(epoch FROM min(from_time)) - 2, extract(epoch FROM max(until_time)) + 1 FROM ark.recoverable_ranges});
for (1 .. 8) {
    my $target = $node->safe_psql('postgres', sprintf 'SELECT to_timestamp(%.6f)', $begin + rand($end - $begin));
    my $said = agrees_ok($node, $target, "random moment $target");
    is($node->safe_psql('postgres', "SELECT count(*) FROM ark.recoverable_ranges WHERE '$target' >= from_time AND '$target' < until_time"),
        $said->{possible} ? 1 : 0, 'and the ranges say so');
}

# ---- two timelines

write_rows($node, 1);
my $fork = $moments[-1];
usleep(100_000);
write_rows($node, 2);
archive_now($node);
$node->stop;
my $next = restore_node($node, 'next', '--take-over', '--target-time', $fork->[0], '--target-action', 'promote');
start_restored($next);
is($next->safe_psql('postgres', 'SELECT count(*) FROM log'), $fork->[1], 'the successor was promoted before the last rows');
write_rows($next, 2);
archive_now($next);
poll_until('the history file is there', sub { grep { m{/00000002\.history} } find_objects($directory) });
@others = ranges($next);
is(join(' ', map { $_->{timeline} } @others), '1 2', 'a range a timeline: what was left behind can still be had');
is(join(' ', map { $_->{is_open} ? 1 : 0 } @others), '0 1', 'the new one grows');
is_deeply([ gaps($next) ], [], 'a fork is no gap');
agrees_ok($next, $_->[0], "two timelines, $_->[0]") for $moments[1], $fork, $moments[-2];
my $third = backup_ok($next, 'on timeline 2');
write_rows($next, 1);
archive_now($next);
agrees_ok($next, $moments[-1][0], 'after the backup on timeline 2');
is((can_recover($next, plus($next, $moments[-1][0], '-1 microsecond')))->{backup_id}, $third, 'it is the one to use');

# ---- rights, bad input, cancelling

my ($status, undef, $err) = $next->psql('postgres', q{SELECT ark.can_recover('infinity')});
like($err, qr/out of range.*HINT/s, 'infinity is refused with a hint');
$next->safe_psql('postgres', 'CREATE ROLE watcher IN ROLE pg_monitor; CREATE ROLE nobody');
is($next->safe_psql('postgres', q{SET ROLE watcher; SELECT (SELECT count(*) FROM ark.wal_gaps), (SELECT count(*) FROM ark.recoverable_ranges)}), '0|2', 'pg_monitor reads the views');
($status, undef, $err) = $next->psql('postgres', 'SET ROLE nobody; SELECT * FROM ark.wal_gaps');
like($err, qr/permission denied/, 'nobody else does');
set_config($next, 'pg_ark.repositories' => "$url-away");
($status, undef, $err) = $next->psql('postgres', 'SELECT * FROM ark.recoverable_ranges');
isnt($status, 0, 'a repository that is not there is an error, not an empty answer');
set_config($next, 'pg_ark.repositories' => $url);
$next->safe_psql('postgres', 'SELECT count(*) FROM ark.recoverable_ranges');

my $began = time;
with_fault($next, 'recoverability_listed=sleep', sub {
    ($status, undef, $err) = $next->psql('postgres', q{SET statement_timeout = '1s'; SELECT * FROM ark.recoverable_ranges});
    like($err, qr/statement timeout/, 'a question can be cancelled');
    poll_until('its child is gone', sub { !ark_children($next, 'server-catalog') }) });
cmp_ok(time - $began, '<', 30, 'and is gone soon');
never_restarted($next);
done_testing();
