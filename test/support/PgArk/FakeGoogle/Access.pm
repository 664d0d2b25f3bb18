# Who asks the fake of Google's storage: access tokens that it gave out itself, and signatures with HMAC keys, computed here a
# second time from Google's description of them.
package PgArk::FakeGoogle::Access;
use strict;
use warnings;
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex);
use JSON::PP ();
use POSIX ();
use Time::HiRes ();
use Time::Local qw(timegm);

my $SKEW = 15 * 60;

sub error { return PgArk::FakeGoogle::xml_error(@_) }

# A token for `identity`, which it can use for `scope` until it ends.
sub new_token {
    my ($fake, $identity, $scope) = @_;
    open my $random, '<:raw', '/dev/urandom' or die $!;
    read $random, my $bytes, 24;
    my $token = 'ya29.fake-' . unpack 'H*', $bytes;
    my $seconds = PgArk::FakeGoogle::slurp("$fake->{directory}/token_seconds") // 3600;
    $seconds += 0;
    # Who takes a token for longer than it lives finds out from the storage.
    my $told = PgArk::FakeGoogle::slurp("$fake->{directory}/token_told") // $seconds;
    PgArk::FakeGoogle::write_file("$fake->{directory}/tokens/" . sha256_hex($token),
        0, JSON::PP::encode_json({ identity => $identity, scope => $scope, expires => Time::HiRes::time() + $seconds }));
    return ($token, $told + 0);
}

# What the token is; undef where it is none, was revoked, or had ended `when` the request came.
sub token {
    my ($fake, $text, $when) = @_;
    my $content = PgArk::FakeGoogle::slurp("$fake->{directory}/tokens/" . sha256_hex($text)) // return;
    my $token = JSON::PP::decode_json($content);
    return $token->{expires} > $when ? $token : undef;
}

# The answer that refuses the request; undef where it may go on.
sub refusal {
    my ($fake, $request) = @_;
    my $authorization = $request->{headers}{authorization} // '';
    return check_token($fake, $1, $request->{came}) if $authorization =~ /\ABearer (\S+)\z/;
    return check_signature($fake, $request, $1) if $authorization =~ /\AGOOG4-HMAC-SHA256 (.+)\z/;
    return error(401, 'AuthenticationRequired', 'Authentication required.', [ 'WWW-Authenticate', 'Bearer' ]);
}

sub check_token {
    my ($fake, $text, $when) = @_;
    my $token = token($fake, $text, $when) or return error(401, 'AuthenticationRequired', 'Authentication required.', [ 'WWW-Authenticate', 'Bearer' ]);
    return if $token->{scope} =~ m{/auth/(?:devstorage\.read_write|devstorage\.full_control|cloud-platform)\z};
    return error(403, 'AccessDenied', 'Provided scope(s) are not authorized');
}

sub canonical { my ($text, $keep) = @_; $text =~ s/([^A-Za-z0-9_.~\-$keep])/sprintf '%%%02X', ord $1/ge; return $text }

sub check_signature {
    my ($fake, $request, $text) = @_;
    my ($credential, $names, $signature) = $text =~ /\ACredential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})\z/
      or return error(400, 'InvalidArgument', 'The Authorization header is malformed.');
    my ($id, $day, $place, $service, $end) = split m{/}, $credential;
    my %headers = %{ $request->{headers} };
    my $date = $headers{'x-goog-date'} // '';
    $date =~ /\A(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\z/ or return error(400, 'InvalidArgument', 'x-goog-date is missing or malformed.');
    my $time = timegm($6, $5, $4, $3, $2 - 1, $1);
    return error(403, 'RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.') if abs($time - time) > $SKEW;
    return error(400, 'InvalidArgument', 'The credential scope is wrong.')
      unless substr($date, 0, 8) eq ($day // '') && ($place // '') ne '' && ($service // '') eq 'storage' && ($end // '') eq 'goog4_request';
    my ($known_id, $secret) = split /\s+/, PgArk::FakeGoogle::slurp("$fake->{directory}/hmac_key");
    return error(403, 'InvalidSecurity', 'The provided security credentials are not valid.') if $id ne $known_id;

    my @names = split /;/, $names;
    return error(403, 'SignatureDoesNotMatch', 'Signed headers are not in order.') if join(';', sort @names) ne $names;
    my %signed = map { $_ => 1 } @names;
    for my $name ('host', grep { /^x-goog-/ } keys %headers) {
        return error(403, 'SignatureDoesNotMatch', "Header $name is not signed.") unless $signed{$name};
    }
    my $payload = $headers{'x-goog-content-sha256'} // '';
    return error(400, 'InvalidArgument', 'x-goog-content-sha256 does not match the body.')
      unless $payload eq sha256_hex($request->{body}) || ($payload eq 'UNSIGNED-PAYLOAD' && $request->{tls});
    my $query = join '&', sort map { canonical($_->[0], '') . '=' . canonical($_->[1], '') } @{ $request->{query} };
    my $lines = join '', map { my $value = $headers{$_} // ''; $value =~ s/ +/ /g; "$_:$value\n" } @names;
    my $canonical = join "\n", $request->{method}, canonical($request->{path}, '/'), $query, $lines, $names, $payload;
    my $to_sign = join "\n", 'GOOG4-HMAC-SHA256', $date, "$day/$place/$service/$end", sha256_hex($canonical);
    my $key = "GOOG4$secret";
    $key = hmac_sha256($_, $key) for $day, $place, $service, $end;
    return if hmac_sha256_hex($to_sign, $key) eq $signature;
    return error(403, 'SignatureDoesNotMatch',
        'The request signature we calculated does not match the signature you provided. Check your Google secret key and signing method.');
}

1;
