# A restored cluster is a clone until told otherwise: it never writes into the archive that the real one needs.
# One that takes over does, on a new timeline, and can be restored in its turn.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);
load_shop($node);
backup_ok($node, 'on timeline 1');
$node->safe_psql('postgres', 'CREATE TABLE history AS SELECT 1 AS timeline');
archive_now($node);

# ---- a forgotten test restore
my $clone = restore_node($node, 'clone', '--target-action', 'promote');
ok(-e $clone->data_dir . '/pg_wal/pg_ark.clone', 'restore leaves the marker');
start_restored($clone);
my $mark   = 0;
# The source is alive: it streams its timeline, where it writes a record by itself now and then, and stores what changed there.
sub stored_by_clone { return tree_digest($directory, '^(?!.*/(?:tail|blocks)/00000001/)') }
poll_until('what was done at the source is on record', sub { $node->safe_psql('postgres', 'SELECT waiting_bytes = 0 AND unmirrored = 0 FROM ark.audit_status') eq 't' });
my $before = stored_by_clone();
$clone->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')}) for 1 .. 3;
poll_until('the clone\'s archiver is content', sub {
    !glob $clone->data_dir . '/pg_wal/archive_status/*.ready' });
is_deeply(stored_by_clone(), $before, 'a clone writes nothing into the repository');
wait_log($clone, qr/restored copy/, $mark);
pass('and says so in its log');
like($clone->safe_psql('postgres', 'SELECT string_agg(p::text, $$ $$) FROM ark.preflight() p WHERE NOT ok'), qr/adopt|clone|copy/, 'preflight() of a clone fails');
my ($status, undef, $err) = $clone->psql('postgres', q{SELECT ark.create_manual_backup('by a clone')});
ok($status != 0 && $err =~ /clone|copy|adopt/, 'a clone takes no backup') or diag($err);

# ---- the source goes on unharmed, then is lost; the clone becomes the real one
$node->safe_psql('postgres', 'INSERT INTO history VALUES (11)');
archive_now($node);
$node->stop('immediate');
my $adopted = $clone->safe_psql('postgres', 'SELECT ark.adopt()');
ok(!-e $clone->data_dir . '/pg_wal/pg_ark.clone', 'adopt() removes the marker');
poll_until('adopt() has led to a backup', sub {
    $clone->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_log WHERE status = 'completed' AND timeline = 2}) > 0 });
pass('adopt() starts a full backup at once');
$clone->safe_psql('postgres', 'INSERT INTO history VALUES (2)');
archive_now($clone);
ok((grep { m{/00000002\.history} } find_objects($directory)), 'the new timeline\'s history is in the repository');

# ---- both histories can be brought back
my $latest = restore_node($clone, 'latest', '--target-action', 'promote');
start_restored($latest);
is($latest->safe_psql('postgres', 'SELECT string_agg(timeline::text, $$,$$ ORDER BY timeline) FROM history'), '1,2', 'the newest timeline by itself');
amcheck_ok($latest, 'latest: pg_amcheck finds nothing');
$latest->stop;
my $first = restore_node($clone, 'first', '--target-timeline', '1', '--target', 'latest', '--target-action', 'promote');
start_restored($first);
is($first->safe_psql('postgres', 'SELECT string_agg(timeline::text, $$,$$ ORDER BY timeline) FROM history'), '1,11', 'the abandoned one when asked for');
$first->stop;

# ---- taking over in one step
my $taken = restore_node($clone, 'taken', '--take-over', '--target-action', 'promote');
ok(!-e $taken->data_dir . '/pg_wal/pg_ark.clone', '--take-over leaves no marker');
$clone->stop;
start_restored($taken);
$taken->safe_psql('postgres', 'INSERT INTO history VALUES (3)');
archive_now($taken);
backup_ok($taken, 'after taking over');
my $last = restore_node($taken, 'last', '--target-action', 'promote');
start_restored($last);
is($last->safe_psql('postgres', 'SELECT string_agg(timeline::text, $$,$$ ORDER BY timeline) FROM history'), '1,2,3', 'and is protected from the start');

never_restarted($_) for $clone, $taken;
done_testing();
