# WAL reaches the repository as it is written: a second behind, or not at all where commits wait for it. Whatever is killed,
# what was durable comes back; whatever hangs, the server's shutdown does not wait; where streaming cannot be, archiving goes on.
use strict;
use warnings;
use File::Path qw(remove_tree);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PgArk::Test;

my $rounds = $ENV{PG_ARK_ROUNDS} // 20;    # of kill -9 in synchronous mode
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);

sub status { my ($node, $columns) = @_; return $node->safe_psql('postgres', "SELECT $columns FROM ark.wal_status") }
sub streams { my ($node) = @_; return poll_until('WAL is streamed', sub { (eval { status($node, 'state') } // '') eq 'streaming' }) }
sub pieces { return find_objects($directory, qr{/tail/}) }
sub preflight { my ($node) = @_; return $node->safe_psql('postgres', q{SELECT ok, detail, hint FROM ark.preflight() WHERE name = 'wal_streaming'}) }

# Waits until all that is flushed now is durable; returns the seconds that it took.
sub wait_durable {
    my ($node) = @_;
    my $began = time;
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    poll_until("WAL up to $lsn is durable", sub { status($node, "durable_lsn >= '$lsn'") eq 't' });
    return time - $began;
}

# The machine is lost: no process of it does anything more.
sub lose {
    my ($node) = @_;
    my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    kill 'STOP', $postmaster;    # nothing is restarted while we look
    my @pids = ($postmaster, map { ark_children($node, $_) } qw(server-stream server-archive));
    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $handle, '<', $stat or next;
        my ($pid, $parent) = (<$handle> // '') =~ /^(\d+) \(.*\) \S (\d+)/s;
        push @pids, $pid if ($parent // 0) == $postmaster;
    }
    kill 'KILL', @pids;
    poll_until('all have gone', sub { !grep { kill 0, $_ } @pids });
    $node->{_pid} = undef;
}

# What the repository has, brought up: the answer to a query there.
my $restored = 0;
sub restored_answer {
    my ($query) = @_;
    my $copy = restore_node($node, 'restored' . ++$restored, '--target-action', 'promote');
    start_restored($copy, conf => "synchronous_standby_names = ''\n");
    my $answer = $copy->safe_psql('postgres', $query);
    $copy->stop('immediate');
    remove_tree($copy->data_dir);
    return $answer;
}

# ---- nothing is streamed before there is something to recover

is(status($node, 'state'), 'no_repository', 'no repository is made for streaming alone');
backup_ok($node, 'the first');
streams($node);
like(preflight($node), qr/^t\|streaming/, 'preflight() says that it streams');
is($node->safe_psql('postgres', q{SELECT application_name || ' ' || sync_state FROM pg_stat_replication}), 'pg_ark async', 'pg_stat_replication shows it');

# ---- pieces come within the interval, and only where something was written

$node->safe_psql('postgres', 'CREATE TABLE tail (n int PRIMARY KEY, filler text)');
wait_durable($node);
my @seconds;
for my $n (1 .. 5) {
    $node->safe_psql('postgres', "INSERT INTO tail VALUES ($n, repeat('x', 1000))");
    push @seconds, wait_durable($node);
}
note("durable after @seconds s");
my ($median) = (sort { $a <=> $b } @seconds)[2];
cmp_ok($median, '<', 5, 'WAL is durable about a second after it was written');
cmp_ok(scalar(my @now = pieces()), '>', 0, 'in pieces of the segment that is being written');
poll_until('an idle server writes nothing', sub {
    my $before = join ' ', pieces();
    my $same   = status($node, 'flush_lsn');
    sleep 3;
    return join(' ', pieces()) eq $before && status($node, 'flush_lsn') eq $same;
});
is(status($node, q{unprotected_bytes || ' ' || unprotected || ' ' || coalesce(missing_segment, 'nothing')}), '0 00:00:00 nothing', 'nothing of an idle server is unprotected');
like(status($node, q{mode || ' ' || timeline || ' ' || (durable_lsn = flush_lsn) || ' ' || (durable_at > now() - interval '1 hour')}), qr/^async 1 true true$/, 'and ark.wal_status says so');

# A finished segment becomes one object, and its pieces go.
my ($segment) = archive_now($node);
poll_until('the pieces of a whole segment go', sub { !grep { m{/\Q$segment\E/} } pieces() });
streams($node);

# ---- the tail comes back

$node->safe_psql('postgres', q{INSERT INTO tail SELECT n, 'tail' FROM generate_series(100, 1000) n});
my $rows = 'SELECT count(*), sum(n), md5(string_agg(n || filler, $$,$$ ORDER BY n)) FROM tail';
my $expected = $node->safe_psql('postgres', $rows);
wait_durable($node);
lose($node);
is(restored_answer($rows), $expected, 'a server that was killed: all of its tail is restored');
$node->start;
streams($node);
$node->safe_psql('postgres', q{INSERT INTO tail VALUES (2000, 'after the crash')});
$expected = $node->safe_psql('postgres', $rows);
wait_durable($node);
$node->stop('immediate');
is(restored_answer($rows), $expected, 'stopped with immediate: the chain that it had begun went on');
$node->start;
streams($node);

# ---- the streaming process is killed

my $mark = log_mark($node);
my ($child) = ark_children($node, 'server-stream');
ok($child, 'there is one process that streams');
is(status($node, 'child_pid'), $child, 'which ark.wal_status names');
kill 'KILL', $child;
poll_until('another takes its place', sub { my ($new) = ark_children($node, 'server-stream'); $new && $new != $child });
streams($node);
wait_durable($node);
never_restarted($node, $mark, 'and the server does not notice');
is(scalar(my @children = ark_children($node, 'server-stream')), 1, 'it is one again');

# ---- settings

set_config($node, 'pg_ark.wal_streaming' => 'off');
poll_until('it is off', sub { status($node, 'state') eq 'off' && !ark_children($node, 'server-stream') });
like(preflight($node), qr/^t\|off/, 'off is no fault');
$node->safe_psql('postgres', q{INSERT INTO tail VALUES (2001, 'unprotected')});
poll_until('what is not streamed is unprotected', sub { status($node, q{unprotected_bytes > 0 AND unprotected > interval '2 s'}) eq 't' });
archive_now($node);
poll_until('until it is archived', sub { status($node, q{durable_lsn > '0/0' AND unprotected_bytes < 10000}) eq 't' });
set_config($node, 'pg_ark.wal_streaming' => undef, 'pg_ark.wal_stream_interval' => '100ms');
streams($node);
# Many pieces of one segment: the server is asked for a new one.
set_config($node, 'pg_ark.wal_stream_pieces' => 5);
my $insert_segment = 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())';
my $first_segment = archive_now($node) && $node->safe_psql('postgres', $insert_segment);
my $few_pieces = 0;
poll_until('after five pieces a new segment is begun', sub {
    $node->safe_psql('postgres', q{INSERT INTO tail SELECT max(n) + 1, 'a piece' FROM tail});
    $few_pieces++;
    $node->safe_psql('postgres', $insert_segment) gt $first_segment;
});
cmp_ok($few_pieces, '>=', 5, 'and not before');
set_config($node, 'pg_ark.wal_stream_pieces' => 0);
$first_segment = $node->safe_psql('postgres', $insert_segment);
for (1 .. 8) {
    $node->safe_psql('postgres', q{INSERT INTO tail SELECT max(n) + 1, 'a piece' FROM tail});
    wait_durable($node);
}
is($node->safe_psql('postgres', $insert_segment), $first_segment, 'at 0 the segment goes on');
set_config($node, 'pg_ark.wal_stream_interval' => undef, 'pg_ark.wal_stream_pieces' => undef);
streams($node);

# ---- a hole in the repository: filled where the server still has the segment, else told

my ($system_identifier) = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
sub object { my ($name) = @_; return "$directory/$system_identifier/wal/" . substr($name, 0, 8) . '/' . substr($name, 8, 8) . "/$name.zst" }
my $hole = archive_now($node);
ok(-e $node->data_dir . "/pg_wal/$hole" && -e object($hole), 'a segment is here and there');
unlink object($hole) or die $!;
kill 'KILL', ark_children($node, 'server-stream');
poll_until('the hole is filled from pg_wal', sub { -e object($hole) });
streams($node);
archive_now($node);
$node->safe_psql('postgres', 'CHECKPOINT');
poll_until('the server has the segment no more', sub { $node->safe_psql('postgres', 'CHECKPOINT'); !-e $node->data_dir . "/pg_wal/$hole" || !archive_now($node) });
unlink object($hole) or die $!;
kill 'KILL', ark_children($node, 'server-stream');
poll_until('the gap is seen', sub { status($node, 'state') eq 'gap' });
is(status($node, 'missing_segment'), $hole, 'the first segment that is missing is named');
like(preflight($node), qr/^f\|segment \Q$hole\E.*full backup/, 'preflight() asks for a full backup');
is(status($node, q{durable_lsn <= pg_lsn '0/0' + ('x' || substr(missing_segment, 17))::bit(32)::int8 * 16777216}), 't', 'nothing behind it counts as durable');
backup_ok($node, 'over the gap');
streams($node);
wait_durable($node);

# ---- streaming cannot connect: archiving goes on, preflight() says why, and it mends by itself

my $hba = $node->data_dir . '/pg_hba.conf';
my $trusting = slurp_file($hba);
sub write_file { my ($path, $text) = @_; open my $handle, '>', $path or die "$path: $!"; print $handle $text; close $handle }
write_file($hba, "local replication all reject\n$trusting");
$mark = log_mark($node);
$node->reload;
kill 'KILL', ark_children($node, 'server-stream');
wait_log($node, qr/WARNING: .*WAL is not streamed to the repository/, $mark);
archive_now($node);
pass('without streaming archiving goes on');
poll_until('preflight() says why', sub { preflight($node) =~ /^f\|.*pg_hba\.conf.*\|Add the line "local replication .*" to pg_hba\.conf/ });
like(status($node, 'state'), qr/^(?:retrying|stopped|catching_up|starting)$/, 'and so does ark.wal_status');
write_file($hba, $trusting);
$node->reload;
streams($node);
wait_log($node, qr/WAL is streamed to the repository again/, $mark);
like(preflight($node), qr/^t\|streaming/, 'it mends by itself');

# ---- the repository is away: how long there is room

rename $directory, "$directory.away" or die $!;
$node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', repeat('x', 100))}) for 1 .. 3;
poll_until('it is told when the disk is full', sub {
    $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', repeat('x', 100))});
    status($node, q{until_full IS NOT NULL AND wal_growth > 0 AND segments_waiting > 1}) eq 't' });
poll_until('and how much is unprotected', sub { status($node, q{unprotected > interval '5 s' AND unprotected_bytes > 16777216}) eq 't' });
rename "$directory.away", $directory or die $!;
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
poll_until('the backlog is gone', sub { status($node, 'segments_waiting') == 0 });
streams($node);
wait_durable($node);
pass('a repository that was away is caught up with');

# ---- the store hangs: no shutdown waits for it

for my $mode (qw(fast smart)) {
    set_config($node, 'pg_ark.fault' => 'stream_before_put=sleep');    # 60 s
    $mark = log_mark($node);
    poll_until('there is something to store', sub {
        $node->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'x', 'x')});
        log_has($node, qr/fault point "stream_before_put"|stream_before_put/, $mark) || status($node, q{unprotected > interval '4 s'}) eq 't' });
    my $began = time;
    $node->stop($mode);
    my $seconds = time - $began;
    note("$mode shutdown: $seconds s");
    cmp_ok($seconds, '<', 20, "a $mode shutdown does not wait for a store that hangs");
    $node->start;
    set_config($node, 'pg_ark.fault' => undef);
    streams($node);
}

# ---- synchronous mode: what a client was told is in the repository, whatever is killed

$node->append_conf('postgresql.conf', "synchronous_standby_names = 'pg_ark'\n");
$node->safe_psql('postgres', 'CREATE TABLE told (n bigint PRIMARY KEY)');
$node->reload;
poll_until('commits wait', sub { status($node, 'mode') eq 'sync' });
is($node->safe_psql('postgres', 'SELECT sync_state FROM pg_stat_replication'), 'sync', 'pg_stat_replication says so');
backup_ok($node, 'in synchronous mode');
my $silent_mark = log_mark($node);
set_config($node, 'pg_ark.wal_streaming' => 'off');
wait_log($node, qr/commits may wait for ever.*\n.*Its state is "off"/, $silent_mark);
set_config($node, 'pg_ark.wal_streaming' => undef);
poll_until('commits wait for it again', sub { status($node, 'mode') eq 'sync' });

# A client that notes each number that the server has said yes to; it ends with its connection.
sub start_client {
    my ($first) = @_;
    my $file = $node->basedir . "/told.$first";
    my $script = join '', map { "INSERT INTO told VALUES ($_);\n\\echo $_\n" } $first .. $first + 9999;
    my $handle = IPC::Run::start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ], '<', \$script, '>', $file, '2>', '/dev/null');
    return { handle => $handle, file => $file };
}
sub told { my ($client) = @_; eval { $client->{handle}->finish }; return split /\n/, slurp_file($client->{file}) }

my (@told, %lost, %commits);
my @kinds = qw(host child server);
for my $round (1 .. $rounds) {
    my $kind = $kinds[ $round % @kinds ];
    my @clients = map { start_client($round * 1_000_000 + $_ * 100_000) } 1 .. 3;
    my $end = time + 0.3 + rand 0.7;
    $_->{handle}->pump_nb for @clients;
    while (time < $end) { $_->{handle}->pumpable && $_->{handle}->pump_nb for @clients; sleep 0.02 }
    if ($kind eq 'child') {
        kill 'KILL', ark_children($node, 'server-stream');
        sleep rand 2;
    }
    elsif ($kind eq 'server') {    # the WAL worker: the server restarts itself, and its clients' connections are gone
        my $worker = eval { status($node, 'worker_pid') };
        kill 'KILL', $worker if $worker;
        sleep rand 2;
    }
    lose($node);
    my @new = map { told($_) } @clients;
    push @told, @new;
    $commits{$kind} += @new;
    my %there = map { $_ => 1 } split /\n/, restored_answer('SELECT n FROM told');
    push @{ $lost{$round} }, grep { !$there{$_} } @told;
    delete $lost{$round} unless @{ $lost{$round} };
    $node->start;
    $node->safe_psql('postgres', 'SELECT pg_switch_wal()') if $round % 4 == 0;
    poll_until('commits wait again', sub { (eval { status($node, 'mode') } // '') eq 'sync' });
}
note('commits: ' . join ', ', map { "$commits{$_} ($_)" } sort keys %commits);
cmp_ok(scalar @told, '>', $rounds, 'clients were told of ' . @told . ' commits');
is_deeply(\%lost, {}, "$rounds times kill -9: every commit that a client was told of is restored");

# Clients that wait don't hold up a fast shutdown either.
set_config($node, 'pg_ark.fault' => 'stream_before_put=sleep');
my $waiting = start_client(900_000_000);
poll_until('a commit waits', sub { $waiting->{handle}->pump_nb; $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) > 0 });
my $began = time;
$node->stop('fast');
cmp_ok(time - $began, '<', 20, 'nor does it where commits wait for a store that hangs');
told($waiting);
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->append_conf('postgresql.auto.conf', "pg_ark.fault = ''\n");
$node->start;
streams($node);
is(status($node, 'mode'), 'async', 'commits wait no more');

# ---- two servers, one timeline

$node->stop;
my $twin = PostgreSQL::Test::Cluster->new('twin');
system_or_bail('cp', '-a', $node->data_dir, $twin->data_dir);
$twin->append_conf('postgresql.conf', sprintf "port = %d\nunix_socket_directories = '%s'\n", $twin->port, $twin->host);
$node->start;
streams($node);
$node->safe_psql('postgres', q{INSERT INTO tail VALUES (3000, 'the first server')});
wait_durable($node);
my $twin_mark = log_mark($twin);
$twin->start;
wait_log($twin, qr/WAL is not streamed to the repository/, $twin_mark);
poll_until('the second stops', sub { status($twin, 'state') eq 'stopped' && !ark_children($twin, 'server-stream') });
like(status($twin, q{error_message || ' ' || error_detail || ' ' || error_hint}), qr/written by.*Two servers, one timeline/s, 'and says by whom the repository was written');
$twin->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
wait_log($twin, qr/could not archive/, $twin_mark);
is($twin->safe_psql('postgres', 'SELECT stored_count FROM ark.archiver_status'), 0, 'its archiver stores nothing either');
like(preflight($twin), qr/^f\|stopped/, 'preflight() says so');
set_config($twin, 'pg_ark.wal_streaming' => 'off');
$twin_mark = log_mark($twin);
poll_until('it is tried again', sub {
    $twin->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
    $twin->safe_psql('postgres', q{SELECT error_message || ' ' || error_detail FROM ark.archiver_status}) =~ /written by/ && ark_children($twin, 'server-archive') });
is($twin->safe_psql('postgres', 'SELECT stored_count FROM ark.archiver_status'), 0, 'without streaming the archiver finds it by itself');
set_config($twin, 'pg_ark.wal_streaming' => undef);
poll_until('streaming heeds it', sub { status($twin, 'state') eq 'stopped' });
archive_now($node);
streams($node);
$expected = $node->safe_psql('postgres', $rows);
wait_durable($node);
is(restored_answer($rows), $expected, 'the first goes on unharmed');
set_config($twin, 'pg_ark.repositories' => scalar((new_repository('other'))[1]));
$twin->safe_psql('postgres', 'SELECT pg_switch_wal()');
poll_until('in a place of its own the second goes on', sub {
    $twin->safe_psql('postgres', 'SELECT stored_count FROM ark.archiver_status') > 0 && status($twin, 'state') eq 'streaming' });
$twin->stop;
$node->stop;
done_testing();
