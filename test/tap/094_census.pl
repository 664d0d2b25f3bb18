# What databases answer while a backup is taken: catalogs, rows of tables, values that users want recorded. A drill asks
# the copy again. A difference that WAL does not explain is found and named; what has changed since is left out, and
# never a false alarm: whatever goes on while the backup is taken, and to whatever target the drill goes.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $source  = $ENV{PG_ARK_SOURCE} // '.';
my $rounds  = $ENV{PG_ARK_ROUNDS} // 2;
my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my @census  = ('--scratch', $scratch, '--only', 'census');
sub census_of { return $_[0]{verified}{census} }
sub show { note(JSON::PP->new->canonical->encode($_[0] // 'none')) }

# ---- a quiet server

my $node = ark_cluster('quiet', start => 0, conf => "autovacuum = off\nmax_prepared_transactions = 10\npg_ark.census = 'rows'\n");
system_or_bail('pg_checksums', '--disable', '-D', $node->data_dir);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
$node->safe_psql('postgres', $_) for 'CREATE DATABASE shop', 'CREATE DATABASE closed', 'REVOKE CONNECT ON DATABASE closed FROM PUBLIC',
  'CREATE ROLE seller', 'CREATE ROLE "Bürö" IN ROLE seller', 'ALTER ROLE seller SET work_mem = 1024';
$node->safe_psql('shop', <<'SQL');
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN price AS numeric CHECK (VALUE > 0);
CREATE TABLE orders (id int PRIMARY KEY, tenant text NOT NULL, amount price, at timestamptz, mood mood, tags text[], f float8, whose regclass, long text);
INSERT INTO orders SELECT n, 'tenant ' || n % 3, n, '2026-01-01'::timestamptz + n * interval '1 hour', 'good', ARRAY['a', 'b'], n / 3.0, 'pg_class', repeat(md5(n::text), 200) FROM generate_series(1, 500) n;
CREATE TABLE lines (id int, "order" int REFERENCES orders, what text);
INSERT INTO lines SELECT n, 1 + n % 500, 'line number ' || n FROM generate_series(1, 1000) n;
CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
INSERT INTO parts SELECT n, n FROM generate_series(0, 99) n;
CREATE UNLOGGED TABLE fast AS SELECT 1 AS x;
CREATE MATERIALIZED VIEW sums AS SELECT tenant, sum(amount) FROM orders GROUP BY 1;
CREATE FUNCTION discount(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT $1 * 0.91234';
CREATE VIEW cheap AS SELECT * FROM orders WHERE amount < 10;
GRANT SELECT ON orders TO seller;
CREATE SEQUENCE numbers;
ALTER TABLE lines ADD COLUMN later int DEFAULT 7;
SELECT lo_create(4711);
CREATE FUNCTION sly() RETURNS text LANGUAGE sql AS $$SELECT set_config('TimeZone', 'Asia/Tokyo', false) || set_config('search_path', 'nowhere', false)$$;
VACUUM ANALYZE;
SQL
$node->safe_psql('postgres', <<'SQL');
INSERT INTO ark.recorded_values (name, sql, database) VALUES
    ('turnover', 'SELECT tenant, sum(discount(amount)) FROM orders GROUP BY 1 ORDER BY 1;  -- of all', 'shop'),
    ('lines', 'SELECT count(*) FROM lines', 'shop'),
    ('a sly one', 'SELECT sly()', 'shop'),
    ('of a sequence', 'SELECT last_value FROM numbers', 'shop'),
    ('of catalogs', 'SELECT count(*) FROM pg_class', 'shop'),
    ('two', 'SELECT 1; SELECT 2', 'shop'),
    ('writes', 'INSERT INTO lines VALUES (0) RETURNING id', 'shop');
SQL
$node->safe_psql('shop', "BEGIN; UPDATE parts SET v = 'x' WHERE k = 1; CREATE TABLE not_yet (); PREPARE TRANSACTION 'p'");

my $first = backup_ok($node, 'quiet');
my $evidence = drill_ok($node, 'a quiet server', @census);
my $c = census_of($evidence);
show($c);
show($evidence->{notes});
cmp_ok($c->{tables}{compared}, '>=', 3, 'tables were compared');
cmp_ok($c->{objects}{compared}, '>', 500, 'so were objects');
is($c->{differing}, 0, 'none differs');
my %status = map { $_->{name} => $_->{status} } @{ $c->{recorded_values} };
is_deeply(\%status, { turnover => 'same', lines => 'same', 'a sly one' => 'same' }, 'values that can be recorded are');
my %left = map { $_->{why} => $_->{count} } @{ $c->{not_recorded} };
is($left{'being changed'}, 1, 'a table that a prepared transaction has changed is left out');
is($left{'a database: pg_ark.check_role may not connect'}, 1, 'a database without CONNECT, too');
is($left{'made of catalogs'}, 1, 'a value of catalogs');
is($left{'made of sequences, foreign, temporary or unlogged tables'}, 1, 'a value of a sequence');
is($left{'could not be read'}, 2, 'what is no query is left out');
ok(defined $evidence->{verified}{seconds}{census}, 'the time that it took');
ark_ok([ 'verify', $first, '--repo', $node->{ark_repository} ], 'verification');

# ---- what has changed since is left out, at whatever target

$node->safe_psql('shop', $_) for 'COMMIT PREPARED \'p\'', "UPDATE orders SET tenant = 'another' WHERE id = 7", 'ALTER TABLE lines ADD COLUMN more text DEFAULT \'so\'',
  "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'", 'DROP VIEW cheap', "CREATE OR REPLACE FUNCTION discount(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 1.0'",
  'REFRESH MATERIALIZED VIEW sums', 'VACUUM FULL pg_catalog.pg_class', 'VACUUM', 'CREATE TABLE new_one AS SELECT 1', 'ALTER TABLE parts_1 RENAME TO renamed', 'SELECT lo_unlink(4711)';
$node->safe_psql('postgres', $_) for 'ALTER DATABASE shop RENAME TO store', 'DROP DATABASE closed', 'DROP ROLE "Bürö"', 'ALTER ROLE seller RENAME TO vendor', 'CREATE DATABASE fresh';
archive_now($node);
$evidence = drill_ok($node, 'latest', @census, '--target', 'latest');
$c = census_of($evidence);
show($c);
cmp_ok($c->{tables}{left_out}, '>=', 3, 'tables that changed are left out');
ok((grep { /recorded tables changed since/ } @{ $evidence->{notes} }), 'which a note says');
is_deeply([ map { $_->{status} } @{ $c->{recorded_values} } ], [ 'left_out', 'left_out', 'left_out' ], 'and so are values');
drill_ok($node, 'random', @census, '--target', 'random', '--seed', $_) for 1 .. 2;
$node->safe_psql('postgres', 'ALTER DATABASE store RENAME TO shop');

# ---- differences: the files on disk are others than what the server has in memory, and answers from

sub file_of { my ($relation) = @_; return $node->data_dir . '/' . $node->safe_psql('shop', "SELECT pg_relation_filepath('$relation')") }
sub edit {
    my ($relation, $from, $to) = @_;
    my $path = file_of($relation);
    my $bytes = slurp_file($path);
    my $count = $bytes =~ s/$from/$to/;
    is($count, 1, "$relation is edited");
    open my $fh, '+<:raw', $path or die $!;
    print {$fh} $bytes;
    close $fh;
}
$node->safe_psql('shop', "CREATE FUNCTION fee(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT \$1 * 0.5555501'; CREATE TABLE ledger AS SELECT n AS id, 'entry ' || n AS what FROM generate_series(1, 50) n; CREATE TABLE removed AS SELECT n FROM generate_series(1, 10) n");
$node->safe_psql('postgres', "DELETE FROM ark.recorded_values; INSERT INTO ark.recorded_values (name, sql, database) VALUES ('entries', 'SELECT count(*), max(what) FROM ledger', 'shop'), ('rows', 'SELECT count(*) FROM removed', 'shop')");
$node->restart;
$node->safe_psql('shop', 'SELECT count(*), max(prosrc) FROM pg_proc; SELECT count(*) FROM ledger; SELECT count(*) FROM removed; CHECKPOINT; SELECT count(*) FROM ledger; SELECT count(*) FROM removed; CHECKPOINT');
edit('ledger', 'entry 50', 'entry 99');
edit('pg_proc', '0\.5555501', '0.5555502');
# The first line pointer of the page.
my $path = file_of('removed');
open my $fh, '+<:raw', $path or die $!;
seek $fh, 24, 0;
print {$fh} "\0\0\0\0";
close $fh;
is($node->safe_psql('shop', 'SELECT count(*), max(what) FROM ledger'), '50|entry 9', 'the server does not know it');
backup_ok($node, 'edited');
$evidence = drill_finds($node, 'other files', [
    { check => 'census', database => 'shop', relation => 'public.ledger', message => qr/as many rows as.*other values/ },
    { check => 'census', database => 'shop', relation => 'public.removed', message => qr/has 9 rows, and had 10 rows/ },
    { check => 'census', database => 'shop', relation => 'pg_catalog.pg_proc', message => qr/^function .*fee\(numeric\) is not what it was/ },
    { check => 'census', database => 'shop', object => 'entries', detail => qr/"max":"entry 99".*, and was .*"max":"entry 9"/ },
    { check => 'census', database => 'shop', object => 'rows', detail => qr/\{"count":9\}.*\{"count":10\}/ },
], @census);
$c = census_of($evidence);
show($c);
is($c->{differing}, 5, 'five differences');
is($evidence->{error_count}, 5, 'and no more are found');
$node->stop('immediate');

# ---- settings

my $other = ark_cluster('other', conf => "pg_ark.census = 'off'\n");
backup_ok($other, 'off');
$evidence = drill_ok($other, 'off', @census);
ok((grep { /no answers of the databases/ } @{ $evidence->{notes} }), 'off: a note');
set_config($other, 'pg_ark.census' => 'catalog');
$other->safe_psql('postgres', 'CREATE TABLE t AS SELECT n FROM generate_series(1, 100000) n');
backup_ok($other, 'catalog');
$evidence = drill_ok($other, 'catalog', @census);
is(census_of($evidence)->{tables}{compared}, 0, 'catalog: no table');
cmp_ok(census_of($evidence)->{objects}{compared}, '>', 300, 'catalog: objects');
set_config($other, 'pg_ark.census' => 'rows', 'pg_ark.census_limit' => '1MB');
backup_ok($other, 'little');
$evidence = drill_ok($other, 'little', @census);
show(census_of($evidence));
ok((grep { $_->{why} =~ /census_limit/ } @{ census_of($evidence)->{not_recorded} }), 'a limit: larger tables are left out');
$other->stop;
system_or_bail('pg_checksums', '--disable', '-D', $other->data_dir);
$other->start;
set_config($other, 'pg_ark.census' => 'auto', 'pg_ark.census_limit' => '1GB');
backup_ok($other, 'no checksums');
$evidence = drill_ok($other, 'no checksums', @census);
is(census_of($evidence)->{tables}{compared}, 0, 'auto, without checksums: no table');
ok((grep { $_->{why} =~ /without data checksums/ } @{ census_of($evidence)->{not_recorded} }), 'and why');
$other->safe_psql('postgres', 'DROP EXTENSION pg_ark; DROP ROLE ark_checker; CREATE EXTENSION pg_ark; ALTER ROLE ark_checker NOLOGIN');
my $mark = log_mark($other);
backup_ok($other, 'no role');
wait_log($other, qr/does not record what databases answer: role "ark_checker" cannot run integrity checks/, $mark);
$other->stop('immediate');

# ---- under load, encrypted: no false alarm

my $busy = ark_cluster('busy', initdb => ['--wal-segsize=4'], conf => <<'CONF');
max_prepared_transactions = 20
autovacuum_naptime = 1
checkpoint_timeout = 30
max_wal_size = 64MB
shared_buffers = 32MB
CONF
$busy->safe_psql('postgres', slurp_file("$source/test/churn/schema.sql"));
$busy->safe_psql('postgres', "CREATE TABLE still AS SELECT n FROM generate_series(1, 1000) n; BEGIN; INSERT INTO churn.things (plain) VALUES ('for long'); PREPARE TRANSACTION 'long_postgres'");
my $key = $busy->basedir . '/key';
ark_ok([ 'key', 'create', '--repo', $busy->{ark_repository}, '--cluster', $busy->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()'), '--key-file', $key ], 'keys are made');
set_config($busy, 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => $key);
my $log = $busy->basedir . '/load.log';
my $load;
{
    local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
    $load = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 36000, (map { ('-f', "$source/test/churn/$_") } 'rows.sql@8', 'ddl.sql@2', 'prepared.sql@1'),
        '-h', $busy->host, '-p', $busy->port, 'postgres' ], '<', '/dev/null', '>', $log, '2>', "$log.err");
}
poll_until('the load has begun', sub { $busy->safe_psql('postgres', 'SELECT sum(n) > 50 FROM churn.counters') eq 't' });
for my $round (1 .. $rounds) {
    backup_ok($busy, "round $round");
    for my $target ('consistency', 'latest') {
        $evidence = drill_ok($busy, "round $round, $target", @census, '--target', $target, '--key-file', $key);
        show(census_of($evidence));
        is(census_of($evidence)->{differing}, 0, "round $round, $target: no difference");
        cmp_ok(census_of($evidence)->{objects}{compared}, '>', 100, "round $round, $target: objects were compared");
    }
}
$load->kill_kill;
$busy->stop('immediate');

done_testing();
