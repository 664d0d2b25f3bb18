# Whatever becomes of our child, the server stays up, also where PostgreSQL is process 1 and reaps orphans:
# kill -9, a segmentation fault, out of memory, an odd exit status, an orphan.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;
use PgArk::Namespace;

my @modes = ('as ever');
if (namespaces_work()) { push @modes, 'as process 1' }
else                   { diag('this kernel or container allows no user namespaces: process 1 is not tested') }

for my $mode (@modes) {
    (my $name = $mode) =~ s/ /_/g;
    my $node = ark_cluster($name, start => 0);
    my $handle;
    if ($mode eq 'as ever') { $node->start }
    else                    { $handle = start_in_namespace($node, { pid => 1 }) }
    $node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
    load_shop($node);
    is(slurp_file($node->data_dir . '/postmaster.pid') =~ /^1\n/ ? 1 : 0, $handle ? 1 : 0, "$mode: it is what it says");
    archive_now($node);

    # Faults inside the child, at a step in the middle of a backup.
    for my $action (qw(kill segv exit3 oom eio)) {
        my $row = with_fault($node, "backup_copy_piece=$action\@3", sub { wait_backup($node, start_backup_sql($node, $action)) });
        is($row->{status}, 'failed', "$mode, $action: the backup fails");
        isnt($row->{error}{message} // '', '', "$mode, $action: with a reason: " . ($row->{error}{message} // ''));
        like($row->{error}{message} . ($row->{error}{detail} // ''), qr/memory/i, "$mode, oom: the reason is memory") if $action eq 'oom';
    }

    # The archiver's child: killed from outside, at rest; and by its own faults while storing.
    archive_now($node);
    my ($child) = ark_children($node, 'server-archive');
    ok($child, "$mode: the archiver has a child");
    kill 'KILL', $child;
    archive_now($node);
    my ($second) = ark_children($node, 'server-archive');
    isnt($second, $child, "$mode: kill -9 of the archiver's child: the next segment has a new one");
    for my $action (qw(segv exit3 oom)) {
        with_fault($node, "archive_before_put=$action", sub {
            kill 'TERM', ark_children($node, 'server-archive');    # a new child reads the setting
            my $failed = $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver');
            $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
            poll_until('the archiver meets the fault', sub {
                $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver') > $failed });
        });
        kill 'TERM', ark_children($node, 'server-archive');
        archive_now($node);
        pass("$mode, $action of the archiver's child: archiving goes on");
    }

    # A worker that is killed leaves its child an orphan, and takes the server through crash recovery: the one
    # case in which PostgreSQL restarts (a backend died by SIGKILL). The child must end by itself, and
    # its end must not be taken for a second crash.
    my $before_kill = log_mark($node);
    never_restarted($node, 0, "$mode: no fate of a child restarted the server");
    my $id = with_fault($node, 'backup_copy_piece=sleep@3', sub {
        my $id = start_backup_sql($node, 'to be orphaned');
        my ($orphan) = @{ poll_until('the backup has a child', sub { my @c = ark_children($node, 'server-backup'); @c && \@c }) };
        my ($worker) = slurp_file("/proc/$orphan/stat") =~ /\) \S (\d+)/;
        my @workers = split /\n/, $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_ark%'});
        ok(scalar(grep { $worker == ($handle ? eval { pid_outside($handle, $_) } // 0 : $_) } @workers), "$mode: the worker is in pg_stat_activity");
        kill 'KILL', $worker;
        poll_until('the orphan has ended', sub { !kill 0, $orphan });
        wait_log($node, qr/reinitializing/, $before_kill);
        wait_running($node);
        $id;
    });
    my $log = slurp_file($node->logfile, $before_kill);
    is(scalar(() = $log =~ /all server processes terminated; reinitializing/g), 1, "$mode: kill -9 of a worker is one crash, not two");
    is(wait_backup($node, $id)->{status}, 'failed', "$mode: the backup of the killed worker is failed");

    backup_ok($node, "$mode, after all that");
    is(scalar(grep { $_->{status} eq 'completed' } backups($node->{ark_repository})), 1, "$mode: the repository has that one backup");
    is(scalar(() = ark_children($node, 'server-backup')), 0, "$mode: no child is left over");
    if ($handle) { is(stop_in_namespace($handle), 0, "$mode: stops cleanly") }
    else         { $node->stop }
}
done_testing();
