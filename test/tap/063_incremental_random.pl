# Random changes, random crashes, random chains: what is restored from a chain is page by page what a standby has that pg_basebackup
# made before all of it and that got its WAL from the server itself, at the same place in WAL; and their dumps are the same. PG_ARK_SEED
# repeats a run (as far as processes side by side can be repeated), PG_ARK_ROUNDS makes it longer (6; `make soak` does 200).
use strict;
use warnings;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use PgArk::Pages;
use PgArk::Test;

my $seed = $ENV{PG_ARK_SEED} // int(rand 2**31);
my $rounds = $ENV{PG_ARK_ROUNDS} // 6;
srand $seed;
diag("PG_ARK_SEED=$seed PG_ARK_ROUNDS=$rounds");
sub one_of { return $_[ int rand @_ ] }

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => <<'CONF');
pg_ark.audit_fraction = 1
max_prepared_transactions = 50
checkpoint_timeout = 30s
autovacuum_naptime = 1s
min_wal_size = 4MB
max_wal_size = 16MB
shared_buffers = 8MB
fsync = off
CONF
my $source = $ENV{PG_ARK_SOURCE};
my $space  = PostgreSQL::Test::Utils::tempdir('space');

# Many of these may fail where others are in the way: that is part of it.
# A prepared transaction holds its locks for as long as it likes: nobody waits for it for ever.
sub try_sql { my ($query, $database) = @_; my ($status, undef, $err) = $node->psql($database // 'postgres', "SET lock_timeout = '3s'; $query", on_error_die => 0); note "$query: $err" if $err; return }
sub sql { my ($query) = @_; return $node->safe_psql('postgres', $query) }
sub log_line { note $_[0]; return }

system_or_bail('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$source/test/churn/schema.sql");
sql("CREATE TABLESPACE space LOCATION '$space'");
sql($_) for 'CREATE TABLE tail AS SELECT n, repeat($$x$$, 500) AS t FROM generate_series(1, 3000) n', 'CREATE INDEX ON tail (n)',
  'CREATE TABLE moving AS SELECT n, md5(n::text) AS t FROM generate_series(1, 3000) n', 'CREATE INDEX moving_n ON moving (n)', 'CREATE SEQUENCE single CACHE 1',
  'CREATE UNLOGGED TABLE turning AS SELECT n FROM generate_series(1, 2000) n', 'CREATE TABLE toasted (id int PRIMARY KEY, t text)', 'ALTER TABLE toasted ALTER t SET STORAGE external',
  'CREATE TABLE ranges (n int, t text) PARTITION BY RANGE (n)';

# ---- what happens

my ($databases, $prepared, $partitions, @databases) = (0, 0, 0);

sub start_pgbench {
    my ($seconds) = @_;
    my $files = "$source/test/churn";
    return IPC::Run::start([ 'pgbench', '-n', '-c', 3, '-T', $seconds, '--random-seed', int rand 2**31, '-f', "$files/rows.sql\@8", '-f', "$files/ddl.sql\@1", '-f', "$files/prepared.sql\@1",
            '-h', $node->host, '-p', $node->port, 'postgres' ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
}
sub end_of { my ($run) = @_; eval { $run->finish }; return }

sub end_prepared {
    my ($on) = @_;
    for (split /\n/, $on->safe_psql('postgres', q{SELECT format('%s %s', gid, database) FROM pg_prepared_xacts})) {
        my ($gid, $database) = split ' ';
        $on->safe_psql($database, "COMMIT PREPARED '$gid'");
    }
    return;
}

sub crash {
    my $load = one_of(0, 1) ? start_pgbench(5) : undef;
    usleep(rand 1_000_000);
    my ($child) = split /\n/, sql('SELECT pid FROM pg_stat_activity WHERE backend_type IN ($$client backend$$, $$checkpointer$$, $$background writer$$, $$walwriter$$) AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1');
    if ($child && one_of(0, 1)) {
        log_line("crash: kill -9 $child");
        kill 'KILL', $child;
        usleep(200_000);
        wait_running($node);
    }
    else {
        log_line('crash: immediate stop');
        $node->stop('immediate');
        $node->start;
    }
    end_of($load) if $load;
    wait_running($node);
    end_prepared($node);
    return;
}

my @actions = (
    sub { end_of(start_pgbench(1)) },
    sub { end_of(start_pgbench(1)) },
    sub { try_sql('CHECKPOINT') },
    sub { try_sql('SELECT pg_switch_wal()') },
    sub { crash() },
    sub { $node->restart },
    sub { try_sql('VACUUM FULL ' . one_of(qw(pg_class pg_attribute pg_proc pg_database pg_depend churn.things))) },
    sub { try_sql('REINDEX ' . one_of('TABLE churn.things', 'TABLE pg_class', 'INDEX moving_n', 'SYSTEM postgres')) },
    sub { try_sql('CLUSTER churn.quiet USING quiet_n_idx') },
    sub { try_sql('VACUUM ' . one_of('', '(FREEZE)', '(FULL)', '(ANALYZE)') . ' ' . one_of(qw(churn.things churn.quiet tail toasted churn.parted))) },
    sub { my $from = int rand 3000; try_sql("DELETE FROM tail WHERE n > $from"); try_sql('VACUUM tail') },
    sub { my $n = 1 + int rand 4000; try_sql("INSERT INTO tail SELECT n, repeat('y', 400) FROM generate_series(1, $n) n") },
    sub { my ($n, $m) = (int rand 7, int rand 3000); try_sql("UPDATE churn.quiet SET filler = filler || '.' WHERE n BETWEEN $m * $n AND $m * $n + 40") },
    sub { my $table = one_of(qw(moving tail toasted)); try_sql("ALTER TABLE $table SET TABLESPACE " . one_of(qw(space pg_default))) },
    sub { try_sql('ALTER INDEX moving_n SET TABLESPACE ' . one_of(qw(space pg_default))) },
    sub { try_sql('ALTER TABLE turning SET ' . one_of(qw(LOGGED UNLOGGED))); try_sql('INSERT INTO turning SELECT generate_series(1, 500)') },
    sub { my $n = int rand 1000; try_sql("INSERT INTO toasted SELECT n, repeat(md5(n::text), 400) FROM generate_series($n, $n + 20) n ON CONFLICT (id) DO UPDATE SET t = repeat(md5(random()::text), 300)") },
    sub { try_sql('SELECT nextval($$single$$) FROM generate_series(1, ' . (1 + int rand 40) . ')') },
    sub { try_sql('TRUNCATE ' . one_of(qw(tail toasted moving turning))); try_sql('INSERT INTO moving SELECT n, md5(n::text) FROM generate_series(1, 1000) n') },
    sub { ++$partitions; try_sql("CREATE TABLE ranges_$partitions PARTITION OF ranges FOR VALUES FROM ($partitions) TO ($partitions + 1)"); try_sql("INSERT INTO ranges SELECT $partitions, md5(n::text) FROM generate_series(1, 700) n") },
    sub { my $n = 1 + int rand($partitions + 1); try_sql(one_of("DROP TABLE ranges_$n", "ALTER TABLE ranges DETACH PARTITION ranges_$n", "TRUNCATE ranges_$n")) },
    sub {
        ++$prepared;
        try_sql("CREATE TABLE doomed_$prepared AS SELECT n, md5(n::text) FROM generate_series(1, 800) n");
        try_sql("BEGIN; DROP TABLE doomed_$prepared; CREATE TABLE prepared_$prepared AS SELECT generate_series(1, 300) n; PREPARE TRANSACTION 'drop_$prepared'");
    },
    sub { my ($gid) = split /\n/, sql(q{SELECT gid FROM pg_prepared_xacts ORDER BY random() LIMIT 1}); try_sql(one_of('COMMIT', 'ROLLBACK') . " PREPARED '$gid'") if $gid },
    sub { make_database() },
    sub { make_database() },
    sub { my $name = one_of(@databases) // return; try_sql("DROP DATABASE $name"); @databases = grep { $_ ne $name } @databases },
    sub { my $name = one_of(@databases) // return; try_sql("ALTER DATABASE $name SET TABLESPACE " . one_of(qw(space pg_default))) },
    sub { my $name = one_of(@databases) // return; try_sql('UPDATE here SET n = n + 1 WHERE n % 3 = 0; INSERT INTO here SELECT generate_series(1, 500)', $name) },
    sub { try_sql('BEGIN; CREATE TABLE never AS SELECT generate_series(1, 2000) n; ROLLBACK') },
    sub { try_sql('SELECT lo_from_bytea(0, convert_to(repeat(md5(random()::text), 2000), $$UTF8$$))'); try_sql('SELECT lo_unlink(oid) FROM pg_largeobject_metadata ORDER BY random() LIMIT 1') if one_of(0, 1) },
);

sub make_database {
    my $name = 'd' . ++$databases;
    my $from = one_of('template1', @databases);
    try_sql("CREATE DATABASE $name TEMPLATE $from STRATEGY " . one_of(qw(file_copy wal_log)) . ' TABLESPACE ' . one_of(qw(space pg_default)));
    push @databases, $name;
    try_sql('CREATE TABLE IF NOT EXISTS here AS SELECT n, md5(n::text) FROM generate_series(1, 2000) n', $name);
    return;
}

# ---- a standby that has nothing of pg_ark's; it stands still at one place in WAL until it is told another

my $standby       = PostgreSQL::Test::Cluster->new('standby');
my $standby_space = PostgreSQL::Test::Utils::tempdir('space_standby');

sub place_of { my ($server) = @_; return sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\n", $server->port, $server->host }

sub stand_at {
    my ($lsn) = @_;
    # The last record that is replayed is the one that begins there, or the first behind it.
    sql(q{SELECT pg_logical_emit_message(true, 'pg_ark_test', 'behind the place')});
    $standby->stop if -e $standby->data_dir . '/postmaster.pid';
    $standby->append_conf('postgresql.conf', "recovery_target_lsn = '$lsn'");
    $standby->start;
    poll_until("the standby is at $lsn", sub { ($standby->psql('postgres', q{SELECT pg_get_wal_replay_pause_state()}))[1] eq 'paused' });
    return;
}

# A copy of the standby at this place, where it ends recovery.
sub witness_at {
    my ($name, $lsn) = @_;
    stand_at($lsn);
    $standby->stop;
    my $copy  = PostgreSQL::Test::Cluster->new($name);
    my $place = PostgreSQL::Test::Utils::tempdir("space_$name");
    system_or_bail('cp', '-a', $standby->data_dir, $copy->data_dir);
    system_or_bail('cp', '-a', "$standby_space/.", $place);
    my ($link) = glob $copy->data_dir . '/pg_tblspc/*';
    unlink $link and symlink $place, $link or die "$link: $!";
    $standby->start;
    $copy->append_conf('postgresql.conf', place_of($copy) . "primary_conninfo = ''\nprimary_slot_name = ''\nrecovery_target_action = 'promote'\nautovacuum = off\n");
    return ended_recovery($copy);
}

# Recovers to its target without a session: whoever reads may prune.
sub ended_recovery {
    my ($copy) = @_;
    $copy->start;
    poll_until($copy->name . ' has recovered', sub { (run_command([ 'pg_controldata', $copy->data_dir ]))[0] =~ /cluster state:\s+in production/ });
    $copy->stop('fast');
    return $copy;
}

system_or_bail('pg_basebackup', '-D', $standby->data_dir, '-d', $node->connstr('postgres'), '-c', 'fast', '-X', 'stream', '-C', '-S', 'standby', '--no-sync', '-T', "$space=$standby_space");
append_to_file($standby->data_dir . '/standby.signal', '');
$standby->append_conf('postgresql.conf', place_of($standby) . <<"CONF");
shared_preload_libraries = ''
archive_mode = off
max_logical_replication_workers = 0
primary_conninfo = '@{[ $node->connstr ]}'
primary_slot_name = 'standby'
wal_retrieve_retry_interval = 200ms
max_standby_streaming_delay = 0
recovery_target_action = 'pause'
CONF
stand_at(sql('SELECT pg_current_wal_insert_lsn()'));

# ---- backups

my $second = 0;
sub take {
    my ($type) = @_;
    usleep(20_000) while time == $second;    # which of two is the newer one their names tell by the second
    $second = time;
    my $id  = sql("SELECT ark.start_backup('$type')");
    my $row = wait_backup($node, $id);
    is($row->{status}, 'completed', "$type backup $id on " . ($row->{parent} // 'nothing')) or diag(JSON::PP::encode_json($row->{error} // {}));
    is($row->{audit_misses}, 0, '  the audit agrees') if defined $row->{parent};
    return $row;
}

# ---- restored, and compared

sub recovered {
    my ($name, $id, $lsn) = @_;
    my $elsewhere = PostgreSQL::Test::Utils::tempdir("space_$name");
    my $copy = restore_node($node, $name, '--backup', $id, '--target-lsn', $lsn, '--target-action', 'promote', '--tablespace-map', "$space=$elsewhere");
    $copy->append_conf('postgresql.conf', place_of($copy) . "autovacuum = off\nshared_preload_libraries = ''\narchive_mode = off\nmax_logical_replication_workers = 0\n");
    return ended_recovery($copy);
}

sub compare {
    my ($n, $id, $lsn, $witness) = @_;
    my $what = "backup $n ($id) at $lsn";
    my $copy = recovered("copy_$id", $id, $lsn);
    my ($lines, $pages) = page_differences($copy->data_dir, $witness->data_dir);
    cmp_ok($pages, '>', 2000, "$what: $pages pages were compared");
    is(scalar @$lines, 0, "$what: they are the standby's") or diag(join "\n", splice @$lines, 0, 20);
    for my $server ($copy, $witness) { $server->start; end_prepared($server) }
    same_contents((map { dump_of($_, '--no-tablespaces') =~ s/^SELECT pg_catalog\.setval\(.*\n//gmr } $copy, $witness), "$what: the dumps are the same");
    is($copy->safe_psql('postgres', q{SELECT (SELECT max(id) FROM churn.things) <= (SELECT last_value FROM churn.things_id_seq), (SELECT coalesce(max(n), 0) FROM churn.parted) <= (SELECT last_value + 10 FROM churn.numbers)}),
        't|t', "$what: sequences are not behind what they gave");
    amcheck_ok($copy, "$what: pg_amcheck finds nothing");
    for my $database (split /\n/, $copy->safe_psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn')) {
        $copy->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS pg_visibility');
        is($copy->safe_psql($database, q{SELECT count(*) FROM pg_class, LATERAL (SELECT t_ctid FROM pg_check_visible(oid) t_ctid UNION ALL SELECT t FROM pg_check_frozen(oid) t) found WHERE relkind IN ('r', 'm', 't') AND relpersistence = 'p'}),
            0, "$what: the visibility map of $database is right");
    }
    $_->stop('immediate'), $_->clean_node for $copy, $witness;
    return;
}

# ---- rounds

# How many of 50 at most build on each other before the next full one, and whether differential ones come in between.
my ($left, $differential) = (0, 0);
sub next_type {
    return 'full' if $left == 0 and ($left, $differential) = (1 + int rand($rounds < 50 ? $rounds : 50), one_of(0, 0, 1));
    --$left;
    return $differential && rand() < 0.25 ? 'differential' : 'incremental';
}
$left = 1 + int rand($rounds < 50 ? $rounds : 50);

my @backups = (take('full'));
my $chain   = 0;
my $longest = 0;
my %compared = map { $_ => 1 } $rounds, map { 1 + int rand $rounds } 1 .. 1 + $rounds / 5;
my @waiting;
for my $round (1 .. $rounds) {
    log_line("round $round");
    one_of(@actions)->() for 1 .. 2 + int rand 5;
    my $type = next_type();
    my $load = one_of(0, 1) ? start_pgbench(2) : undef;
    my $row  = take($type);
    ok(defined $row->{parent}, '  it builds on another') or diag($row->{full_because}) if $type ne 'full';
    $chain = $type eq 'incremental' ? $chain + 1 : $type eq 'differential' ? 1 : 0;
    $longest = $chain if $chain > $longest;
    one_of(@actions)->() if one_of(0, 1);
    end_of($load) if $load;
    end_prepared($node) if one_of(0, 1);
    push @backups, $row;
    next unless $compared{$round};
    my $lsn = sql('SELECT pg_current_wal_insert_lsn()');
    # Mostly the newest: of what it lacks WAL behind it repairs the least.
    my $n = $round == $rounds || rand() < 0.75 ? $round : int rand $round;
    push @waiting, [ $n, $lsn, witness_at("witness_$round", $lsn) ];
    next if $round < $rounds && @waiting < 3 && one_of(0, 1);    # what comes behind a place must not matter
    archive_now($node);
    compare($_->[0], $backups[ $_->[0] ]{backup_id}, $_->[1], $_->[2]) for splice @waiting;
}
note "the longest chain had $longest backups on a full one";
$standby->stop('immediate');
done_testing();
