# A repository that is gone, read-only or full delays archiving: one clear message a minute, preflight() says
# so, nothing else is held up, and it recovers by itself.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::Test;
use PgArk::Namespace;

# What preflight() says of everything that is not well.
sub preflight_failures {
    my ($node) = @_;
    return $node->safe_psql($node->{ark_database}, q{SELECT string_agg(p::text, E'\n') FROM ark.preflight() p WHERE NOT ok});
}
sub waiting { my ($node) = @_; return scalar(() = glob $node->data_dir . '/pg_wal/archive_status/*.ready') }

# Breaks the repository, proves what must hold meanwhile, mends it, proves that it recovers.
sub trouble {
    my ($node, $what, $break, $mend) = @_;
    my $mark = log_mark($node);
    $break->();
    $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
    wait_log($node, qr/(?:WARNING|ERROR|LOG):.*/, $mark);
    poll_until('the archiver has failed', sub {
        $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver') > 0 });
    wait_log($node, qr/could not (?:archive|store|open|write|create|reach)/i, $mark);

    # Several more tries, each with a reason to complain, in well under a minute.
    my $tries = $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver');
    poll_until('it was tried again', sub {
        $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
        $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver') > $tries + 2 });
    my $log = slurp_file($node->logfile, $mark);
    my @complaints = $log =~ /^.*(?:WARNING|ERROR|LOG): .*pg_ark.*could not .*$|^.*(?:WARNING|ERROR): .*could not .*$/mg;
    cmp_ok(scalar @complaints, '>', 0, "$what: the log says so");
    cmp_ok(scalar @complaints, '<=', 2, "$what: and not at every try") or diag(join "\n", @complaints);
    like(preflight_failures($node), qr/repositor|archiv/i, "$what: preflight() says so");

    # What waits for every process to take part is not held up.
    my $began = time;
    $node->safe_psql('postgres', 'CREATE DATABASE droppable');
    $node->safe_psql('postgres', 'DROP DATABASE droppable');
    cmp_ok(time - $began, '<', 20, "$what: DROP DATABASE is not held up");

    my $backup = eval { wait_backup($node, start_backup_sql($node, "with a repository that is $what")) };
    if ($backup) {
        is($backup->{status}, 'failed', "$what: a backup fails");
        isnt($backup->{error}{message} // '', '', "$what: and its row says why: " . ($backup->{error}{message} // ''));
    }
    else {
        like($@, qr/ERROR:.*(?:repository|could not|space)/s, "$what: a backup is refused with the reason");
    }

    $mend->();
    poll_until('the backlog is gone', sub { waiting($node) == 0 });
    pass("$what: recovers by itself");
    backup_ok($node, "after the repository was $what");
    never_restarted($node, $mark);
}

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);
archive_now($node);
trouble($node, 'gone', sub { rename $directory, "$directory.away" or die $! },
    sub { system("rm -rf $directory") if -e $directory; rename "$directory.away", $directory or die $! });

sub all_directories { return split /\n/, qx(find '$directory' -type d) }
trouble($node, 'read-only', sub { chmod 0500, reverse all_directories() }, sub { system("chmod -R u+w '$directory'") });

# A file system that is not mounted leaves an empty mount point behind. Nothing begins anew in it: not the archiver,
# not a backup, not preflight(), not a restarted server.
{
    my $same = sub { my ($what) = @_; is_deeply([ find_objects($directory) ], [], "$what: nothing was written into the mount point") };
    trouble($node, 'not mounted',
        sub { rename $directory, "$directory.away" or die $!; mkdir $directory or die $! },
        sub {
            $same->('a running server');
            $node->restart;
            my $mark = log_mark($node);
            $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
            wait_log($node, qr/makes no new one in its place/, $mark);
            preflight_failures($node);
            is(wait_backup($node, start_backup_sql($node, 'into nothing'))->{status}, 'failed', 'a restarted server: a backup fails');
            $same->('a restarted server');
            rmdir $directory or die $!;
            rename "$directory.away", $directory or die $! });
    # Another repository in its place is as wrong.
    rename $directory, "$directory.away" or die $!;
    mkdir $directory or die $!;
    system("cp '$directory.away/ark.json' '$directory/' && sed -i 's/\"repository_id\": \"..../\"repository_id\": \"0000/' '$directory/ark.json'");
    my $mark = log_mark($node);
    $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
    wait_log($node, qr/holds another repository than before/, $mark);
    # The archiver's process saw the right one; one that begins now has only the server's memory.
    kill 'KILL', ark_children($node, 'server-archive');
    poll_until('it is tried again', sub {
        $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
        log_has($node, qr/is not the one that this server has used there/, $mark) });
    is_deeply([ find_objects($directory) ], ['ark.json'], 'another repository in its place: nothing is written into it');
    system("rm -rf '$directory'");
    rename "$directory.away", $directory or die $!;
    poll_until('the backlog is gone', sub { waiting($node) == 0 });
}

# A shutdown is not held up by it either (pg_ark.shutdown_timeout bounds the last cycle).
set_config($node, 'pg_ark.shutdown_timeout' => '3s');
chmod 0500, reverse all_directories();
$node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
my $began = time;
$node->stop;
cmp_ok(time - $began, '<', 30, 'a shutdown is not held up by a repository that cannot be written');
system("chmod -R u+w '$directory'");
$node->start;
poll_until('the backlog is gone', sub { waiting($node) == 0 });
$node->stop;

SKIP: {
    skip 'this kernel or container allows no user namespaces', 1 unless namespaces_work();
    my $full = PostgreSQL::Test::Cluster->new('full');
    my $disk = $full->basedir . '/disk';
    mkdir $disk;
    $full = undef;
    my $small = ark_cluster('small', repository => "$disk/repo", start => 0);
    my $handle = start_in_namespace($small, { tmpfs => { $disk => '48m' } });
    $small->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
    my $inside = path_inside($handle, $disk);
    poll_until('the first segment is stored', sub {
        $small->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
        -e "$inside/repo/ark.json" });
    trouble($small, 'full', sub { system("dd if=/dev/zero of=$inside/filler bs=64k 2>/dev/null") }, sub { unlink "$inside/filler" or die $! });
    is_deeply([ grep { m{/(?:tmp|\.)} || /\.tmp/ } find_objects("$inside/repo/") ], [], 'full: no half-written object is left');
    stop_in_namespace($handle);
}

done_testing();
