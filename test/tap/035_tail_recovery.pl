# Recovery from WAL of which the newest is there in pieces only: it ends where the archive ends and never before without an
# error; a standby lives from such an archive and follows it over a promotion; what was abandoned at the fork stays away.
use strict;
use warnings;
use File::Basename qw(basename);
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'],
    conf => "pg_ark.wal_stream_interval = 100ms\ncheckpoint_timeout = 1h\nautovacuum = off\nbgwriter_lru_maxpages = 0\n");

sub status { my ($node, $columns) = @_; return $node->safe_psql('postgres', "SELECT $columns FROM ark.wal_status") }
sub streams { my ($node) = @_; return poll_until('WAL is streamed', sub { (eval { status($node, 'state') } // '') eq 'streaming' }) }

sub wait_durable {
    my ($node) = @_;
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    poll_until("WAL up to $lsn is durable", sub { status($node, "durable_lsn >= '$lsn'") eq 't' });
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

my $rows = q{SELECT coalesce(string_agg(n::text, ',' ORDER BY n), 'none') FROM log};
sub rows_of { my ($node) = @_; return $node->safe_psql('postgres', $rows) }

# One row, which a piece of its own brings into the repository; returns a moment behind it.
sub write_row {
    my ($node, $n) = @_;
    $node->safe_psql('postgres', "INSERT INTO log VALUES ($n)");
    wait_durable($node);
    sleep 0.3;
    return $node->safe_psql('postgres', q{SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text || '+00'});
}

# The pieces of the newest segment of a timeline, in order.
sub pieces {
    my ($directory, $timeline) = @_;
    my @all = find_objects($directory, qr{/tail/0000000\Q$timeline\E/});
    my ($newest) = reverse sort map { m{/([0-9A-F]{24})/} } @all;
    return map { "$directory/$_" } grep { m{/\Q$newest\E/} } @all;
}

# A copy of the repository, to be damaged.
my $copies = 0;
sub copied {
    my $copy = PostgreSQL::Test::Utils::tempdir('copy') . '/repo' . ++$copies;
    system_or_bail('cp', '-a', $directory, $copy);
    return $copy;
}

sub tear {
    my ($path) = @_;
    my $bytes = slurp_file($path);
    unlink $path or die $!;
    open my $file, '>', $path or die $!;
    binmode $file;
    print $file substr $bytes, 0, length($bytes) / 2;
    close $file;
}

# Restores and replays all there is; the rows.
my $restored = 0;
sub restored_rows {
    my ($repository, @arguments) = @_;
    my $copy = restore_node($node, 'restored' . ++$restored, '--repo', "file://$repository", '--target-action', 'promote', @arguments);
    start_restored($copy);
    my $answer = rows_of($copy);
    $copy->stop('immediate');
    return $answer;
}

sub dry_run {
    my ($repository, @arguments) = @_;
    return ark('restore', '--repo', "file://$repository", '-D', PostgreSQL::Test::Utils::tempdir('plan') . '/data', '--dry-run', @arguments);
}

sub now_in { my ($node) = @_; return $node->safe_psql('postgres', 'SELECT clock_timestamp()') }

# ---- a server that was killed, whose last segment is there in pieces only

$node->safe_psql('postgres', 'CREATE TABLE log (n int)');
backup_ok($node, 'the first');
streams($node);
my $early = write_row($node, -1);
write_row($node, 0);
my $between = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
archive_now($node);
streams($node);
my @moments = map { write_row($node, $_) } 1 .. 11;
my $shown   = (pieces($directory, 1))[-1];
push @moments, write_row($node, 12);
is($node->safe_psql('postgres', 'SELECT (ark.can_recover($$' . $moments[10] . '$$)).possible'), 't', 'a moment in the tail can be recovered');
is($node->safe_psql('postgres', qq{SELECT count(*), bool_and(until_time > '$moments[10]') FROM ark.recoverable_ranges}), '1|t', 'and the ranges say so');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ark.wal_gaps'), 0, 'there is no gap');
lose($node);
my @all = pieces($directory, 1);
cmp_ok(scalar @all, '>=', 12, 'a piece for each row: ' . scalar @all);
is(restored_rows($directory), join(',', -1 .. 12), 'all of it comes back');
is(restored_rows($directory, '--target-time', $moments[$_ - 1]), join(',', -1 .. $_), "the moment behind row $_ comes back") for 4, 11;
ark_ok([ 'verify', '--repo', $url ], 'verify finds nothing wrong with it');

# Without its end
sub behind {
    my ($repository) = @_;
    my ($name) = $shown =~ m{([^/]+)$};
    return grep { m{([^/]+)$} && $1 gt $name } pieces($repository, 1);
}
my $short = copied();
unlink behind($short) or die $!;
is(restored_rows($short), join(',', -1 .. 11), 'without the last piece recovery ends before it');
ark_ok([ 'verify', '--repo', "file://$short" ], 'nothing says that there was more');

my $torn = copied();
my ($last, @none) = behind($torn);
tear($last);
unlink @none;    # what an idle server writes
my ($exit, $out, $err) = dry_run($torn);
is($exit, 0, 'the last piece is torn: a restore can be');
like($out . $err, qr/warning.*archived WAL ends before it/s, 'and says where it ends') or diag($out . $err);
is(restored_rows($torn), join(',', -1 .. 11), 'recovery ends before it');
($exit, $out, $err) = ark('ranges', '--repo', "file://$torn");
is($exit, 0, 'what can be recovered is told');
like($err, qr/^pg_ark: warning: the last piece of WAL segment "[0-9A-F]{24}" cannot be read; recovery ends before it\nDETAIL:  .*\Q@{[ basename($last, ".zst") ]}\E/m, 'and that its end is damaged');

# With a hole inside: loud
for my $way (qw(torn missing)) {
    my $damaged = copied();
    my @pieces  = pieces($damaged, 1);
    my $middle  = $pieces[2];
    $way eq 'torn' ? tear($middle) : unlink $middle;
    ark_fails([ 'restore', '--repo', "file://$damaged", '-D', PostgreSQL::Test::Utils::tempdir('plan') . '/data', '--dry-run' ],
        qr/later pieces/, "a middle piece is $way: no restore of all there is");
    my ($segment) = $middle =~ m{/([0-9A-F]{24})/};
    ($exit) = ark('wal-get', '--repo', "file://$damaged", '--timeout', 1, $segment, PostgreSQL::Test::Utils::tempdir('got') . '/segment');
    cmp_ok($exit, '>', 125, "$way: wal-get does not say that there is no more");
    ($exit) = ark('verify', '--repo', "file://$damaged");
    isnt($exit, 0, "$way: verify finds it");
    ($exit, $out, $err) = ark('ranges', '--repo', "file://$damaged");
    ok($exit != 0 && $out =~ / until \S+ \(\S+\)/ && $err =~ /recovery cannot pass it/, "$way: what can be recovered is told all the same") or diag("$out\n$err");
    is(restored_rows($damaged, '--target', 'immediate'), 'none', "$way: what lies before it can be had");
    is(restored_rows($damaged, '--target-lsn', $between), '-1,0', "$way: up to the segment before it");
    # A moment: where it is seen to lie before the damage, and where the ranges say so
    my ($until) = map { $_->{until_time} } @{ JSON::PP::decode_json((ark('ranges', '--repo', "file://$damaged", '--output', 'json'))[1])->[0]{ranges} };
    $until =~ tr/TZ/ /d;
    ok($early lt $until && $until lt $moments[0], "$way: the range ends between two moments") or diag("$early, $until, $moments[0]");
    is(restored_rows($damaged, '--target-time', $early), '-1', "$way: the earlier one comes back");
    ark_fails([ 'restore', '--repo', "file://$damaged", '-D', PostgreSQL::Test::Utils::tempdir('plan') . '/data', '--dry-run', '--target-time', $moments[0] ],
        qr/later pieces/, "$way: the later one is refused");
}

# A segment that is gone as a whole, before the pieces: by what recovery does with a command that somebody wrote by hand
{
    my $damaged  = copied();
    my ($lost)   = reverse sort(find_objects($damaged, qr{/wal/00000001/.*\.zst$}));
    my ($segment) = $lost =~ m{([0-9A-F]{24})\.zst$};
    my $recovers = restore_node($node, 'by_hand', '--repo', "file://$damaged", '--target-action', 'promote');
    rename "$damaged/$lost", "$damaged/../kept" or die $!;
    is(restored_rows($damaged, '--target', 'immediate'), 'none', 'a segment is gone: what lies before it can be had');
    $recovers->append_conf('postgresql.auto.conf', qq{restore_command = 'pg_ark wal-get --repo "file://$damaged" --timeout 1 %f "%p"'\n});
    $recovers->append_conf('postgresql.conf', sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\n", $recovers->port, $recovers->host);
    PostgreSQL::Test::Utils::append_to_file($recovers->logfile, '');
    system_or_bail('pg_ctl', '-W', '-D', $recovers->data_dir, '-l', $recovers->logfile, 'start');
    poll_until('recovery has ended', sub { slurp_file($recovers->logfile) =~ /could not restore file|database system is ready to accept connections/ });
    my $log = slurp_file($recovers->logfile);
    like($log, qr/FATAL:.*could not restore file "$segment"/, 'recovery does not end there, but stops') or diag($log);
    like($log, qr/DETAIL:.*which comes after it: recovery must not end here/, 'with the reason');
    poll_until('the server has ended', sub { !-e $recovers->data_dir . '/postmaster.pid' });
    rename "$damaged/../kept", "$damaged/$lost" or die $!;
    $recovers->start;
    $recovers->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
    is(rows_of($recovers), join(',', -1 .. 12), 'and goes on when it is there again');
    $recovers->stop('immediate');
}

# With few pieces behind the hole, too: they were begun when it was durable.
my $lost = copied();
my $few  = (pieces($lost, 1))[-2];
unlink $few or die $!;
ark_fails([ 'restore', '--repo', "file://$lost", '-D', PostgreSQL::Test::Utils::tempdir('plan') . '/data', '--dry-run' ],
    qr/later pieces/, 'the last but one is missing: no restore of all there is');
($exit) = ark('wal-get', '--repo', "file://$lost", '--timeout', 1, $few =~ m{/([0-9A-F]{24})/}, PostgreSQL::Test::Utils::tempdir('got') . '/segment');
cmp_ok($exit, '>', 125, 'wal-get does not say that there is no more');
($exit) = ark('verify', '--repo', "file://$lost");
isnt($exit, 0, 'verify finds it');
is(restored_rows($lost, '--target-lsn', $between), '-1,0', 'what lies before it can be had');

# ---- a standby that lives from the archive alone

sub archive_standby {
    my ($name, @arguments) = @_;
    my $standby = restore_node($node, $name, @arguments);
    unlink $standby->data_dir . '/recovery.signal' or die $!;
    $standby->append_conf('standby.signal', '');
    $standby->append_conf('postgresql.auto.conf', <<"CONF");
restore_command = 'pg_ark wal-get --repo "$url" --target-timeline latest --on-error wait %f "%p"'
recovery_target_timeline = 'latest'
hot_standby = on
wal_retrieve_retry_interval = 200ms
CONF
    return start_restored($standby, until => 'SELECT pg_is_in_recovery()');
}

sub catches_up {
    my ($standby, $expected, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(eval { poll_until('the standby has caught up', sub { (eval { rows_of($standby) } // '') eq $expected }, 60) }, $what)
      || diag(eval { rows_of($standby) });
}

$node->start;
streams($node);
my $successor = archive_standby('successor', '--take-over');
my $follower  = archive_standby('follower');
catches_up($successor, join(',', -1 .. 12), 'a standby from the archive has replayed the tail');
for my $n (13 .. 16) {
    write_row($node, $n);
    catches_up($_, join(',', -1 .. $n), 'piece by piece, ' . $_->name . " has row $n") for $successor, $follower;
}

# A piece that is damaged, which the standbys read again and again, is made up for by the whole segment.
tear((pieces($directory, 1))[2]);
write_row($node, 17);
sleep 3;
like(rows_of($_), qr/^-1,0,.*,16$/, 'a damaged piece stops it, but not the server: ' . $_->name) for $successor, $follower;
archive_now($node);
catches_up($_, join(',', -1 .. 17), 'until the segment is whole: ' . $_->name) for $successor, $follower;
write_row($node, 18);
catches_up($_, join(',', -1 .. 18), 'over the end of a segment: ' . $_->name) for $successor, $follower;

# Or until the next streaming process writes the piece anew.
$node->safe_psql('postgres', 'CREATE TABLE mended (n int)');
for my $n (1 .. 6) {
    $node->safe_psql('postgres', "INSERT INTO mended VALUES ($n)");
    wait_durable($node);
    sleep 0.3;
}
my $log = -s $node->logfile;
tear((pieces($directory, 1))[-3]);
my ($streamer) = ark_children($node, 'server-stream');
kill 'KILL', $streamer;
poll_until('it has ended', sub { !kill 0, $streamer });
$node->safe_psql('postgres', 'INSERT INTO mended VALUES (7)');
wait_durable($node);
for my $standby ($successor, $follower) {
    ok(eval { poll_until('the standby has caught up', sub { $standby->safe_psql('postgres', 'SELECT max(n) FROM mended') eq '7' }, 60) },
        'a piece that was damaged is written anew, without the whole: ' . $standby->name);
}
like(slurp_file($node->logfile, $log), qr/a piece of WAL segment "[0-9A-F]{24}" was damaged and is written anew/, 'and the server says so');
streams($node);

# Restarted it has files of its own.
$follower->restart;
catches_up($follower, join(',', -1 .. 18), 'and after a restart');

# ---- promotion inside a segment; the old primary's tail goes on behind the fork

for my $standby ($successor, $follower) {
    my $command = $standby->safe_psql('postgres', 'SHOW restore_command');
    $standby->{command} = $command;
    set_config($standby, restore_command => 'false');
}
sleep 1;
write_row($node, $_) for 900 .. 903;
lose($node);
is(rows_of($_), join(',', -1 .. 18), $_->name . ' has nothing of it') for $successor, $follower;
$successor->promote;
$successor->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
streams($successor);
my $behind = write_row($successor, 19);
write_row($successor, $_) for 20, 21;
my ($fork) = $successor->safe_psql('postgres', q{SELECT pg_read_file('pg_wal/00000002.history')}) =~ m{^1\t(\S+)};
note "timeline 2 left timeline 1 at $fork";
my ($old) = (pieces($directory, 1))[-1] =~ m{/([0-9A-F]{24})/};
my ($new) = (pieces($directory, 2))[-1] =~ m{/([0-9A-F]{24})/};
is(substr($new, 8), substr($old, 8), 'both timelines have pieces of the segment with the fork');
my $after = join ',', -1 .. 21;
set_config($follower, restore_command => $follower->{command} =~ s/'/''/gr);
catches_up($follower, $after, 'a standby follows through the switch from the archive alone');
is($follower->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'and is a standby still');
write_row($successor, 22);
$after .= ',22';
catches_up($follower, $after, 'and goes on');
is($successor->safe_psql('postgres', 'SELECT (ark.can_recover($$' . $behind . '$$)).possible'), 't', 'a moment on the new timeline can be recovered');
is($successor->safe_psql('postgres', 'SELECT count(*) FROM ark.wal_gaps'), 0, 'a fork is no gap');
lose($successor);

is(restored_rows($directory), $after, 'latest: nothing of what was abandoned');
is(restored_rows($directory, '--target-timeline', 2), $after, 'nor with the timeline named');
is(restored_rows($directory, '--target-time', $behind), join(',', -1 .. 19), 'nor at a moment in the tail');
is(restored_rows($directory, '--target-timeline', 1), join(',', -1 .. 18, 900 .. 903), 'the old timeline can be had');
ark_ok([ 'verify', '--repo', $url ], 'verify finds nothing wrong with either');
my ($ranges) = @{ JSON::PP::decode_json(ark_ok([ 'ranges', '--repo', $url, '--output', 'json' ], 'ranges')) };
is(join(' ', map { $_->{timeline} } @{ $ranges->{ranges} }), '1 2', 'both ends can be recovered');
is_deeply($ranges->{gaps}, [], 'and nothing is missing');

# Before the new timeline's first piece is there the old one serves up to the fork.
my $young = copied();
unlink pieces($young, 2);
is(restored_rows($young), join(',', -1 .. 18), 'a timeline of which there is only the history: up to the fork, and no further');

$follower->stop;
never_restarted($_) for $successor, $follower;
done_testing();
