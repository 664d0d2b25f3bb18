# An HTTP proxy between pg_ark and a store, on loopback, that lets a test do what networks and stores do: each connection
# is a process that reads the rules anew for each request.
package PgArk::FaultProxy;
use strict;
use warnings;
use Carp;
use Fcntl qw(:flock SEEK_END);
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep);
use PgArk::S3;

# Starts one in front of 127.0.0.1:$backend, with its files in $directory.
sub new {
    my ($class, $backend, $directory) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64, ReuseAddr => 1) or croak "no port: $!";
    my $self = bless { port => $listener->sockport, log => "$directory/requests", rules => "$directory/rules", owner => $$ }, $class;
    open my $log, '>', $self->{log} or croak "$self->{log}: $!";
    $self->set;
    $self->{pid} = fork // croak "fork: $!";
    if ($self->{pid} == 0) {
        setpgrp 0, 0;
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = 'DEFAULT';
        while (1) {
            my $client = $listener->accept or next;
            my $child = fork;
            if (defined $child && $child == 0) { eval { serve($self, $client, $backend) }; POSIX::_exit(0) }
        }
    }
    $listener->close;
    return $self;
}

sub endpoint { return "http://127.0.0.1:$_[0]{port}" }

# Replaces the rules, each a hash; the first that fits decides. Conditions: match (regular expression on "METHOD /path?query"),
# from, to (only these of the requests that match, counted from 1 since the rules were set). What happens, `do`:
#   status (code, body, headers)   answered here; the store is not asked     lost   the store does it, the answer is dropped
#   reset   the connection is, before the store is asked                     stall  nothing comes any more
#   truncate (bytes)   so much of the answer's body, then the end            half   the same, and the answer says it is all
#   corrupt   one bit of the answer's body                                   corrupt_request   one bit of the request's
#   replace (body)   another body, in the store's own words                  headers (headers)   others in the answer, by name
# Options: latency (seconds, for each request), refuse (every connection ends at once), clock (seconds that the store's is ahead),
# conditional (If-None-Match: * is heeded here, with the environment's keys, for a Ceph that does not do so in a bucket with versions).
sub set {
    my ($self, %options) = @_;
    $options{rules} //= [];
    $options{since} = -s $self->{log} // 0;
    open my $file, '>', "$self->{rules}.new" or croak $!;
    print $file JSON::PP::encode_json(\%options);
    close $file;
    rename "$self->{rules}.new", $self->{rules} or croak $!;
    return;
}

# What was asked since the rules were set: a list of "METHOD /path?query".
sub requests {
    my ($self) = @_;
    my $rules = read_rules($self);
    open my $file, '<', $self->{log} or croak $!;
    seek $file, $rules->{since}, 0;
    chomp(my @lines = <$file>);
    return @lines;
}

sub stop {
    my ($self) = @_;
    return unless $self->{pid} && $self->{owner} == $$;
    # It may have no group of its own yet.
    kill 'TERM', -$self->{pid} or kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return;
}
sub DESTROY { local ($?, $!); $_[0]->stop }

sub read_rules {
    my ($self) = @_;
    open my $file, '<', $self->{rules} or croak $!;
    local $/;
    return JSON::PP::decode_json(<$file>);
}

# Notes the request and returns the rule that applies to it.
sub decide {
    my ($self, $rules, $request) = @_;
    open my $log, '+<', $self->{log} or croak $!;
    flock $log, LOCK_EX;
    seek $log, $rules->{since}, 0;
    chomp(my @before = <$log>);
    seek $log, 0, SEEK_END;
    print $log "$request\n";
    close $log;
    for my $rule (@{ $rules->{rules} }) {
        next if defined $rule->{match} && $request !~ /$rule->{match}/;
        my $n = 1 + grep { !defined $rule->{match} || /$rule->{match}/ } @before;
        next if $n < ($rule->{from} // 1) || (defined $rule->{to} && $n > $rule->{to});
        return $rule;
    }
    return { do => '' };
}

sub read_message {
    my ($socket, $has_body) = @_;
    my $head = '';
    while ($head !~ /\r\n\r\n/) { sysread($socket, $head, 65536, length $head) or return }
    (my $body) = $head =~ /\r\n\r\n(.*)\z/s;
    $head =~ s/\r\n\r\n.*\z/\r\n\r\n/s;
    return ($head, '') unless $has_body->($head);
    if ($head =~ /^Content-Length:\s*(\d+)/mi) {
        my $length = $1;
        while (length $body < $length) { sysread($socket, $body, 1 << 20, length $body) or return }
    }
    elsif ($head =~ /^Transfer-Encoding:\s*chunked/mi) {
        while ($body !~ /(?:\A|\r\n)0\r\n\r\n\z/) { sysread($socket, $body, 1 << 20, length $body) or return }
    }
    return ($head, $body);
}

sub reset_connection {
    my ($socket) = @_;
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    close $socket;
    POSIX::_exit(0);
}

sub flip { my ($bytes) = @_; substr($$bytes, length($$bytes) / 2, 1) ^= "\x01" if length $$bytes; return }

sub serve {
    my ($self, $client, $backend) = @_;
    $client->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    reset_connection($client) if read_rules($self)->{refuse};
    my $store;
    while (my ($head, $body) = read_message($client, sub { 1 })) {
        my ($method, $target) = $head =~ /^(\S+) (\S+)/;
        my $rules = read_rules($self);
        my $rule = decide($self, $rules, "$method $target");
        sleep $rules->{latency} if $rules->{latency};
        reset_connection($client) if $rule->{do} eq 'reset' || $rules->{refuse};
        if ($rule->{do} eq 'status') {
            my $answer = $rule->{body} // '';
            my $headers = join '', map { "$_: $rule->{headers}{$_}\r\n" } sort keys %{ $rule->{headers} // {} };
            send_all($client, "HTTP/1.1 $rule->{code} Fault\r\nContent-Length: " . length($answer) . "\r\n$headers\r\n" . ($method eq 'HEAD' ? '' : $answer));
            next;
        }
        my $lock;
        if ($rules->{conditional} && $head =~ /^If-None-Match:\s*\*/mi) {
            open $lock, '>', "$self->{rules}.lock" or croak $!;
            flock $lock, LOCK_EX;
            if (is_there($backend, $target)) {
                send_all($client, "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n");
                next;
            }
        }
        flip(\$body) if $rule->{do} eq 'corrupt_request';
        $store //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $backend) or reset_connection($client);
        $store->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
        send_all($store, $head . $body);
        my ($answer_head, $answer) = read_message($store, sub { $method ne 'HEAD' && $_[0] !~ m{^HTTP/1\.1 (?:204|304|1)} });
        undef $lock;
        reset_connection($client) if !defined $answer_head || $rule->{do} eq 'lost';
        sleep $rules->{latency} if $rules->{latency};
        sleep 3600 if $rule->{do} eq 'stall';
        $answer_head =~ s/^Date:[^\r]*/'Date: ' . http_date(time + $rules->{clock})/mie if $rules->{clock};
        flip(\$answer) if $rule->{do} eq 'corrupt';
        if ($rule->{do} eq 'replace') { $answer = $rule->{body}; set_length(\$answer_head, length $answer) }
        if ($rule->{do} eq 'headers') { $answer_head =~ s/^\Q$_\E:[^\r]*/$_: $rule->{headers}{$_}/mi for keys %{ $rule->{headers} } }
        if ($rule->{do} eq 'half') { $answer = substr $answer, 0, length($answer) / 2; set_length(\$answer_head, length $answer) }
        if ($rule->{do} eq 'truncate') { send_all($client, $answer_head . substr $answer, 0, $rule->{bytes}); POSIX::_exit(0) }
        send_all($client, $answer_head . $answer);
    }
    return;
}

# Asked by somebody else: the request's own signature is for what it asks.
sub is_there {
    my ($backend, $target) = @_;
    my ($bucket, $key) = $target =~ m{^/([^/?]+)/([^?]*)} or return 0;
    $key =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    my ($status) = PgArk::S3->new("127.0.0.1:$backend")->request('HEAD', $bucket, $key);
    return $status == 200;
}

sub set_length {
    my ($head, $length) = @_;
    $$head =~ s/^Transfer-Encoding:.*\r\n//mi;
    $$head =~ s/^Content-Length:.*\r\n//mi;
    $$head =~ s/\r\n\r\n\z/\r\nContent-Length: $length\r\n\r\n/;
    return;
}

# A time as HTTP has it, whatever the locale.
sub http_date {
    my ($seconds) = @_;
    my @time = gmtime $seconds;
    return sprintf '%s, %02d %s %d %02d:%02d:%02d GMT', (qw(Sun Mon Tue Wed Thu Fri Sat))[ $time[6] ], $time[3],
      (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[ $time[4] ], $time[5] + 1900, @time[ 2, 1, 0 ];
}

sub send_all {
    my ($socket, $bytes) = @_;
    my $done = 0;
    while ($done < length $bytes) {
        my $n = syswrite $socket, $bytes, length($bytes) - $done, $done;
        POSIX::_exit(0) unless defined $n;
        $done += $n;
    }
    return;
}

1;
