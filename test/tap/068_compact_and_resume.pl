# A full backup made of a chain in the repository; a full backup that goes on from what a failed one has finished; the
# audit of what incremental backups call unchanged.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => "pg_ark.audit_fraction = 1\nautovacuum = off\n");
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
# Hardly compressible: packs get full.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE things AS SELECT n, (SELECT string_agg(md5(n::text || k::text), '') FROM generate_series(1, 20) k) AS text FROM generate_series(1, 20000) n;
CREATE INDEX ON things (n);
SQL
my @ADDED = qw(postgresql.auto.conf recovery.signal backup_manifest);

sub take {
    my ($type) = @_;
    my $id = $node->safe_psql('postgres', "SELECT ark.start_backup('$type', 'a test')");
    return wait_backup($node, $id);
}
sub change { my ($n) = @_; $node->safe_psql('postgres', "UPDATE things SET n = n WHERE n % 997 = $n"); return }
sub restored_is {
    my ($id, $what, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    (my $name = $what) =~ s/\W+/_/g;
    my $restored = restore_node($node, $name, '--backup', $id);
    verify_backup_ok($restored->data_dir, "$what: pg_verifybackup", @ADDED);
    start_restored($restored);
    same_contents(dump_of($restored), $expected, "$what: it recovers to what there was");
    amcheck_ok($restored, "$what: pg_amcheck");
    $restored->stop;
    return;
}
sub objects_of { my ($id) = @_; return find_objects("$directory/$cluster/backup/$id") }

# ---- what a failed backup has finished

for my $how (qw(eio kill)) {
    my $failed = with_fault($node, "backup_small_packs=on,backup_before_wal=$how", sub { take('full') });
    is($failed->{status}, 'failed', "$how: a backup that fails when all is copied");
    my @left = objects_of($failed->{backup_id});
    cmp_ok(scalar(grep { /\.part\.zst$/ } @left), '>=', 2, "$how: packs that were full are described");
    like(join('', map { `zstd -dqc "$directory/$cluster/backup/$failed->{backup_id}/$_"` } grep { /\.part\.zst$/ } @left),
        qr/"block_xxh3":\[\[\d+,\d+\]\]/, "$how: with checksums of blocks");
    is(scalar(grep { !m{^data/} } @left), 0, "$how: and nothing else is left") or diag("@left") if $how eq 'eio';
    change($how eq 'eio' ? 1 : 2);
    my $next = take('full');
    is($next->{status}, 'completed', "$how: the next one completes");
    is($next->{parent}, $failed->{backup_id}, "$how: it goes on from there");
    cmp_ok($next->{stored_bytes}, '<', (-s "$directory/$cluster/backup/$failed->{backup_id}/data/00001.tar.zst") * 20, "$how: and stores little");
    is($next->{audit_misses}, 0, "$how: nothing was missed");
    is($node->safe_psql('postgres', "SELECT string_agg(type || ' ' || status, ', ' ORDER BY position) FROM ark.backup_chain('$next->{backup_id}')"),
        'unfinished failed, incremental completed', "$how: its chain is told");
    unlike(scalar(ark_ok([ 'list', '--repo', $url ], 'list')), qr/\Q$failed->{backup_id}\E +\d{4}-/, "$how: what failed is no backup");
    (ark('restore', '--repo', $url, '--backup', $failed->{backup_id}, '-D', PostgreSQL::Test::Utils::tempdir("no$how")))[0] != 0
      ? pass("$how: and cannot be restored")
      : fail("$how: and cannot be restored");
    my $differential = take('differential');
    is($differential->{parent}, $next->{backup_id}, "$how: a differential one builds on it as on a full one");
    archive_now($node);
    restored_is($next->{backup_id}, "resumed after $how", dump_of($node));
    restored_is($differential->{backup_id}, "on resumed after $how", dump_of($node));
    ark_ok([ 'verify', '--repo', $url, $failed->{backup_id} ], "$how: what was left is verified");
    $node->safe_psql('postgres', 'SELECT ark.verify_backup(backup_id) FROM ark.backup_log WHERE backup_id = ' . "'$next->{backup_id}'");
    is($node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE backup_id = '$next->{backup_id}' AND details ? 'chain'"), 't', "$how: so is what builds on it");
    # So that the next round finds no complete one that is newer than what fails.
    sleep 1.1;
}
{
    my $failed = with_fault($node, 'backup_small_packs=on,backup_before_wal=eio', sub { take('full') });
    my $mark = log_mark($node);
    $node->restart;
    my $next = take('full');
    is($next->{status}, 'completed', 'after a restart a full backup completes');
    is($next->{parent}, undef, 'it builds on nothing: the server may have been set back meanwhile');
    ok(log_has($node, qr/the server has been stopped since backup \Q$failed->{backup_id}\E failed/, $mark), 'the log says so');
}
{
    my $cancelled = with_fault($node, 'backup_small_packs=on,backup_before_wal=sleep', sub {
        my $id = $node->safe_psql('postgres', "SELECT ark.start_backup('full', 'to be cancelled')");
        poll_until('packs are described', sub { scalar grep { /\.part\.zst$/ } objects_of($id) });
        $node->safe_psql('postgres', "SELECT ark.cancel_backup('$id')");
        return wait_backup($node, $id);
    });
    is($cancelled->{status}, 'cancelled', 'a backup that is cancelled');
    change(3);
    is(take('full')->{parent}, $cancelled->{backup_id}, 'is where the next one goes on from');
    my ($whole) = grep { /\.part\.zst$/ } map { objects_of($_) } map { $_->{backup_id} } backups($url);
    is($whole, undef, 'no complete backup has descriptions of its packs');
}

# ---- a full backup of a chain

sleep 1.1;
my $full = take('full')->{backup_id};
my @chain = ($full);
for my $n (5 .. 8) {
    change($n);
    $node->safe_psql('postgres', "DELETE FROM things WHERE n > 20000 - 1000 * $n; VACUUM things") if $n == 6;
    $node->safe_psql('postgres', "CREATE TABLE more$n AS SELECT n FROM generate_series(1, 5000) n");
    sleep 1.1;
    push @chain, take('incremental')->{backup_id};
}
archive_now($node);
my $expected = dump_of($node);
my $tip = $chain[-1];
my ($json) = ark_ok([ 'compact', '--repo', $url, $tip, '--output', 'json' ], 'pg_ark compact');
my $made = JSON::PP::decode_json($json);
is($made->{compacted_from}, $tip, 'it says what it was made of');
ark_ok([ 'verify', '--repo', $url, $made->{backup_id} ], 'it is whole');
restored_is($made->{backup_id}, 'compacted', $expected);
like((ark('compact', '--repo', $url, $made->{backup_id}))[2], qr/is a full one already/, 'a full one is not compacted');
like((ark('compact', '--repo', $url, 'no_such'))[2], qr/does not exist/, 'nor one that is not there');

my $by_sql = $node->safe_psql('postgres', "SELECT ark.compact_backup('$chain[2]')");
is(wait_backup($node, $by_sql)->{status}, 'completed', 'ark.compact_backup completes');
is(backup_row($node, $by_sql)->{start_lsn}, backup_row($node, $chain[2])->{start_lsn}, 'its LSNs are those of the old one');
my $error = '';
$node->psql('postgres', "SELECT ark.compact_backup('$full')", stderr => \$error);
like($error, qr/is a full one already/, 'a full one is refused');
restored_is($by_sql, 'compacted by SQL', $expected);

sleep 1.1;
change(9);
is(take('incremental')->{parent}, $made->{backup_id}, 'the next incremental backup builds on it');

# Killed at every step: old and new are whole or absent.
for my $point (fault_points('core/compact')) {
    local $ENV{PG_ARK_FAULT} = "$point=kill";
    my $before = { map { $_ => 1 } map { $_->{backup_id} } backups($url) };
    my ($status) = ark('compact', '--repo', $url, $tip, '--as', "full_20260101_000000_$point");
    cmp_ok($status, '!=', 0, "$point: killed");
    delete local $ENV{PG_ARK_FAULT};
    my @new = grep { !$before->{$_} } map { $_->{backup_id} } backups($url);
    if (@new) { ark_ok([ 'verify', '--repo', $url, $new[0] ], "$point: the new one is whole") }
    else { ark_ok([ 'verify', '--repo', $url, $tip ], "$point: there is no new one, the old one is whole") }
}
{
    local $ENV{PG_ARK_FAULT} = 'compact_before_marker=eio';
    my ($status) = ark('compact', '--repo', $url, $tip, '--as', 'full_20260101_000001_00000000');
    cmp_ok($status, '!=', 0, 'a compaction that fails');
    is_deeply([ objects_of('full_20260101_000001_00000000') ], [], 'leaves nothing');
}
# Without what it was made of.
archive_now($node);
$expected = dump_of($node);
for my $id (@chain) { PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', "$directory/$cluster/backup/$id") }
restored_is($made->{backup_id}, 'compacted, the chain is gone', $expected);

# ---- the audit

my $audited = take('incremental');
cmp_ok($audited->{audited_blocks}, '>', 100, 'with audit_fraction 1 all that is called unchanged is read');
is($audited->{audit_misses}, 0, 'nothing was missed');
my $audit = $node->safe_psql('postgres', "SELECT ark.audit_backup('$audited->{backup_id}')");
is($node->safe_psql('postgres', "SELECT verification_type || ' ' || success FROM ark.backup_verification WHERE id = '$audit'"), 'change_audit true', 'ark.audit_backup finds the same');
$node->psql('postgres', "SELECT ark.audit_backup('$by_sql')", stderr => \$error);
like($error, qr/is a full one: it calls nothing unchanged/, 'a full one is refused');

$node->stop;
done_testing();
