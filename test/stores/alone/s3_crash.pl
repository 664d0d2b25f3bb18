# The store itself is killed, and comes back after a while: WAL waits in pg_wal and the log says so about once a minute, a
# backup survives what is shorter than pg_ark.retry_timeout and fails cleanly after what is longer. PG_ARK_OUTAGE: seconds
# of the longest outage (75).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PgArk::S3 qw(bucket_of prefix_of);
use PgArk::Test;

my ($ceph, $port) = split / /, $ENV{PG_ARK_TEST_CEPH} // die 'PG_ARK_TEST_CEPH names no store';
my $outage = $ENV{PG_ARK_OUTAGE} || 75;
sub crash { system_or_bail("$ENV{PG_ARK_SOURCE}/test/support/ceph", 'crash', $ceph); return }
sub revive { system_or_bail("$ENV{PG_ARK_SOURCE}/test/support/ceph", 'start', $ceph, $port); return }

my $url = place_below($ENV{PG_ARK_TEST_S3_TLS}, 'crash');
my $s3  = PgArk::S3->new("127.0.0.1:$port");
my $node = ark_cluster('source', repository => $url, conf => "pg_ark.retry_timeout = 2min\npg_ark.push_timeout = 5s\n");
load_shop($node);
$node->safe_psql('postgres', q{CREATE TABLE noise AS SELECT n, string_agg(md5(random()::text), '') AS text
    FROM generate_series(1, 48000) n, generate_series(1, 40) GROUP BY n});
backup_ok($node, 'before');
my $cluster = prefix_of($url) . '/' . $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $first = archive_now($node);

# ---- WAL

my $mark = log_mark($node);
my $load = start_load($node);
crash();
my $began = time;
my $switches = 0;
while (time - $began < $outage) {
    $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
    $switches++;
    sleep 2;
}
my @told = slurp_file($node->logfile, $mark) =~ /WARNING: .*could not archive/g;
cmp_ok(scalar @told, '>=', 1, 'a store that was killed: the log says that WAL cannot be archived');
cmp_ok(scalar @told, '<=', 1 + $outage / 60 + 1, "and not for each of $switches segments") or diag(join "\n", slurp_file($node->logfile, $mark) =~ /^(.*WARNING: .*)$/mg);
my $waiting = () = glob $node->data_dir . '/pg_wal/archive_status/*.ready';
cmp_ok($waiting, '>=', $switches - 1, 'WAL waits in pg_wal');
like($node->safe_psql('postgres', q{SELECT detail FROM ark.preflight() WHERE name = 'archiving' AND NOT ok}), qr/files wait/, 'preflight() says since when');
revive();
my $back = time;
my $last = archive_now($node);
note sprintf '%d segments were stored within %.1f s of the store\'s return', $waiting, time - $back;
cmp_ok(time - $back, '<', 90, 'when the store is back all of it is stored');
wait_log($node, qr/archiving has recovered/, $mark);
stop_load($load);
my %stored = map { m{([0-9A-F]{24})\.zst$} ? ($1 => 1) : () } $s3->objects(bucket_of($url), "$cluster/wal/");
my ($from, $to) = map { hex substr $_, 16 } $first, $last;
is_deeply([ grep { !$stored{$_} } map { sprintf '%s%08X', substr($first, 0, 16), $_ } $from .. $to ], [], 'no segment is missing');

# ---- backups

# Starts a backup and kills the store when parts of it are on their way.
sub backup_meets_crash {
    my ($reason) = @_;
    my $id = start_backup_sql($node, $reason);
    poll_until('a part is on its way', sub { $s3->uploads(bucket_of($url), "$cluster/backup/$id/") });
    crash();
    return $id;
}
my $id = backup_meets_crash('meets a crash of the store');
sleep 5;
revive();
is(wait_backup($node, $id)->{status}, 'completed', 'a backup survives a crash of the store');
ark_ok([ 'verify', '--repo', $url, $id ], 'and is whole');

set_config($node, 'pg_ark.retry_timeout' => '4s');
$id = backup_meets_crash('meets a longer one');
my $row = wait_backup($node, $id);
is($row->{status}, 'failed', 'a longer one: the backup fails');
like($row->{error}{detail} // '', qr/Tried \d+ times in \d+ seconds/, 'and says how long it was tried');
revive();
is_deeply([ grep { $_->{backup_id} eq $id } backups($url) ], [], 'it is no backup');
set_config($node, 'pg_ark.retry_timeout' => '2min');
$last = backup_ok($node, 'the next one');
# Its leftovers go with a sweep, which is tried again a minute after it failed.
poll_until('what the failed one left is removed', sub {
    !$s3->objects(bucket_of($url), "$cluster/backup/$id/") && !$s3->uploads(bucket_of($url), "$cluster/backup/$id/") }, 180);
pass('what the failed one left is removed');
archive_now($node);
my $restored = restore_node($node, 'restored', '--backup', $last);
start_restored($restored);
same_contents(fingerprint($restored), fingerprint($node), 'restored from the next one, all is as it was');
$restored->stop;
never_restarted($node, 0, 'the server stayed up');

done_testing();
