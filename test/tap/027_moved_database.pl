# Replay copies a database's files where the server copied them. A backup in whose time the copied database went
# (ALTER DATABASE … SET TABLESPACE does both) would bring back an empty one: it fails, and says so. Databases that
# come and go otherwise are in the backup, whole.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $node = ark_cluster('source');
my $space = PostgreSQL::Test::Utils::tempdir('space');
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");

sub filled { my ($name) = @_; $node->safe_psql('postgres', "CREATE DATABASE $name"); $node->safe_psql($name, 'CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n'); }

# A backup that is held in its middle for so long as something takes; its row.
sub backup_during {
    my ($point, @statements) = @_;
    my $row;
    with_fault($node, "$point=stop", sub {
        my $id = start_backup_sql($node, $point);
        my $child = poll_until('the backup has stopped in its middle', sub { (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0] });
        $node->safe_psql('postgres', $_) for @statements;
        kill 'CONT', $child;
        $row = wait_backup($node, $id);
    });
    return $row;
}

for my $point (qw(backup_after_start backup_after_copy)) {
    filled('moving');
    my $row = backup_during($point, 'ALTER DATABASE moving SET TABLESPACE space');
    is($row->{status}, 'failed', "$point: a database that is moved: the backup fails") or diag(explain($row));
    like("$row->{error}{message} $row->{error}{hint}", qr/a database was moved while the backup ran.*Take the backup again/s, "$point: and says why");
    is(scalar(backups($node->{ark_repository})), 0, "$point: there is none");
    $node->safe_psql('postgres', 'DROP DATABASE moving');
}
filled('moving');
my $back = backup_during('backup_after_start', 'ALTER DATABASE moving SET TABLESPACE space', 'ALTER DATABASE moving SET TABLESPACE pg_default');
is($back->{status}, 'failed', 'there and back again: the backup fails too');
$node->safe_psql('postgres', 'DROP DATABASE moving');
filled('original');
my $row = backup_during('backup_after_start', 'CREATE DATABASE made TEMPLATE original STRATEGY file_copy', 'DROP DATABASE original');
is($row->{status}, 'failed', 'the copy of a database that was dropped');

# What comes and goes by itself.
filled('original');
filled('going');
$node->safe_psql('postgres', 'DROP DATABASE made');
$row = backup_during('backup_after_start',
    'CREATE DATABASE made TEMPLATE original STRATEGY file_copy', 'CREATE DATABASE logged TEMPLATE original STRATEGY wal_log', 'DROP DATABASE going',
    'CREATE DATABASE elsewhere TEMPLATE original TABLESPACE space STRATEGY file_copy');
is($row->{status}, 'completed', 'databases that come and go: the backup completes') or diag(explain($row));
archive_now($node);
my $restored = restore_node($node, 'restored', '--tablespace-map', "$space=" . PostgreSQL::Test::Utils::tempdir('other'), '--target-action', 'promote');
start_restored($restored);
my ($got, $expected) = map { dump_of($_) =~ s/^CREATE TABLESPACE .*\n//mgr } $restored, $node;
same_contents($got, $expected, 'all of them are there');
amcheck_ok($restored);
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$row->{backup_id}')"), 't', 'and the restore test is content');
done_testing();
