# Servers and commands in namespaces of their own, for two things that cannot be tested otherwise, both as an
# unprivileged user: PostgreSQL as process 1 (as in the official container image), and a disk that is full.
package PgArk::Namespace;
use strict;
use warnings;
use Carp;
use Exporter 'import';
use IPC::Run ();
use POSIX ':sys_wait_h';
use PgArk::Test;

my @handles;    # of servers that run

our @EXPORT = qw(namespaces_work in_namespace start_in_namespace stop_in_namespace path_inside pid_outside);

# What the kernel (or the container that we are in) must allow. Without it such tests are skipped.
sub namespaces_work {
    my ($out, $err) = ('', '');
    return IPC::Run::run([ in_namespace({ pid => 1, tmpfs => { '/mnt' => '1m' } }, 'true') ], '>', \$out, '2>', \$err);
}

# The command line that runs a command in new namespaces. Options:
#   pid => 1                      the command is process 1, with a /proc of its own
#   tmpfs => { '/dir' => '16m' }  file systems of fixed size, mounted over existing directories
#   empty => [ '/file' ]          existing files that have nothing in them
sub in_namespace {
    my ($options, @command) = @_;
    my @unshare = qw(unshare --user --map-current-user --keep-caps --mount --propagation private);
    push @unshare, qw(--pid --fork --kill-child=SIGKILL --mount-proc) if $options->{pid};
    my $mounts = join '', map { "mount -t tmpfs -o size=$options->{tmpfs}{$_},mode=700,uid=$<,gid=" . (split / /, $()[0] . " tmpfs '$_' && " }
      sort keys %{ $options->{tmpfs} // {} };
    $mounts .= "mount --bind /dev/null '$_' && " for @{ $options->{empty} // [] };
    # Capabilities are for the mounts alone: the command has none, as it would outside.
    return (@unshare, 'sh', '-c', $mounts . 'exec setpriv --inh-caps=-all --ambient-caps=-all "$@"', 'in_namespace', @command);
}

# Starts a node (initialised, not started) by running postgres itself, in new namespaces; it is reached by its
# socket as ever. Returns a handle for stop_in_namespace.
sub start_in_namespace {
    my ($node, $options) = @_;
    my $unshare = fork() // croak "fork: $!";
    if (!$unshare) {
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', $node->logfile or die $node->logfile . ": $!";
        open STDERR, '>&', \*STDOUT;
        exec in_namespace($options, 'postgres', '-D', $node->data_dir);
        die "exec: $!";
    }
    my $handle = { node => $node, unshare => $unshare };
    push @handles, $handle;
    wait_running($node);
    # Seen from here: the child of unshare, or what unshare itself became.
    my ($child) = split / /, PostgreSQL::Test::Utils::slurp_file("/proc/$unshare/task/$unshare/children");
    $handle->{pid} = $node->{ark_postmaster} = $options->{pid} ? $child : $unshare;
    return $handle;
}

# A test that dies leaves nothing running: where unshare was killed, process 1 is too.
END {
    my $status = $?;
    kill 'QUIT', map { $_->{pid} // () } @handles;
    kill 'KILL', map { $_->{unshare} } @handles if grep { !$_->{pid} } @handles;
    $? = $status;
}

# Stops such a server (SIGINT: fast shutdown); returns the exit status of process 1 as the shell tells it.
sub stop_in_namespace {
    my ($handle, $signal) = @_;
    kill $signal // 'INT', $handle->{pid};
    poll_until('the server has ended', sub { waitpid($handle->{unshare}, WNOHANG) == $handle->{unshare} });
    @handles = grep { $_ != $handle } @handles;
    return $?;
}

# The process id by which we know a child of the server that calls itself `pid` in its namespace.
sub pid_outside {
    my ($handle, $pid) = @_;
    for my $status (glob '/proc/[0-9]*/status') {
        my $text = eval { PostgreSQL::Test::Utils::slurp_file($status) } // next;
        return $1 if $text =~ /^PPid:\t$handle->{pid}$/m && $text =~ /^NSpid:\t(\d+)\t(?:\d+\t)*$pid$/m;
    }
    croak "process $pid of the server is not to be found";
}

# A path as the server in the namespace sees it, for us.
sub path_inside {
    my ($handle, $path) = @_;
    return "/proc/$handle->{pid}/root$path";
}

1;
