# A strict fake of Google's services for tests, on loopback: the XML API of Cloud Storage (Objects), the token services and
# the metadata server (Tokens), and who may do what (Access). It does what Google's documents say and refuses everything else.
# Everything is in files of one directory, which a test may read and change while it runs:
#   token_seconds   how long tokens live     token_told   and what is said of it
#   page_size       of listings              tokens/   one file each: who removes it has revoked the token
#   requests        "METHOD target status", a line each
package PgArk::FakeGoogle;
use strict;
use warnings;
use Carp;
use Fcntl qw(:flock);
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes ();
use PgArk::FakeGoogle::Objects;
use PgArk::FakeGoogle::Tokens;

# Options: directory, port; tls_port, certificate, key. Never returns.
sub run {
    my (%fake) = @_;
    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    if ($fake{tls_port}) {
        require IO::Socket::SSL;
        my $child = fork // croak "fork: $!";
        return listen_at(\%fake, $fake{tls_port}, 1) if $child == 0;
    }
    return listen_at(\%fake, $fake{port}, 0);
}

sub listen_at {
    my ($fake, $port, $tls) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1) or croak "port $port: $!";
    while (1) {
        my $client = $listener->accept or next;
        my $child = fork;
        next if !defined $child || $child;
        $SIG{CHLD} = 'DEFAULT';
        $listener->close;
        $client->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
        if ($tls) {
            IO::Socket::SSL->start_SSL($client, SSL_server => 1, SSL_cert_file => $fake->{certificate}, SSL_key_file => $fake->{key},
                SSL_version => 'SSLv23:!SSLv2:!SSLv3:!TLSv1:!TLSv1_1')
              or POSIX::_exit(0);
        }
        eval { serve($fake, $client, $tls); 1 } or print STDERR $@;
        POSIX::_exit(0);
    }
}

# One connection.
sub serve {
    my ($fake, $client, $tls) = @_;
    my $buffer = '';
    while (my $request = read_request($client, \$buffer)) {
        $request->{tls} = $tls;
        my $answer = eval { answer_to($fake, $request) };
        if (!$answer) {
            my $why = $@ || 'nothing';
            print STDERR "$request->{method} $request->{target}: $why";
            $answer = { status => 500, body => '<Error><Code>InternalError</Code><Message>the fake failed</Message></Error>' };
        }
        note_request($fake, $request, $answer);
        my $body = $answer->{body} // '';
        my $head = "HTTP/1.1 $answer->{status} X\r\nDate: " . http_date(time) . "\r\nX-GUploader-UploadID: fake-$$\r\n";
        $head .= "$_->[0]: $_->[1]\r\n" for @{ $answer->{headers} // [] };
        $head .= 'Content-Length: ' . ($answer->{length} // length $body) . "\r\n" unless $answer->{status} == 204;
        print $client "$head\r\n", $request->{method} eq 'HEAD' ? '' : $body or return;
        $client->flush;
    }
    return;
}

sub answer_to {
    my ($fake, $request) = @_;
    return $request->{refused} if $request->{refused};
    return PgArk::FakeGoogle::Tokens::answer($fake, $request) || PgArk::FakeGoogle::Objects::answer($fake, $request);
}

sub note_request {
    my ($fake, $request, $answer) = @_;
    open my $log, '>>', "$fake->{directory}/requests" or croak $!;
    flock $log, LOCK_EX;
    print $log "$request->{method} $request->{target} $answer->{status}\n";
    close $log;
    return;
}

# {method, target, path, query => [[name, value]…], headers => {name => value}, body}; undef at the end.
sub read_request {
    my ($client, $buffer) = @_;
    while ($$buffer !~ /\r\n\r\n/) { sysread($client, $$buffer, 65536, length $$buffer) or return }
    $$buffer =~ s/\A(.*?)\r\n\r\n//s;
    my ($first, @lines) = split /\r\n/, $1;
    my ($method, $target) = $first =~ m{\A([A-Z]+) (/\S*) HTTP/1\.1\z} or return;
    my %request = (came => Time::HiRes::time(), method => $method, target => $target, headers => {}, body => '');
    for (@lines) {
        my ($name, $value) = /\A([^:\s]+):\s*(.*?)\s*\z/ or return;
        $request{refused} = xml_error(400, 'InvalidArgument', "header $name twice") if exists $request{headers}{ lc $name };
        $request{headers}{ lc $name } = $value;
    }
    my ($path, $query) = $target =~ /\A([^?]*)(?:\?(.*))?\z/s;
    $request{raw_path} = $path;
    $request{path} = decoded($path);
    $request{query} = [ map { my ($name, $value) = /\A([^=]*)(?:=(.*))?\z/s; [ decoded($name), defined $value ? decoded($value) : '' ] } split /&/, $query // '' ];
    my $length = $request{headers}{'content-length'};
    $request{refused} = xml_error(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.') if !defined $length && $method =~ /^P/;
    while (length $$buffer < ($length // 0)) { sysread($client, $$buffer, 1 << 20, length $$buffer) or return }
    $request{body} = substr $$buffer, 0, $length // 0, '';
    return \%request;
}

sub decoded { my ($text) = @_; $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge; return $text }

sub xml_error {
    my ($status, $code, $message, @headers) = @_;
    my $body = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>$code</Code><Message>$message</Message></Error>";
    return { status => $status, body => $body, headers => [ [ 'Content-Type', 'application/xml; charset=UTF-8' ], @headers ] };
}

sub http_date {
    my @t = gmtime $_[0];
    return sprintf '%s, %02d %s %d %02d:%02d:%02d GMT', (qw(Sun Mon Tue Wed Thu Fri Sat))[ $t[6] ], $t[3],
      (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[ $t[4] ], $t[5] + 1900, @t[ 2, 1, 0 ];
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or return;
    local $/;
    return scalar <$file>;
}

# Whole or not at all, also for who reads at the same time. With `only_new`: false where the name is taken.
sub write_file {
    my ($path, $only_new, @content) = @_;
    my $new = sprintf '%s/.new-%d-%d', $path =~ m{\A(.*)/}s, $$, rand 1 << 30;
    open my $file, '>:raw', $new or croak "$new: $!";
    print $file @content or croak "$new: $!";
    close $file or croak "$new: $!";
    return rename($new, $path) || croak "$path: $!" unless $only_new;
    my $done = link $new, $path;
    unlink $new;
    return $done;
}

1;
