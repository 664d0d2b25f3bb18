# The checks that need no writing: each finds what it is for, and nothing in a database where all is well, whatever its names,
# types, partitions and collations; new tables are covered without doing anything.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

# A database of its own: the checks are added for another one than that of the extension. No autovacuum: dead rows stay.
my $node = ark_cluster('source', conf => "autovacuum = off\n");
$node->safe_psql('postgres', 'CREATE DATABASE "the shop"');
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }
sub shop { my ($statement) = @_; return $node->safe_psql('the shop', $statement) }

# What a run of some kinds found: { 'kind: object' => row }, without those that passed unless $all.
sub found {
    my ($all, @kinds) = @_;
    my $names = JSON::PP::encode_json({ checks => [ map {"$_\@the shop"} @kinds ] });
    my ($run) = split /\|/, sql("CALL ark.check_integrity(p_options => '$names')");
    my $json = sql("SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY id), '[]') FROM ark.integrity_results r WHERE run_id = '$run'" . ($all ? '' : " AND status <> 'passed'"));
    return { map { ($_->{check_name} =~ s/@.*//r) . (defined $_->{object} ? ": $_->{object}" : '') => $_ } @{ JSON::PP::decode_json($json) } };
}
# Each as "status violations".
sub outcome { my ($rows) = @_; return { map { $_ => $rows->{$_}{status} . ' ' . ($rows->{$_}{violations} // $rows->{$_}{error}{message}) } keys %$rows } }

is(sql(q{SELECT ark.add_ready_made_checks(p_options => '{"database": "the shop", "tenant_column": "tenant_id"}')}), 12, 'twelve kinds');
is(sql(q{SELECT count(*) FROM ark.integrity_checks WHERE generated AND runs_on = CASE ready_made WHEN 'bloat' THEN 'live' ELSE 'both' END AND database = 'the shop'}), 12, 'each is a row');
my @kinds = split /\n/, sql('SELECT ready_made FROM ark.integrity_checks ORDER BY 1');

# ---- where all is well: everything that a schema may have

shop(<<'SQL');
CREATE SCHEMA "Odd ""schema""; --";
CREATE TABLE "Odd ""schema""; --"."Ta'ble" ("Key %I" int PRIMARY KEY, "val""ue" text NOT NULL CHECK ("val""ue" <> '%s'));
CREATE TABLE "Odd ""schema""; --".child (id int, "ref's" int REFERENCES "Odd ""schema""; --"."Ta'ble");
INSERT INTO "Odd ""schema""; --"."Ta'ble" VALUES (1, 'a'), (2, 'b'); INSERT INTO "Odd ""schema""; --".child VALUES (1, 1), (2, NULL);
-- Keys of several columns, types that differ, MATCH FULL, references to itself, deferrable, partitions on both sides.
CREATE TABLE pair (a int, b varchar(10), PRIMARY KEY (a, b)); INSERT INTO pair VALUES (1, 'x'), (2, 'y');
CREATE TABLE simple (a bigint, b text, FOREIGN KEY (a, b) REFERENCES pair MATCH SIMPLE DEFERRABLE INITIALLY DEFERRED); INSERT INTO simple VALUES (1, 'x'), (1, NULL), (NULL, 'nowhere'), (NULL, NULL);
CREATE TABLE fully (a smallint, b varchar(10), FOREIGN KEY (a, b) REFERENCES pair MATCH FULL); INSERT INTO fully VALUES (2, 'y'), (NULL, NULL);
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree); INSERT INTO tree VALUES (1, NULL), (2, 1);
CREATE TABLE parts (id int, at date NOT NULL, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-07-01') TO ('2027-01-01') PARTITION BY HASH (id);
CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_2b PARTITION OF parts_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT g, '2026-01-01'::date + g * 3, 'n' FROM generate_series(1, 200) g;
CREATE TABLE of_parts (id int, at date, n int REFERENCES tree, FOREIGN KEY (id, at) REFERENCES parts) PARTITION BY LIST (n);
CREATE TABLE of_parts_1 PARTITION OF of_parts FOR VALUES IN (1); CREATE TABLE of_parts_null PARTITION OF of_parts DEFAULT;
INSERT INTO of_parts SELECT id, at, CASE WHEN id % 2 = 0 THEN 1 END FROM parts;
CREATE TABLE base (id int PRIMARY KEY, CHECK (id > 0)); CREATE TABLE heir (extra int NOT NULL) INHERITS (base); INSERT INTO heir VALUES (1, 1); INSERT INTO base VALUES (1);
-- Unique indexes: several columns, expressions, partial, descending, included columns, other operator classes and collations, nulls.
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE complex AS (re float8, im float8); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE keys (a int, b text, c text COLLATE blind, d text, e numeric, f complex, g positive, h int[], i jsonb, gone int);
ALTER TABLE keys DROP COLUMN gone;
CREATE UNIQUE INDEX keys_ab ON keys (a DESC NULLS LAST, b COLLATE "C") INCLUDE (d);
CREATE UNIQUE INDEX keys_expr ON keys (lower(b), (a + 1)) WHERE d IS NOT NULL;
CREATE UNIQUE INDEX keys_c ON keys (c); CREATE UNIQUE INDEX keys_pattern ON keys (b text_pattern_ops);
CREATE UNIQUE INDEX keys_d ON keys (d) NULLS NOT DISTINCT; CREATE UNIQUE INDEX keys_f ON keys (f, g, h, i);
INSERT INTO keys VALUES (1, 'A', 'x', NULL, 1.0, (1, 2), 1, '{1}', '{}'), (1, 'b', 'y', 'd', 1.00, NULL, 2, NULL, NULL), (NULL, NULL, NULL, 'e', NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, 'f', NULL, NULL, NULL, NULL, NULL);
-- Constraints that call functions, and have nulls.
CREATE FUNCTION is_even(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n % 2 = 0';
CREATE TABLE checked (n int CONSTRAINT even CHECK (is_even(n)), m int, CONSTRAINT "whole row" CHECK (checked IS NOT NULL OR m IS NULL)); INSERT INTO checked VALUES (2, 1), (NULL, NULL);
-- Tenants, by the name of a column and by a comment.
CREATE TABLE tenants (id int PRIMARY KEY); INSERT INTO tenants VALUES (1), (2);
CREATE TABLE accounts (id int PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, email text, name text NOT NULL);
COMMENT ON COLUMN accounts.email IS 'Where letters go. @ark:email'; COMMENT ON COLUMN accounts.name IS '@ark:required shown on top';
INSERT INTO accounts VALUES (1, 1, 'a@example.org', 'A'), (2, 2, 'b.c+d@mail.example.org', 'B'), (3, 1, NULL, 'C');
CREATE TABLE bills (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner int, account int REFERENCES accounts); COMMENT ON COLUMN bills.owner IS '@ark:tenant';
INSERT INTO bills (owner, account) VALUES (1, 1), (2, 2), (NULL, 1), (1, NULL);
CREATE TABLE plain (id int, account int REFERENCES accounts); INSERT INTO plain VALUES (1, 2);
CREATE TABLE not_annotated (email text); COMMENT ON COLUMN not_annotated.email IS 'no @ark:emails here'; INSERT INTO not_annotated VALUES ('nothing');
-- Sequences: of identity columns, serial, of a default, down, cycling, unused.
CREATE TABLE counted (id serial PRIMARY KEY, n bigint GENERATED BY DEFAULT AS IDENTITY); INSERT INTO counted DEFAULT VALUES; INSERT INTO counted DEFAULT VALUES;
CREATE SEQUENCE apart START 10 CACHE 5; CREATE TABLE by_default (n numeric DEFAULT nextval('apart')); INSERT INTO by_default SELECT FROM generate_series(1, 7);
CREATE TABLE downward (n int DEFAULT 0); CREATE SEQUENCE down INCREMENT -2 MAXVALUE -1 START -1 OWNED BY downward.n; ALTER TABLE downward ALTER n SET DEFAULT nextval('down'); INSERT INTO downward SELECT FROM generate_series(1, 3);
CREATE TABLE unused (id serial); CREATE TABLE ring (id int); CREATE SEQUENCE round MAXVALUE 3 CYCLE OWNED BY ring.id; INSERT INTO ring SELECT nextval('round') FROM generate_series(1, 5);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY); CREATE TABLE nothing (); CREATE TABLE row_secured (id int PRIMARY KEY); INSERT INTO row_secured VALUES (1);
ALTER TABLE row_secured ENABLE ROW LEVEL SECURITY; ALTER TABLE row_secured FORCE ROW LEVEL SECURITY; CREATE TABLE of_secured (id int REFERENCES row_secured); INSERT INTO of_secured VALUES (1);
SQL
my $all = found(1, @kinds);
my %status;
push @{ $status{ $all->{$_}{status} } }, $_ for sort keys %$all;
is_deeply($status{failed}, undef, 'where all is well nothing is found') or diag explain outcome($all);
is_deeply($status{error}, undef, 'and everything can be checked');
is_deeply($status{skipped}, ['sequences_behind: public.round for id of public.ring'], 'but for a sequence that begins again');
my %made;
$made{ s/:.*//sr }++ for keys %$all;
is_deeply(\%made, { foreign_keys => 10, not_null => 16, check_constraints => 11, duplicate_keys => 20, invalid_indexes => 1, tenant_isolation => 1, email_shape => 1, required_columns => 1,
    sequences_behind => 7, sequences_near_end => 6, bloat => 1, wraparound => 1 }, 'each kind makes checks of the catalogs') or diag explain [ sort keys %$all ];

# ---- what each finds. Triggers, constraints and indexes are put out of action as damage does it.

shop(<<'SQL');
SET session_replication_role = replica;
INSERT INTO "Odd ""schema""; --".child VALUES (3, 77);
INSERT INTO simple VALUES (1, 'y'), (9, 'x'); INSERT INTO fully VALUES (1, NULL), (2, 'x');
UPDATE tree SET parent = 5 WHERE id = 2; INSERT INTO of_parts VALUES (1000, '2026-01-01', 1), (1001, '2026-01-01', NULL);
DELETE FROM row_secured;
ALTER TABLE plain ADD CONSTRAINT not_valid FOREIGN KEY (id) REFERENCES tree NOT VALID; UPDATE plain SET id = 55;
SQL
is_deeply(outcome(found(0, 'foreign_keys')), {
    qq{foreign_keys: "child_ref's_fkey" on "Odd ""schema""; --".child} => 'failed 1', 'foreign_keys: simple_a_b_fkey on public.simple' => 'failed 2',
    'foreign_keys: fully_a_b_fkey on public.fully' => 'failed 2', 'foreign_keys: tree_parent_fkey on public.tree' => 'failed 1',
    'foreign_keys: of_parts_id_at_fkey on public.of_parts' => 'failed 2', 'foreign_keys: of_secured_id_fkey on public.of_secured' => 'failed 1',
    'foreign_keys: not_valid on public.plain' => 'failed 1' }, 'orphaned rows, of every foreign key');
is_deeply(found(0, 'foreign_keys')->{'foreign_keys: of_parts_id_at_fkey on public.of_parts'}{samples}[0]{table}, 'of_parts_1',
    'samples name the table');

# Constraints that were not there, or are not said to be, when the rows came.
shop(<<'SQL');
ALTER TABLE checked DROP CONSTRAINT even; INSERT INTO checked VALUES (3, 1), (5, 1); ALTER TABLE checked ADD CONSTRAINT even CHECK (is_even(n)) NOT VALID;
UPDATE pg_constraint SET convalidated = true WHERE conname = 'even';
ALTER TABLE accounts ALTER name DROP NOT NULL; INSERT INTO accounts VALUES (4, 1, 'x@y', NULL), (5, 2, ' a@b.c', E' \t '), (6, 1, 'a@b@c.d', 'D'), (7, 1, '', 'E');
UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'accounts'::regclass AND attname = 'name';
INSERT INTO bills (owner, account) VALUES (2, 1), (1, 2);
SQL
is_deeply(outcome(found(0, 'check_constraints')), { 'check_constraints: even on public.checked' => 'failed 2' }, 'CHECK constraints');
is_deeply(outcome(found(0, 'not_null')), { 'not_null: public.accounts' => 'failed 1' }, 'NOT NULL');
is_deeply(found(0, 'not_null')->{'not_null: public.accounts'}{samples}[0]{columns}, ['name'], 'which column');
is_deeply(outcome(found(0, 'email_shape')), { 'email_shape: email of public.accounts' => 'failed 4' }, 'e-mail addresses');
is_deeply(outcome(found(0, 'required_columns')), { 'required_columns: name of public.accounts' => 'failed 2' }, 'null and blank values of required columns');
my $crossed = found(0, 'tenant_isolation');
is_deeply(outcome($crossed), { 'tenant_isolation: bills_account_fkey on public.bills' => 'failed 2' }, 'references to another tenant\'s row');
is($crossed->{'tenant_isolation: bills_account_fkey on public.bills'}{severity}, 'critical', 'are critical');
is_deeply({ map { $_ => $crossed->{'tenant_isolation: bills_account_fkey on public.bills'}{samples}[0]{$_} } qw(account tenant tenant_referred_to) },
    { account => 1, tenant => 2, tenant_referred_to => 1 }, 'and named');

# Keys that an index does not have: it is told not to be there while they come.
sub behind_the_index {
    my ($index, $statement) = @_;
    shop("UPDATE pg_index SET indislive = false, indisready = false, indisvalid = false WHERE indexrelid = '$index'::regclass");
    shop($statement);
    shop("UPDATE pg_index SET indislive = true, indisready = true, indisvalid = true WHERE indexrelid = '$index'::regclass");
}
behind_the_index('tree_pkey', 'SET session_replication_role = replica; INSERT INTO tree VALUES (1, NULL)');
behind_the_index('keys_c', q{INSERT INTO keys (c, d) VALUES ('X', 'c1')});
behind_the_index('keys_d', q{INSERT INTO keys (d) VALUES (NULL)});
behind_the_index('keys_expr', q{INSERT INTO keys (a, b, d) VALUES (1, 'B', 'expr')});
# Whatever makes an index look cheap.
shop('ALTER DATABASE "the shop" SET enable_seqscan = off; ALTER DATABASE "the shop" SET random_page_cost = 0; ALTER DATABASE "the shop" SET seq_page_cost = 1000');
behind_the_index('parts_2a_pkey', q{INSERT INTO parts_2a SELECT * FROM parts_2a LIMIT 3});
is_deeply(outcome(found(0, 'duplicate_keys')), { 'duplicate_keys: tree_pkey on public.tree' => 'failed 1', 'duplicate_keys: keys_c on public.keys' => 'failed 1',
    'duplicate_keys: keys_d on public.keys' => 'failed 1', 'duplicate_keys: keys_expr on public.keys' => 'failed 1', 'duplicate_keys: parts_2a_pkey on public.parts_2a' => 'failed 3' },
    'duplicate keys behind unique indexes: by the index\'s own idea of what is the same');

# An index whose build failed.
my (undef, undef, $err) = $node->psql('the shop', 'CREATE UNIQUE INDEX CONCURRENTLY failed ON keys (a)');
like($err, qr/could not create unique index/, 'a build that fails');
my $invalid = found(0, 'invalid_indexes');
is_deeply(outcome($invalid), { invalid_indexes => 'failed 1' }, 'invalid indexes');
is_deeply($invalid->{invalid_indexes}{samples}, [ { index => 'public.failed', table => 'keys', valid => JSON::PP::false, ready => JSON::PP::false } ], 'are named');

# Sequences that a restore by hand left behind, and ones that soon end.
shop(<<'SQL');
SELECT setval('counted_id_seq', 1); INSERT INTO counted (id, n) OVERRIDING SYSTEM VALUE VALUES (100, 2); SELECT setval('counted_n_seq', 2, false);
SELECT setval('apart', 10); INSERT INTO downward VALUES (-1000);
CREATE TABLE soon (id int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME soon_seq)); SELECT setval('soon_seq', 1900000000); SELECT setval('unused_id_seq', 1700000000);
SQL
is_deeply(outcome(found(0, 'sequences_behind')), { 'sequences_behind: public.counted_id_seq for id of public.counted' => 'failed 1', 'sequences_behind: public.counted_n_seq for n of public.counted' => 'failed 1',
    'sequences_behind: public.apart for n of public.by_default' => 'failed 1', 'sequences_behind: public.down for n of public.downward' => 'failed 1',
    'sequences_behind: public.round for id of public.ring' => 'skipped the sequence begins again where it ends' }, 'sequences behind their columns');
is_deeply(outcome(found(0, 'sequences_near_end')), { 'sequences_near_end: public.soon_seq' => 'failed 1' }, 'sequences near their end');

# Dead rows, and transactions.
shop('CREATE TABLE bloated AS SELECT g FROM generate_series(1, 30000) g; DELETE FROM bloated WHERE g > 5000');
poll_until('the statistics have it', sub { shop(q{SELECT n_dead_tup > 20000 FROM pg_stat_all_tables WHERE relname = 'bloated'}) eq 't' });
is(found(0, 'bloat')->{bloat}{samples}[0]{table}, 'public.bloated', 'dead rows');
sql(q{UPDATE ark.integrity_checks SET options = options || '{"wraparound": 1}' WHERE ready_made = 'wraparound'});
cmp_ok(found(0, 'wraparound')->{wraparound}{samples}[0]{distance}, '<', 2147483648, 'distance to wraparound');

# ---- new tables; tables that cannot be read; choices

shop('CREATE TABLE newer (id int PRIMARY KEY, tree int CHECK (tree < 10))');
ok(found(1, 'duplicate_keys')->{'duplicate_keys: newer_pkey on public.newer'}, 'a new table is covered without doing anything');
$node->safe_psql('postgres', 'REVOKE pg_read_all_data FROM ark_checker');
shop('GRANT SELECT ON tree TO ark_checker');
my $denied = found(1, 'duplicate_keys');
is($denied->{'duplicate_keys: newer_pkey on public.newer'}{error}{sqlstate}, '42501', 'a table that may not be read is an error in its row');
is($denied->{'duplicate_keys: tree_pkey on public.tree'}{status}, 'failed', 'the others are checked');
$node->safe_psql('postgres', 'GRANT pg_read_all_data TO ark_checker');
shop('REVOKE EXECUTE ON FUNCTION is_even FROM PUBLIC');
is(found(0, 'check_constraints')->{'check_constraints: even on public.checked'}{error}{sqlstate}, '42501', 'a constraint whose function may not be called too');
my $locker = $node->background_psql('the shop');
$locker->query_safe('BEGIN; LOCK TABLE newer');
is(found(0, 'check_constraints')->{'check_constraints: newer_tree_check on public.newer'}{error}{sqlstate}, '55P03', 'and a table that is locked');
$locker->query_safe('ROLLBACK');
$locker->quit;

is(sql(q{SELECT ark.add_ready_made_checks('{"Odd \"schema\"; --"}', '{"database": "the shop", "kinds": ["foreign_keys", "duplicate_keys"]}')}), 2, 'some kinds, for some schemas');
is_deeply([ sort keys %{ found(1, 'foreign_keys') } ], [qq{foreign_keys: "child_ref's_fkey" on "Odd ""schema""; --".child}], 'then only those are looked at');
sql(q{SELECT ark.add_ready_made_checks(p_options => '{"database": "the shop", "exclude": ["public.tree"]}')});
is((grep { /public\.tree$/ } keys %{ found(1, 'foreign_keys', 'duplicate_keys') }), 0, 'tables can be left out');
is(sql(q{SELECT count(*) FROM ark.integrity_checks}), 12, 'called again it changes the checks that are there');
sql(q{SELECT ark.add_ready_made_checks(p_options => '{"kinds": ["foreign_keys"]}')});
is(sql(q{SELECT name, database IS NULL FROM ark.integrity_checks WHERE name = 'foreign_keys'}), 'foreign_keys|t', 'those of pg_ark\'s own database have the kind\'s name');
sql(q{UPDATE ark.integrity_checks SET ready_made = 'later' WHERE name = 'foreign_keys'});
sql(q{CALL ark.check_integrity(p_options => '{"checks": ["foreign_keys"]}')});
is(sql(q{SELECT status, error ->> 'message' FROM ark.integrity_results ORDER BY id DESC LIMIT 1}), 'skipped|this version of pg_ark knows no ready-made check "later"', 'a kind of a later version is skipped');
never_restarted($node);
$node->stop;
done_testing();
