# S3's own API, spoken by the tests beside pg_ark: what is in a bucket, whose rights are which, many objects at once.
package PgArk::S3;
use strict;
use warnings;
use Carp;
use Digest::MD5 qw(md5_base64);
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex);
use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);

our @EXPORT_OK = qw(bucket_of prefix_of);

# "s3://bucket/prefix?…" in parts.
sub bucket_of { my ($url) = @_; return $url =~ m{^s3://([^/?]+)}        ? $1 : croak $url }
sub prefix_of { my ($url) = @_; return $url =~ m{^s3://[^/?]+/([^?]*)} ? $1 : '' }

# A client of a server that speaks plain HTTP ("127.0.0.1:7480"), with the environment's keys, or these.
sub new {
    my ($class, $host, $key, $secret) = @_;
    return bless { host => $host, region => 'default', key => $key // $ENV{AWS_ACCESS_KEY_ID}, secret => $secret // $ENV{AWS_SECRET_ACCESS_KEY} }, $class;
}

sub encode { my ($text, $keep) = @_; $text =~ s/([^A-Za-z0-9._~$keep-])/sprintf '%%%02X', ord $1/ge; return $text }

sub sign {
    my ($self, $method, $path, $query, $digest, %more) = @_;
    my $time = POSIX::strftime('%Y%m%dT%H%M%SZ', gmtime);
    my $day  = substr $time, 0, 8;
    my %headers = (host => $self->{host}, 'x-amz-content-sha256' => $digest, 'x-amz-date' => $time, %more);
    my $headers = join '', map { "$_:$headers{$_}\n" } sort keys %headers;
    my $names = join ';', sort keys %headers;
    my $scope = "$day/$self->{region}/s3/aws4_request";
    $self->{keys}{$day} //= hmac_sha256('aws4_request', hmac_sha256('s3', hmac_sha256($self->{region}, hmac_sha256($day, "AWS4$self->{secret}"))));
    my $text = join "\n", 'AWS4-HMAC-SHA256', $time, $scope, sha256_hex(join "\n", $method, $path, $query, $headers, $names, $digest);
    my $signature = hmac_sha256_hex($text, $self->{keys}{$day});
    return "x-amz-date: $time\r\nx-amz-content-sha256: $digest\r\n" . join('', map { "$_: $more{$_}\r\n" } sort keys %more)
      . "Authorization: AWS4-HMAC-SHA256 Credential=$self->{key}/$scope, SignedHeaders=$names, Signature=$signature\r\n";
}

# One request over a connection that is kept: (status, body). `key` may be empty, `query` holds decoded values, `headers` more
# headers, their names in lower case.
sub request {
    my ($self, $method, $bucket, $key, $query, $body, $headers) = @_;
    $body //= '';
    my $path = "/$bucket" . ($key eq '' ? '' : '/' . encode($key, '/'));
    my $text = join '&', map { encode($_, '') . '=' . encode($query->{$_} // '', '') } sort keys %{ $query // {} };
    my $message = "$method $path" . ($text eq '' ? '' : "?$text") . " HTTP/1.1\r\nHost: $self->{host}\r\nContent-Length: " . length($body) . "\r\n"
      . $self->sign($method, $path, $text, sha256_hex($body), %{ $headers // {} }) . "\r\n$body";
    for my $try (1, 2) {
        $self->{socket} //= IO::Socket::INET->new(PeerAddr => $self->{host}) // croak "no connection to $self->{host}: $!";
        $self->{socket}->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
        my ($status, $answer) = $self->exchange($message);
        return ($status, $answer) if defined $status;
        delete $self->{socket};    # it was closed while nobody used it
    }
    croak "no answer to $method $path";
}

sub exchange {
    my ($self, $message) = @_;
    my $socket = $self->{socket};
    local $SIG{PIPE} = 'IGNORE';
    print $socket $message or return;
    $socket->flush or return;
    my ($status, $length, $chunked) = (undef, 0, 0);
    while (defined(my $line = <$socket>)) {
        $status = $1 if !defined $status && $line =~ m{^HTTP/\S+ (\d+)};
        $length = $1 if $line =~ /^Content-Length:\s*(\d+)/i;
        $chunked = 1 if $line =~ /^Transfer-Encoding:\s*chunked/i;
        last if $line =~ /^\r?\n$/;
    }
    return unless defined $status;
    my $body = '';
    return ($status, $body) if $message =~ /^HEAD/ || $status == 204;
    if ($chunked) {
        while (defined(my $line = <$socket>)) {
            my $n = hex($line =~ s/[^0-9a-f].*//sir);
            read $socket, my $chunk, $n + 2;
            last if $n == 0;
            $body .= substr $chunk, 0, $n;
        }
    }
    else { read $socket, $body, $length }
    return ($status, $body);
}

# The same where anything but success is a mistake of the test.
sub ok {
    my ($self, @request) = @_;
    my ($status, $body) = $self->request(@request);
    croak "$request[0] $request[1]/$request[2]: status $status $body" if $status >= 300;
    return $body;
}

sub unescape { my ($text) = @_; $text =~ s/&lt;/</g; $text =~ s/&gt;/>/g; $text =~ s/&quot;/"/g; $text =~ s/&amp;/&/g; return $text }

# Names of all objects below a prefix.
sub objects {
    my ($self, $bucket, $prefix) = @_;
    my (@found, $from);
    do {
        my $page = $self->ok('GET', $bucket, '', { 'list-type' => 2, prefix => $prefix, (defined $from ? ('continuation-token' => $from) : ()) });
        push @found, map { unescape($_) } $page =~ m{<Key>(.*?)</Key>}g;
        ($from) = $page =~ m{<NextContinuationToken>(.*?)</NextContinuationToken>};
        $from = unescape($from) if defined $from;
    } while (defined $from);
    return @found;
}

# A bucket that keeps versions, each locked for a day against all but who may bypass that.
sub make_locked_bucket {
    my ($self, $bucket) = @_;
    $self->ok('PUT', $bucket, '', {}, '', { 'x-amz-bucket-object-lock-enabled' => 'true' });
    my $rule = '<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled</ObjectLockEnabled>'
      . '<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>';
    $self->ok('PUT', $bucket, '', { 'object-lock' => '' }, $rule, { 'content-md5' => md5_base64($rule) . '==' });
    return;
}

# Bytes of all objects below a prefix.
sub bytes {
    my ($self, $bucket, $prefix) = @_;
    my ($bytes, $from) = (0);
    do {
        my $page = $self->ok('GET', $bucket, '', { 'list-type' => 2, prefix => $prefix, (defined $from ? ('continuation-token' => $from) : ()) });
        $bytes += $_ for $page =~ m{<Size>(\d+)</Size>}g;
        ($from) = map { unescape($_) } $page =~ m{<NextContinuationToken>(.*?)</NextContinuationToken>};
    } while (defined $from);
    return $bytes;
}

# Multipart uploads that were begun and not ended below a prefix: [key, id].
sub uploads {
    my ($self, $bucket, $prefix) = @_;
    my $page = $self->ok('GET', $bucket, '', { uploads => '', prefix => $prefix });
    return map { [ unescape(m{<Key>(.*?)</Key>}), unescape(m{<UploadId>(.*?)</UploadId>}) ] } $page =~ m{<Upload>(.*?)</Upload>}gs;
}

# Puts an object of `content` under each name, by several processes.
sub put_many {
    my ($self, $bucket, $names, $content) = @_;
    my $processes = 32;
    my @children;
    for my $i (0 .. $processes - 1) {
        my $child = fork // croak "fork: $!";
        if ($child == 0) {
            delete $self->{socket};
            my $good = eval {
                for (my $n = $i; $n < @$names; $n += $processes) { $self->ok('PUT', $bucket, $names->[$n], {}, $content) }
                1;
            };
            warn $@ unless $good;
            POSIX::_exit($good ? 0 : 1);
        }
        push @children, $child;
    }
    my $bad = 0;
    for my $child (@children) { waitpid $child, 0; $bad ||= $? }
    croak 'not all objects were put' if $bad;
    return;
}

1;
