# What a data directory and a repository may look like: configuration behind symbolic links, a cluster that its
# group may read, and what servers that never came back left in the repository.
use strict;
use warnings;
use File::Copy qw(move);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--allow-group-access']);
load_shop($node);

# ---- configuration behind links

my $elsewhere = PostgreSQL::Test::Utils::tempdir('etc');
my $data      = $node->data_dir;
$node->stop;
mkdir "$elsewhere/conf.d" or die $!;
for my $file (qw(postgresql.conf pg_hba.conf)) {
    move("$data/$file", "$elsewhere/$file") or die $!;
    symlink "$elsewhere/$file", "$data/$file" or die $!;
}
symlink "$elsewhere/conf.d", "$data/conf.d" or die $!;
append_to_file("$elsewhere/postgresql.conf", "include_dir = 'conf.d'\n");
append_to_file("$elsewhere/conf.d/one.conf", "work_mem = '7MB'\n");
append_to_file("$elsewhere/pg_hba.conf", "local \@databases all trust\n");
append_to_file("$data/databases", "one\n");
$node->start;
is($node->safe_psql('postgres', 'SHOW work_mem'), '7MB', 'the server follows the links');
my $mark = log_mark($node);
my $id   = backup_ok($node, 'with links');
ok(!log_has($node, qr/skipping special file/, $mark), 'nothing of it is called skipped');

my $expected = { postgres => fingerprint($node) };
archive_now($node);
my $restored = restore_node($node, 'restored', '--backup', $id);
for my $file (qw(postgresql.conf pg_hba.conf conf.d/one.conf)) {
    ok(-f $restored->data_dir . "/$file" && !-l $restored->data_dir . "/$file", "$file is a file of the restored directory");
}
like(slurp_file($restored->data_dir . '/conf.d/one.conf'), qr/7MB/, 'with its content');

# ---- a cluster that its group may read

my %mode = map { $_ => (stat $restored->data_dir . "/$_")[2] & 07777 } qw(backup_label global/pg_control PG_VERSION pg_wal/archive_status);
is_deeply(\%mode, { 'backup_label' => 0640, 'global/pg_control' => 0640, 'PG_VERSION' => 0640, 'pg_wal/archive_status' => 0750 },
    'the restored files have the modes of the source') or diag(explain \%mode);
start_restored($restored);
is($restored->safe_psql('postgres', 'SHOW work_mem'), '7MB', 'the restored server has the configuration');
same_contents(fingerprint($restored), $expected->{postgres}, 'and the data');
$restored->stop;

# ---- a row that somebody deletes while the backup runs

archive_now($node);
my @archiver = ark_children($node, 'server-archive');
is(scalar @archiver, 1, 'the archiver has its child');
kill 'STOP', @archiver;    # the backup waits for its WAL then
$id = start_backup_sql($node, 'loses its row');
poll_until('it waits for its WAL', sub { $node->safe_psql('postgres', 'SELECT phase FROM ark.backup_progress') =~ /waiting_for_wal/ });
$node->safe_psql('postgres', "DELETE FROM ark.backup_log WHERE backup_id = '$id'");
kill 'CONT', @archiver;
poll_until('the backup is in the list again', sub { my $row = backup_row($node, $id); $row && $row->{status} eq 'completed' });
pass('a backup whose row was deleted comes back from the repository');

# ---- leftovers that no row of this server names

sub leave {
    my ($name, $hours) = @_;
    my ($cluster) = glob "$directory/[0-9]*";
    my $path = "$cluster/$name";
    system_or_bail('mkdir', '-p', $path =~ m{(.*)/});
    append_to_file($path, 'half');
    utime time - $hours * 3600, time - $hours * 3600, $path or die $!;
    return $path;
}
my $dead      = leave('backup/manual_20200101_000000_00000000/data/00000.tar.zst', 26);
my $silent    = leave('backup/manual_20200101_000000_00000001/data/00000.tar.zst', 24);
my $abandoned = leave('wal/00000001/00000000/~1-2-3', 26);
my $living    = leave('wal/00000001/00000000/~1-2-4', 1);
$mark = log_mark($node);
$node->restart;
poll_until('the dead backup is removed', sub { !-e $dead && !-e $abandoned });
wait_log($node, qr/removed 2 objects of unfinished backups and uploads/, $mark);
ok(-e $silent, 'a backup that may be waiting for its WAL is left alone');
ok(-e $living, 'an upload that may be under way is left alone');
is(scalar(() = backups($url)), 2, 'no backup has gone');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_log WHERE status = 'completed'}), '2', 'in SQL too');
$node->stop;

done_testing();
