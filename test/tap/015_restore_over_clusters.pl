# Restores into places where something is: a cluster that is replaced, its last WAL, its tablespaces, those of
# others; and configuration that lives outside the data directory, as on Debian.
use strict;
use warnings;
use File::Copy qw(copy move);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

# ---- a cluster with a tablespace, and its configuration elsewhere
my $etc = PostgreSQL::Test::Utils::tempdir('etc') . '/15/main';
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, start => 0);
my $data = $node->data_dir;
system_or_bail('mkdir', '-p', "$etc/conf.d");
move("$data/$_", "$etc/$_") or die "$_: $!" for qw(postgresql.conf pg_hba.conf pg_ident.conf);
append_to_file("$etc/conf.d/memory.conf", "work_mem = '7MB'\n");
append_to_file("$etc/../../site.conf",    "maintenance_work_mem = '77MB'\n");
append_to_file("$etc/postgresql.conf", <<"CONF");
data_directory = '$data'
hba_file = '$etc/pg_hba.conf'
ident_file = '$etc/pg_ident.conf'
external_pid_file = '$etc/main.pid'
include_dir = 'conf.d'
include_dir 'empty.d'
include '../../site.conf'
CONF
mkdir "$etc/empty.d";
my @start = ('pg_ctl', '-w', '-D', $etc, '-l', $node->logfile, 'start');
system_or_bail(@start);
$node->_update_pid(1);
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
my $space = PostgreSQL::Test::Utils::tempdir('space') . '/fast';
mkdir $space;
$node->safe_psql('postgres', "CREATE TABLESPACE fast LOCATION '$space'");
$node->safe_psql('postgres', 'CREATE TABLE t TABLESPACE fast AS SELECT 1 AS a');
my $id = backup_ok($node);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
archive_now($node);

# ---- beside the living source
my $place = PostgreSQL::Test::Utils::tempdir('restores');
ark_fails([ 'restore', '--repo', $url, '-D', "$place/a" ], qr/\Q$space\E.*--tablespace-map/s,
    'a tablespace whose place is in use needs a map');
ark_fails([ 'restore', '--repo', $url, '-D', "$place/a", '--force' ], qr/\Q$space\E/, 'with --force too');
ok(!-e "$place/a", 'nothing was made');
ark_fails([ 'restore', '--repo', $url, '-D', "$place/a", '--tablespace-map', "/nowhere=$place/x" ],
    qr{/nowhere.*\Q$space\E}s, 'a map of what is not there');

my $beside = PostgreSQL::Test::Cluster->new('beside');
ark_ok([ 'restore', '--repo', $url, '-D', $beside->data_dir, '--tablespace-map', "$space=$place/fast",
    '--target-action', 'promote' ], 'restored beside the source');
verify_backup_ok($beside->data_dir, 'pg_verifybackup accepts it, but for the configuration from outside',
    qw(postgresql.conf pg_hba.conf pg_ident.conf conf.d pg_ark_config));
unlike(slurp_file($beside->data_dir . '/postgresql.conf'), qr/^\s*(?:data_directory|hba_file|ident_file|external_pid_file)/m,
    'no setting leads to the source\'s files');
start_restored($beside);
is($beside->safe_psql('postgres', 'SHOW data_directory'), $beside->data_dir, 'it runs in its own directory');
is($beside->safe_psql('postgres', 'SHOW hba_file'), $beside->data_dir . '/pg_hba.conf', 'with its own pg_hba.conf');
is($beside->safe_psql('postgres', 'SHOW work_mem'), '7MB', 'with what was included from a directory');
is($beside->safe_psql('postgres', 'SHOW maintenance_work_mem'), '77MB', 'with what was included from elsewhere');
is($beside->safe_psql('postgres', 'SELECT count(*) FROM t'), 2, 'with all rows');
$beside->stop;

# ---- a tablespace created after the backup: replay makes it again at its own path, which no map changes
my $later = PostgreSQL::Test::Utils::tempdir('later') . '/later';
mkdir $later;
$node->safe_psql('postgres', 'CREATE TABLE moments AS SELECT 1 AS a');
my ($early, $early_time) = split /\|/, $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn(), clock_timestamp()');
$node->safe_psql('postgres', 'INSERT INTO moments VALUES (2)');
archive_now($node) for 1 .. 3;    # so little in each that the server looks ahead over all of them
my $before = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
$node->safe_psql('postgres', "CREATE TABLESPACE later LOCATION '$later'");
$node->safe_psql('postgres', 'CREATE TABLE in_later TABLESPACE later AS SELECT 1 AS a');
archive_now($node);
my @map = ('--tablespace-map', "$space=$place/other");
ark_fails([ 'restore', '--repo', $url, '-D', "$place/b", @map ], qr/\Q$later\E.*another cluster/s,
    'a tablespace that replay would make in the living one\'s place');
ok(!-e "$place/b", 'nothing was made');
ark_fails([ 'restore', '--repo', $url, '-D', "$place/b", @map, '--target-lsn', $before ], qr/\Q$later\E.*after the target/s,
    'to a moment in the same segment: recovery could not get it');
for my $target ([ '--target-lsn', $early ], [ '--target-time', $early_time ]) {
    my $name = $target->[0] =~ s/^--target-//r;
    my $copy = restore_node($node, "early_$name", '--tablespace-map', "$space=$place/early_$name", @$target, '--target-action', 'promote');
    start_restored($copy);
    is($copy->safe_psql('postgres', 'SELECT string_agg(a::text, $$,$$) FROM moments'), '1', "@$target: segments before it was created recovery works");
    $copy->stop;
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM in_later'), 1, 'the living one is as it was');

# ---- the source dies with WAL that nobody has, and is replaced in its place
$node->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
kill 'KILL', (split /\n/, slurp_file("$data/postmaster.pid"))[0];
poll_until('the source is dead', sub { !ark_children($node, 'server-archive') && system_log('pg_ctl', '-D', $data, 'status') != 0 });
ok(-e "$data/postmaster.pid", 'the crash left postmaster.pid behind');

# Killed while it removes: neither the old cluster nor a mixture starts.
for my $point (qw(restore_after_control_removed restore_after_keeping_wal restore_after_clearing restore_after_links)) {
    my $copy = "$place/$point";
    system_or_bail('cp', '-a', $data, $copy);
    unlink glob "$copy/pg_tblspc/*";    # two data directories must not share a tablespace
    my @where = ('--tablespace-map', "$space=$place/of_$point", '--target', 'immediate');
    local $ENV{PG_ARK_FAULT} = "$point=kill";
    my ($status) = ark('restore', '--repo', $url, '-D', $copy, '--force', @where);
    is($status, -9, "$point: killed");
    ok(!-e "$copy/global/pg_control", "$point: no control file");
    my ($kept) = glob "$copy.kept-wal-*";
    ok(-e "$copy/pg_wal/$last" || -e "$kept/$last", "$point: the last WAL is not lost");
}

my $out = ark_ok([ 'restore', '--repo', $url, '-D', $data, '--force', '--dry-run' ], 'replacing, --dry-run');
like($out, qr/removes.*\Q$data\E/, '--dry-run says what would be removed');
like($out, qr/keeps.*\Q$last\E/,   '--dry-run says which WAL would be kept');
like($out, qr/removes.*\Q$later\E/, '--dry-run names the later tablespace, which replay makes again');
ok(-e "$data/pg_wal/$last", '--dry-run changes nothing');
ark_fails([ 'restore', '--repo', $url, '-D', $data ], qr/not empty.*--force/s, 'refused without --force');
$out = ark_ok([ 'restore', '--repo', $url, '-D', $data, '--force', '--take-over' ], 'replaced in its place');
my ($kept) = glob "$data.kept-wal-*";
ok($kept && -e "$kept/$last", 'WAL that the repository does not have is kept');
like($out, qr/\Q$kept\E/, 'and the output says where');
ok(!-e "$data/postmaster.pid", 'the old postmaster.pid is gone');

# With the kept segment recovery reaches what only the dead server had.
copy("$kept/$last", "$data/pg_wal/$last") or die $!;
chmod 0600, "$data/pg_wal/$last";
system_or_bail(@start);
$node->_update_pid(1);
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'does not become ready';
is($node->safe_psql('postgres', 'SELECT string_agg(a::text, $$,$$ ORDER BY a) FROM t'), '1,2,3', 'the last transaction too');
is($node->safe_psql('postgres', 'SELECT count(*) FROM in_later'), 1, 'and the tablespace that the backup did not have');

# ---- what only looks like its own
ark_fails([ 'restore', '--repo', $url, '-D', $data, '--force' ], qr/running/, 'a running server is never replaced');
my $copy = "$place/copy";
system_or_bail('cp', '-a', $data, $copy);
ark_fails([ 'restore', '--repo', $url, '-D', $copy, '--force' ], qr/\Q$space\E.*running server/s,
    'the tablespace of a running server, to which a copied data directory has a link');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), 3, 'is as it was');

never_restarted($node);
$node->stop;
done_testing();
