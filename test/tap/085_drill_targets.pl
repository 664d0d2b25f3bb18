# How far a drill recovers: to the end of the backup, to the end of the WAL, to a time, to random points; each is
# reached, and that it was is in the evidence. On the way it stays to itself. A way that is broken is a finding.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $later = PostgreSQL::Test::Utils::tempdir('places') . '/later';
mkdir $later;
my $node = ark_cluster('source', conf => "autovacuum = off\nmax_prepared_transactions = 0\n");
my $repository = $node->{ark_repository};
$node->safe_psql('postgres', 'CREATE TABLE steps (n int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())');
sub step { my ($n) = @_; return $node->safe_psql('postgres', "INSERT INTO steps VALUES ($n); SELECT pg_sleep(0.05); SELECT clock_timestamp(); SELECT pg_sleep(0.05)") =~ s/\n//gr }
sub lsn_value { my ($high, $low) = split m{/}, $_[0]; return (hex($high) << 32) + hex $low }

# What came back is asked in the copy itself.
my $check = "$scratch/rows.sql";
sub expect_rows {
    my ($expected) = @_;
    unlink $check;
    append_to_file($check, "-- name: rows\n-- kind: critical\n-- expected: $expected\nSELECT coalesce(string_agg(n::text, ',' ORDER BY n), 'none') FROM steps\n");
    return ('--checks', $check, '--only', 'critical_functions,catalog,rows');
}

step(0);
my $first = backup_ok($node, 'first');
my $at_1 = step(1);
archive_now($node);
my $at_2 = step(2);
# A tablespace in the WAL behind the backup, and what a server that was started again with other settings writes.
$node->safe_psql('postgres', "CREATE TABLESPACE later LOCATION '$later'");
$node->safe_psql('postgres', 'CREATE TABLE much_later TABLESPACE later AS SELECT n FROM generate_series(1, 20000) n');
$node->safe_psql('postgres', 'ALTER SYSTEM SET max_prepared_transactions = 50');
$node->restart;
$node->safe_psql('postgres', "BEGIN; INSERT INTO steps VALUES (100); PREPARE TRANSACTION 'p$_'") for 1;
$node->safe_psql('postgres', "BEGIN; CREATE TABLE prepared_$_ (); PREPARE TRANSACTION 'q$_'") for 1 .. 5;
my $second = backup_ok($node, 'second');
my $at_3 = step(3);
$node->safe_psql('postgres', 'CREATE DATABASE created_later');
my $at_4 = step(4);
archive_now($node);
my @live = files_of($later);
my $mark = log_mark($node);

sub files_of { my ($directory) = @_; return sort map { my @st = stat $_; "$_ $st[1] $st[7] $st[9] $st[10]" } find_files($directory) }
sub find_files { my ($directory) = @_; return map { -d $_ && !-l $_ ? find_files($_) : $_ } glob "$directory/*" }

sub target_of {
    my ($evidence) = @_;
    return $evidence->{verified}{target};
}

my $evidence = drill_ok($node, 'consistency of the newest', '--scratch', $scratch, expect_rows('0,1,2'));
is(target_of($evidence)->{backup_id}, $second, 'is of the newest backup');
like(target_of($evidence)->{stopped}, qr/consisten/, 'and stops there');
is($evidence->{verified}{isolation}{prepared_transactions}, 6, 'prepared transactions were there');

$evidence = drill_ok($node, 'latest', '--scratch', $scratch, '--target', 'latest', expect_rows('0,1,2,3,4'));
is(target_of($evidence)->{backup_id}, $second, 'latest: the newest backup');
is(target_of($evidence)->{kind}, 'latest', 'latest: the kind');
is(target_of($evidence)->{timeline}, 1, 'latest: the timeline');
like(target_of($evidence)->{reached_time}, qr/^\d{4}-\d\d-\d\d /, 'latest: when the last transaction ended');
ok(defined $evidence->{verified}{rto_seconds}, 'latest: the time to recover');

$evidence = drill_ok($node, 'latest from the first', '--scratch', $scratch, '--target', 'latest', '--backup', $first, expect_rows('0,1,2,3,4'));
is(target_of($evidence)->{backup_id}, $first, 'a backup that was named');
is($evidence->{verified}{isolation}{tablespaces_contained}, 1, 'the tablespace in the WAL was made in the copy');
is_deeply([ files_of($later) ], \@live, 'and the live one was not touched');
is($evidence->{verified}{rows}{compared}, 0, 'the census of the backup is not of that moment');

$evidence = drill_ok($node, 'a time', '--scratch', $scratch, '--target', $at_1, expect_rows('0,1'));
is(target_of($evidence)->{backup_id}, $first, 'a time: the backup that leads there');
like(target_of($evidence)->{stopped}, qr/^before \d{4}-/, 'a time: it stopped before a later transaction');
drill_ok($node, 'a time between', '--scratch', $scratch, '--target', $at_2, expect_rows('0,1,2'));
$evidence = drill_ok($node, 'a time after the second', '--scratch', $scratch, '--target', $at_3, expect_rows('0,1,2,3'));
is(target_of($evidence)->{backup_id}, $second, 'a time after the second: the second');

# ---- random points

my %seen;
for my $seed (1 .. 8) {
    $evidence = drill_ok($node, "random, seed $seed", '--scratch', $scratch, '--target', 'random', '--seed', $seed, '--only', 'catalog');
    my $t = target_of($evidence);
    my $point = $t->{point};
    note(JSON::PP->new->canonical->encode($t));
    is($t->{seed}, $seed, 'the seed is told');
    if ($point->{lsn}) {
        cmp_ok(lsn_value($t->{reached_lsn}), '>', lsn_value($point->{lsn}), 'the LSN was reached');
        like($t->{stopped}, qr/^after LSN/, 'and recovery stopped there');
        $seen{lsn}++;
    } else {
        like($t->{stopped}, qr/^before /, 'the time was reached');
        my ($asked, $reached) = map { s/T/ /r =~ s/Z$//r =~ s/\+00$//r } $point->{time}, $t->{reached_time} // '';
        cmp_ok($reached, 'le', $asked, 'and nothing later came back');
        $seen{time}++;
    }
    # The server writes a record by itself now and then.
    cmp_ok(lsn_value($t->{reached_lsn}), '<=', lsn_value($node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()')), 'within what there is');
    $seen{backup}{ $t->{backup_id} }++;
}
ok($seen{lsn} && $seen{time}, 'by LSN and by time');
is(scalar keys %{ $seen{backup} }, 2, 'from both backups');
my @again = map { JSON::PP->new->canonical->encode(target_of(drill_ok($node, 'again', '--scratch', $scratch, '--target', 'random', '--seed', 3, '--only', 'catalog'))->{point}) } 1, 2;
is($again[0], $again[1], 'the same seed draws the same point');
$evidence = drill_ok($node, 'random without a seed', '--scratch', $scratch, '--target', 'random', '--only', 'catalog');
like(target_of($evidence)->{seed}, qr/^\d+$/, 'has one made');
$evidence = drill_ok($node, 'random of one backup', '--scratch', $scratch, '--target', 'random', '--backup', $second, '--seed', 5, '--only', 'catalog');
is(target_of($evidence)->{backup_id}, $second, 'stays with it');

# ---- what cannot be

ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--target', 'nowhere' ], qr/target of a drill is consistency, latest, random, or a time/, 'no target');
ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--target', '2999-01-01 00:00:00+00' ], qr/in the future/, 'the future');
ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--seed', 3 ], qr/--seed needs --target random/, 'a seed for nothing');
# Who asks for what cannot be has no verdict on a backup that nobody read.
sub evidence_stored { return scalar grep { m{/tests/} } find_objects($repository =~ s{^file://}{}r, qr{/tests/}) }
sub no_verdict {
    my ($what, $pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $stored = evidence_stored();
    my ($status, $out, $err) = ark('drill', '--repo', $repository, '--scratch', $scratch, @arguments);
    is($status, 5, "$what: the target cannot be reached");
    like($err, $pattern, "$what: why");
    is(evidence_stored(), $stored, "$what: and nothing is held against a backup");
}
cmp_ok(evidence_stored(), '>', 0, 'evidence is stored otherwise');
no_verdict('before any backup', qr/no backup leads to/, '--target', '2020-01-01 00:00:00+00');
no_verdict('before the one that was named', qr/backup \S+ does not lead to/, '--target', $at_1, '--backup', $second);
no_verdict('nothing happened since', qr/no archived transaction is later than the target/, '--target', $node->safe_psql('postgres', 'SELECT clock_timestamp()'));
nothing_left($scratch, 'targets that cannot be');

# A hole in the WAL between the backups: the second's target is reached, the first's is not.
my ($hole) = sort grep { m{/wal/} && /\Q${\ $node->safe_psql('postgres', "SELECT pg_walfile_name(start_lsn) FROM ark.backup_log WHERE backup_id = '$second'")}\E/ } find_objects($repository =~ s{^file://}{}r, qr{/wal/});
note("the hole: $hole");
ok(defined $hole, 'the segment is there');
my $path = -e $hole ? $hole : ($repository =~ s{^file://}{}r) . "/$hole";
rename $path, "$scratch/kept" or die "$path: $!";
drill_finds($node, 'a missing segment, latest', [ { check => 'target', message => qr/is missing|not in the repository/ } ], '--scratch', $scratch, '--target', 'latest', '--backup', $first);
drill_finds($node, 'a missing segment, a time behind it', [ { check => 'target', message => qr/no archived transaction is later/, detail => qr/is missing, although/ } ],
    '--scratch', $scratch, '--target', $at_4, '--backup', $first);
drill_ok($node, 'a missing segment, a time before it', '--scratch', $scratch, '--target', $at_1, expect_rows('0,1'));
rename "$scratch/kept", $path or die $!;

never_restarted($node, $mark, 'the live server has never noticed');
nothing_left($scratch, 'all');
done_testing();
