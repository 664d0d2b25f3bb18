# Rows of the catalogs that are gone, and keys that a cast could mistake: a sound cluster with every shape of foreign
# key gives no alarm, and each loss is named.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $node = ark_cluster('source', conf => "autovacuum = off\nmax_prepared_transactions = 5\n");
sub sql { my ($database, $statement) = @_; return $node->safe_psql($database, $statement) }

# Its errors must be these findings, and nothing else.
sub finds_only {
    my ($what, $expected, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $evidence = drill_finds($node, $what, $expected, '--scratch', $scratch, @arguments);
    is(scalar @{ $evidence->{errors} }, scalar @$expected, "$what: and nothing else") or diag(explain($evidence->{errors}));
    return;
}

# ---- sound: foreign keys of every shape, views, what extensions and prepared transactions leave

sql('postgres', 'CREATE DATABASE shapes');
sql('shapes', <<'SQL');
CREATE TABLE plain (id int PRIMARY KEY, up int REFERENCES plain, CONSTRAINT positive CHECK (id > 0), CHECK (up IS DISTINCT FROM 7));
CREATE TABLE cascades (id int REFERENCES plain ON DELETE CASCADE ON UPDATE SET NULL, n int DEFAULT 1 REFERENCES plain ON DELETE SET DEFAULT ON UPDATE RESTRICT);
ALTER TABLE cascades ALTER CONSTRAINT cascades_id_fkey DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE disabled (id int REFERENCES plain);
ALTER TABLE disabled DISABLE TRIGGER ALL;
CREATE TABLE unchecked (id int);
ALTER TABLE unchecked ADD FOREIGN KEY (id) REFERENCES plain NOT VALID;
CREATE TABLE pk (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE pk_1 PARTITION OF pk FOR VALUES FROM (0) TO (10);
CREATE TABLE pk_2 PARTITION OF pk FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (id);
CREATE TABLE pk_2_1 PARTITION OF pk_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE fk (id int, p int CONSTRAINT fk_p REFERENCES pk) PARTITION BY RANGE (id);
CREATE TABLE fk_1 PARTITION OF fk FOR VALUES FROM (0) TO (10);
CREATE TABLE fk_2 PARTITION OF fk FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE fk_2_1 PARTITION OF fk_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE of_one_partition (p int REFERENCES pk_2_1);
CREATE TABLE pk_late (id int PRIMARY KEY);
ALTER TABLE pk ATTACH PARTITION pk_late FOR VALUES FROM (30) TO (40);
CREATE TABLE fk_late (id int, p int REFERENCES pk, CONSTRAINT fk_late_n CHECK (id < 30));
ALTER TABLE fk ATTACH PARTITION fk_late FOR VALUES FROM (20) TO (30);
CREATE TABLE fk_bare (id int, p int);
ALTER TABLE fk ATTACH PARTITION fk_bare FOR VALUES FROM (30) TO (40);
CREATE TABLE fk_back (id int, p int);
ALTER TABLE fk ATTACH PARTITION fk_back FOR VALUES FROM (40) TO (50);
ALTER TABLE fk DETACH PARTITION fk_back;
ALTER TABLE fk DETACH PARTITION fk_1;
ALTER TABLE fk ATTACH PARTITION fk_1 FOR VALUES FROM (0) TO (10);
ALTER TABLE fk DETACH PARTITION fk_2;
ALTER TABLE fk ALTER CONSTRAINT fk_p DEFERRABLE;
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree) PARTITION BY HASH (id);
CREATE TABLE tree_0 PARTITION OF tree FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE tree_2 (LIKE tree INCLUDING ALL);
ALTER TABLE tree DETACH PARTITION tree_1;
CREATE TABLE mother (id int CHECK (id > 0), n int CHECK (n > 0) NO INHERIT);
CREATE TABLE child (m int CHECK (m > 0)) INHERITS (mother);
ALTER TABLE child NO INHERIT mother;
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE VIEW seen AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM plain WITH NO DATA;
CREATE RULE gone AS ON INSERT TO plain DO ALSO NOTHING;
DROP RULE gone ON plain;
CREATE RULE stays AS ON UPDATE TO plain DO ALSO NOTHING;
CREATE TABLE once (id int REFERENCES plain, t text DEFAULT 'x');
DROP TABLE once;
CREATE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER noticed BEFORE INSERT ON fk FOR EACH ROW EXECUTE FUNCTION noticed();
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
CREATE ROLE someone;
CREATE POLICY theirs ON plain TO someone USING (id > 5);
GRANT SELECT ON plain TO someone;
CREATE PUBLICATION everything FOR TABLE plain;
CREATE STATISTICS related ON id, up FROM plain;
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE TYPE mood AS ENUM ();
BEGIN; CREATE TABLE prepared (id int REFERENCES plain, CHECK (id > 1)); DROP VIEW seen; PREPARE TRANSACTION 'waits';
SQL
for my $extension (qw(amcheck hstore postgres_fdw pg_trgm citext btree_gist)) {
    my $there = sql('shapes', "SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'");
    sql('shapes', "CREATE EXTENSION $extension") if $there;
}
sql('postgres', 'CREATE DATABASE fresh');

# Of these the lengths of types matter: "character" and "bit" in a cast are of one.
sql('postgres', 'CREATE DATABASE lengths');
sql('lengths', <<'SQL');
CREATE DOMAIN code AS char(10);
CREATE TABLE p1 (c char(10) PRIMARY KEY);
INSERT INTO p1 VALUES ('abc'), ('axx');
CREATE TABLE f1 (c code REFERENCES p1);
CREATE TABLE f2 (c varchar(10) REFERENCES p1);
CREATE TABLE p3 (b bit(8) PRIMARY KEY);
CREATE TABLE f3 (b bit varying(8) REFERENCES p3);
INSERT INTO f1 VALUES ('abc'); INSERT INTO f2 VALUES ('abc'); INSERT INTO p3 VALUES (B'10101010'); INSERT INTO f3 VALUES (B'10101010');
CREATE TABLE one_row (key1 int, place int, c text);
INSERT INTO one_row VALUES (1, 1, NULL);
CREATE UNIQUE INDEX by_true ON one_row ((true));
CREATE UNIQUE INDEX by_number ON one_row ((1));
CREATE UNIQUE INDEX by_text ON one_row ((lower('A')), key1, place) WHERE place > 0 OR place < 0;
CREATE UNIQUE INDEX by_null ON one_row (c, (1)) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX by_row ON one_row ((one_row IS NOT NULL));
SQL
sub live {
    sql('postgres', q{SELECT ark.add_ready_made_checks(p_options => '{"database": "lengths"}') WHERE NOT EXISTS (SELECT FROM ark.integrity_checks)});
    my ($id) = sql('postgres', 'CALL ark.check_integrity()') =~ /([0-9a-f-]{36})/ or die 'no run';
    return sql('postgres', "SELECT string_agg(concat_ws(' ', regexp_replace(check_name, '\@.*', ''), object, status, violations), ', ' ORDER BY check_name, object) FROM ark.integrity_results WHERE run_id = '$id' AND status <> 'passed'");
}
is(live(), '', 'live checks of sound data');
backup_ok($node, 'sound');
my $evidence = drill_ok($node, 'sound', '--scratch', $scratch);
is_deeply([ grep { !/recorded tables changed since/ } @{ $evidence->{notes} } ], [], 'nothing was left out') or diag(explain($evidence->{notes}));

# ---- a key that is no such key, and rows that a constant index has twice

sql('lengths', <<'SQL');
CREATE TABLE p4 (c code PRIMARY KEY);
INSERT INTO p4 VALUES ('abc');
CREATE TABLE f4 (c code CONSTRAINT f4_fk REFERENCES p4);
SET session_replication_role = replica;
INSERT INTO f4 VALUES ('axx'), ('abc');
SET allow_system_table_mods = on;
CREATE TABLE two_rows AS SELECT 1 AS n UNION ALL SELECT 2;
CREATE INDEX two_rows_true ON two_rows ((true));
UPDATE pg_index SET indisunique = true WHERE indexrelid = 'two_rows_true'::regclass;
SQL
is(live(), 'duplicate_keys two_rows_true on public.two_rows failed 1, foreign_keys f4_fk on public.f4 failed 1', 'live checks find both');
backup_ok($node, 'broken keys');
finds_only('broken keys', [
    { check => 'foreign_key', relation => 'public.f4', message => qr/^1 row breaks foreign key "f4_fk"/, database => 'lengths' },
    { check => $node->pg_version < 17 ? 'unique_key' : qr/index|unique/, relation => qr/two_rows/ },
]);
sql('lengths', 'DROP TABLE f4, p4, two_rows');

# ---- each loss, in a database of its own

my %lost = (
    triggers => [ q{DELETE FROM pg_trigger WHERE tgconstraint = (SELECT oid FROM pg_constraint WHERE conname = 'cascades_id_fkey')}, 'pg_constraint and pg_trigger: triggers of foreign keys' ],
    one_trigger => [ q{DELETE FROM pg_trigger WHERE tgfoid = 1645 AND tgrelid = 'fk_2_1'::regclass}, 'pg_constraint and pg_trigger: triggers of foreign keys' ],
    watching => [ q{DELETE FROM pg_trigger WHERE tgfoid = 1654 AND tgrelid = 'pk_2_1'::regclass}, 'pg_constraint and pg_trigger: triggers of foreign keys' ],
    own_trigger => [ q{DELETE FROM pg_trigger WHERE tgname = 'noticed' AND tgparentid = 0}, 'pg_depend and pg_shdepend: what objects depend on' ],
    checks => [ q{DELETE FROM pg_constraint WHERE conname = 'positive'}, 'pg_class and pg_constraint: the number of check constraints' ],
    domain => [ q{DELETE FROM pg_constraint WHERE contypid = 'small'::regtype}, 'pg_depend and pg_shdepend: what objects depend on' ],
    view => [ q{DELETE FROM pg_rewrite WHERE ev_class = 'seen'::regclass}, 'pg_class and pg_rewrite: queries of views' ],
    materialized => [ q{DELETE FROM pg_rewrite WHERE ev_class = 'kept'::regclass}, 'pg_class and pg_rewrite: queries of views' ],
    rule => [ q{DELETE FROM pg_rewrite WHERE rulename = 'stays'}, 'pg_depend and pg_shdepend: what objects depend on' ],
    policy => [ q{DELETE FROM pg_policy}, 'pg_depend and pg_shdepend: what objects depend on' ],
);
sql('shapes', q{ROLLBACK PREPARED 'waits'});
sql('postgres', "CREATE DATABASE $_ TEMPLATE shapes") for sort keys %lost;
sql($_, "SET allow_system_table_mods = on; $lost{$_}[0]") for sort keys %lost;
backup_ok($node, 'lost rows');
$evidence = drill_finds($node, 'lost rows', [ map { { check => 'catalog', database => $_, relation => $lost{$_}[1] } } sort keys %lost ], '--scratch', $scratch, '--only', 'catalog');
is_deeply([ grep { !$lost{$_} } map { $_->{database} } @{ $evidence->{errors} } ], [], 'only where something is lost') or diag(explain($evidence->{errors}));
nothing_left($scratch, 'at the end');
done_testing();
