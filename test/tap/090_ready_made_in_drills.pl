# The ready-made checks in a drill: made of the copy's catalogs, whatever has become of the live ones since the backup;
# what a step of the drill looks through anyway is not looked through twice.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($repository, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => "autovacuum = off\n");
set_config($node, 'pg_ark.scratch_directory' => $node->basedir . '/scratch');
$node->safe_psql('postgres', 'CREATE DATABASE "the shop"');
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }
sub shop { my ($statement) = @_; return $node->safe_psql('the shop', $statement) }

# A drill: its verdict, its row, and its results as { 'name: object' => row }.
sub drill {
    my ($backup, $options) = @_;
    my (undef, $out) = $node->psql('postgres', sprintf(q{CALL ark.drill('%s', p_options => '%s')}, $backup, $options // '{}'));
    my ($id, $verdict) = ($out // '') =~ /^([0-9a-f-]{36})\|([tf])$/m or BAIL_OUT('no drill: ' . ($out // ''));
    my $row = JSON::PP::decode_json(sql("SELECT to_jsonb(t) FROM ark.backup_tests t WHERE id = '$id'"));
    my $results = JSON::PP::decode_json(sql("SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY id), '[]') FROM ark.integrity_results r WHERE test_id = '$id'"));
    return ($verdict, $row, { map { ($_->{check_name} =~ s/\@the shop$//r) . (defined $_->{object} ? ": $_->{object}" : '') => $_ } @$results });
}
sub outcome { my ($results) = @_; return { map { $_ => "$results->{$_}{status} " . ($results->{$_}{violations} // $results->{$_}{error}{sqlstate} // $results->{$_}{error}{message}) } keys %$results } }
sub failed { my ($results) = @_; my $all = outcome($results); return { map { $_ => $all->{$_} } grep { $all->{$_} !~ /^passed/ } keys %$all } }

shop(<<'SQL');
CREATE TABLE customers (id int PRIMARY KEY, tenant_id int NOT NULL, email text, name text);
COMMENT ON COLUMN customers.email IS '@ark:email'; COMMENT ON COLUMN customers.name IS '@ark:required';
CREATE TABLE orders (id serial PRIMARY KEY, tenant_id int NOT NULL, customer int REFERENCES customers);
CREATE TABLE notes (tenant_id int, customer int REFERENCES customers);
CREATE SCHEMA "Odd ""s"; CREATE TABLE "Odd ""s"."T't" (owner int, "c %s" int CONSTRAINT "f""k" REFERENCES public.customers); COMMENT ON COLUMN "Odd ""s"."T't".owner IS '@ark:tenant';
INSERT INTO customers SELECT n, n % 3, concat('c', n, '@example.org'), concat('n', n) FROM generate_series(1, 30) n;
INSERT INTO orders (tenant_id, customer) SELECT tenant_id, id FROM customers; INSERT INTO notes SELECT tenant_id, id FROM customers;
INSERT INTO "Odd ""s"."T't" SELECT tenant_id, id FROM customers;
SQL
is(sql(q{SELECT ark.add_ready_made_checks(p_options => '{"database": "the shop", "tenant_column": "tenant_id"}')}), 12, 'twelve kinds');
is(sql(q{SELECT string_agg(ready_made, ' ') FROM ark.integrity_checks WHERE runs_on = 'live'}), 'bloat', 'of which one is of the live server alone');

# ---- clean data

my $clean = backup_ok($node, 'clean');
my ($verdict, $row, $results) = drill($clean);
is($verdict, 't', 'clean data: success') or diag(JSON::PP::encode_json($row));
is_deeply($row->{errors}, [], 'and no finding');
my @usual = ('email_shape: email of public.customers', 'invalid_indexes', 'required_columns: name of public.customers', 'sequences_near_end: public.orders_id_seq',
    q{tenant_isolation: "f""k" on "Odd ""s"."T't"}, 'tenant_isolation: notes_customer_fkey on public.notes', 'tenant_isolation: orders_customer_fkey on public.orders', 'wraparound');
is_deeply(outcome($results), { map { $_ => 'passed 0' } @usual }, 'the checks that are made of the copy');
unlike($row->{notes} // '', qr/check /, 'without a note');
is_deeply([ map { $_->{object} // 'none' } grep { $_->{name} eq 'tenant_isolation@the shop' } @{ $row->{data_verified}{checks} } ],
    [ q{"f""k" on "Odd ""s"."T't"}, 'notes_customer_fkey on public.notes', 'orders_customer_fkey on public.orders' ], 'ark.backup_tests names the objects');

# Where a step is not wanted its ready-made check is all there is of it.
($verdict, $row, $results) = drill($clean, '{"checks": ["checks", "sequences"]}');
is($verdict, 't', 'without other steps');
my %kinds;
$kinds{ s/:.*//sr }++ for keys %$results;
is_deeply(\%kinds, { duplicate_keys => 2, email_shape => 1, foreign_keys => 3, invalid_indexes => 1, not_null => 2, required_columns => 1, sequences_near_end => 1, tenant_isolation => 3, wraparound => 1 },
    'the checks of steps that are not wanted run too') or diag explain \%kinds;

# ---- a tenant's row under another tenant; since the backup the live server was repaired, and lost a table

shop(<<'SQL');
UPDATE orders SET tenant_id = tenant_id + 1 WHERE id = 7; UPDATE "Odd ""s"."T't" SET owner = 9 WHERE "c %s" IN (1, 2);
UPDATE customers SET email = 'nobody' WHERE id = 3; UPDATE customers SET name = ' ' WHERE id = 4;
CREATE INDEX broken ON customers (name); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass;
SQL
my $crossed = backup_ok($node, 'crossed');
shop(<<'SQL');
UPDATE orders SET tenant_id = tenant_id - 1 WHERE id = 7; UPDATE customers SET email = NULL WHERE id = 3; UPDATE customers SET name = 'n' WHERE id = 4;
DROP TABLE notes; DROP TABLE "Odd ""s"."T't"; DROP INDEX broken; CREATE TABLE new_one (tenant_id int, customer int REFERENCES customers);
SQL
like(sql('CALL ark.check_integrity()'), qr/\|t$/, 'the live server is clean');
my %bad = ('email_shape: email of public.customers' => 'failed 1', 'required_columns: name of public.customers' => 'failed 1', 'tenant_isolation: orders_customer_fkey on public.orders' => 'failed 1',
    q{tenant_isolation: "f""k" on "Odd ""s"."T't"} => 'failed 2', invalid_indexes => 'failed 1');
($verdict, $row, $results) = drill($crossed);
is($verdict, 'f', 'the drill fails');
is_deeply(outcome($results), { (map { $_ => 'passed 0' } @usual), %bad }, 'and each check says what of the copy') or diag explain outcome($results);
is_deeply([ sort map { "$_->{check} $_->{database} $_->{object} $_->{relation}: $_->{message}" } @{ $row->{errors} } ], [ sort
        'integrity the shop required_columns@the shop public.customers: "required_columns@the shop", name of public.customers: 1 violation',
        'integrity the shop tenant_isolation@the shop public.orders: "tenant_isolation@the shop", orders_customer_fkey on public.orders: 1 violation',
        qq{integrity the shop tenant_isolation\@the shop "Odd ""s"."T't": "tenant_isolation\@the shop", "f""k" on "Odd ""s"."T't": 2 violations} ],
    'findings name table and object') or diag explain $row->{errors};
is($results->{'tenant_isolation: orders_customer_fkey on public.orders'}{severity}, 'critical', 'critical');
is($results->{'tenant_isolation: orders_customer_fkey on public.orders'}{samples}[0]{customer}, 7, 'the row is in the samples');
like($row->{notes}, qr/check email_shape\@the shop \(warning\): email of public\.customers: 1 violation/, 'a warning is a note');
is($results->{'tenant_isolation: notes_customer_fkey on public.notes'}{status}, 'passed', 'a table that the live server has no more');
my ($page) = run_command([ 'pg_ark', 'report', 'drill', $row->{id}, '--repo', $url ]);
like($page, qr/tenant_isolation\@the shop: orders_customer_fkey on public\.orders/, 'the report names it');

# ---- as the rows of ark.integrity_checks say

sql(q{UPDATE ark.integrity_checks SET threshold = 2 WHERE ready_made = 'tenant_isolation'; UPDATE ark.integrity_checks SET severity = 'info' WHERE ready_made = 'required_columns';
    UPDATE ark.integrity_checks SET enabled = false WHERE ready_made = 'invalid_indexes'; UPDATE ark.integrity_checks SET runs_on = 'live' WHERE ready_made = 'email_shape'});
($verdict, $row, $results) = drill($crossed);
is($verdict, 't', 'threshold, severity, enabled and runs_on count') or diag explain $row->{errors};
is_deeply(failed($results), { 'required_columns: name of public.customers' => 'failed 1' }, 'what is left');
ok(!exists $results->{invalid_indexes} && !exists $results->{'email_shape: email of public.customers'}, 'and what is not asked');

# One that cannot be made is an error; options go with it.
sql(q{UPDATE ark.integrity_checks SET options = options || '{"near_end": "soon"}', severity = 'error' WHERE ready_made = 'sequences_near_end';
    UPDATE ark.integrity_checks SET options = options || '{"exclude": ["public.orders"]}' WHERE ready_made = 'tenant_isolation';
    UPDATE ark.integrity_checks SET options = options || '{"wraparound": 0}', severity = 'warning' WHERE ready_made = 'wraparound'});
# Of a database that came after the backup.
$node->safe_psql('postgres', 'CREATE DATABASE later');
sql(q{SELECT ark.add_ready_made_checks(p_options => '{"database": "later", "kinds": ["tenant_isolation", "foreign_keys"]}')});
($verdict, $row, $results) = drill($crossed);
is($verdict, 'f', 'a check that cannot be made: failure');
is_deeply([ map { "$_->{check} $_->{object}: $_->{message}" } @{ $row->{errors} } ], [ 'integrity sequences_near_end@the shop: "sequences_near_end@the shop": it could not run (SQLSTATE 22P02)' ], 'is a finding');
is($results->{sequences_near_end}{status}, 'error', 'and an error');
ok(!exists $results->{'tenant_isolation: orders_customer_fkey on public.orders'} && exists $results->{'tenant_isolation: notes_customer_fkey on public.notes'}, 'what is excluded');
is($results->{wraparound}{status}, 'failed', 'an option') or diag explain outcome($results);
is($results->{'tenant_isolation@later'}{status}, 'skipped', 'a database that the backup does not have is no harm');
like($row->{notes}, qr/check tenant_isolation\@later was left out: the backup has no database of this name/, 'and noted');

# ---- very many

sql(q{SELECT ark.remove_integrity_check(name) FROM ark.integrity_checks; SELECT ark.add_ready_made_checks(p_options => '{"database": "the shop", "kinds": ["email_shape", "required_columns"]}')});
shop(q{DO $$ BEGIN EXECUTE (SELECT format('CREATE TABLE wide (%s)', string_agg(format('a_column_with_a_rather_long_name_%s text', n), ', ')) FROM generate_series(1, 500) n); END $$;
    DO $$ BEGIN FOR n IN 1 .. 500 LOOP EXECUTE format('COMMENT ON COLUMN wide.a_column_with_a_rather_long_name_%s IS %L', n, '@ark:required'); END LOOP; END $$;
    INSERT INTO wide (a_column_with_a_rather_long_name_1) VALUES ('x')});
my $wide = backup_ok($node, 'wide');
($verdict, $row, $results) = drill($wide, '{"jobs": 4, "checks": ["checks"]}');
is($verdict, 'f', 'one check makes 500');
is($row->{errors} && scalar(@{ $row->{errors} }) > 100, 1, 'of which many are findings');
like($row->{notes}, qr/\d+ more results of ready-made checks are not listed: \d+ passed, \d+ did not/, 'those that are not listed are counted');
cmp_ok(scalar(grep { $_->{status} eq 'failed' } values %$results), '>', 100, 'and the others are there');
done_testing();
