# A restore that is killed at any step is never startable; the next one, with --force, is whole.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;
use PgArk::Namespace;

my $node = ark_cluster('source');
load_shop($node);
my $id       = backup_ok($node);
my $expected = { postgres => fingerprint($node) };
archive_now($node);
my $repository = $node->{ark_repository};
my $where      = PostgreSQL::Test::Utils::tempdir('killed');

# What restore adds to the backup's files, or writes into.
my @ADDED = qw(postgresql.auto.conf recovery.signal backup_manifest);

# PostgreSQL refuses the directory: tried with the server itself, not guessed from its files.
sub not_startable {
    my ($dir, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $socket = PostgreSQL::Test::Utils::tempdir_short();
    my $log    = "$dir.log";
    chmod 0700, $dir;
    my $started = system_log('pg_ctl', '-D', $dir, '-w', '-t', 60, '-l', $log, '-o', "-p 1 -k $socket -c listen_addresses=''", 'start') == 0;
    system_log('pg_ctl', '-D', $dir, '-m', 'immediate', 'stop') if $started;
    return ok(!$started, $what);
}

my @points = grep { !/reuse|piece/ } fault_points('core/restore');    # those are --delta's and incremental backups'
cmp_ok(scalar @points, '>=', 3, 'there are fault points: ' . join ', ', @points);
for my $point (@points) {
    for my $n (1, 3) {
        my $dir = "$where/$point$n";
        local $ENV{PG_ARK_FAULT} = "$point=kill\@$n";
        my ($status) = ark('restore', '--repo', $repository, '-D', $dir);
        delete $ENV{PG_ARK_FAULT};
        if ($status == 0) {    # passed fewer than n times: the restore is whole
            cmp_ok($n, '>', 1, "$point: is passed at least once");
            next;
        }
        is($status, -9, "$point, passing $n: killed");
        # The control file is the last thing to be put in place: once it is there all else is, and synced.
        if (-e "$dir/global/pg_control") {
            verify_backup_ok($dir, "$point, passing $n: complete, though killed", @ADDED);
        }
        elsif (-d $dir) { not_startable($dir, "$point, passing $n: not startable") }
        # What is left is never taken for empty; --force begins again.
        if (-d $dir && find_objects($dir)) {
            ark_fails([ 'restore', '--repo', $repository, '-D', $dir ], qr/not empty/, "$point, passing $n: without --force refused");
        }
        ark_ok([ 'restore', '--repo', $repository, '-D', $dir, '--force' ], "$point, passing $n: with --force restored");
        verify_backup_ok($dir, "$point, passing $n: and whole", qw(postgresql.auto.conf recovery.signal backup_manifest));
        system('rm', '-rf', $dir);
    }
}

# A restore that fails says so, leaves nothing startable, exits 1 to 125.
for my $action (qw(enospc eio)) {
    my $dir = "$where/$action";
    local $ENV{PG_ARK_FAULT} = "$points[0]=$action";
    ark_fails([ 'restore', '--repo', $repository, '-D', $dir ], qr/\S/, "$action: an error, not a crash");
    not_startable($dir, "$action: not startable") if -d $dir;
}

# A disk that is really full.
SKIP: {
    skip 'this kernel or container allows no user namespaces', 3 unless namespaces_work();
    my $disk = "$where/disk";
    mkdir $disk;
    my ($out, $err) = ('', '');
    my @command = ('pg_ark', 'restore', '--repo', $repository, '-D', "$disk/data");
    IPC::Run::run([ in_namespace({ tmpfs => { $disk => '16m' } },
        'sh', '-c', '"$@"; echo status $?; ls ' . "$disk/data/global/pg_control", 'sh', @command) ], '<', '/dev/null', '>', \$out, '2>', \$err);
    like($out, qr/^status (?:[1-9]|[1-9][0-9]|1[01][0-9]|12[0-5])$/m, 'disk full: the restore fails');
    like($err, qr/No space left on device|not enough (?:room|space)/i, 'disk full: and says why');
    unlike($out, qr/pg_control/, 'disk full: there is no control file, so nothing to start');
}

# Ctrl-C.
{
    my $dir = "$where/interrupted";
    local $ENV{PG_ARK_FAULT} = "$points[-1]=sleep";
    my ($out, $err) = ('', '');
    my $run = IPC::Run::start([ 'pg_ark', 'restore', '--repo', $repository, '-D', $dir ], '<', '/dev/null', '>', \$out, '2>', \$err);
    poll_until('the restore has begun to write', sub { $run->pump_nb; -d $dir && find_objects($dir) > 10 });
    $run->signal('INT');
    eval { $run->finish };
    isnt($run->full_result(0), 0, 'interrupted: does not claim success');
    not_startable($dir, 'interrupted: not startable');
}

done_testing();
