# kill -9 at each step: of the child, of the worker, of the archiver, of the postmaster. The server is (or comes
# back) up, the backup is failed with the reason, nothing half-made is taken for a backup, the next one works.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);
load_shop($node);
my $id = backup_ok($node, 'before any fault');
my @good = ($id);

# What the repository calls a backup is what has a marker, and each of those can be restored.
sub only_good_backups {
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply([ sort map { $_->{backup_id} } grep { $_->{status} eq 'completed' } backups($url) ], [ sort @good ],
        "$what: the repository lists whole backups only");
}

# Every fault point that a backup passes in the child: of the backup itself, of objects, of the store.
my @points = (fault_points('core/backup'), fault_points('core/repo'), fault_points('core/store', qr{^(?!cloud_)}), fault_points('cli/child'));
cmp_ok(scalar @points, '>=', 5, 'there are fault points: ' . join ', ', @points);
for my $point (@points) {
    my $mark = log_mark($node);
    my $row  = with_fault($node, "$point=kill", sub {
        my $row = wait_backup($node, start_backup_sql($node, "kill at $point"));
        kill 'TERM', ark_children($node, 'server-archive');    # it read the same setting
        $row });
    # After the marker is durable the backup exists, whatever its writer's fate.
    if ($row->{status} eq 'completed') {
        push @good, $row->{backup_id};
        ok((grep { $_->{backup_id} eq $row->{backup_id} } backups($url)), "kill at $point: called completed, and is");
    }
    else {
        is($row->{status}, 'failed', "kill at $point: the backup is failed");
        isnt($row->{error}{message} // '', '', "kill at $point: with the reason");
    }
    never_restarted($node, $mark, "kill at $point: the server stays up");
    only_good_backups("kill at $point");
}
push @good, backup_ok($node, 'after the child was killed at every step');
archive_now($node);

# A child that fails and cannot remove what it wrote, for whatever made it fail: the server sees to that.
{
    my $row = with_fault($node, 'backup_after_index=eio,backup_before_cleanup=eio', sub {
        wait_backup($node, start_backup_sql($node, 'nothing can be removed')) });
    is($row->{status}, 'failed', 'fails without removing anything: failed');
    poll_until('its objects are removed', sub { !find_objects($directory, qr{/backup/$row->{backup_id}/}) });
    pass('and what it left is removed by the server');
}

# The worker, at each of its own steps: PostgreSQL restarts, since a process with shared memory died.
my @module_points = fault_points('server');
my @worker_points = grep { !/push|test|audit/ } @module_points; # the audit log's: 037, 038
cmp_ok(scalar @worker_points, '>=', 1, 'the worker has fault points: ' . join ', ', @worker_points);
for my $point (@worker_points) {
    my $mark = log_mark($node);
    set_config($node, 'pg_ark.fault' => $point);
    # The call itself may die with the server.
    my ($status, $out, $err) = $node->psql('postgres', "SELECT ark.create_manual_backup('kill the worker at $point')");
    wait_log($node, qr/fault point "\Q$point\E"/, $mark);
    wait_log($node, qr/reinitializing/, $mark);
    # The fault is still set: without this the restarted launcher could meet it again.
    poll_until('the fault is gone', sub { eval { set_config($node, 'pg_ark.fault' => undef); 1 } });
    wait_running($node);
    pass("worker killed at $point: the server is back up");
    my $left = poll_until('no backup is in progress', sub {
        my $count = eval { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_log WHERE status = 'in_progress'}) };
        defined $count && $count eq '0' && 'none' });
    is($left, 'none', "worker killed at $point: no row stays in progress");
    my $rows = $node->safe_psql('postgres', "SELECT string_agg(status || ' ' || backup_id, ',') FROM ark.backup_log WHERE reason = 'kill the worker at $point'");
    push @good, $1 while $rows =~ /completed (\S+)/g;
    only_good_backups("worker killed at $point");
    push @good, backup_ok($node, "after the worker was killed at $point");
}

# The archiver, at each of its steps: the server comes back, and no segment is lost.
my @archiver_points = grep { /push/ } @module_points;
cmp_ok(scalar @archiver_points, '>=', 2, 'the archiver has fault points: ' . join ', ', @archiver_points);
for my $point (@archiver_points) {
    my $mark = log_mark($node);
    with_fault($node, $point, sub {
        # The answer may get lost: the archiver can be faster than this session.
        $node->psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')}, stderr => \my $lost);
        wait_log($node, qr/fault point "\Q$point\E"/, $mark);
        wait_running($node) });
    # The archiver may meet the fault once more before it has read the configuration again.
    my $segment = poll_until('a segment can be archived', sub { eval { archive_now($node) } });
    my @stored = map { m{/([0-9A-F]{24})\.zst$} } find_objects($directory, qr{/wal/});
    my @gaps   = grep { my $name = sprintf '0000000100000000%08X', $_; !grep { $_ eq $name } @stored } hex(substr $stored[0], 16) .. hex(substr $segment, 16);
    is_deeply(\@gaps, [], "archiver killed at $point: archiving goes on, without a gap");
}

# The postmaster, in the middle of a backup, with everything it had.
set_config($node, 'pg_ark.fault' => 'backup_copy_piece=sleep@3');
$id = start_backup_sql($node, 'kill the postmaster');
my @children = @{ poll_until('the backup has a child', sub { my @c = ark_children($node, 'server-backup'); @c && \@c }) };
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
$node->kill9;
poll_until('the child of the dead server has ended', sub { !grep { kill 0, $_ } @children });
pass('postmaster killed: its children end');
# (The server's own processes notice too, each in its time, and hold its shared memory until then.)
poll_until('all of the dead server has ended', sub { !kill(0, $postmaster) && !grep { (readlink($_) // '') eq $node->data_dir } glob '/proc/[0-9]*/cwd' });
$node->adjust_conf('postgresql.auto.conf', 'pg_ark.fault', undef, 1);
$node->start;
my $row = wait_backup($node, $id);
is($row->{status}, 'failed', 'postmaster killed: the backup is failed');
isnt($row->{error}{message} // '', '', 'postmaster killed: with the reason');
only_good_backups('postmaster killed');
push @good, backup_ok($node, 'after the postmaster was killed');
only_good_backups('at the end');

# What was half-made does not stay for ever: only whole backups have files.
my ($backups) = glob "$directory/*/backup";
sub with_files { my %seen; $seen{ (split m{/})[0] } = 1 for find_objects($backups); return join ' ', sort keys %seen }
poll_until('the leftovers are swept', sub { with_files() eq join ' ', sort @good });
pass('the leftovers are swept');

# And the survivors are good: the oldest and the newest.
my $expected = { postgres => fingerprint($node) };
archive_now($node);
restored_ok($node, 'from_oldest', $expected, '--backup', $good[0])->stop;
restored_ok($node, 'from_newest', $expected, '--backup', $good[-1])->stop;

done_testing();
