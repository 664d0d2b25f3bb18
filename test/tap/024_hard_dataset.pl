# The nasty cluster: everything that a data directory can hold, backed up under load while at three moments databases,
# relations, catalogs and tablespaces come, change and go; restored with its tablespaces elsewhere it is the one that
# was left. PG_ARK_RELATIONS says how many small relations it has (10,000, no fewer; `make soak` takes 100,000).
use strict;
use warnings;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::Drill;
use PgArk::Test;

my $relations = $ENV{PG_ARK_RELATIONS} // 10_000;
my $source    = $ENV{PG_ARK_SOURCE}    // '.';
my $began     = time;
sub took { note sprintf '%6.1f s: %s', time - $began, $_[0] }

# ---- the cluster: names as nasty as PostgreSQL takes them (this file's strings are bytes)

my $main    = q{bänk "x" it's 100% \ $HOME};
my $raw     = "raw \xE9\xFF";
my $newline = "new\nline";
sub quoted  { return '"' . ($_[0] =~ s/"/""/gr) . '"' }
sub literal { return q{'} . ($_[0] =~ s/'/''/gr) . q{'} }

my $etc = PostgreSQL::Test::Utils::tempdir('etc');
mkdir "$etc/$_" or die $! for qw(conf.d more more/last.d);
my %configuration = (
    'only.conf'                => "include 'site.conf'  # and no setting: the server's view of its files does not have it\n",
    'site.conf'                => "work_mem = '5MB'\ninclude_dir = 'conf.d'\ninclude_if_exists 'nowhere.conf'\n",
    "conf.d/1 it's ünusual.conf" => "include '../more/deep.conf'\ntemp_buffers = '9MB'\n",
    'conf.d/2.conf'            => "temp_buffers = '10MB'\n",
    'conf.d/ignored'           => "no such setting\n",
    'more/deep.conf'           => "hash_mem_multiplier = 1.5\ninclude_if_exists = 'deeper.conf'\n",
    'more/deeper.conf'         => "maintenance_work_mem = '33MB'\ninclude_dir 'last.d'\n",
    'more/last.d/last.conf'    => "vacuum_cost_limit = 321\n",
);
append_to_file("$etc/$_", $configuration{$_}) for sort keys %configuration;

my $locks = 200 + int($relations / 10);
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => <<"CONF");
max_connections = 30
max_prepared_transactions = 20
max_locks_per_transaction = $locks
deadlock_timeout = 100
max_wal_size = 2GB
include '$etc/only.conf'
CONF
took('a server');

my %space = map { $_ => PostgreSQL::Test::Utils::tempdir('spaces') . "/$_" } qw(one two);
$space{one} .= " =1= ünd \\ so";
$space{two} .= "\xE9\nline";
mkdir $_ or die $! for values %space;

$node->safe_psql('postgres', "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
# A server that knows no encoding takes any bytes, in what all databases share too.
$node->safe_psql('ascii', $_) for (
    (map { "CREATE TABLESPACE $_ LOCATION " . literal($space{$_}) } sort keys %space),
    'CREATE DATABASE ' . quoted($raw) . q{ ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0},
    (map { 'CREATE DATABASE ' . quoted($_) } $main, $newline),
);
$node->safe_psql('postgres', $_) for (
    'CREATE DATABASE empty TEMPLATE template0',
    'CREATE DATABASE held TABLESPACE two',
    'CREATE DATABASE many',
    'CREATE DATABASE seed',
    q{CREATE ROLE "rôle ""quoted"" 'n' \ $1" LOGIN},
    'CREATE DATABASE moving',
    (map { "CREATE DATABASE doomed_$_" } 1 .. 3),
);
my $some = q{CREATE TABLE here (n int PRIMARY KEY, t text); INSERT INTO here SELECT n, repeat(md5(n::text), 5) FROM generate_series(1, 2000) n;};
$node->safe_psql($_, $some) for qw(held seed moving), $newline, map { "doomed_$_" } 1 .. 3;
for my $database ('ascii', $raw) {
    $node->safe_psql($database, qq{
        CREATE SCHEMA "s\xE4";
        CREATE TABLE "s\xE4"."t\xFF\xFE\x80" ("c\xC3" text PRIMARY KEY, "\xE9\n" bytea);
        INSERT INTO "s\xE4"."t\xFF\xFE\x80" SELECT n || E'\xE4\xF6\xFF\xC3' || chr(n), '\\x00ff' FROM generate_series(1, 255) n;
        CREATE INDEX "i\xA0" ON "s\xE4"."t\xFF\xFE\x80" (("c\xC3" || '\xFF'));
        COMMENT ON TABLE "s\xE4"."t\xFF\xFE\x80" IS '\xFF\xFE';});
}
took('databases');
$node->safe_psql('many', "SET hard.relations = $relations;\n" . slurp_file("$source/test/hard/many.sql"));
took("$relations small relations");
$node->safe_psql($main, slurp_file("$source/test/$_/schema.sql")) for qw(churn hard);
cmp_ok($node->safe_psql($main, q{SELECT pg_relation_size('hard.big')}), '>', 1 << 30, 'a table has more than one segment file');
took('the tables');

# Two transactions that stay prepared, with subtransactions, a multixact, a table and a large object of their own; and
# those that end while the backup runs.
sub prepare_transaction {
    my ($name, $n) = @_;
    $node->safe_psql($main, qq{
        BEGIN;
        INSERT INTO hard.parents VALUES (-$n, 'prepared');
        SAVEPOINT a;
        INSERT INTO hard.toasted VALUES (-$n, repeat(md5('x'), 900), 'l', repeat(md5('y'), 500), 'i');
        SAVEPOINT b;
        DELETE FROM hard.parents WHERE id = 400 + $n;
        ROLLBACK TO b;
        DELETE FROM hard.parents WHERE id = 420 + $n;
        SELECT FROM hard.parents WHERE id = 499 FOR SHARE;
        SELECT lo_from_bytea(90000 + $n, decode(repeat('ab', 10000), 'hex'));
        CREATE TABLE hard.prepared_$n (n int PRIMARY KEY);
        INSERT INTO hard.prepared_$n SELECT generate_series(1, 3000);
        PREPARE TRANSACTION } . literal($name));
}
my @staying = (q{it's "one" \ ä}, 'two');
prepare_transaction($staying[$_], 1 + $_) for 0, 1;
prepare_transaction("ends at $_", 10 + $_) for 1 .. 3;
$node->safe_psql('postgres', 'CHECKPOINT');
took('prepared transactions');

# ---- the backup, held at three moments: nothing read yet, in the middle of the files, all files read

my @loads = map { my $name = $_->[0]; my $log = $node->basedir . "/$name.log";
    { log => $log, run => IPC::Run::start(
        [ 'pgbench', '-n', '-c', 2, '-R', 100, '-T', 36000, '--max-tries=1000', (map { ('-f', "$source/test/$_") } @{ $_->[1] }),
            '-h', $node->host, '-p', $node->port, $main ], '<', '/dev/null', '>', $log, '2>', "$log.err") }
} [ 'hard', ['hard/load.sql'] ], [ 'churn', [ 'churn/rows.sql', 'churn/prepared.sql@1' ] ];
sub load_count { return $node->safe_psql($main, 'SELECT (SELECT sum(n) FROM churn.counters) + (SELECT count(*) FROM hard.children)') }
sub load_goes_on { my $before = load_count(); poll_until('the load goes on', sub { load_count() > $before + 20 }) }
load_goes_on();

# A session that keeps temporary tables and a temporary file.
my $session = $node->background_psql($main);
$session->query_safe(q{
    SET temp_tablespaces = 'one', ''; SET work_mem = 64;
    CREATE TEMPORARY TABLE in_one AS SELECT n, repeat('t', 500) AS t FROM generate_series(1, 2000) n;
    CREATE TEMPORARY TABLE in_default (id serial PRIMARY KEY, t text) TABLESPACE pg_default;
    INSERT INTO in_default (t) SELECT repeat('t', 500) FROM generate_series(1, 2000);
    DECLARE spilled CURSOR WITH HOLD FOR SELECT n, repeat('s', 500) FROM generate_series(1, 5000) n;});
my $transient = qr{/t[0-9]+_[0-9]+|pgsql_tmp[0-9]};
my $link = 'pg_tblspc/' . $node->safe_psql('postgres', q{SELECT oid FROM pg_tablespace WHERE spcname = 'one'});
cmp_ok(scalar(() = map { find_objects($node->data_dir . "/$_", $transient) } 'base', $link), '>=', 4, 'there are temporary files');

# A statement that the load may get in the way of.
sub insist {
    my ($database, $statement) = @_;
    my ($out, $err) = ('', '');
    local $ENV{PGOPTIONS} = '-c lock_timeout=60s';
    poll_until("it is done: $statement", sub {
        return 1 if $node->psql($database, $statement, stdout => \$out, stderr => \$err) == 0;
        die "$statement: $err" if $err !~ /deadlock detected|is being accessed by other users|could not serialize|tuple concurrently/;
        return 0;
    });
}

sub storm {
    my ($n) = @_;
    insist($main, $_) for (
        "VACUUM FULL hard.rewritten_$n",
        "TRUNCATE hard.emptied_$n",
        "INSERT INTO hard.emptied_$n SELECT n, repeat('again', 100) FROM generate_series(1, 2000) n",
        "ALTER TABLE hard.moved_$n SET TABLESPACE one",
        "ALTER INDEX hard.moved_${n}_pkey SET TABLESPACE two",
        "DROP TABLE hard.doomed_$n",
        "CREATE TABLE hard.new_$n AS SELECT n, repeat(md5(n::text), 50) AS t FROM generate_series(1, 3000) n",
        "CREATE TABLE hard.partition_$n PARTITION OF hard.tree FOR VALUES FROM (${n}00) TO (${n}50) TABLESPACE one",
        "INSERT INTO hard.tree VALUES (${n}01, 'new', 1, 'f')",
        # VACUUM gives the end of the file back, and the file grows again.
        "DELETE FROM hard.shrinking_$n WHERE n > 100",
        "VACUUM hard.shrinking_$n",
        "INSERT INTO hard.shrinking_$n SELECT n, repeat('g', 500) FROM generate_series(1, 20000) n",
        "ALTER TABLE hard.becomes_logged_$n SET LOGGED",
        "ALTER TABLE hard.becomes_loose_$n SET UNLOGGED",
        'REFRESH MATERIALIZED VIEW hard.seen',
        (map { "VACUUM FULL pg_catalog.$_" } qw(pg_class pg_attribute pg_proc pg_index), ('pg_database', 'pg_authid', 'pg_shdepend')[ $n - 1 ]),
    );
    insist($_->[0], $_->[1]) for (
        [ 'postgres', "CREATE DATABASE by_log_$n TEMPLATE seed STRATEGY wal_log" ],
        [ 'postgres', "CREATE DATABASE by_copy_$n TEMPLATE seed STRATEGY file_copy" ],
        [ 'postgres', "CREATE DATABASE short_lived TEMPLATE seed TABLESPACE one" ],
        (map { [ "${_}_$n", 'INSERT INTO here SELECT n, $$more$$ FROM generate_series(10001, 12000) n; CREATE TABLE more AS SELECT 1 AS a' ] } qw(by_log by_copy)),
        [ 'postgres', 'DROP DATABASE short_lived' ],
        [ 'postgres', "DROP DATABASE doomed_$n" ],
        [ 'postgres', "ALTER SYSTEM SET geqo_threshold = 1$n" ],
        [ 'many', "SET hard.moment = $n; " . slurp_file("$source/test/hard/storm.sql") ],
        # (In the other one it would wait for what the prepared transactions have added to the catalogs.)
        (map { [ $_, 'REINDEX SYSTEM ' . quoted($_) ] } ('many', 'held', $raw)[ $n - 1 ]),
        [ $main, 'COMMIT PREPARED ' . literal("ends at $n") ],
    );
    load_goes_on();
    took("moment $n");
}

# The middle: the large files are read, of the small ones some.
set_config($node, 'pg_ark.fault' => 'backup_after_start=stop,backup_copy_piece=stop@2500,backup_after_copy=stop');
my $id = start_backup_sql($node, 'the hard one');
my $child;
END { my $status = $?; kill 'KILL', $child // (); $? = $status }
for my $moment (1 .. 3) {
    $child = poll_until("the backup is held at moment $moment", sub { (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0] });
    if ($moment == 2) {
        my ($files, $total) = split /\|/, $node->safe_psql('postgres', 'SELECT files, files_total FROM ark.backup_progress');
        ok($files > 0 && $files < $total, "it is in the middle: $files of $total files");
    }
    storm($moment);
    kill 'CONT', $child;
}
my $row = wait_backup($node, $id);
$child = undef;
took('the backup');
is($row->{status}, 'completed', 'the backup completes') or diag(JSON::PP::encode_json($row->{error} // {}));
is($row->{corrupt_page_count}, 0, 'and finds nothing damaged') or diag(JSON::PP::encode_json($row->{corrupt_pages}));
set_config($node, 'pg_ark.fault' => undef);
$session->quit;
for my $load (@loads) {
    $load->{run}->signal('TERM');
    eval { $load->{run}->finish };
    unlike(slurp_file("$load->{log}.err"), qr/ERROR|FATAL|aborted/, 'the load had no error') or diag(slurp_file("$load->{log}.err"));
}
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});

# ---- what the source is

# Recovery has to do this again. (Beside a backup it makes that fail: 027_moved_database.pl.)
$node->safe_psql('postgres', 'ALTER DATABASE moving SET TABLESPACE two');
$node->safe_psql('moving', 'DELETE FROM here WHERE n > 1500');

# Recovery counts a sequence on to the end of what its WAL has reserved. All but those of schema running are compared.
$node->safe_psql($main, q{SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, last_value) FROM pg_sequences
    WHERE schemaname <> 'running' AND last_value IS NOT NULL});
my @compared = ($main, $raw, $newline, qw(ascii held moving), map { ("by_log_$_", "by_copy_$_") } 1 .. 3);
my $large_objects = q{SELECT loid, octet_length(lo_get(loid)), md5(lo_get(loid)) FROM (SELECT oid AS loid FROM pg_largeobject_metadata) l ORDER BY 1};
my $prepared = 'SELECT transaction, gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY gid';
my $sequences = q{SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'running' ORDER BY 1};
sub state_now {
    my ($server) = @_;
    my $dump = dump_of($server, '--exclude-database=new?line');
    $dump =~ s/^(CREATE TABLESPACE \w+ OWNER \w+ LOCATION )(?:E?'(?:[^']|'')*');$/$1;/mg;
    $dump =~ s/^COPY ark\..*?^\\\.\n//msg;
    $dump =~ s/^SELECT pg_catalog\.setval\('running\..*\n//mg;
    return {
        dump => $dump,
        (map { ("database $_" => fingerprint($server, $_)) } @compared),
        'large objects' => $server->safe_psql($main, $large_objects),
        'prepared transactions' => $server->safe_psql('postgres', $prepared),
    };
}
archive_now($node);
my $test = $node->safe_psql('postgres', "SELECT ark.start_restore_test('$id')");    # beside the restore
my $expected = state_now($node);
my %last = map { split /\|/ } split /\n/, $node->safe_psql($main, $sequences);
like($expected->{'prepared transactions'}, qr/\Q$_\E/, 'a transaction is prepared') for @staying;
cmp_ok(length $expected->{dump}, '>', 10_000_000, 'there is a dump to compare');
took('the state of the source');

# ---- restored elsewhere

my %elsewhere = map { $_ => PostgreSQL::Test::Utils::tempdir('elsewhere') . "/$_ \xFF = 'elsewhere'" } sort keys %space;
my $restored = restore_node($node, 'restored', map { ('--tablespace-map', ($space{$_} =~ s/=/\\=/gr) . "=$elsewhere{$_}") } sort keys %space);
my $data = $restored->data_dir;
took('the restore');
verify_backup_ok($data, 'pg_verifybackup accepts it, but for the configuration from outside', qw(postgresql.conf pg_ark_config));
took('pg_verifybackup');
is_deeply([ sort map { readlink } glob "$data/pg_tblspc/*" ], [ sort values %elsewhere ], 'the tablespaces are where the map says');
my @files = map { my $top = $_; map { "$top/$_" } find_objects($top) } "$data/base", values %elsewhere;
cmp_ok(scalar @files, '>', $relations, 'there are files');
is_deeply([ grep { $_ =~ $transient } @files ], [], 'no temporary file is among them');
my %init = map { s/_init$//r => 1 } grep { /_init$/ } @files;
cmp_ok(scalar keys %init, '>=', 6, 'there are unlogged relations');
is_deeply([ grep { m{^(.*/[0-9]+)(?:_fsm|_vm)?(?:\.[0-9]+)?$} && $init{$1} } @files ], [], 'and nothing of them but how they begin');
start_restored($restored);
took('the recovery');

my $got = state_now($restored);
same_contents($got->{$_}, $expected->{$_}, "as it was: $_") for sort keys %$expected;
took('the comparison');

is($restored->safe_psql($main, "SELECT count(*) FROM $_"), 0, "unlogged: $_ is empty") for 'hard.loose', 'churn.loose', map { "hard.becomes_loose_$_" } 1 .. 3;
is($restored->safe_psql($main, "SELECT count(*) FROM hard.becomes_logged_$_"), 3000, "no longer unlogged: hard.becomes_logged_$_ is full") for 1 .. 3;
my %now = map { split /\|/ } split /\n/, $restored->safe_psql($main, $sequences);
cmp_ok($now{cached}, '>=', $last{cached}, 'a sequence gives no number twice');
cmp_ok($now{down},   '<=', $last{down},   'nor one that counts down');
ok($now{cycled} >= -3 && $now{cycled} <= 7, 'one that begins anew stays within its bounds');
is($restored->safe_psql('empty', q{SELECT count(*) FROM pg_class WHERE oid >= 16384}), 0, 'the empty database is there, and empty');
my %setting = (hash_mem_multiplier => 1.5, work_mem => '5MB', temp_buffers => '10MB', maintenance_work_mem => '33MB', vacuum_cost_limit => 321);
is($restored->safe_psql('postgres', "SHOW $_"), $setting{$_}, "configuration: $_") for sort keys %setting;
is($restored->safe_psql('postgres', qq{SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '$etc%'}), 0, 'none of it is the source\'s');

# ---- the prepared transactions can end, here as there

for my $server ($node, $restored) {
    $server->safe_psql($main, 'COMMIT PREPARED ' . literal($_)) for split /\n/, $server->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY gid');
}
same_contents(fingerprint($restored, $main), fingerprint($node, $main), 'committed: as the source');
is($restored->safe_psql($main, $large_objects), $node->safe_psql($main, $large_objects), 'committed: large objects too');
is($restored->safe_psql($main, 'SELECT count(*) FROM hard.prepared_2 WHERE n > 0'), 3000, 'committed: and the table');
took('the end of the prepared transactions');
amcheck_ok($restored, 'pg_amcheck finds nothing');
took('pg_amcheck');
$restored->stop;

# ---- tested, verified

poll_until('the restore test has ended', sub { $node->safe_psql('postgres', "SELECT completed_at IS NOT NULL FROM ark.backup_tests WHERE id = '$test'") eq 't' });
took('the restore test');
my $evidence = JSON::PP::decode_json($node->safe_psql('postgres', "SELECT to_jsonb(t) FROM ark.backup_tests t WHERE id = '$test'"));
ok($evidence->{success}, 'the restore test finds nothing') or diag(JSON::PP->new->pretty->encode($evidence));
is($evidence->{notes} // '', '', 'and has looked at everything');
my $verified = $evidence->{data_verified};
cmp_ok($verified->{isolation}{prepared_transactions}, '>=', 2, 'with prepared transactions');
is($verified->{isolation}{tablespaces_moved}, 2, 'with two tablespaces');
cmp_ok($verified->{rows}{tables}, '>', $relations / 2, 'with all tables');
ark_ok([ 'verify', $id, '--repo', $url ], 'pg_ark verify finds nothing');
took('pg_ark verify');
never_restarted($node);
$node->stop;
done_testing();
