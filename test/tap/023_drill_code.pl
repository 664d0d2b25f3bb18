# A restore test reads other people's databases: their code gets no way out of the copy, what it does there is no
# damage, and no name is too odd.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Namespace;
use PgArk::Test;

my $traps   = PostgreSQL::Test::Utils::tempdir('traps');
my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $node    = ark_cluster('source', conf => "autovacuum = off\n");
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(code overloaded taken failing);

# The planner computes constant parts of an index's expressions as whoever reads the table, amcheck the rest of them
# as the table's owner. A stable or immutable function may call one that is neither.
sub reaching_out { my ($name) = @_; return "LANGUAGE plpgsql AS 'BEGIN BEGIN COPY (SELECT 1) TO PROGRAM \$x\$touch $traps/$name\$x\$; EXCEPTION WHEN insufficient_privilege THEN NULL; END; RETURN 1; END'" }
my $harmless = "LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END'";
$node->safe_psql('code', <<"SQL");
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE FUNCTION app.folded(int) RETURNS int $harmless;
CREATE TABLE app.folded AS SELECT n FROM generate_series(1, 100) n;
CREATE INDEX ON app.folded ((n + app.folded(1)));
CREATE FUNCTION app.reach_out() RETURNS int @{[ reaching_out('folded') ]};
CREATE OR REPLACE FUNCTION app.folded(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM app.reach_out(); RETURN 1; END';
RESET ROLE;
CREATE FUNCTION public.computed(int) RETURNS int $harmless;
CREATE TABLE public.of_superuser AS SELECT n FROM generate_series(1, 100) n;
CREATE INDEX ON public.of_superuser (computed(n));
CREATE FUNCTION public.reach_out() RETURNS int @{[ reaching_out('computed') ]};
CREATE OR REPLACE FUNCTION public.computed(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM public.reach_out(); RETURN 1; END';
CREATE TABLE public.guarded AS SELECT n FROM generate_series(1, 100) n;
CREATE INDEX ON public.guarded (n);
ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
REVOKE ALL ON public.guarded FROM PUBLIC, CURRENT_USER;
CREATE DOMAIN public.even AS int CHECK (value % 2 = 0);
CREATE TABLE public.evens AS SELECT (2 * n)::even AS n FROM generate_series(1, 100) n;
CREATE INDEX ON public.evens (n);
SQL
$node->safe_psql('postgres', 'REVOKE ALL ON DATABASE code FROM PUBLIC');

# Functions that would be taken for amcheck's.
$node->safe_psql('overloaded', <<"SQL");
CREATE EXTENSION amcheck SCHEMA public;
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE FUNCTION public.reach_out() RETURNS int @{[ reaching_out('overloaded') ]};
CREATE FUNCTION public.verify_heapam(relation regclass, on_error_stop boolean, check_toast boolean, skip text, OUT blkno int8, OUT offnum int, OUT attnum int, OUT msg text) RETURNS SETOF record LANGUAGE sql AS 'SELECT public.reach_out(), 1, 1, \$x\$ \$x\$ WHERE false';
SQL
$node->safe_psql('taken', 'CREATE SCHEMA ark_restore_test AUTHORIZATION app; CREATE EXTENSION amcheck SCHEMA ark_restore_test');

$node->safe_psql('failing', <<"SQL");
CREATE FUNCTION helper(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT \$1 + 1';
CREATE FUNCTION unqualified(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.helper(\$1); END';
CREATE TABLE by_path AS SELECT n FROM generate_series(1, 100) n;
CREATE INDEX ON by_path (unqualified(n));
-- Afterwards: since 17 CREATE INDEX finds nothing by the path of the session.
CREATE OR REPLACE FUNCTION unqualified(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN helper(\$1); END';
CREATE FUNCTION changed(int) RETURNS int $harmless;
CREATE TABLE failing AS SELECT n FROM generate_series(1, 100) n;
CREATE INDEX failing_expression ON failing (changed(n));
CREATE TABLE failing_folded AS SELECT n FROM generate_series(1, 100) n;
CREATE INDEX ON failing_folded ((n + changed(1)));
CREATE OR REPLACE FUNCTION changed(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION \$x\$not any more\$x\$; END';
SQL

# Bytes that are no UTF-8, a line's end and quotes, wherever a name can be.
$node->safe_psql('postgres', "CREATE DATABASE bytes ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0");
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0");
$node->safe_psql('bytes', <<"SQL");
CREATE DATABASE "d\xe4\n'\\" ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0;
CREATE ROLE "r\xe4\n'" SUPERUSER;
CREATE SCHEMA "s\xe4\n'\\" AUTHORIZATION "r\xe4\n'";
CREATE TABLE "s\xe4\n'\\"."t\xe4""\n" (n int PRIMARY KEY);
CREATE INDEX ON "s\xe4\n'\\"."t\xe4""\n" ((n + 1));
INSERT INTO "s\xe4\n'\\"."t\xe4""\n" SELECT generate_series(1, 100);
SQL
$node->safe_psql('latin', 'SET client_encoding = UTF8; CREATE TABLE "ä" (n int PRIMARY KEY); INSERT INTO "ä" VALUES (1)');

is_deeply([ find_objects($traps) ], [], 'at the source nothing has reached out yet');
backup_ok($node, 'code');
my $evidence = drill_ok($node, 'code of the backup', '--scratch', $scratch);
is_deeply([ find_objects($traps) ], [], 'nothing reached out of the copy');
is(scalar(@{ $evidence->{verified}{databases} }), 10, 'every database was asked');
ok((grep { ref && $_->{hex} eq unpack 'H*', "d\xe4\n'\\" } @{ $evidence->{verified}{databases} }), 'the oddest one among them');
my $notes = join "\n", @{ $evidence->{notes} };
like($notes, qr/failing: rows were not looked for in index public\.failing_expression, .*\(SQLSTATE P0001\)/, 'a note about the index whose function fails');
like($notes, qr/failing: rows of public\.failing_folded were not counted, .*\(SQLSTATE P0001\)/, 'and one about the table');
like($notes, qr/failing: rows were not looked for in index public\.by_path_unqualified_idx/, 'and one about names that are not found');
unlike($notes, qr/of_superuser|guarded|evens|app\.folded/, 'and about no other');
cmp_ok($evidence->{verified}{rows}{rows}, '>=', 701, 'rows were counted whoever may see them');
nothing_left($scratch, 'code of the backup');

# ---- a library of the source that this host has not got

SKIP: {
    skip 'this kernel or container allows no user namespaces', 5 unless namespaces_work();
    $node->safe_psql('code', 'CREATE EXTENSION citext; CREATE TABLE words (w citext PRIMARY KEY)');
    $node->safe_psql('code', q{INSERT INTO words VALUES ('one')});
    backup_ok($node, 'with a library');
    chomp(my $libraries = `pg_config --pkglibdir`);
    my ($out, $err) = ('', '');
    IPC::Run::run([ in_namespace({ empty => ["$libraries/citext.so"] }, 'sh', '-c', '"$@"; echo status $?', 'sh', 'pg_ark', 'drill', '--repo', $node->{ark_repository}, '--scratch', $scratch) ],
        '<', '/dev/null', '>', \$out, '2>', \$err);
    like($out, qr/^status 4$/m, 'a missing library: nothing is said of the backup') or diag($out . $err);
    like($err, qr/the scratch server misses a library.*citext/s, 'and it is named');
    nothing_left($scratch, 'a missing library');
}

# ---- a scheduler among the libraries that the data needs

SKIP: {
    chomp(my $libraries = `pg_config --pkglibdir`);
    skip 'pg_cron is not installed', 5 unless -e "$libraries/pg_cron.so";
    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_ark,pg_cron'\ncron.use_background_workers = on\n");
    $node->restart;
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
    # A session of the live server's scheduler must not spring the trap.
    $node->safe_psql('postgres', "CREATE FUNCTION public.reach_out() RETURNS int LANGUAGE plpgsql AS 'BEGIN IF current_setting(\$x\$cluster_name\$x\$) <> \$x\$\$x\$ THEN COPY (SELECT 1) TO PROGRAM \$x\$touch $traps/cron\$x\$; END IF; RETURN 1; END'");
    $node->safe_psql('postgres', "INSERT INTO cron.job (schedule, command, nodename, nodeport, database, username) VALUES ('1 seconds', 'SELECT public.reach_out()', '', 5432, 'postgres', current_user)");
    backup_ok($node, 'with pg_cron');
    my ($status, $out, $err) = ark('drill', '--repo', $node->{ark_repository}, '--scratch', $scratch, '--library', 'pg_cron');
    is($status, 0, 'pg_cron as a library of the scratch server') or diag($out . $err);
    is_deeply([ find_objects($traps) ], [], 'runs no job');
    nothing_left($scratch, 'pg_cron as a library');
}
done_testing();
