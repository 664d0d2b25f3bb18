# Two clusters with one system identifier on one repository (a clone, a snapshot rolled back): the second stops,
# with an error that names the first; and the first's archive is untouched.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('first', repository => $url);
archive_now($node);
my $id = backup_ok($node);
$node->stop;
$node->backup_fs_cold('copy');
my $twin = PostgreSQL::Test::Cluster->new('second');
$twin->init_from_backup($node, 'copy');
$twin->{$_} = $node->{$_} for qw(ark_repository ark_database);
$node->start;

# The first goes on; the second writes its own history under the same names.
$node->safe_psql('postgres', 'CREATE TABLE who AS SELECT $$first$$ AS name');
my $segment = archive_now($node);
my $before  = tree_digest($directory, qr{/wal/|/backup/});
my $mark    = log_mark($twin);
$twin->append_conf('postgresql.conf', "pg_ark.wal_timeout = 10s\n");
$twin->start;
$twin->safe_psql('postgres', 'CREATE TABLE who AS SELECT $$second$$ AS name');
$twin->safe_psql('postgres', 'SELECT pg_switch_wal()');
poll_until('the second cannot archive', sub { $twin->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver') > 0 });
wait_log($twin, qr/\Q@{[ $node->data_dir ]}\E/, $mark);
pass('the second\'s log names the first: its data directory');
my $host = qx(uname -n);
chomp $host;
ok(log_has($twin, qr/\Q$host\E/, $mark), 'and its host');
isnt($twin->safe_psql('postgres', 'SELECT count(*) FROM ark.preflight() WHERE NOT ok'), 0, 'preflight() of the second fails');
my $row = eval { wait_backup($twin, start_backup_sql($twin, 'by the second')) };
if ($row) {
    is($row->{status}, 'failed', 'a backup of the second fails: ' . ($row->{error}{message} // ''));
    like($row->{error}{hint}, qr/archiver/, 'and its hint says where to look');
}
else      { like($@, qr/ERROR:/, 'a backup of the second is refused') }

my $after = tree_digest($directory, qr{/wal/|/backup/});
is_deeply([ grep { ($after->{$_} // '') ne $before->{$_} } sort keys %$before ], [], 'nothing of the first was changed');
$twin->stop('immediate');

# The first is not disturbed.
archive_now($node);
backup_ok($node, 'the first goes on');
my $restored = restored_ok($node, 'restored', {});
is($restored->safe_psql('postgres', 'SELECT name FROM who'), 'first', 'what is restored is the first\'s history');
$restored->stop;

# With a directory of its own (pg_ark.cluster) the second may use the same repository.
$twin->append_conf('postgresql.conf', "pg_ark.cluster = 'second'\n");
$twin->start;
archive_now($twin);
backup_ok($twin, 'the second, under its own name');
my $other = restored_ok($twin, 'restored_second', {}, '--cluster', 'second');
is($other->safe_psql('postgres', 'SELECT name FROM who'), 'second', 'and what is restored is the second\'s history');

done_testing();
