# wal-get fetches ahead of recovery: what comes out is the same, whoever is killed and whatever is damaged, and
# nothing is left behind. A standby lives from the archive alone.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Namespace;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => "autovacuum = off\n");
load_shop($node);

# About so many segments of a megabyte.
sub write_segments {
    my ($from, $count) = @_;
    $from->safe_psql('postgres', "INSERT INTO bulk SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 900) n; SELECT pg_switch_wal()") for 1 .. $count;
    return archive_now($from);
}

# Changes the restore_command of a restored node.
sub change_command {
    my ($restored, $sub) = @_;
    my $path = $restored->data_dir . '/postgresql.auto.conf';
    my $text = slurp_file($path);
    $text =~ s/^(restore_command = ')(.*)(')$/$1 . $sub->($2) . $3/me or die $text;
    PostgreSQL::Test::Utils::append_to_file("$path.new", $text);
    rename "$path.new", $path or die $!;
}
# It tells where each file came from; with a pause before each, so that there is time for a test.
sub say_sources { my ($restored, $pause) = @_; change_command($restored, sub { ($pause ? "sleep $pause; " : '') . $_[0] =~ s/(''wal-get'')/$1 --output json/r }) }

# { name => "spool" or "repository" } by the log.
sub sources {
    my ($restored, $mark) = @_;
    return {} unless -e $restored->logfile;
    my @told = map { JSON::PP::decode_json($_) } slurp_file($restored->logfile, $mark // 0) =~ /^(\{"found":.*\})$/mg;
    return { map { $_->{name} => $_->{source} } grep { $_->{found} && $_->{name} =~ /^[0-9A-F]{24}$/ } @told };
}
sub spool { my ($restored) = @_; return $restored->data_dir . '/pg_wal/pg_ark.spool' }
sub from_spool { my ($restored, $mark) = @_; my $sources = sources($restored, $mark); return scalar grep { $_ eq 'spool' } values %$sources }

# Prefetchers at work for a repository, by their command lines.
sub prefetchers {
    my ($of) = @_;
    my @found;
    for my $path (glob '/proc/[0-9]*/cmdline') {
        open my $file, '<', $path or next;
        my @words = split /\0/, <$file> // '';
        push @found, $path =~ /(\d+)/ if @words > 3 && $words[1] eq 'server-prefetch' && $words[3] eq ($of // $url);
    }
    return @found;
}
# Where two belong together: the one that fetches.
sub fetching_one {
    my %is = map { $_ => 1 } prefetchers();
    my ($child) = grep { (eval { slurp_file("/proc/$_/stat") } // '') =~ /^\d+ \(.*\) \S (\d+)/s && $is{$1} } sort keys %is;
    return $child // (sort keys %is)[0];
}
sub nothing_left {
    my ($restored, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    poll_until("$what: the prefetcher has ended", sub { !prefetchers() }, 20);
    ok(!-e spool($restored), "$what: the spool is gone") or diag(join ' ', find_objects(spool($restored)));
}
sub configure {
    my ($restored, $conf) = @_;
    $restored->append_conf('postgresql.conf',
        sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\nwal_retrieve_retry_interval = '200ms'\n%s", $restored->port, $restored->host, $conf // '');
}
# Starts it without waiting for anything.
sub start_only {
    my ($restored) = @_;
    PostgreSQL::Test::Utils::append_to_file($restored->logfile, '');
    system_or_bail('pg_ctl', '-W', '-D', $restored->data_dir, '-l', $restored->logfile, 'start');
}
sub in_the_middle { my ($restored, $mark) = @_; poll_until('some segments came from the spool', sub { from_spool($restored, $mark) >= 4 }) }

$node->safe_psql('postgres', 'CREATE TABLE bulk (n int, t text); CREATE TABLE history (timeline int)');
backup_ok($node);
my $last     = write_segments($node, 40);
my $expected = { postgres => fingerprint($node) };
my $dump     = dump_of($node);

# ---- the same as without
{
    my $restored = restore_node($node, 'restored');
    verify_backup_ok($restored->data_dir, 'restored: complete before the start');
    say_sources($restored);
    start_restored($restored);
    same_contents(dump_of($restored), $dump, 'restored: the same as the source');
    my $sources = sources($restored);
    cmp_ok(scalar keys %$sources, '>=', 40, 'restored: the log tells of each segment');
    cmp_ok(from_spool($restored), '>=', 25, 'restored: most of them came from the spool') or diag(JSON::PP->new->canonical->encode($sources));
    nothing_left($restored, 'after recovery');
    amcheck_ok($restored, 'restored: pg_amcheck finds nothing');
    $restored->stop;
    my $without = restore_node($node, 'without');
    change_command($without, sub { $_[0] =~ s/(''wal-get'')/$1 --output json --prefetch 0/r });
    start_restored($without);
    is(from_spool($without), 0, '--prefetch 0: nothing from a spool');
    same_contents(fingerprint($without), $expected->{postgres}, '--prefetch 0: the same');
    $without->stop;
}

# ---- whoever is killed
{
    my $restored = restore_node($node, 'killed');
    say_sources($restored, 0.1);
    configure($restored);
    start_only($restored);
    in_the_middle($restored);
    my ($prefetcher) = poll_until('there is a prefetcher', sub { (prefetchers())[0] });
    kill 'KILL', $prefetcher;
    my $mark = log_mark($restored);
    poll_until('there is another one', sub { my ($other) = prefetchers(); $other && $other != $prefetcher });
    in_the_middle($restored, $mark);
    pass('kill -9 of the prefetcher: the next wal-get starts another');

    # SIGTERM, as an administrator would.
    ($prefetcher) = prefetchers();
    kill 'TERM', $prefetcher;
    poll_until('it has ended', sub { !kill 0, $prefetcher });
    pass('SIGTERM ends it');

    # The whole server.
    my ($postmaster) = slurp_file($restored->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    kill 'KILL', $postmaster;
    nothing_left($restored, 'kill -9 of the server in recovery');
    poll_until('its processes are gone', sub { !-e "/proc/$postmaster" && system_log('pg_ctl', '-D', $restored->data_dir, 'status') != 0 });
    $mark = log_mark($restored);
    start_only($restored);
    in_the_middle($restored, $mark);
    system_or_bail('pg_ctl', '-w', '-D', $restored->data_dir, '-m', 'fast', 'stop');
    nothing_left($restored, 'a fast shutdown in recovery');

    # A prefetcher that was killed as the last: what it left goes at the end of recovery.
    mkdir spool($restored);
    PostgreSQL::Test::Utils::append_to_file(spool($restored) . "/$last.0123456789abcdef." . '0' x 32 . '.f', 'of another recovery');
    $restored->start;
    $restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
    same_contents(fingerprint($restored), $expected->{postgres}, 'after all that: the same as the source');
    nothing_left($restored, 'after all that');
    amcheck_ok($restored, 'after all that: pg_amcheck finds nothing');
    $restored->stop;
}

# ---- at each step of the prefetcher's
for my $point (fault_points('core/archive', qr/^spool_/)) {
    for my $action (qw(kill eio enospc)) {
        my $restored = restore_node($node, "${point}_$action");
        say_sources($restored);
        local $ENV{PG_ARK_FAULT} = "$point=$action\@3";
        start_restored($restored);
        same_contents(fingerprint($restored), $expected->{postgres}, "$point, $action: the same as the source");
        nothing_left($restored, "$point, $action");
        $restored->stop;
    }
}

# ---- where PostgreSQL is process 1
SKIP: {
    skip 'this kernel or container allows no user namespaces', 9 unless namespaces_work();
    my $restored = restore_node($node, 'process_1');
    say_sources($restored, 0.05);
    configure($restored);
    my $handle = start_in_namespace($restored, { pid => 1 });
    $restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
    cmp_ok(from_spool($restored), '>=', 15, 'as process 1: segments came from the spool');
    nothing_left($restored, 'as process 1');
    same_contents(fingerprint($restored), $expected->{postgres}, 'as process 1: the same as the source');
    never_restarted($restored, 0, 'as process 1: the orphan\'s end was taken for no crash');
    is(stop_in_namespace($handle), 0, 'as process 1: stops cleanly');

    # Where memory runs out the kernel kills the one that fetches. Process 1 would take that for a crash of its own.
    $restored = restore_node($node, 'process_1_killed');
    say_sources($restored, 0.1);
    configure($restored);
    $handle = start_in_namespace($restored, { pid => 1 });
    in_the_middle($restored);
    my $fetches = poll_until('there is a prefetcher', \&fetching_one);
    is(slurp_file("/proc/$fetches/oom_score_adj"), "800\n", 'as process 1: the one that fetches is the first to go');
    kill 'KILL', $fetches;
    poll_until('there is another one', sub { my $other = fetching_one(); $other && $other != $fetches });
    kill 'TERM', grep { $_ != fetching_one() } prefetchers();
    $restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
    nothing_left($restored, 'as process 1, kill -9 of the prefetcher');
    same_contents(fingerprint($restored), $expected->{postgres}, 'as process 1, kill -9 of the prefetcher: the same as the source');
    never_restarted($restored, 0, 'as process 1, kill -9 of the prefetcher: taken for no crash');
    is(stop_in_namespace($handle), 0, 'as process 1, kill -9 of the prefetcher: stops cleanly');
}

# ---- damage ahead
{
    my ($object) = (grep { m{/wal/00000001/.*\.zst$} } find_objects($directory))[-5];
    my $path    = "$directory/$object";
    my $content = slurp_file($path);
    my ($segment) = $object =~ m{([0-9A-F]{24})\.zst$};
    my $damaged = $content;
    substr($damaged, length($damaged) / 2, 1) ^= "\x10";
    my $replace = sub { chmod 0600, $path; open my $file, '>', $path or die "$path: $!"; binmode $file; print $file $_[0]; close $file };
    my $restored = restore_node($node, 'damaged');
    $replace->($damaged);
    say_sources($restored);
    configure($restored);
    start_only($restored);
    wait_log($restored, qr/FATAL:.*could not restore file "$segment"/);
    my $before = sprintf '%s%08X', substr($segment, 0, 16), hex(substr $segment, 16) - 1;
    my $sources = sources($restored);
    ok($sources->{$before}, 'damage ahead: recovery comes to the segment before it');
    ok(!$sources->{$segment}, 'and the damaged one is given out by nobody');
    nothing_left($restored, 'damage ahead');
    poll_until('the server has ended', sub { !-e $restored->data_dir . '/postmaster.pid' });
    $replace->($content);
    $restored->start;
    $restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
    same_contents(fingerprint($restored), $expected->{postgres}, 'and goes on when it is mended');
    $restored->stop;
}

# ---- a standby, from here on
ark_fails([ 'restore', '--repo', $url, '-D', $node->basedir . '/no', '--standby', @$_ ], qr/--standby and \Q$_->[0]\E exclude each other/, "--standby with $_->[0] is refused")
  for [ '--target-time', '2026-01-01' ], [ '--target', 'immediate' ], [ '--target-timeline', '1' ], [ '--target-action', 'promote' ];
ark_fails([ 'restore', '--repo', $url, '-D', $node->basedir . '/no', '--primary-conninfo', 'host=x' ], qr/needs --standby/, '--primary-conninfo alone is refused');
my $standby = restore_node($node, 'standby', '--standby');
ok(-e $standby->data_dir . '/standby.signal' && !-e $standby->data_dir . '/recovery.signal', 'it is a standby');
ok(-e $standby->data_dir . '/pg_wal/pg_ark.clone', 'and a clone');
say_sources($standby);
configure($standby);
$standby->start;

sub follows {
    my ($from, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $count = $from->safe_psql('postgres', 'SELECT count(*) FROM bulk');
    ok($standby->poll_query_until('postgres', "SELECT count(*) = $count FROM bulk"), "standby: $what");
}
follows($node, 'has what was archived');
write_segments($node, 12);
follows($node, 'follows');
cmp_ok(from_spool($standby), '>=', 25, 'standby: from the spool, too');

# ---- an outage of the archive
my $mark = log_mark($standby);
rename $directory, "$directory.away" or die $!;
$node->safe_psql('postgres', 'INSERT INTO bulk VALUES (0, 0); SELECT pg_switch_wal()') for 1 .. 3;
wait_log($standby, qr/trying again/, $mark);
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'outage: the standby waits, and answers');
rename "$directory.away", $directory or die $!;
write_segments($node, 2);
follows($node, 'goes on after an outage');
ok(!log_has($standby, qr/FATAL|PANIC/, $mark), 'outage: without an error of the server');
$standby->stop;
nothing_left($standby, 'standby stopped');
$standby->start;

# ---- through a fork inside a segment, while the old primary goes on
$node->safe_psql('postgres', q{INSERT INTO history VALUES (1); SELECT pg_create_restore_point('fork')});
$standby->stop;    # it must not see what is abandoned before it is
$node->safe_psql('postgres', 'INSERT INTO history VALUES (11)');
my $forked = archive_now($node);
write_segments($node, 3);
$node->stop('immediate');
my $second = restore_node($node, 'second', '--target-name', 'fork', '--target-action', 'promote', '--take-over');
start_restored($second);
$second->safe_psql('postgres', 'INSERT INTO history VALUES (2)');
write_segments($second, 6);
is($second->safe_psql('postgres', 'SELECT string_agg(timeline::text, $$,$$ ORDER BY timeline) FROM history'), '1,2', 'the source is promoted elsewhere');
ok((grep { m{/\Q$forked\E\.zst$} } find_objects($directory)), 'the abandoned segment is in the repository as a whole');
my $restored = restore_node($second, 'through_the_fork');
say_sources($restored);
start_restored($restored);
is($restored->safe_psql('postgres', 'SELECT string_agg(timeline::text, $$,$$ ORDER BY timeline) FROM history'), '1,2', 'recovery leaves the abandoned timeline at the fork');
isnt(sources($restored)->{$forked} // '', 'spool', 'whose segment never lies in the spool');
nothing_left($restored, 'through the fork');
$restored->stop;

$standby->start;
follows($second, 'follows through the promotion');
is($standby->safe_psql('postgres', 'SELECT string_agg(timeline::text, $$,$$ ORDER BY timeline) FROM history'), '1,2', 'standby: without what was abandoned');

# ---- one that streams as well
my $streams = restore_node($second, 'streams', '--standby', '--primary-conninfo', $second->connstr);
configure($streams);
$streams->start;
ok($streams->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'}), 'with --primary-conninfo it streams');
$second->safe_psql('postgres', 'INSERT INTO history VALUES (22)');
ok($streams->poll_query_until('postgres', 'SELECT count(*) = 1 FROM history WHERE timeline = 22'), 'and has what is not archived yet');
$streams->stop;

# ---- another server left the timeline at a place that the standby has passed by: its server stays where it is
{
    my $passed = $second->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
    write_segments($second, 2);
    follows($second, 'has passed by');
    $standby->safe_psql('postgres', 'CHECKPOINT');    # so that pg_control has it
    my ($parents) = map { slurp_file("$directory/$_") } grep { m{/00000002\.history$} } find_objects($directory);
    my ($place)   = map { s{/00000002/00000002\.history$}{/00000003}r } grep { m{/00000002\.history$} } find_objects($directory);
    mkdir "$directory/$place" or die $!;
    PostgreSQL::Test::Utils::append_to_file("$directory/$place/00000003.history", $parents . "2\t$passed\tby somebody else\n");
    wait_log($standby, qr/new timeline 3 forked off current database system timeline 2 before current recovery point/);
    write_segments($second, 3);
    follows($second, 'goes on, on its own timeline');
    unlink "$directory/$place/00000003.history" or die $!;
    rmdir "$directory/$place" or die $!;
    unlink $standby->data_dir . '/pg_wal/00000003.history';
}

# ---- promoted: a clone until it is adopted
write_segments($second, 1);
follows($second, 'has all');
$second->stop;
{
    $standby->poll_query_until('postgres', 'SELECT count(*) = 3 FROM history') or die;
    my $before = tree_digest($directory);
    $standby->safe_psql('postgres', 'SELECT pg_promote()');
    $standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die;
    nothing_left($standby, 'standby promoted');
    $standby->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')}) for 1 .. 3;
    poll_until('the clone\'s archiver is content', sub { !glob $standby->data_dir . '/pg_wal/archive_status/*.ready' });
    is_deeply(tree_digest($directory), $before, 'promoted by accident it writes nothing into the repository');
    $standby->safe_psql('postgres', 'SELECT ark.adopt()');
    poll_until('adopt() has led to a backup', sub {
        $standby->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_log WHERE status = 'completed' AND timeline = 3}) > 0 });
    ok((grep { m{/00000003\.history} } find_objects($directory)), 'adopted it archives, on a timeline of its own');
}
amcheck_ok($standby, 'standby: pg_amcheck finds nothing');
never_restarted($standby);
done_testing();
