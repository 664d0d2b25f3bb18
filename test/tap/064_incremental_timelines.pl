# What an incremental backup builds on where there were several timelines: never on a backup whose WAL the server left, always on
# the newest that its own history has, whichever server took it.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use PgArk::Test;

my ($directory, $url) = new_repository();
my $a = ark_cluster('a', repository => $url, initdb => ['--wal-segsize=1'], conf => <<'CONF');
pg_ark.audit_fraction = 1
checkpoint_timeout = 1h
autovacuum = off
wal_keep_size = 256MB
wal_log_hints = on
CONF

sub sql { my ($on, $query) = @_; return $on->safe_psql('postgres', $query) }
my $second = 0;
sub take {
    my ($on, $type) = @_;
    usleep(20_000) while time == $second;    # which of two is the newer one their names tell by the second
    $second = time;
    my $id  = sql($on, "SELECT ark.start_backup('$type')");
    my $row = wait_backup($on, $id);
    $row->{status} eq 'completed' or diag(JSON::PP::encode_json($row));
    $row->{id} = $id;
    return $row;
}
sub builds_on {
    my ($on, $parent, $what, $type) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = take($on, $type // 'incremental');
    is($row->{parent}, $parent, "$what: builds on the right one") or diag($row->{full_because} // $row->{status});
    is($row->{audit_misses}, 0, "$what: the audit agrees");
    return $row->{id};
}
sub write_as { my ($on, $name) = @_; sql($on, "UPDATE things SET who = '$name' WHERE n % 37 = " . int rand 37); sql($on, "INSERT INTO things SELECT n, '$name' FROM generate_series(1, 300) n"); return }
sub restored_is {
    my ($on, $id, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $expected = dump_of($on);
    archive_now($on);
    my $copy = restore_node($on, "copy_$id", '--target-action', 'promote', '--backup', $id);
    start_restored($copy);
    same_contents(dump_of($copy), $expected, "$what: restored it is what the server has");
    amcheck_ok($copy, "$what: pg_amcheck finds nothing");
    $copy->stop('immediate');
    $copy->clean_node;
    return;
}

sql($a, q{CREATE TABLE things (n int, who text); INSERT INTO things SELECT n, 'nobody' FROM generate_series(1, 30000) n; CREATE INDEX ON things (who, n)});
my $full = take($a, 'full')->{id};
write_as($a, 'a');
my $one = builds_on($a, $full, 'on A');

# ---- a standby that has WAL up to here, and A goes on without it

$a->backup('base');
my $b = PostgreSQL::Test::Cluster->new('b');
$b->init_from_backup($a, 'base', has_streaming => 1);
$b->{ark_repository} = $url;
$b->{ark_database}   = 'postgres';
$b->append_conf('postgresql.conf', "archive_mode = on\n");
$b->start;
write_as($a, 'a before the fork');
my $two = builds_on($a, $one, 'on A, before the fork');
write_as($a, 'a right before the fork');
$a->wait_for_catchup($b, 'replay', $a->lsn('flush'));
$b->stop;
write_as($a, 'a behind the fork');
my $abandoned = builds_on($a, $two, 'on A, behind the fork');
write_as($a, 'a later');
my $abandoned_full = take($a, 'full')->{id};
archive_now($a);
$a->stop('immediate');

$b->append_conf('postgresql.conf', "primary_conninfo = ''\n");
$b->start;
$b->promote;
$b->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no promotion';
is(sql($b, q{SELECT count(*) FROM things WHERE who IN ('a behind the fork', 'a later')}), '0', 'B does not have what A did behind the fork');
write_as($b, 'b');
my $three = builds_on($b, $two, 'on B');
restored_is($b, $three, 'over the fork');
write_as($b, 'b later');
my $four = builds_on($b, $three, 'on B again');
my $differential = builds_on($b, $full, 'a differential one on B', 'differential');
restored_is($b, $differential, 'a differential one over the fork');

# ---- set back to an older point, and on from there

my $point = sql($b, 'SELECT pg_current_wal_lsn()');
write_as($b, 'b behind the point');
my $behind = builds_on($b, $differential, 'behind the point');
archive_now($b);
$b->stop;
my $c = restore_node($b, 'c', '--take-over', '--target-lsn', $point, '--target-action', 'promote');
start_restored($c);
is(sql($c, q{SELECT count(*) FROM things WHERE who = 'b behind the point'}), '0', 'C does not have what B did behind the point');
write_as($c, 'c');
my $five = builds_on($c, $differential, 'on C');
restored_is($c, $five, 'over two forks');

# C is gone as well, and a cluster from the very first backup goes on: on timeline 4, which was left before all the others began.
my $early = sql($c, "SELECT stop_lsn FROM ark.backup_log WHERE backup_id = '$full'");
$c->stop;
my $d = restore_node($c, 'd', '--take-over', '--backup', $full, '--target', 'immediate', '--target-action', 'promote');
start_restored($d);
write_as($d, 'd');
builds_on($d, $full, 'on D, which was set back to the first one');
$d->stop;
done_testing();
