# A repository can be read without pg_ark: the recipe of docs/repository-format.md, with tar, zstd and
# PostgreSQL's own tools, gives the same files as pg_ark restore, and they start.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);
my $tablespace = PostgreSQL::Test::Utils::tempdir('space') . '/fast';
mkdir $tablespace or die $!;
load_shop($node);
$node->safe_psql('postgres', "CREATE TABLESPACE fast LOCATION '$tablespace'");
$node->safe_psql('postgres', 'CREATE TABLE public.in_tablespace TABLESPACE fast AS SELECT generate_series(1, 5000) n');
my $load = start_load($node);
my $id   = backup_ok($node);
stop_load($load);
my $expected = { postgres => fingerprint($node) };
archive_now($node);

my ($backup) = glob "$directory/*/backup/$id";
my @packs = glob "$backup/data/*.tar.zst";
cmp_ok(scalar @packs, '>', 0, 'the backup has packs');

# The recipe, word for word.
my $by_hand = PostgreSQL::Test::Cluster->new('by_hand');
my $dir     = $by_hand->data_dir;
mkdir $dir, 0700 or die $!;
is(system("cat $backup/data/*.tar.zst | zstd -dq | tar x -i -C $dir"), 0, 'the packs unpack');
is(system("zstd -dq $backup/manifest.zst -o $dir/backup_manifest"), 0, 'the manifest unpacks');
verify_backup_ok($dir, 'pg_verifybackup -n accepts what the tools unpacked');
ok(-d (glob "$dir/pg_tblspc/*")[0] && !-l (glob "$dir/pg_tblspc/*")[0], 'a tablespace is a real directory, not a link to a living one');

# The same files as pg_ark's own restore, byte by byte.
my $restored = restore_node($node, 'restored', '--backup', $id, '--target', 'immediate',
    '--tablespace-map', "$tablespace=" . PostgreSQL::Test::Utils::tempdir('elsewhere') . '/fast');
my $ours = tree_digest($restored->data_dir, qr{^(?!postgresql\.auto\.conf$|recovery\.signal$|pg_wal/pg_ark\.clone$|tablespace_map$)});
my $tools = tree_digest($dir, qr{^(?!postgresql\.auto\.conf$|tablespace_map$)});
cmp_ok(scalar keys %$tools, '>', 900, 'there are files to compare');
is_deeply([ grep { !/^pg_tblspc/ && ($ours->{$_} // '') ne $tools->{$_} } sort keys %$tools ], [], 'pg_ark restore gives the same files');
is_deeply([ grep { !exists $tools->{$_} } sort keys %$ours ], [], 'and no others');

# Started with WAL taken by hand from the archive, a plain copy and zstd again.
my ($wal) = glob "$directory/*/wal/00000001";
my $elsewhere = PostgreSQL::Test::Utils::tempdir('moved');
my ($oid) = (glob "$dir/pg_tblspc/*")[0] =~ m{([0-9]+)$};
system("mv $dir/pg_tblspc/$oid $elsewhere/fast && ln -s $elsewhere/fast $dir/pg_tblspc/$oid && rm -f $dir/tablespace_map") == 0 or die;
append_to_file("$dir/recovery.signal", '');
$by_hand->append_conf('postgresql.conf', "archive_mode = off\nrestore_command = 'zstd -dqf \$(ls $wal/*/%f.zst) -o %p'\n");
start_restored($by_hand, conf => "shared_preload_libraries = ''\n");
same_contents(fingerprint($by_hand), $expected->{postgres}, 'the cluster brought back with standard tools alone is whole');
amcheck_ok($by_hand, 'pg_amcheck finds nothing');

done_testing();
