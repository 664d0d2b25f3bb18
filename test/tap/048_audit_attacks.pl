# Who would like the audit log not to say what he did, or who only has bad luck: errors that are caught, floods, locks, a full disk, a
# superuser who deletes, entries too long and too many, databases that are not in UTF-8, two servers that are one.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $repository = new_repository();
my $node       = ark_cluster('source', repository => $repository, conf => "autovacuum = off\npg_ark.wal_streaming = off\n");
backup_ok($node, 'so that there is a repository');
$node->safe_psql('postgres', q{CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA ark TO app; CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO app, stranger});

sub as { my ($server, $role, $sql) = @_; return $server->psql('postgres', $sql, connstr => $server->connstr('postgres') . " user=$role", on_error_stop => 0) }
sub entries {
    my ($server, $where) = @_;
    return $server->safe_psql('postgres', "SELECT coalesce(string_agg(concat_ws('|', act, outcome, session_role, acting_role, sqlstate, message, times), ',' ORDER BY at), '') FROM ark.audit_log WHERE $where");
}
sub wait_entries {
    my ($server, $where, $expected, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $found = '';
    eval { poll_until($what, sub { ($found = entries($server, $where)) eq $expected }, 30) };
    is($found, $expected, $what);
    return;
}
sub audit { my ($there) = @_; return @{ JSON::PP::decode_json(ark_ok([ 'audit', '--repo', 'file://' . ($there // $repository), '--output', 'json' ], 'pg_ark audit')) } }
sub all_mirrored {
    my ($server) = @_;
    poll_until('the repository has all', sub { $server->safe_psql('postgres', q{SELECT waiting_bytes = 0 AND unmirrored = 0 AND mirror_failures = 0 FROM ark.audit_status}) eq 't' });
    return;
}

# ---- PostgreSQL refuses, and the caller catches it

my $no_function = 'cancel_backup|refused|app|app|42501|permission denied for function cancel_backup|1';
my $no_schema   = 'cancel_backup|refused|stranger|stranger|42501|permission denied for schema ark|1';
my $caught      = q{BEGIN PERFORM ark.cancel_backup('x'); EXCEPTION WHEN OTHERS THEN NULL; END};
my $n           = 0;
sub caught_as {
    my ($role, $expected, $what, $sql) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $application = 'caught' . ++$n;
    $sql =~ s/\bCAUGHT\b/$caught/g;
    as($node, $role, "SET application_name = '$application'; $sql");
    wait_entries($node, "application = '$application'", $expected, $what);
    return;
}
caught_as('app', $no_function, 'a refusal of PostgreSQL that the caller catches', 'DO $$ CAUGHT $$');
caught_as('stranger', $no_schema, 'so of the schema', 'DO $$ CAUGHT $$');
caught_as('stranger', 'access|refused|stranger|stranger|42501|permission denied for schema ark|1', 'and of a table', q{DO $$ BEGIN PERFORM FROM ark.backup_log; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$});
caught_as('app', $no_function, 'in a function', q{CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CAUGHT; RETURN 1; END $$; SELECT f()});
caught_as('app', $no_function, 'that the planner calls', q{CREATE FUNCTION g() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN CAUGHT; RETURN 1; END $$; SELECT count(*) FROM pg_class WHERE relpages < g() LIMIT 0});
caught_as('app', $no_function, 'at the end of the transaction', q{CREATE TABLE t (a int); CREATE FUNCTION h() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN CAUGHT; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION h(); INSERT INTO t VALUES (1)});
# Each error that ends a statement takes away all that stands on the server's stack of contexts.
caught_as('app', $no_function, 'after errors, in a transaction that has failed', 'SELECT 1/0; BEGIN; SELECT 1/0; SELECT 2/0; ROLLBACK; DO $$ CAUGHT $$');
set_config($node, log_min_messages => 'fatal');
caught_as('app', $no_function, 'where the server logs no errors', 'BEGIN; SELECT 1/0; SELECT 2/0; ROLLBACK; DO $$ CAUGHT $$');
caught_as('app', $no_function, 'nor this one', q{SELECT ark.cancel_backup('x')});
set_config($node, log_min_messages => undef);
caught_as('app', '', 'what is refused elsewhere is none of ours', q{DO $$ BEGIN PERFORM pg_read_file('x'); EXCEPTION WHEN OTHERS THEN NULL; END $$; DO $$ BEGIN RAISE 'permission denied for schema ark' USING errcode = '42501'; EXCEPTION WHEN OTHERS THEN NULL; END $$});

# ---- the table is locked

my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE ark.audit_log IN ACCESS EXCLUSIVE MODE');
is($node->safe_psql('postgres', q{SET statement_timeout = '5s'; SELECT unmirrored IS NULL FROM ark.audit_status}), 't', 'audit_status waits for no lock');
# And somebody floods what waits for it.
as($node, 'app', q{SET application_name = 'flood'; DO $$ BEGIN FOR i IN 1..6000 LOOP BEGIN PERFORM ark.cancel_backup('x'); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$});
cmp_ok($node->safe_psql('postgres', 'SELECT lost FROM ark.audit_status'), '>', 1000, 'a flood of refusals has no room, and is counted');
set_config($node, 'pg_ark.backup_jobs' => 3);
poll_until('the launcher has seen it', sub { slurp_file($node->data_dir . '/pg_wal/pg_ark.audit') =~ /pg_ark\.backup_jobs/ });
$locker->query_safe('ROLLBACK');
$locker->quit;
wait_entries($node, q{target = 'pg_ark.backup_jobs'}, 'setting|accepted|from "2" to "3"|1', 'an act finds room all the same');
poll_until('the loss is told', sub { $node->safe_psql('postgres', q{SELECT sum(times) > 1000 FROM ark.audit_log WHERE outcome = 'lost'}) eq 't' });
is($node->safe_psql('postgres', q{SELECT (SELECT sum(times) FROM ark.audit_log WHERE application = 'flood') + (SELECT sum(times) FROM ark.audit_log WHERE outcome = 'lost')}), '6000', 'each of them is counted once');

# ---- no room on the disk

my $lost = $node->safe_psql('postgres', q{SELECT sum(times) FROM ark.audit_log WHERE outcome = 'lost'});
symlink '/dev/full', $node->data_dir . '/pg_wal/pg_ark.audit' or die $!;
my (undef, undef, $err) = as($node, 'app', q{SELECT ark.cancel_backup('x')});
like($err, qr/permission denied for function cancel_backup/, 'a full disk changes no answer');
poll_until('the loss is told', sub { $node->safe_psql('postgres', q{SELECT sum(times) FROM ark.audit_log WHERE outcome = 'lost'}) > $lost });
caught_as('app', $no_function, 'and when there is room again it goes on', 'DO $$ CAUGHT $$');

# ---- a superuser deletes; entries too many and too long

all_mirrored($node);
my %before = map { $_->{id} => 1 } audit();
cmp_ok(scalar keys %before, '>', 10, 'there are entries');
$node->safe_psql('postgres', 'DELETE FROM ark.audit_log');
my %after = map { $_->{id} => 1 } audit();
is(scalar(grep { !$after{$_} } keys %before), 0, 'a superuser deletes them: the repository still has them');
$node->safe_psql('postgres', q{INSERT INTO ark.audit_log (act, outcome, message) SELECT 'many', 'accepted', n FROM generate_series(1, 10000) n; INSERT INTO ark.audit_log (act, outcome, message) VALUES ('long', 'accepted', repeat(U&'\00e4', 2000000))});
$node->psql('postgres', q{SET application_name = 'huge'; SELECT ark.cancel_backup(repeat('x', 600000))});
poll_until('the call with a huge argument is there', sub { entries($node, q{application = 'huge'}) ne '' });
like(entries($node, q{application = 'huge'}), qr/^cancel_backup\|refused\|.*backup "x{100,600}/, 'cut to what a log is for');
poll_until('all of them are there', sub { $node->safe_psql('postgres', 'SELECT unmirrored = 0 FROM ark.audit_status') eq 't' });
my @all = audit();
is(scalar(grep { $_->{act} eq 'many' } @all), 10000, '10,000 entries get there');
is(join(',', map { length $_->{message} } grep { $_->{act} eq 'long' } @all), '1000', 'and a long one, cut');

# ---- two servers that are one

$node->stop;
$node->backup_fs_cold('copy');
my $twin = PostgreSQL::Test::Cluster->new('twin');
$twin->init_from_backup($node, 'copy');
$_->start for $node, $twin;
for my $server ($node, $twin) {
    as($server, 'app', "SET application_name = '" . $server->name . "'; SELECT ark.cancel_backup('x')");
    wait_entries($server, "application = '" . $server->name . "'", $no_function, $server->name . ' has its own');
    all_mirrored($server);
}
is(join(',', sort map { $_->{application} } grep { ($_->{application} // '') =~ /^(?:source|twin)$/ } audit()), 'source,twin', 'the repository has both');
$_->stop for $node, $twin;

# ---- not in UTF-8

for my $encoding (qw(LATIN1 SQL_ASCII)) {
    my $there = new_repository(lc $encoding);
    my $other = ark_cluster(lc $encoding, repository => $there, initdb => [ "--encoding=$encoding", '--locale=C' ], conf => "autovacuum = off\npg_ark.wal_streaming = off\n");
    # U+00E4 in Latin 1, which is no UTF-8.
    $other->safe_psql('postgres', qq{SET client_encoding = $encoding; CREATE ROLE "r\xe4uber" LOGIN});
    $other->safe_psql('postgres', qq{SET client_encoding = $encoding; GRANT USAGE ON SCHEMA ark TO "r\xe4uber"});
    backup_ok($other, 'so that there is a repository');
    $other->psql('postgres', qq{SET client_encoding = $encoding; SET ROLE "r\xe4uber"; DO \$\$ $caught \$\$});
    poll_until("$encoding: it is recorded", sub { $other->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE act = 'cancel_backup'}) eq '1' });
    all_mirrored($other);
    my ($entry) = grep { $_->{act} eq 'cancel_backup' } audit($there);
    is($entry->{acting_role}, $encoding eq 'LATIN1' ? "r\x{e4}uber" : 'r?uber', "$encoding: and readable");
    $other->stop;
}
done_testing();
