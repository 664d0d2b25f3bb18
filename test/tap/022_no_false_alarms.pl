# A sound backup is never called damaged, whatever goes on while it is taken: rows, files and catalogs change, with
# every kind of table and index, prepared transactions, and several collations. Each round has a restore test and a
# drill, to each kind of target in its turn. PG_ARK_ROUNDS says how often (3; `make soak` does 100).
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $rounds = $ENV{PG_ARK_ROUNDS} // 3;
my $source = $ENV{PG_ARK_SOURCE} // '.';
my $node = ark_cluster('source', initdb => [ '--wal-segsize=4', '--encoding=UTF8', '--locale=C.UTF-8' ], conf => <<'CONF');
max_prepared_transactions = 20
autovacuum_naptime = 1
checkpoint_timeout = 30
max_wal_size = 64MB
shared_buffers = 32MB
bgwriter_delay = 20
CONF
my @databases = qw(postgres second);
$node->safe_psql('postgres', 'CREATE DATABASE second');
for my $database (@databases) {
    $node->safe_psql($database, slurp_file("$source/test/churn/schema.sql"));
    $node->safe_psql($database, "BEGIN; INSERT INTO churn.things (plain) VALUES ('for long'); PREPARE TRANSACTION 'long_$database'");
}

my @loads;
for my $database (@databases) {
    my $log = $node->basedir . "/$database.log";
    local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
    push @loads, { log => $log, run => IPC::Run::start(
        [ 'pgbench', '-n', '-c', 4, '-T', 36000, (map { ('-f', "$source/test/churn/$_") } 'rows.sql@8', 'ddl.sql@2', 'prepared.sql@1'),
            '-h', $node->host, '-p', $node->port, $database ], '<', '/dev/null', '>', $log, '2>', "$log.err") };
    poll_until("the load in $database has begun", sub { $node->safe_psql($database, 'SELECT sum(n) > 50 FROM churn.counters') eq 't' });
}

for my $round (1 .. $rounds) {
    my $before = $node->safe_psql('postgres', 'SELECT sum(n) FROM churn.counters');
    my $id = backup_ok($node, "round $round");
    cmp_ok($node->safe_psql('postgres', 'SELECT sum(n) FROM churn.counters'), '>', $before, "round $round: the load went on meanwhile");
    is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 't', "round $round: the restore test finds nothing")
      or diag($node->safe_psql('postgres', q{SELECT jsonb_pretty(errors) FROM ark.backup_tests ORDER BY started_at DESC LIMIT 1}));
    my $test = JSON::PP::decode_json($node->safe_psql('postgres', q{SELECT to_jsonb(t) FROM ark.backup_tests t ORDER BY started_at DESC LIMIT 1}));
    my $v = $test->{data_verified};
    cmp_ok($v->{isolation}{prepared_transactions}, '>=', 2, "round $round: with prepared transactions");
    cmp_ok($v->{rows}{compared}, '>=', 1, "round $round: and a table to compare");
    cmp_ok($v->{other_indexes}{by_pages_alone} + $v->{gin}{indexes}, '>=', 10, "round $round: and other indexes");
    is($test->{notes} // '', '', "round $round: nothing was left out");
    my $target = (qw(latest random consistency))[ $round % 3 ];
    my $drilled = $node->safe_psql('postgres', "CALL ark.drill(p_target => '$target')");
    like($drilled, qr/\|t$/, "round $round: nor does a drill to $target") or diag($node->safe_psql('postgres', q{SELECT jsonb_pretty(to_jsonb(t)) FROM ark.backup_tests t ORDER BY started_at DESC LIMIT 1}));
    $test = JSON::PP::decode_json($node->safe_psql('postgres', q{SELECT to_jsonb(t) FROM ark.backup_tests t ORDER BY started_at DESC LIMIT 1}));
    is($test->{data_verified}{target}{kind}, $target, "round $round: that is its target");
    cmp_ok($test->{data_verified}{rules}{foreign_keys}, '>=', 2, "round $round: foreign keys were checked");
    # What is being changed cannot be what it was.
    like($test->{notes} // '', qr/\A(?:\d+ of \d+ recorded \w+ changed since, and were not compared with what they were\n?)*\z/, "round $round: and nothing else was left out");
    cmp_ok($test->{data_verified}{census}{tables}{compared}, '>=', 1, "round $round: what rests is what it was");
    $node->safe_psql('postgres', "SELECT ark.verify_backup('$id')");
    is($node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE backup_id = '$id' AND verification_type = 'checksum' ORDER BY verification_date DESC LIMIT 1"),
        't', "round $round: nor does a verification");
}
for my $load (@loads) {
    $load->{run}->signal('TERM');
    eval { $load->{run}->finish };
    # The load has done what it should, to the end.
    unlike(slurp_file("$load->{log}.err"), qr/ERROR|FATAL|aborted/, 'the load had no error') or diag(slurp_file("$load->{log}.err"));
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_log WHERE corrupt_page_count > 0}), 0, 'no page was called corrupt');
never_restarted($node);
done_testing();
