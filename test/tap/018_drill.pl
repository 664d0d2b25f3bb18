# A restore test answers for a sound backup, whatever the backup holds; it stays to itself, and leaves nothing,
# whoever is killed. What it finds in damaged ones: 019_drill_damage.pl.
use strict;
use warnings;
use File::Basename qw(basename dirname);
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use PgArk::Drill;
use PgArk::Namespace;
use PgArk::Test;

my $traps = PostgreSQL::Test::Utils::tempdir('traps');
my $places = PostgreSQL::Test::Utils::tempdir('places');
my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my ($space, $later) = ("$places/space", "$places/later");
mkdir $_ for $space, $later;

my $node = ark_cluster('source', conf => <<"CONF");
wal_level = logical
max_prepared_transactions = 7
max_locks_per_transaction = 90
autovacuum = off
external_pid_file = '$traps/pid'
max_logical_replication_workers = 0
CONF
my $repository = $node->{ark_repository};
load_shop($node);
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
$node->safe_psql('postgres', qq{CREATE DATABASE "an ""odd"" one" TEMPLATE template0});
$node->safe_psql('postgres', 'CREATE DATABASE trapped');
$node->safe_psql('an "odd" one', <<'SQL');
CREATE SCHEMA "S";
CREATE TABLE "S"."T" (id int PRIMARY KEY, name text COLLATE "und-x-icu", other text COLLATE "C", doc jsonb, place point, span int4range, big text);
ALTER TABLE "S"."T" ALTER big SET STORAGE EXTERNAL;
INSERT INTO "S"."T" SELECT n, 'ä' || n, n, jsonb_build_object('n', n), point(n, n), int4range(n, n + 5), repeat(md5(n::text), 200) FROM generate_series(1, 3000) n;
CREATE INDEX ON "S"."T" (name);
CREATE INDEX ON "S"."T" (other) WHERE id % 2 = 0;
CREATE INDEX ON "S"."T" (lower(other));
CREATE INDEX ON "S"."T" USING gin (doc);
CREATE INDEX ON "S"."T" USING gist (place);
CREATE INDEX ON "S"."T" USING brin (id);
CREATE INDEX ON "S"."T" USING hash (other);
CREATE INDEX ON "S"."T" USING spgist (span);
CREATE UNLOGGED TABLE loose AS SELECT n FROM generate_series(1, 1000) n;
CREATE INDEX ON loose (n);
CREATE TABLE inside (n int PRIMARY KEY) TABLESPACE space;
INSERT INTO inside SELECT generate_series(1, 5000);
CREATE TABLE parted (n int, t text) PARTITION BY RANGE (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO parted SELECT n, n FROM generate_series(0, 199) n;
CREATE INDEX ON parted (n);
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM parted;
CREATE TABLE empty_one (n int);
DELETE FROM "S"."T" WHERE id % 10 = 0;
VACUUM "S"."T";
SELECT lo_from_bytea(0, repeat('x', 10000)::bytea);
SQL
# What would reach out of a copy that took it over; the live server itself runs no subscription.
my ($host, $port) = ($node->host, $node->port);
$node->safe_psql('postgres', 'CREATE PUBLICATION pub FOR ALL TABLES');
$node->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('physical', true)});
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('sub', 'pgoutput')});
$node->safe_psql('an "odd" one', <<"SQL");
CREATE SUBSCRIPTION sub CONNECTION 'host=$host port=$port dbname=postgres application_name=trap' PUBLICATION pub WITH (connect = false, slot_name = 'sub');
ALTER SUBSCRIPTION sub ENABLE;
SQL
$node->safe_psql('an "odd" one', <<'SQL');
BEGIN;
INSERT INTO inside VALUES (-1);
LOCK TABLE inside IN ACCESS EXCLUSIVE MODE;
PREPARE TRANSACTION 'it''s \ one';
BEGIN;
INSERT INTO parted VALUES (5, 'prepared');
PREPARE TRANSACTION 'two';
SQL
$node->safe_psql('trapped', <<"SQL");
CREATE TABLE t AS SELECT n FROM generate_series(1, 100) n;
CREATE FUNCTION reach_out() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch $traps/event_trigger'; END \$\$;
CREATE EVENT TRIGGER reach_out ON ddl_command_start EXECUTE FUNCTION reach_out();
ALTER EVENT TRIGGER reach_out ENABLE ALWAYS;
SQL
unlink "$traps/event_trigger";
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE nobody;
ALTER DATABASE trapped SET session_preload_libraries = 'no_such_library';
ALTER DATABASE trapped SET default_transaction_read_only = on;
ALTER DATABASE trapped SET statement_timeout = 1;
ALTER DATABASE trapped SET log_min_messages = 'panic';
ALTER ROLE CURRENT_USER IN DATABASE trapped SET role = 'nobody';
ALTER DATABASE trapped SET temp_tablespaces = 'space';
ALTER DATABASE trapped CONNECTION LIMIT 0;
ALTER DATABASE trapped ALLOW_CONNECTIONS false;
BEGIN;
ALTER ROLE nobody CREATEROLE;
ALTER DATABASE template1 CONNECTION LIMIT 9;
ALTER DATABASE template1 SET work_mem = '1MB';
PREPARE TRANSACTION 'of roles and databases';
SQL
# Settings that need a restart are not the live server's yet, but the backup's.
my %system = (
    $node->pg_version < 16 ? (archive_command => "touch $traps/archive_command") : (),    # 16: not beside archive_library
    restore_command          => "touch $traps/restore_command; false",
    archive_cleanup_command  => "touch $traps/archive_cleanup_command",
    recovery_end_command     => "touch $traps/recovery_end_command",
    primary_conninfo         => "host=$host port=$port application_name=trap",
    primary_slot_name        => 'physical',
    synchronous_standby_names => '',
    logging_collector        => 'on',
    log_directory            => "$traps/log",
    listen_addresses         => '127.0.0.1',
    unix_socket_directories  => $host,
    port                     => $port,
    shared_preload_libraries => 'pg_ark,pg_cron',
    session_preload_libraries => 'auto_explain',
    ssl_cert_file            => "$traps/no.crt",
    hba_file                 => "$traps/hba",
    ident_file               => "$traps/ident",
    recovery_target          => '',
    recovery_target_action   => 'shutdown',
    max_connections          => 5,
);
for my $name (sort keys %system) {
    # shared_preload_libraries and the like are lists: given as a string they would be one name.
    my $value = $name eq 'shared_preload_libraries' ? 'pg_ark, pg_cron' : "'$system{$name}'";
    $node->safe_psql('postgres', "ALTER SYSTEM SET $name = $value");
}
append_to_file($node->data_dir . '/postgresql.conf', "ssl = on\nlog_destination = 'csvlog'\nshared_preload_libraries = 'pg_ark,no_such_library'\ndata_directory = '" . $node->data_dir . "'\n");

# ---- a sound backup, in whose time a tablespace was made

my $id;
{
    set_config_only($node, 'pg_ark.fault' => 'backup_after_start=stop');
    $id = start_backup_sql($node, 'sound');
    my $child = poll_until('the backup has stopped in its middle', sub {
        (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0];
    });
    $node->safe_psql('postgres', "CREATE TABLESPACE later LOCATION '$later'");
    $node->safe_psql('an "odd" one', 'CREATE TABLE much_later TABLESPACE later AS SELECT n FROM generate_series(1, 20000) n');
    kill 'CONT', $child;
    is(wait_backup($node, $id)->{status}, 'completed', 'the backup completes');
    set_config_only($node, 'pg_ark.fault' => undef);
}
$node->safe_psql('postgres', 'CHECKPOINT');

my %before = (live_files($later), live_files($space), pid => slurp_file("$traps/pid"));
my $sessions = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trap' OR backend_type = 'walsender'});
my $slots = $node->safe_psql('postgres', 'SELECT slot_name, active_pid, restart_lsn, confirmed_flush_lsn FROM pg_replication_slots ORDER BY 1');
my $objects = scalar(() = find_objects($repository =~ s{^file://}{}r, qr{/wal/}));
cmp_ok($objects, '>', 0, 'there is archived WAL');
my $mark = log_mark($node);

my $evidence = drill_ok($node, 'a sound backup', '--scratch', $scratch, '--backup', $id);
my $v = $evidence->{verified};
is_deeply([ sort @{ $v->{databases} } ], [ sort 'postgres', 'template0', 'template1', 'an "odd" one', 'trapped' ], 'every database was asked');
cmp_ok($v->{files}{count}, '>', 1000, 'files were counted');
cmp_ok($v->{files}{bytes}, '>', 10_000_000, 'and their bytes');
cmp_ok($v->{pages}{checked}, '>', 3000, 'pages were verified');
is($v->{pages}{corrupt}, 0, 'none was corrupt');
cmp_ok($v->{catalog}{references}, '>', 1000, 'references between catalogs were followed');
cmp_ok($v->{catalog}{relations}, '>', 1000, 'files of relations were looked for');
cmp_ok($v->{heap}{relations}, '>', 200, 'tables were checked');
cmp_ok($v->{btree}{indexes}, '>', 700, 'B-trees were checked');
cmp_ok($v->{other_indexes}{by_pages_alone} + $v->{gin}{indexes}, '>=', 5, 'other indexes are counted');
cmp_ok($v->{rows}{tables}, '>=', 15, "rows of tables were counted");
cmp_ok($v->{rows}{rows}, '>', 30_000, 'there are rows');
cmp_ok($v->{rows}{counted_by_index}, '>=', 6, 'and were counted by an index');
cmp_ok($v->{rows}{compared}, '>=', 10, 'and compared with the census');
is($v->{isolation}{prepared_transactions}, 3, 'prepared transactions were there');
is($v->{isolation}{tablespaces_moved}, 2, 'tablespaces were moved');
is($v->{isolation}{tablespaces_contained}, 1, 'the later tablespace was contained');
is($v->{isolation}{event_triggers_disabled}, 1, 'the event trigger was put out of action');
cmp_ok($v->{seconds}{$_}, '>', 0, "seconds of $_") for qw(prepare fetch verify_files recover pages check total);
cmp_ok($v->{rto_seconds}, '>', 0, 'the time to recover was measured');
like($evidence->{test_id}, qr/^[0-9a-f]{8}-/, 'the test has an id');
my $stored = ($repository =~ s{^file://}{}r) . "/$evidence->{cluster}/backup/$id/tests/$evidence->{test_id}.json";
ok(-s $stored, 'the evidence is in the repository');

my %after = (live_files($later), live_files($space), pid => slurp_file("$traps/pid"));
is_deeply(\%after, \%before, 'the live tablespaces and the pid file were not touched');
is_deeply([ grep { !/^pid$/ } find_objects($traps) ], [], 'no trap was sprung');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trap' OR backend_type = 'walsender'}), $sessions, 'nobody connected to the live server');
is($node->safe_psql('postgres', 'SELECT slot_name, active_pid, restart_lsn, confirmed_flush_lsn FROM pg_replication_slots ORDER BY 1'), $slots, 'the slots are as they were');
is_deeply([ find_objects($repository =~ s{^file://}{}r, qr{/wal/00000002/}) ], [], 'no timeline was taken');
is(scalar(() = find_objects($repository =~ s{^file://}{}r, qr{/wal/})), $objects, 'nothing was archived');
never_restarted($node, $mark, 'the live server has not noticed');
nothing_left($scratch, 'a sound backup');

{
    my ($status, $out, $err) = ark('drill', '--repo', $repository, '--scratch', $scratch, '--output', 'json');
    my @events = map { JSON::PP::decode_json($_) } split /\n/, $err;
    is($status, 0, 'a drill for programs') or diag($out . $err);
    is_deeply([ grep { $_->{event} ne 'progress' } @events ], [], 'progress is told as events, on standard error');
    is(join(' ', map { $_->{phase} } @events[ 0, -1 ]), 'preparing done', 'from beginning to end');
}

# Text for people, the newest backup, and a place whose name is too long for a socket, which goes below /tmp then.
my $deep = "$scratch/" . join '/', ('a-rather-long-name-of-a-directory') x 4;
{
    my ($status, $out, $err) = ark('drill', '--repo', $repository, '--scratch', $deep, '--jobs', 4);
    is($status, 0, 'a long scratch directory') or diag($out . $err);
    like($out, qr/^a server has come up from backup \Q$id\E and answered$/m, 'and a sentence for people');
    nothing_left($deep, 'a long scratch directory');
}
{
    my $drill = stopped_drill($node, $deep, 'drill_server_started');
    my ($left) = glob "$deep/pg_ark-test-*";
    my $socket = '/tmp/' . basename($left);
    ok(-d $socket, 'the directory of its socket is below /tmp');
    kill 'CONT', $drill->{pid};
    is(end_of($drill), 0, 'it ends well');
    ok(!-e $socket, 'the socket directory is gone');

    # What is left after a kill -9 goes with the next drill, wherever that works, and also where somebody has removed the rest.
    $drill = stopped_drill($node, $deep, 'drill_server_started');
    ($left) = glob "$deep/pg_ark-test-*";
    $socket = '/tmp/' . basename($left);
    # Drills of tests beside this one sweep, too: it is old for a moment only.
    my $sweep = sub {
        my $long_ago = time - 120;
        utime $long_ago, $long_ago, $socket or die $!;
        ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--backup', 'no_such' ], qr/does not exist/, 'a drill elsewhere');
    };
    $sweep->();
    ok(-e $socket, 'the socket directory of a drill that runs is left alone');
    utime undef, undef, $socket or die $!;
    kill 'KILL', $drill->{pid};
    is(end_of($drill), -9, 'kill -9 of the drill');
    poll_until('its processes have ended', sub { !processes_in($deep) }, 15);
    PostgreSQL::Test::Utils::system_or_bail('rm', '-r', $left);
    ok(-e $socket, 'the socket directory is left');
    $sweep->();
    ok(!-e $socket, 'until the next drill');
}

# What a person wants to look at stays, and can be started.
{
    my $checks = PostgreSQL::Test::Utils::tempdir('checks') . '/checks.sql';
    append_to_file($checks, "-- name: never true\nSELECT 1\n");
    my $found = drill_finds($node, 'a check that finds', [ { check => 'integrity', object => 'never true' } ], '--scratch', $deep, '--checks', $checks, '--keep');
    my ($kept) = map { /the restored cluster was left in "(.*?)"/ } @{ $found->{notes} };
    ok(-d "$kept/data", 'with --keep the cluster is left, and it is told where');
    ok(!-e '/tmp/' . basename($kept), 'without a directory that nobody would find');
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $deep, '--backup', 'no_such' ], qr/does not exist/, 'a sweep');
    ok(-d "$kept/data", 'sweeps leave it alone');
    my $place = PostgreSQL::Test::Utils::tempdir_short();
    my @pg_ctl = ('pg_ctl', '-D', "$kept/data", '-s', '-w', '-l', "$place/log", '-o',
        "-c config_file=$kept/conf/postgresql.conf -c hba_file=$kept/conf/pg_hba.conf -c listen_addresses= -k $place -p 5432");
    PostgreSQL::Test::Utils::system_or_bail(@pg_ctl, 'start');
    # pg_ctl may take the word of a server that was killed a second ago for its own's.
    poll_until('it is ready', sub { PostgreSQL::Test::Utils::run_log([ 'pg_isready', '-q', '-h', $place, '-p', 5432 ]) });
    my ($mode, $trouble) = PostgreSQL::Test::Utils::run_command([ 'psql', '-XqAt', '-h', $place, '-p', 5432, '-d', 'trapped', '-U', 'postgres', '-c', 'SHOW archive_mode' ]);
    is($mode, 'off', 'a server starts in it as the manual says, and archives nothing') or diag($trouble . slurp_file("$place/log"));
    PostgreSQL::Test::Utils::system_or_bail(@pg_ctl, '-m', 'fast', 'stop');
    PostgreSQL::Test::Utils::system_or_bail('rm', '-r', $kept);
    rmdir $deep;
}

# ---- places that are refused

for my $bad ([ $node->data_dir . '/scratch', qr/inside a data directory/ ], [ ($repository =~ s{^file://}{}r) . '/scratch', qr/inside the repository/ ]) {
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $bad->[0] ], $bad->[1], "refused: $bad->[1]");
    ok(!-e $bad->[0], 'and not made');
}
ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--backup', 'no_such' ], qr/does not exist/, 'an unknown backup is no finding');
ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--bindir', '/usr/share' ], qr/server programs of PostgreSQL \d+ are missing/, 'nor are missing programs');
ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--library', 'no_such_library' ], qr/misses a library/, 'nor is a missing library');
nothing_left($scratch, 'what was refused');

# ---- an end from outside

for my $point (qw(drill_directory_made drill_restored drill_server_started drill_recovered drill_checking drill_cleaning)) {
    for my $signal ($point =~ /made|started/ ? qw(TERM INT) : qw(TERM)) {
        my $drill = stopped_drill($node, $scratch, $point);
        my $since = time;
        kill $signal, $drill->{pid};
        kill 'CONT', $drill->{pid};
        my $status = end_of($drill);
        # When it cleans up all is said.
        is($status, $point eq 'drill_cleaning' ? 0 : 1, "SIG$signal at $point: an end of its own") or diag($drill->{err});
        cmp_ok(time - $since, '<', 15, "SIG$signal at $point: within seconds");
        nothing_left($scratch, "SIG$signal at $point");
    }
}

for my $victim (qw(guard postmaster checkpointer)) {
    for my $point (qw(drill_server_started drill_checking)) {
        my $drill = stopped_drill($node, $scratch, $point);
        my $pid = $victim eq 'guard' ? guard_of($scratch) : postmaster_in($scratch);
        # As the kernel does for want of memory: the server ends itself then, and is not to blame.
        $pid = poll_until('there is a checkpointer', sub { (grep { (eval { slurp_file("/proc/$_/cmdline") } // '') =~ /checkpointer/ } processes_in($scratch))[0] }) if $victim eq 'checkpointer';
        kill 'KILL', $pid;
        kill 'CONT', $drill->{pid};
        my $status = end_of($drill);
        is($status, 7, "kill -9 of the $victim at $point: nothing is known");
        like($drill->{err}, qr/scratch server was killed/, 'and it says so') or diag($drill->{err});
        nothing_left($scratch, "kill -9 of the $victim at $point");
    }
}

{
    my $programs = PostgreSQL::Test::Utils::tempdir('programs');
    chomp(my $bindir = `pg_config --bindir`);
    symlink "$bindir/postgres", "$programs/postgres" or die $!;
    append_to_file("$programs/pg_verifybackup", "#!/bin/sh\nkill -9 \$\$\n");
    chmod 0755, "$programs/pg_verifybackup";
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--bindir', $programs ], qr{/pg_verifybackup" was killed}, 'kill -9 of pg_verifybackup is no finding');
    nothing_left($scratch, 'kill -9 of pg_verifybackup');
}

for my $point (qw(drill_directory_made drill_restored drill_server_started drill_checking)) {
    my $drill = stopped_drill($node, $scratch, $point);
    kill 'KILL', $drill->{pid};
    is(end_of($drill), -9, "kill -9 of the drill at $point");
    poll_until('its processes have ended', sub { !processes_in($scratch) }, 15);
    pass('no process is left');
    is(scalar(() = glob "$scratch/pg_ark-test-*"), 1, 'a directory is');
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--backup', 'no_such' ], qr/does not exist/, 'the next drill');
    nothing_left($scratch, "a sweep after kill -9 of the drill at $point");
}

# All at once, while a server runs.
{
    my $drill = stopped_drill($node, $scratch, 'drill_checking');
    kill 'KILL', $drill->{pid}, guard_of($scratch), postmaster_in($scratch);
    end_of($drill);
    poll_until('all have ended', sub { !processes_in($scratch) }, 15);
    # A running test is left alone by the sweep that removes the dead one.
    my $other = stopped_drill($node, $scratch, 'drill_restored');
    my @left = glob "$scratch/pg_ark-test-*";
    is(scalar @left, 1, 'the dead one was swept, the running one was not');
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--backup', 'no_such' ], qr/does not exist/, 'another sweep');
    kill 'CONT', $other->{pid};
    is(end_of($other), 0, 'the running one succeeds');
    nothing_left($scratch, 'all killed');
    is_deeply([ shared_memory_left() ], [], 'no shared memory is left');
}

# What merely looks like a test's directory is not; what a removal that was killed has left is.
{
    my ($uuid, $other) = ('01234567-89ab-cdef-0123-456789abcdef', '01234567-89ab-cdef-0123-456789abcdee');
    my @others = map { "$scratch/pg_ark-test-$_" } 'data', "$uuid-mine", $uuid;
    for (@others) { mkdir $_ or die $!; append_to_file("$_/precious", "mine\n"); }
    my $outside = PostgreSQL::Test::Utils::tempdir('outside');
    append_to_file("$outside/precious", "mine\n");
    my $left = "$scratch/pg_ark-test-$other";
    mkdir $_ or die $! for $left, "$left/data", "$scratch/pg_ark-test-01234567-89ab-cdef-0123-456789abcded";
    append_to_file("$left/lock", '');
    symlink $outside, "$left/data/link" or die $!;
    symlink $outside, "$scratch/pg_ark-test-01234567-89ab-cdef-0123-456789abcdec" or die $!;
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch, '--backup', 'no_such' ], qr/does not exist/, 'a sweep');
    ok(-e "$_/precious", "a sweep leaves $_ alone") for @others, $outside;
    ok(!-e $left, 'and removes what a test has left');
    ok(!-e "$scratch/pg_ark-test-01234567-89ab-cdef-0123-456789abcded", 'also what had no lock yet');
    PostgreSQL::Test::Utils::system_or_bail('rm', '-r', @others, "$scratch/pg_ark-test-01234567-89ab-cdef-0123-456789abcdec");
}

# Two at once.
{
    my @drills = map { start_drill($node, $scratch) } 1 .. 2;
    is(end_of($_), 0, 'two at once succeed') or diag($_->{out} . $_->{err}) for @drills;
    nothing_left($scratch, 'two at once');
}

# ---- a full disk

for my $point (qw(restore_after_files restore_after_sync)) {
    local $ENV{PG_ARK_FAULT} = "$point=enospc";
    ark_fails([ 'drill', '--repo', $repository, '--scratch', $scratch ], qr/No space left on device/, "$point: full");
    nothing_left($scratch, "$point: full");
}
SKIP: {
    skip 'this kernel or container allows no user namespaces', 3 unless namespaces_work();
    my $disk = PostgreSQL::Test::Utils::tempdir('disk');
    my ($out, $err) = ('', '');
    IPC::Run::run([ in_namespace({ tmpfs => { $disk => '24m' } },
        'sh', '-c', '"$@"; echo status $?; ls ' . $disk, 'sh', 'pg_ark', 'drill', '--repo', $repository, '--scratch', $disk) ], '<', '/dev/null', '>', \$out, '2>', \$err);
    is($out, "status 7\n", 'a small disk: an error, and nothing left on it');
    like($err, qr/not enough room/, 'and it says why');
    like($err, qr/are free/, 'with numbers');
}

never_restarted($node, $mark, 'the live server has never noticed');
is_deeply([ grep { !/^pid$/ } find_objects($traps) ], [], 'no trap was ever sprung');
done_testing();

# Content, inode and times of what lies below a directory.
sub live_files {
    my ($directory) = @_;
    my $digests = tree_digest($directory);
    return map { my @st = stat "$directory/$_"; ("$directory/$_" => "$digests->{$_} $st[1] $st[9] $st[10]") } keys %$digests;
}

# Without set_config's check of the load time: other settings in the file are wrong on purpose.
sub set_config_only {
    my ($server, $name, $value) = @_;
    $server->safe_psql('postgres', defined $value ? "ALTER SYSTEM SET $name = '$value'" : "ALTER SYSTEM RESET $name");
    $server->safe_psql('postgres', 'SELECT pg_reload_conf()');
    my $wanted = $value // '';
    poll_until("$name is set", sub { $server->safe_psql('postgres', "SHOW $name") eq $wanted });
}
