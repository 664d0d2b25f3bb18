# An incremental backup of a cluster of many relations, of which few changed: it is small, needs no more memory than a full one, and what is
# restored is what the server has, file by file. PG_ARK_RELATIONS says how many there are (2,000; `make soak` takes 100,000).
use strict;
use warnings;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use PgArk::Pages;
use PgArk::Test;

my $relations = $ENV{PG_ARK_RELATIONS} // 2000;
my $source    = $ENV{PG_ARK_SOURCE}    // '.';
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => <<'CONF');
pg_ark.audit_fraction = 1
autovacuum = off
max_locks_per_transaction = 600
max_wal_size = 2GB
CONF
$node->safe_psql('postgres', 'CREATE DATABASE many');
my $began = time;
$node->safe_psql('many', "SET hard.relations = $relations;\n" . slurp_file("$source/test/hard/many.sql"));
$node->safe_psql('postgres', 'CHECKPOINT');
note sprintf '%d relations: %.1f s', $relations, time - $began;

# The most memory that a process has had, in MB; 0 once it is gone.
sub peak_of { my ($pid) = @_; open my $status, '<', "/proc/$pid/status" or return 0; my ($peak) = join('', <$status>) =~ /^VmHWM:\s+(\d+) kB/m; return ($peak // 0) / 1024 }

my $second = 0;
sub take {
    my ($type) = @_;
    usleep(20_000) while time < $second + 1.1;    # the newest is told by its second
    $second = time;
    my ($start, $peak, $row) = (time, 0);
    my $id = $node->safe_psql('postgres', "SELECT ark.start_backup('$type')");
    poll_until("backup $id has ended", sub {
        for (1 .. 20) { for (ark_children($node, 'server-backup')) { my $now = peak_of($_); $peak = $now if $now > $peak } usleep(10_000) }
        $row = backup_row($node, $id);
        $row && $row->{status} ne 'in_progress';
    });
    is($row->{status}, 'completed', "$type: completed") or diag(JSON::PP::encode_json($row->{error} // {}));
    is($row->{full_because}, undef, "$type: of the type that was asked for");
    is($row->{audit_misses}, 0, "$type: the audit agrees") if $type ne 'full';
    $row->{peak} = $peak;
    $row->{stored} = size_of("$directory/" . $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()') . "/backup/$id");
    note sprintf '%s: %.1f s, %.0f MB of memory at most, %d bytes stored', $type, time - $start, $peak, $row->{stored};
    return $row;
}
sub size_of { my ($place) = @_; my $bytes = 0; $bytes += -s "$place/$_" for find_objects($place); return $bytes }

# Few of each kind: changed, emptied, gone, new; and those that take the place of what is gone.
sub touch {
    my ($round) = @_;
    $node->safe_psql('many', <<"SQL") for map { 2 * (20 * $round + $_) } 1 .. 10;
INSERT INTO many.t$_ SELECT n FROM generate_series(-100, -1) n;
TRUNCATE many.t@{[ $_ + 1 ]};
DROP TABLE many.t@{[ $_ + 20 ]};
CREATE TABLE many.t@{[ $_ + 20 ]} (n int PRIMARY KEY);
INSERT INTO many.t@{[ $_ + 20 ]} VALUES ($round);
SQL
    return;
}

my $full = take('full');
my $incremental;
for my $round (1 .. 3) {
    touch($round);
    $incremental = take('incremental');
    cmp_ok($incremental->{changed_blocks}, '<', 2000, "round $round: few blocks changed: $incremental->{changed_blocks}");
    cmp_ok($incremental->{stored}, '<', $full->{stored} / 4, "round $round: it is small");
    cmp_ok($incremental->{peak}, '<', $full->{peak} + 32 + $relations / 1000, "round $round: it needs little more memory than a full one");
}
my ($track) = ark_children($node, 'server-track');
note sprintf 'the tracker: %.0f MB of memory at most', my $peak = peak_of($track);
cmp_ok($peak, '<', 150, 'the tracker needs little memory');
$node->safe_psql('many', q{UPDATE pg_class SET relname = relname WHERE relname = 't2'});
archive_now($node);
$node->stop;

# ---- restored

my $copy = PostgreSQL::Test::Cluster->new('copy');
($began, $peak) = (time, 0);
my ($out, $err) = ('', '');
my $run = IPC::Run::start([ 'pg_ark', 'restore', '--repo', $url, '-D', $copy->data_dir, '--backup', $incremental->{backup_id}, '--target-action', 'promote' ], '<', '/dev/null', '>', \$out, '2>', \$err);
my ($pid) = map { $_->{PID} } @{ $run->{KIDS} };
while ($run->pumpable) { my $now = peak_of($pid); $peak = $now if $now > $peak; $run->pump_nb; usleep(10_000) }
ok($run->finish, 'it is restored') or diag($err);
note sprintf 'the restore: %.1f s, %.0f MB of memory at most', time - $began, $peak;
cmp_ok($peak, '<', 600, 'in bounded memory');
verify_backup_ok($copy->data_dir, 'pg_verifybackup', qw(postgresql.auto.conf recovery.signal backup_manifest));
$copy->append_conf('postgresql.conf', sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\nshared_preload_libraries = ''\narchive_mode = off\n", $copy->port, $copy->host);
$copy->start;
poll_until('it has recovered', sub { (run_command([ 'pg_controldata', $copy->data_dir ]))[0] =~ /cluster state:\s+in production/ });
$copy->stop;
my ($lines, $pages) = page_differences($copy->data_dir, $node->data_dir);
cmp_ok($pages, '>', $relations, "$pages pages were compared");
is(scalar @$lines, 0, 'they are the server\'s') or diag(join "\n", splice @$lines, 0, 20);
$copy->start;
is($copy->safe_psql('many', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'many'::regnamespace}), 2 * int($relations / 2), 'all relations are there');
$copy->stop;
done_testing();
