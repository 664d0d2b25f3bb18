# Whoever holds a lock on a database (who may create databases can rename his own) or on a catalog holds up no backup:
# that database is left out of the census, the others are in it, and no worker stays behind.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $node = ark_cluster('held_up', conf => "autovacuum = off\nmax_prepared_transactions = 2\n");
$node->safe_psql('postgres', $_) for 'CREATE ROLE dev LOGIN CREATEDB', (map { "CREATE DATABASE dev$_ OWNER dev" } 1 .. 4), 'CREATE DATABASE other';
$node->safe_psql('other', 'CREATE TABLE things AS SELECT n FROM generate_series(1, 1000) n');

sub workers { return $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type IN ('pg_ark census', 'pg_ark answers')}) }
# Of the census, while it waits for a lock; it has no row in pg_stat_activity yet.
sub waiting {
    my $pid;
    poll_until('the census waits', sub { $pid = $node->safe_psql('postgres', 'SELECT pid FROM pg_locks WHERE NOT granted LIMIT 1') });
    return $pid;
}
sub none_left {
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(workers(), '', "$what: no worker is left");
    is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_locks WHERE NOT granted'), 0, "$what: nobody waits");
}

# Renames some, and stays.
sub rename_databases {
    my ($count) = @_;
    my $session = $node->background_psql('postgres', extra_params => [ '-U', 'dev' ]);
    $session->query_safe(join '; ', 'BEGIN', map { "ALTER DATABASE dev$_ RENAME TO renamed$_" } 1 .. $count);
    return $session;
}

sub quick_backup {
    my ($what, $left_out, $most) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($mark, $begin) = (log_mark($node), time);
    my $id = backup_ok($node, $what);
    cmp_ok(time - $begin, '<', $most // 30, "$what: the backup waits for nobody");
    ok(log_has($node, qr/census of tables leaves out database "$left_out"/, $mark), "$what: the log names the database");
    none_left($what);
    return $id;
}

# The sizes of all databases but one are compared.
sub only_one_is_missing {
    my ($what, $left_out) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $evidence = drill_ok($node, $what, '--scratch', $scratch);
    is_deeply([ grep { /no sizes of its tables/ } @{ $evidence->{notes} } ],
        ["$left_out: the backup has no sizes of its tables: they were not compared with what they were"], "$what: which the drill says of it alone");
    cmp_ok($evidence->{verified}{rows}{compared}, '>', 300, "$what: those of the others are compared");
    return $evidence;
}

# ---- a database that is being renamed

my $session = rename_databases(1);
quick_backup('renamed', 'dev1');
my $evidence = only_one_is_missing('renamed', 'dev1');
my %why = map { $_->{why} => $_->{count} } @{ $evidence->{verified}{census}{not_recorded} };
is($why{'a database: did not answer'}, 1, 'nor has it answered, as the drill says');
cmp_ok($evidence->{verified}{census}{tables}{compared}, '>=', 1, 'others have');

# ---- a worker that does not even end its own wait

my $id = start_backup_sql($node, 'stopped');
my $worker = waiting();
kill 'STOP', $worker;
my $begin = time;
my $row = wait_backup($node, $id);
kill 'CONT', $worker;
is($row->{status}, 'completed', 'a stopped worker holds up no backup');
cmp_ok(time - $begin, '<', 60, 'for long');
poll_until('it has gone', sub { !kill 0, $worker });
$session->query_safe('ROLLBACK');
$session->quit;

# ---- a cancel does not wait either, nor leave the worker behind

$session = rename_databases(4);
$id = start_backup_sql($node, 'cancelled');
waiting();
$begin = time;
$node->safe_psql('postgres', "SELECT ark.cancel_backup('$id')");
is(wait_backup($node, $id)->{status}, 'cancelled', 'a cancel ends it');
cmp_ok(time - $begin, '<', 10, 'at once');
none_left('cancelled');
$session->query_safe('ROLLBACK');
$session->quit;

# ---- a lock on a catalog, which nobody holds any more who could be asked to end

$node->safe_psql('other', "BEGIN; LOCK pg_class IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'x'");
quick_backup('a catalog', 'other');
only_one_is_missing('a catalog', 'other');
$node->stop('immediate');
done_testing();
