# pg_ark wal-receive: WAL of a server that archives nothing itself comes to the repository over a replication connection alone.
# The receiver is killed and started again; what it has called durable is in the restored cluster, byte for byte as the server had it.
use strict;
use warnings;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => "pg_ark.wal_streaming = off\nwal_keep_size = 512MB\nautovacuum = off\n");
$node->safe_psql('postgres', 'CREATE TABLE marks (n int)');
my $id = backup_ok($node, 'before others receive');
archive_now($node);
set_config($node, archive_library => '', archive_command => '/bin/true');

# ---- a receiver

my ($receiver, $out, $err);
sub start_receiver {
    ($out, $err) = ('', '');
    local $ENV{PGAPPNAME};    # the tests' own, which libpq would take
    delete $ENV{PGAPPNAME};
    $receiver = IPC::Run::start([ 'pg_ark', 'wal-receive', '--repo', $url, '--conninfo', $node->connstr('postgres'), '--interval', 200, '--output', 'json' ],
        '<', '/dev/null', '>', \$out, '2>', \$err);
    return;
}
END { my $status = $?; eval { $receiver->kill_kill } if $receiver; $? = $status }
sub said {
    my ($kind) = @_;
    $receiver->pump_nb if $receiver->pumpable;
    return grep { ($_->{event} // $_->{type} // '') eq $kind } map { eval { JSON::PP::decode_json($_) } // {} } split /\n/, $out =~ s/[^\n]*\z//r;
}
sub bytes_of { my ($lsn) = @_; my ($high, $low) = $lsn =~ m{^(\w+)/(\w+)$}; return (hex($high) << 32) + hex $low }
sub wait_durable {
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    return poll_until("WAL up to $lsn is durable", sub { my ($last) = reverse said('position'); $last && bytes_of($last->{durable}) >= bytes_of($lsn) });
}
my $marks = 0;
sub mark { $node->safe_psql('postgres', "INSERT INTO marks SELECT generate_series(1, 1000)"); $marks += 1000; return }

start_receiver();
poll_until('it is connected', sub { said('connected') });
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pg_ark'}), 1, 'the server knows it as pg_ark');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), 0, 'there is no slot');
mark();
wait_durable();
cmp_ok(scalar find_objects($directory, qr{/tail/}), '>=', 1, 'there are pieces of the segment that is being written');

# ---- killed in the middle of things, it goes on where the repository ends

for my $round (1 .. 4) {
    mark();
    my $segment = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
    $node->safe_psql('postgres', 'SELECT pg_switch_wal()') if $round % 2;
    $receiver->signal('KILL');
    eval { $receiver->finish };
    mark();
    start_receiver();
    wait_durable();
    next unless $round % 2;
    poll_until("segment $segment is stored as a whole", sub { find_objects($directory, qr{/wal/.*/$segment\.zst$}) });
    poll_until('its pieces have gone', sub { !find_objects($directory, qr{/tail/.*/$segment/}) });
    my ($object) = find_objects($directory, qr{/wal/.*/$segment\.zst$});
    system_or_bail('sh', '-c', 'zstd -dcq "$1" | cmp - "$2"', 'compare', "$directory/$object", $node->data_dir . "/pg_wal/$segment");
    pass("$segment is what the server has");
}
mark();
wait_durable();
$receiver->signal('TERM');
$receiver->finish;
is($receiver->full_result(0), 0, 'told to end, it exits with 0');
is($err, '', 'and has complained of nothing');

# ---- WAL that the server has removed meanwhile

$node->stop('immediate');
my $restored = restore_node($node, 'restored', '--backup', $id, '--target-action', 'promote');
start_restored($restored);
is($restored->safe_psql('postgres', 'SELECT count(*) FROM marks'), $marks, 'all that was durable is there again');
$restored->stop;

$node->start;
$node->safe_psql('postgres', q{ALTER SYSTEM SET wal_keep_size = 0; SELECT pg_reload_conf()});
for (1 .. 4) { mark(); $node->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT') }
$node->safe_psql('postgres', 'CHECKPOINT');
start_receiver();
poll_until('it has ended', sub { !$receiver->pumpable || !eval { $receiver->pump_nb; $receiver->pumpable } });
eval { $receiver->finish };
is($receiver->full_result(0) >> 8, 3, 'WAL that is gone from the server ends it with 3');
like($out . $err, qr/[0-9A-F]{24}/, 'it names the segment');

done_testing();
