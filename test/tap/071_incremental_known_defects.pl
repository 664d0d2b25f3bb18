# What incremental backups of others got wrong, and no other test here has by itself: the visibility map, pages of zeros behind a cut, files that
# are no relations', everything that moves files while an incremental backup runs, and WAL that a server has and never replayed.
# PG_ARK_ROUNDS, where it is set, adds a table of more than one segment file.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use PgArk::Drill;
use PgArk::Pages;
use PgArk::Test;

my $PAGE = 8192;
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => <<'CONF');
pg_ark.audit_fraction = 1
checkpoint_timeout = 1h
max_prepared_transactions = 10
wal_keep_size = 64MB
autovacuum = off
CONF
my $space = PostgreSQL::Test::Utils::tempdir('space');
sub sql { my ($query, $database, $on) = @_; return ($on // $node)->safe_psql($database // 'postgres', $query) }

my $second = 0;
sub start_one {
    my ($type, $on) = @_;
    usleep(20_000) while time == $second;    # which of two is the newer one their names tell by the second
    $second = time;
    return sql("SELECT ark.start_backup('$type')", 'postgres', $on);
}
sub ended {
    my ($id, $parent, $on) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = wait_backup($on // $node, $id);
    is($row->{status}, 'completed', 'a backup') or diag(JSON::PP::encode_json($row->{error} // {}));
    is($row->{parent}, $parent, 'it builds on the right one') or diag($row->{full_because});
    is($row->{audit_misses}, 0, 'the audit agrees') if defined $parent;
    return $id;
}
sub take { my ($type, $parent, $on) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return ended(start_one($type, $on), $parent, $on) }

sub restored {
    my ($id, @target) = @_;
    my $copy = restore_node($node, "copy_$id" . (@target ? '_then' : ''), '--backup', $id, '--target-action', 'promote', '--tablespace-map', "$space=" . PostgreSQL::Test::Utils::tempdir('elsewhere'), @target);
    start_restored($copy, conf => "shared_preload_libraries = ''\narchive_mode = off\nautovacuum = off\n");
    return $copy;
}

# What this backup brings back is what the server has now.
sub restored_is {
    my ($id, $what, $on) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $on //= $node;
    sql('CHECKPOINT', 'postgres', $on);
    my $expected = dump_of($on, '--no-tablespaces');
    archive_now($on);
    $on->stop;
    my $copy = restored($id);
    same_contents(dump_of($copy, '--no-tablespaces'), $expected, "$what: restored it is what the server had");
    $copy->stop;
    my ($lines, $pages) = page_differences($copy->data_dir, $on->data_dir);
    is(scalar @$lines, 0, "$what: $pages pages are the server's") or diag(join "\n", splice @$lines, 0, 20);
    $copy->start;
    amcheck_ok($copy, "$what: pg_amcheck finds nothing");
    $copy->stop('immediate');
    $copy->clean_node;
    $on->start;
    return;
}

sql("CREATE TABLESPACE elsewhere LOCATION '$space'");
sql('CREATE EXTENSION pg_visibility');

# ---- the visibility map: clearing a bit names none of its pages

sql('CREATE TABLE seen (n int PRIMARY KEY, s char(500)); INSERT INTO seen SELECT n FROM generate_series(1, 3000) n');
sql('CREATE TABLE seen_later (LIKE seen INCLUDING ALL); INSERT INTO seen_later SELECT n FROM generate_series(1, 3000) n');
sql('VACUUM (FREEZE, ANALYZE) seen');
my $map = q{SELECT string_agg(format('%s %s %s', blkno, all_visible, all_frozen), ',' ORDER BY blkno) FROM pg_visibility_map('seen')};
my $map_later = $map =~ s/'seen'/'seen_later'/r;
sub map_is_right {
    my ($id, $what, $expected, $query, $table, $rows) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $copy = restored($id, '--target', 'immediate');
    is(sql($query, 'postgres', $copy), $expected, "$what: the map is the server's");
    is(sql("SELECT (SELECT count(*) FROM pg_check_visible('$table')) + (SELECT count(*) FROM pg_check_frozen('$table'))", 'postgres', $copy), 0, "$what: and right");
    my $scan = "SET enable_seqscan = off; SET enable_bitmapscan = off;";
    like(sql("$scan EXPLAIN SELECT count(*) FROM $table WHERE n > 0", 'postgres', $copy), qr/Index Only Scan/, "$what: who reads the index alone");
    is(sql("$scan SELECT count(*) FROM $table WHERE n > 0", 'postgres', $copy), $rows, "$what: sees what there is");
    $copy->stop('immediate');
    $copy->clean_node;
    return;
}
my $full = take('full');
sql('DELETE FROM seen WHERE n % 700 = 0');
sql('UPDATE seen SET n = n + 10000 WHERE n = 1000');
my $cleared = sql($map);
my $one = take('incremental', $full);
archive_now($node);
map_is_right($one, 'bits that were cleared', $cleared, $map, 'seen', 2996);
sql('VACUUM (FREEZE) seen_later');
my $two = take('incremental', $one);
sql('DELETE FROM seen_later WHERE n IN (5, 2500)');
my $both = sql($map_later);
my $three = take('incremental', $two);
archive_now($node);
map_is_right($three, 'set in one, cleared in the next', $both, $map_later, 'seen_later', 2998);

# ---- pages of zeros: who is cut, and extended without WAL (a crash leaves it so), has them, and nothing of what was there before

sub add_zeros {
    my (@tables) = @_;
    my @paths = map { sql("SELECT pg_relation_filepath('$_')") } @tables;
    $node->stop;
    for (@paths) { append_to_file($node->data_dir . "/$_", "\0" x (20 * $PAGE)) }
    $node->start;
    return;
}
sub pages { my ($table) = @_; return sql("SELECT pg_relation_size('$table') / $PAGE") }
sub cut   { my ($table) = @_; sql("DELETE FROM $table WHERE n > 500"); sql("VACUUM $table"); cmp_ok(pages($table), '<', 50, "$table was cut"); return }
my @cut = qw(cut_before cut_with cut_twice);
sql("CREATE TABLE $_ AS SELECT n, repeat('$_', 40) AS s FROM generate_series(1, 4000) n") for @cut;
sql('CHECKPOINT');
my $four = take('incremental', $three);
cut('cut_before'), cut('cut_twice');
my $five = take('incremental', $four);
cut('cut_with');
add_zeros('cut_before', 'cut_with');
# They go behind the zeros, of which nobody knows.
sql("INSERT INTO $_ SELECT n, 'later' FROM generate_series(1, 3000) n") for @cut;
sql('DELETE FROM cut_twice WHERE n > 300 OR s = $$later$$'), sql('VACUUM cut_twice');
add_zeros('cut_twice');
sql('INSERT INTO cut_twice SELECT n, repeat($$again$$, 50) FROM generate_series(1, 2000) n');
my $six = take('incremental', $five);
for my $table (@cut) {
    my $path = $node->data_dir . '/' . sql("SELECT pg_relation_filepath('$table')");
    sql('CHECKPOINT');
    my @zero = slurp_file($path) =~ /\G(?:(\0{8192})|.{8192})/gs;
    cmp_ok(scalar(grep { defined } @zero[ 0 .. $#zero - 1 ]), '>=', 10, "$table has pages of zeros in its middle");
}
restored_is($six, 'pages of zeros behind a cut');

# ---- what has numbers for names, or pages, and is no relation's

sql("BEGIN; INSERT INTO seen VALUES (-$_); SAVEPOINT a; INSERT INTO seen VALUES (-$_ - 5000); COMMIT") for 1 .. 3;
my $seven = take('incremental', $six);
my ($stored) = glob "$directory/*/backup/$seven/data";
my ($listed) = run_command([ 'sh', '-c', "for pack in '$stored'/*.tar.zst; do zstd -dqc \"\$pack\" | tar t -i; done" ]);
my @partly = grep { /INCREMENTAL\./ } split /\n/, $listed;
cmp_ok(scalar @partly, '>', 20, 'of many files only changed blocks are in a backup');
is_deeply([ grep { !m{^(?:global|base/\d+|pg_tblspc/\d+/PG_[^/]+/\d+)/INCREMENTAL\.\d+(?:\.\d+)?$} } @partly ], [], 'all of them are the main forks of relations');
like($listed, qr{^\Q$_\E$}m, "$_ is there as it is") for qw(pg_xact/0000 pg_multixact/offsets/0000 pg_multixact/members/0000), q{global/pg_filenode.map};

# ---- everything that moves files, at four moments of an incremental backup

sql('CREATE DATABASE seed'), sql('CREATE TABLE here AS SELECT n, md5(n::text) FROM generate_series(1, 2000) n', 'seed');
for my $moment (1 .. 4) {
    sql("CREATE TABLE ${_}_$moment AS SELECT n, repeat(md5(n::text), 10) AS s FROM generate_series(1, 1500) n; CREATE INDEX ON ${_}_$moment (n)") for qw(rewritten emptied moved back doomed shrinking touched prepared);
    sql("ALTER TABLE back_$moment SET TABLESPACE elsewhere");
}
my $eight = take('incremental', $seven);
for my $moment (1 .. 4) {
    sql("BEGIN; DROP TABLE prepared_$moment; CREATE TABLE made_$moment AS SELECT n FROM generate_series(1, 1000) n; UPDATE touched_$moment SET s = 'prepared' WHERE n = 7; PREPARE TRANSACTION 'p_$moment'");
    sql("UPDATE ${_}_$moment SET s = 'before' WHERE n % 10 = 0") for qw(rewritten emptied moved back shrinking);
}
sub storm {
    my ($n) = @_;
    sql($_) for "VACUUM FULL rewritten_$n", "TRUNCATE emptied_$n", "INSERT INTO emptied_$n SELECT n, 'again' FROM generate_series(1, 700) n", "ALTER TABLE moved_$n SET TABLESPACE elsewhere", "ALTER INDEX moved_${n}_n_idx SET TABLESPACE elsewhere",
      "ALTER TABLE back_$n SET TABLESPACE pg_default", "DROP TABLE doomed_$n", "CREATE TABLE new_$n AS SELECT n FROM generate_series(1, 2000) n", "UPDATE touched_$n SET s = 'touched' WHERE n % 20 = 0 AND n <> 7",
      "DELETE FROM shrinking_$n WHERE n > 100", "VACUUM shrinking_$n", "INSERT INTO shrinking_$n SELECT n, repeat('g', 300) FROM generate_series(1, 2500) n", "COMMIT PREPARED 'p_$n'",
      (map { "VACUUM FULL $_" } qw(pg_class pg_attribute pg_index pg_database)), "CREATE DATABASE by_copy_$n TEMPLATE seed STRATEGY file_copy", "CREATE DATABASE by_log_$n TEMPLATE seed STRATEGY wal_log";
    sql("INSERT INTO here SELECT n, 'storm' FROM generate_series(1, 500) n; CREATE TABLE more AS SELECT $n AS n", $_) for "by_copy_$n", "by_log_$n";
    sql($n % 2 ? 'CHECKPOINT' : 'SELECT pg_switch_wal()');
    return;
}
set_config($node, 'pg_ark.fault' => 'backup_after_start=stop,backup_after_planning=stop,backup_copy_piece=stop@40,backup_after_copy=stop');
sub switches_of {
    my ($pid) = @_;
    open my $status, '<', "/proc/$pid/status" or return '';
    return join ' ', map { /ctxt_switches:\s+(\d+)/ } <$status>;
}
my $nine = start_one('incremental');
my $child;
END { my $status = $?; kill 'KILL', $child // (); $? = $status }
for my $moment (1 .. 4) {
    $child = poll_until("the backup is held at moment $moment", sub { (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0] });
    storm($moment);
    my $switches = switches_of($child);
    kill 'CONT', $child;
    # It may be held again, at the next moment, before anybody looks.
    poll_until('it goes on', sub { switches_of($child) ne $switches });
}
ended($nine, $eight);
$child = undef;
set_config($node, 'pg_ark.fault' => undef);
restored_is($nine, 'what happened while it was taken');
sql("UPDATE touched_$_ SET s = 'later' WHERE n % 100 = 0; INSERT INTO emptied_$_ VALUES (1, 'later')") for 1 .. 4;
my $ten = take('incremental', $nine);

# ---- more than one segment file: cut to less than the first, and grown over its end again

if ($ENV{PG_ARK_ROUNDS}) {
    sql('CREATE TABLE large (n int, s char(1900)); ALTER TABLE large ALTER s SET STORAGE plain; INSERT INTO large SELECT n, $$first$$ FROM generate_series(1, 560000) n');
    cmp_ok(pages('large'), '>', 131072 + 2000, 'a table has a second segment file');
    my $base = take('incremental', $ten);
    sql('UPDATE large SET s = $$changed$$ WHERE n > 559000; DELETE FROM large WHERE n % 100000 = 0');
    $base = take('incremental', $base);
    sql('DELETE FROM large WHERE n > 510000'), sql('VACUUM large');
    cmp_ok(pages('large'), '<', 131072, 'it has not any more');
    my $cut = take('incremental', $base);
    sql('INSERT INTO large SELECT n, $$grown$$ FROM generate_series(510001, 530000) n');
    my $grown = take('incremental', $cut);
    cmp_ok(pages('large'), '>', 131072, 'it has one again');
    restored_is($grown, 'over the end of a segment file');
    sql('DELETE FROM large WHERE n > 500000'), sql('VACUUM large'), sql('INSERT INTO large SELECT n, $$both$$ FROM generate_series(500001, 540000) n');
    restored_is($ten = take('incremental', $grown), 'cut and grown between two');
}

# ---- a standby has WAL that it has not replayed, and is promoted before it

sql('CREATE TABLE told (n int, who text); INSERT INTO told SELECT n, $$nobody$$ FROM generate_series(1, 20000) n');
my $known = take('incremental', $ten);
my $standby = PostgreSQL::Test::Cluster->new('standby');
my $standby_space = PostgreSQL::Test::Utils::tempdir('standby_space');
system_or_bail('pg_basebackup', '-D', $standby->data_dir, '-d', $node->connstr('postgres'), '-c', 'fast', '--no-sync', '-T', "$space=$standby_space");
$standby->{ark_repository} = $url;
$standby->{ark_database}   = 'postgres';
$standby->append_conf('postgresql.conf', sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\nprimary_conninfo = '%s application_name=standby'\n", $standby->port, $standby->host, $node->connstr);
append_to_file($standby->data_dir . '/standby.signal', '');
$standby->start;
sql('UPDATE told SET who = $$both$$ WHERE n % 100 = 1');
my $before_fork = take('incremental', $known);
my $fork = sql('SELECT pg_current_wal_insert_lsn()');
$node->wait_for_catchup($standby, 'replay', $fork);
sql('SELECT pg_wal_replay_pause()', 'postgres', $standby);
sql('UPDATE told SET who = $$abandoned$$ WHERE n BETWEEN 3000 AND 9000; CREATE TABLE abandoned AS SELECT n FROM generate_series(1, 5000) n');
my $abandoned = take('incremental', $before_fork);
sql('UPDATE told SET who = $$abandoned too$$ WHERE n BETWEEN 5000 AND 9500');
archive_now($node);
$node->wait_for_catchup($standby, 'flush', $node->lsn('flush'));
$standby->stop;
$node->stop('immediate');
$standby->append_conf('postgresql.conf', "primary_conninfo = ''\nrecovery_target_lsn = '$fork'\nrecovery_target_action = 'promote'\n");
$standby->start;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no promotion';
$standby->append_conf('postgresql.conf', "recovery_target_lsn = ''\n");
is(sql(q{SELECT count(*) FROM told WHERE who LIKE 'abandoned%'}, 'postgres', $standby), 0, 'the standby was promoted before what it had and never replayed');
sql('UPDATE told SET who = $$standby$$ WHERE n BETWEEN 8000 AND 9000', 'postgres', $standby);
my $on = take('incremental', $before_fork, $standby);
($node, my $gone) = ($standby, $node);
$space = $standby_space;
restored_is($on, 'of the standby that was promoted');

# ---- a timeline that begins where the parent ends

sql('UPDATE told SET who = $$before$$ WHERE n < 500');
my $end = take('incremental', $on);
sql('UPDATE told SET who = $$left behind$$ WHERE n BETWEEN 400 AND 600');
archive_now($node);
my $other_space = PostgreSQL::Test::Utils::tempdir('third');
my $third = restore_node($node, 'third', '--take-over', '--backup', $end, '--target', 'immediate', '--target-action', 'promote', '--tablespace-map', "$space=$other_space");
$node->stop;
start_restored($third);
($node, $space) = ($third, $other_space);
is(sql('SELECT count(*) FROM told WHERE who = $$left behind$$'), 0, 'what came behind the parent was left');
sql('UPDATE told SET who = $$third$$ WHERE n BETWEEN 10 AND 20');
restored_is(take('incremental', $end), 'from where the parent ends');
done_testing();
