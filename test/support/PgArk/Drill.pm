# What the tests of pg_ark drill share: runs of it, and what they must not leave behind.
package PgArk::Drill;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use JSON::PP ();
use POSIX ':sys_wait_h';
use Test::More;
use PostgreSQL::Test::Utils ();
use PgArk::Test;

our @EXPORT = qw(
  drill_ok drill_finds start_drill stopped_drill end_of
  nothing_left processes_in guard_of postmaster_in state_of shared_memory_left
);

my %running;
my %postmasters;    # process ids

sub run_drill {
    my ($node, @arguments) = @_;
    my ($status, $out, $err) = ark('drill', '--repo', $node->{ark_repository}, '--output', 'json', @arguments);
    my $evidence = eval { JSON::PP->new->utf8->decode($out) };
    return ($status, $evidence, "$out$err");
}

# A drill that must find nothing; its evidence.
sub drill_ok {
    my ($node, $what, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $evidence, $text) = run_drill($node, @arguments);
    ok($status == 0 && $evidence->{success} && $evidence->{error_count} == 0, "$what: success") or diag("exit status $status\n$text");
    return $evidence;
}

# A drill that must find damage; its evidence. Each of `expected` is a hash: every finding's field named in it
# has to be equal, or match where a pattern is given, in one finding.
sub drill_finds {
    my ($node, $what, $expected, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $evidence, $text) = run_drill($node, @arguments);
    is($status, 6, "$what: exit status 6") or diag($text);
    ok($evidence && !$evidence->{success}, "$what: no success");
    for my $wanted (@$expected) {
        my @found = grep { my $f = $_; !grep { !matches($f->{$_}, $wanted->{$_}) } keys %$wanted } @{ $evidence->{errors} // [] };
        ok(scalar @found, "$what: finds " . join ', ', map { "$_ $wanted->{$_}" } sort keys %$wanted) or diag($text);
    }
    return $evidence;
}

sub matches {
    my ($value, $wanted) = @_;
    return 0 unless defined $value;
    return ref $wanted ? $value =~ $wanted : $value eq $wanted;
}

# A drill in the background.
sub start_drill {
    my ($node, $scratch, @arguments) = @_;
    my $base = PostgreSQL::Test::Utils::tempdir('drill');
    local %ENV = %ENV;
    delete @ENV{qw(PGHOST PGPORT PGDATA PGUSER PGDATABASE)};
    my $pid = fork() // die "fork: $!";
    if (!$pid) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$base/out";
        open STDERR, '>', "$base/err";
        exec 'pg_ark', 'drill', '--repo', $node->{ark_repository}, '--scratch', $scratch, @arguments or POSIX::_exit(127);
    }
    $running{$pid} = 1;
    return { pid => $pid, base => $base };
}

# A drill that has stopped itself (SIGSTOP) at a fault point.
sub stopped_drill {
    my ($node, $scratch, $point) = @_;
    local $ENV{PG_ARK_FAULT} = "$point=stop";
    my $drill = start_drill($node, $scratch);
    poll_until("the drill has come to $point", sub { state_of($drill->{pid}) eq 'T' });
    return $drill;
}

# Waits for its end: its exit status, or minus the signal that ended it.
sub end_of {
    my ($drill) = @_;
    my $status;
    poll_until('the drill has ended', sub {
        return 0 unless waitpid($drill->{pid}, WNOHANG) == $drill->{pid};
        $status = $?;
        return 1;
    });
    delete $running{ $drill->{pid} };
    $drill->{$_} = PostgreSQL::Test::Utils::slurp_file("$drill->{base}/$_") for qw(out err);
    return $status & 127 ? -($status & 127) : $status >> 8;
}

# "R", "S", "T" (stopped)…, "" for a process that is no more.
sub state_of {
    my ($pid) = @_;
    open my $stat, '<', "/proc/$pid/stat" or return '';
    return (<$stat> // '') =~ /^\d+ \(.*\) (\S)/s ? $1 : '';
}

# Process ids of those that work below a directory.
sub processes_in {
    my ($directory) = @_;
    my @found;
    for my $proc (glob '/proc/[0-9]*') {
        my $cwd = readlink("$proc/cwd") // next;
        push @found, $proc =~ /(\d+)$/ if $cwd =~ m{^\Q$directory\E(?:/|$)};
    }
    return @found;
}

sub guard_of {
    my ($directory) = @_;
    for (1 .. 100) {    # it takes its name and its place some time after it was made
        for my $pid (processes_in($directory)) {
            my $words = eval { PostgreSQL::Test::Utils::slurp_file("/proc/$pid/cmdline") } // next;
            return $pid if $words =~ /\0server-guard\0/;
        }
        select undef, undef, undef, 0.1;
    }
    die 'there is no guard';
}

sub postmaster_in {
    my ($directory) = @_;
    my $pid;
    poll_until('the scratch server has a postmaster.pid', sub {
        my ($file) = glob "$directory/pg_ark-test-*/data/postmaster.pid";
        defined $file && (($pid) = (eval { PostgreSQL::Test::Utils::slurp_file($file) } // '') =~ /^(\d+)\n/);
    });
    $postmasters{$pid} = 1;
    return $pid;
}

# No process, no directory.
sub nothing_left {
    my ($directory, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply([ processes_in($directory) ], [], "$what: no process is left");
    is_deeply([ glob "$directory/pg_ark-*" ], [], "$what: no directory is left");
}

# Segments of System V shared memory that the scratch servers seen by postmaster_in have made and left.
sub shared_memory_left {
    my ($header, @lines) = split /\n/, PostgreSQL::Test::Utils::slurp_file('/proc/sysvipc/shm');
    my @names = split ' ', $header;
    my ($creator) = grep { $names[$_] eq 'cpid' } 0 .. $#names;
    return grep { $postmasters{ (split ' ')[$creator] } } @lines;
}

END {
    my $status = $?;
    kill 'CONT', keys %running;
    kill 'TERM', keys %running;
    waitpid $_, 0 for keys %running;
    $? = $status;
}

1;
