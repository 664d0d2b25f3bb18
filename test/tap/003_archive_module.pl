# The archive module: what is offered arrives once, under its own name, and is never replaced.
use strict;
use warnings;
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);
my $data = $node->data_dir;
my ($system_identifier) = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $wal = "$directory/$system_identifier/wal";

sub stored { my ($name) = @_; return "$wal/" . substr($name, 0, 8) . '/' . substr($name, 8, 8) . "/$name.zst" }
sub contents { my ($name) = @_; return scalar qx(zstd -dqc '@{[ stored($name) ]}') }

# Offers a file of pg_wal to the archiver (again), and waits until it is taken.
sub offer {
    my ($name) = @_;
    append_to_file("$data/pg_wal/archive_status/$name.ready", '');
    $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'wake', 'x')});
}
sub taken { my ($name) = @_; return -e "$data/pg_wal/archive_status/$name.done" }

# A complete segment, and one that was switched long before its end.
my $filled = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$node->safe_psql('postgres', 'CREATE TABLE bulk AS SELECT n, md5(n::text) FROM generate_series(1, 250000) n');
archive_now($node);
my $switched = archive_now($node);
ok(-s stored($filled), 'a filled segment is in the repository');
ok(-s stored($switched), 'a switched segment is in the repository');
is(length contents($_), 16 * 1024 * 1024, "$_: the whole segment, readable by zstd") for $filled, $switched;
cmp_ok(-s stored($switched), '<', 1024 * 1024, 'the zeros after a switch cost nearly nothing');
my ($status) = ark('wal-get', '--repo', $url, $switched, "$data/got");
is($status, 0, 'wal-get returns it');
is(slurp_file("$data/got"), contents($switched), 'wal-get returns the same bytes');
unlink "$data/got";

# Offered a second time: success, and the object is the one that was there.
# (The file in pg_wal may be recycled by now; the one in the repository is what was archived.)
my $inode = (stat stored($switched))[1];
append_to_file("$data/pg_wal/$switched", contents($switched)) unless -e "$data/pg_wal/$switched";
unlink "$data/pg_wal/archive_status/$switched.done";
offer($switched);
poll_until('the second offer is taken', sub { taken($switched) });
is((stat stored($switched))[1], $inode, 'the same segment again: taken, and not written again');

# A different segment of the same name: refused, loudly, and never overwritten; the archiver goes on trying.
my $old       = contents($filled);
my $different = $old;
substr($different, 5000, 1) ^= "\x01";    # inside a record of the first page: all pages are valid still
sub put_segment {
    my ($name, $bytes) = @_;
    open my $handle, '>:raw', "$data/pg_wal/$name" or die $!;
    print $handle $bytes;
    close $handle;
}
my $mark = log_mark($node);
put_segment($filled, $different);
unlink "$data/pg_wal/archive_status/$filled.done";
offer($filled);
wait_log($node, qr/\Q$filled\E.*(?:differ|other content|another)/i, $mark);
ok(!taken($filled), 'a different segment of the same name is not taken');
same_contents(contents($filled), $old, 'and what is stored is unchanged');
cmp_ok($node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'), '>', 0, 'pg_stat_archiver counts the failure');
# Back to the true bytes, and it recovers by itself.
put_segment($filled, $old);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
poll_until('the right segment is taken', sub { taken($filled) });

# A segment that is not whole (zeros where pages should be) is refused for that.
my $torn = $old;
substr($torn, 8 * 1024 * 1024) = "\0" x (8 * 1024 * 1024);
my $other = '0000000100000000000000E7';
$mark = log_mark($node);
put_segment($other, $torn);
offer($other);
wait_log($node, qr/\Q$other\E/, $mark);
ok(!taken($other), 'a segment that is not whole is not taken');
ok(!-e stored($other), 'and not stored');
unlink "$data/pg_wal/$other", "$data/pg_wal/archive_status/$other.ready";
archive_now($node);

# .backup files are acknowledged and not stored; history files and partial segments are stored.
append_to_file("$data/pg_wal/$switched.00000028.backup", "START WAL LOCATION: 0/0\n");
offer("$switched.00000028.backup");
poll_until('the .backup file is taken', sub { taken("$switched.00000028.backup") });
is_deeply([ grep { /\.backup/ } find_objects($wal) ], [], 'a .backup file is acknowledged, and not kept');

append_to_file("$data/pg_wal/000000F2.history", "1\t0/2000000\tno recovery target specified\n");
offer('000000F2.history');
poll_until('the history file is taken', sub { taken('000000F2.history') });
is(slurp_file("$wal/000000F2/000000F2.history"), "1\t0/2000000\tno recovery target specified\n",
    'a history file is stored as it is') if -e "$wal/000000F2/000000F2.history";
ok((grep { m{/000000F2\.history} } find_objects($wal)), 'a history file is stored');
unlink glob "$data/pg_wal/000000F2.history $data/pg_wal/archive_status/000000F2.history.*";

my $next = '00000001000000000000007F';
copy("$data/pg_wal/$switched", "$data/pg_wal/$next.partial") or die $!;
offer("$next.partial");
wait_log($node, qr/\Q$next.partial\E/, $mark) unless poll_until('the partial segment is dealt with', sub {
    taken("$next.partial") || log_has($node, qr/\Q$next.partial\E/, $mark) });
unlink glob "$data/pg_wal/$next.partial $data/pg_wal/archive_status/$next.partial.*";

# Segments are pushed ahead: with many waiting, the child stores more than it was asked for.
set_config($node, archive_library => '', archive_command => 'false');
$node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', repeat('x', 100))}) for 1 .. 12;
my @waiting = glob "$data/pg_wal/archive_status/*.ready";
cmp_ok(scalar @waiting, '>=', 10, 'segments wait');
set_config($node, archive_library => 'pg_ark', archive_command => undef);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
poll_until('all are archived', sub { !grep { -e } @waiting });
ok(-s stored((m{/([0-9A-F]{24})\.ready$})[0]), "$_ is stored") for map { s{.*/}{/}r } @waiting;

# A clean shutdown leaves nothing behind: the last segments of the server's life are in the repository.
$node->safe_psql('postgres', q{INSERT INTO bulk SELECT n, 'last words' FROM generate_series(1, 1000) n});
my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$node->stop;
ok(-s stored($last), 'a clean shutdown archives the segment that was being written');
is_deeply([ glob "$data/pg_wal/archive_status/*.ready" ], [], 'and nothing waits');
$node->start;
is(scalar(() = ark_children($node, 'server-archive')) <= 1, 1, 'at most one child archives');

never_restarted($node);
done_testing();
