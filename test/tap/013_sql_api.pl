# Functions start, procedures wait; what the caller does to its own transaction changes nothing.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $node = ark_cluster('source');
load_shop($node);

# The caller's transaction rolls back; the backup goes on, and was visible to everyone at once.
my $psql = $node->background_psql('postgres');
$psql->query_safe('BEGIN');
my $id = $psql->query_safe(q{SELECT ark.create_manual_backup('rolled back', '6ba7b810-9dad-11d1-80b4-00c04fd430c8')});
my $row = backup_row($node, $id);
ok($row, 'another session sees the row while the caller\'s transaction is open');
is($row->{created_by}, '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'created_by');
$psql->query_safe('ROLLBACK');
$psql->quit;
$row = wait_backup($node, $id);
is($row->{status}, 'completed', 'the backup of a rolled back transaction completes');
cmp_ok($row->{completed_at}, 'ge', $row->{started_at}, 'it ends after it began');

# start_backup and a procedure that waits.
$id = $node->safe_psql('postgres', q{SELECT ark.start_backup('full', 'nightly', '{}')});
like($id, qr/^full_\d{8}_\d{6}_[0-9a-f]{8}$/, 'start_backup returns an id of its type');
$node->safe_psql('postgres', "CALL ark.wait_for_backup('$id')");
is(backup_row($node, $id)->{status}, 'completed', 'CALL wait_for_backup returns when it has ended');
$id = $node->safe_psql('postgres', q{CALL ark.backup(p_reason => 'by procedure')});
is(backup_row($node, $id)->{status}, 'completed', 'CALL backup returns the id of a completed backup');
is(backup_row($node, $id)->{backup_type}, 'full', 'of type full');

# A wait that ends before the backup: by its timeout, by cancel. The backup goes on either way.
my $waited = with_fault($node, 'backup_copy_piece=sleep@2', sub {
    my $id = start_backup_sql($node, 'slow');
    my ($status, undef, $err) = $node->psql('postgres', "CALL ark.wait_for_backup('$id', '1 second')");
    isnt($status, 0, 'a wait has a timeout');
    like($err, qr/\Q$id\E/, 'its error names the backup');
    my ($code, undef, $message) = $node->psql('postgres', "SET statement_timeout = '1s'; CALL ark.wait_for_backup('$id')");
    isnt($code, 0, 'a wait can be cancelled');
    is(backup_row($node, $id)->{status}, 'in_progress', 'the backup goes on');
    my $progress = $node->safe_psql('postgres', "SELECT phase, bytes_done <= bytes_expected FROM ark.backup_progress WHERE backup_id = '$id'");
    like($progress, qr/^\w+\|(?:t|)$/, "backup_progress shows it: $progress");

    my ($second, undef, $refusal) = $node->psql('postgres', q{SELECT ark.create_manual_backup('a second one')});
    isnt($second, 0, 'one backup at a time');
    like($refusal, qr/\Q$id\E.*HINT/s, 'the refusal names the running one and what to do');

    # And it ends when it is told to.
    $node->safe_psql('postgres', "SELECT ark.cancel_backup('$id')");
    $id });
$row = wait_backup($node, $waited);
is($row->{status}, 'cancelled', 'cancel_backup cancels');
is(scalar(grep { $_->{backup_id} eq $waited } backups($node->{ark_repository})), 0, 'a cancelled backup is not in the repository');
is(scalar(() = ark_children($node, 'server-backup')), 0, 'its child has ended');

# pg_terminate_backend of the worker.
my $terminated = with_fault($node, 'backup_copy_piece=sleep@2', sub {
    my $id = start_backup_sql($node, 'terminated');
    poll_until('it has a child', sub { scalar(() = ark_children($node, 'server-backup')) });
    $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'pg_ark%' AND backend_type NOT LIKE '%launcher%'});
    wait_backup($node, $id) });
like($terminated->{status}, qr/^(?:failed|cancelled)$/, 'pg_terminate_backend of the worker: ' . $terminated->{status});

# CREATE EXTENSION and a backup in one transaction: a deadline and a hint, not a hang.
my $fresh = ark_cluster('fresh', extension => 0);
my ($status, undef, $err) = $fresh->psql('postgres', q{BEGIN; CREATE EXTENSION pg_ark; SELECT ark.create_manual_backup('too early'); COMMIT}, timeout => 100, on_error_stop => 1);
isnt($status, 0, 'CREATE EXTENSION and a backup in one transaction: refused');
like($err, qr/ERROR.*HINT/s, 'with a hint');
$fresh->safe_psql('postgres', 'CREATE EXTENSION pg_ark') if $fresh->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'pg_ark'}) eq '0';
backup_ok($fresh, 'and afterwards it works');

# What ALTER DATABASE sets for users is not for our worker.
$fresh->safe_psql('postgres', q{
    ALTER DATABASE postgres SET statement_timeout = '1ms';
    ALTER DATABASE postgres SET default_transaction_read_only = on;
    ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
    ALTER DATABASE postgres SET search_path = 'nowhere'});
$fresh->restart;
my $given = poll_until('a backup was taken', sub {
    my ($code, $out) = $fresh->psql('postgres', q{SET default_transaction_read_only = off; SET statement_timeout = 0; SELECT ark.create_manual_backup('odd defaults')});
    $code == 0 && $out });
is(poll_until('it has ended', sub {
    my ($code, $out) = $fresh->psql('postgres', "SET statement_timeout = 0; SELECT status FROM ark.backup_log WHERE backup_id = '$given' AND status <> 'in_progress'");
    $code == 0 && $out }), 'completed', 'settings of the database do not reach the worker');

# The extension can go, and come back; the repository is the truth.
$node->safe_psql('postgres', 'DROP EXTENSION pg_ark');
archive_now($node);
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
$node->poll_query_until('postgres', q{SELECT count(*) >= 3 FROM ark.backup_log WHERE status = 'completed'}) or fail('no reconciliation');
pass('backup_log is filled again from the repository');

# preflight() of a good cluster.
backup_ok($node, 'for preflight');
is($node->safe_psql('postgres', q{SELECT count(*) > 8 FROM ark.preflight()}), 't', 'preflight() checks several things');
is($node->safe_psql('postgres', q{SELECT coalesce(string_agg(p::text, '; '), '') FROM ark.preflight() p WHERE NOT ok AND p::text NOT LIKE '%OOM%'}), '',
    'preflight() of a good cluster finds nothing');

never_restarted($node);
never_restarted($fresh);
done_testing();
