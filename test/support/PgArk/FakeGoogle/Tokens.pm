# The fake's token services: a service account's signed assertion (RFC 7523), a user's refresh token, the exchange of another
# provider's token (RFC 8693), acting as a service account, and the metadata server.
package PgArk::FakeGoogle::Tokens;
use strict;
use warnings;
use JSON::PP ();
use MIME::Base64 qw(decode_base64url decode_base64);
use POSIX ();
use PgArk::FakeGoogle::Access;

our ($EMAIL, $KEY_ID) = ('pgark@test.iam.gserviceaccount.com', '0123456789abcdef');
our ($AUDIENCE) = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q';
my $SCOPE = qr{\Ahttps://www\.googleapis\.com/auth/(?:devstorage\.read_write|cloud-platform)\z};

# undef where the request is not for one of them.
sub answer {
    my ($fake, $request) = @_;
    my $path = $request->{path};
    return metadata($fake, $request) if $path =~ m{\A/computeMetadata/};
    return impersonate($fake, $request) if $path =~ m{\A/iam/};
    return unless $path eq '/token' || $path eq '/sts';
    return refuse('invalid_request', 'POST a form') unless $request->{method} eq 'POST' && ($request->{headers}{'content-type'} // '') eq 'application/x-www-form-urlencoded';
    my %form = map { my ($name, $value) = split /=/, $_, 2; (PgArk::FakeGoogle::decoded($name), PgArk::FakeGoogle::decoded($value // '')) } split /&/, $request->{body};
    my $type = $form{grant_type} // '';
    return exchange($fake, \%form) if $path eq '/sts' && $type eq 'urn:ietf:params:oauth:grant-type:token-exchange';
    return refresh($fake, \%form) if $path eq '/token' && $type eq 'refresh_token';
    return assertion($fake, $request, \%form) if $path eq '/token' && $type eq 'urn:ietf:params:oauth:grant-type:jwt-bearer';
    return refuse('unsupported_grant_type', "Invalid grant_type: $type");
}

sub json { my ($status, $data, @headers) = @_; return { status => $status, body => JSON::PP::encode_json($data), headers => [ [ 'Content-Type', 'application/json; charset=utf-8' ], @headers ] } }
sub refuse { my ($code, $why) = @_; return json(400, { error => $code, error_description => $why }) }
sub give { my ($fake, $identity, $scope, @more) = @_; my ($token, $seconds) = PgArk::FakeGoogle::Access::new_token($fake, $identity, $scope); return json(200, { access_token => $token, expires_in => $seconds, token_type => 'Bearer' }, @more) }

sub assertion {
    my ($fake, $request, $form) = @_;
    my ($head, $claims, $signature) = ($form->{assertion} // '') =~ /\A([\w-]+)\.([\w-]+)\.([\w-]+)\z/ or return refuse('invalid_grant', 'Bad JWT');
    my $header = eval { JSON::PP::decode_json(decode_base64url($head)) } or return refuse('invalid_grant', 'Bad JWT header');
    my $claim = eval { JSON::PP::decode_json(decode_base64url($claims)) } or return refuse('invalid_grant', 'Bad JWT claims');
    return refuse('invalid_grant', 'Bad algorithm') unless $header->{alg} eq 'RS256' && $header->{typ} eq 'JWT' && ($header->{kid} // '') eq $KEY_ID;
    return refuse('invalid_grant', 'Invalid JWT Signature.') unless verified($fake, "$head.$claims", decode_base64url($signature));
    return refuse('invalid_grant', 'Invalid grant: account not found') unless ($claim->{iss} // '') eq $EMAIL;
    my $here = ($request->{tls} ? 'https' : 'http') . "://$request->{headers}{host}/token";
    return refuse('invalid_grant', 'The audience is not this service') unless ($claim->{aud} // '') eq $here;
    return refuse('invalid_scope', 'Invalid OAuth scope') unless ($claim->{scope} // '') =~ $SCOPE;
    my ($iat, $exp) = map { $claim->{$_} // 0 } qw(iat exp);
    return refuse('invalid_grant', 'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.')
      unless $iat =~ /\A\d+\z/ && $exp =~ /\A\d+\z/ && $iat <= time + 30 && $iat > time - 300 && $exp > time && $exp <= $iat + 3600;
    return give($fake, $EMAIL, $claim->{scope});
}

sub verified {
    my ($fake, $text, $signature) = @_;
    my $name = "$fake->{directory}/jwt-$$";
    PgArk::FakeGoogle::write_file("$name.text", 0, $text);
    PgArk::FakeGoogle::write_file("$name.signature", 0, $signature);
    my $status = system "openssl dgst -sha256 -verify '$fake->{directory}/public.pem' -signature '$name.signature' '$name.text' >/dev/null 2>&1";
    unlink "$name.text", "$name.signature";
    return $status == 0;
}

sub refresh {
    my ($fake, $form) = @_;
    my %wanted = (client_id => 'fake-client', client_secret => 'fake-client-secret', refresh_token => 'fake-refresh-token');
    for my $name (sort keys %wanted) { return refuse('invalid_grant', "Bad $name") unless ($form->{$name} // '') eq $wanted{$name} }
    return give($fake, 'user@example.com', 'https://www.googleapis.com/auth/cloud-platform');
}

sub exchange {
    my ($fake, $form) = @_;
    return refuse('invalid_request', 'Invalid audience') unless ($form->{audience} // '') eq $AUDIENCE;
    return refuse('invalid_request', 'Invalid token type')
      unless ($form->{requested_token_type} // '') eq 'urn:ietf:params:oauth:token-type:access_token' && ($form->{subject_token_type} // '') eq 'urn:ietf:params:oauth:token-type:jwt';
    return refuse('invalid_scope', 'Invalid scope') unless ($form->{scope} // '') =~ $SCOPE;
    return refuse('invalid_grant', 'The subject token is not valid') unless ($form->{subject_token} // '') eq 'fake-subject-token';
    return give($fake, 'federated', $form->{scope});
}

sub impersonate {
    my ($fake, $request) = @_;
    my ($text) = ($request->{headers}{authorization} // '') =~ /\ABearer (\S+)\z/;
    my $token = defined $text ? PgArk::FakeGoogle::Access::token($fake, $text, $request->{came}) : undef;
    return json(401, { error => { code => 401, status => 'UNAUTHENTICATED', message => 'Request had invalid authentication credentials.' } }) unless $token;
    my $wish = eval { JSON::PP::decode_json($request->{body}) } // {};
    return json(403, { error => { code => 403, status => 'PERMISSION_DENIED', message => q{Permission 'iam.serviceAccounts.getAccessToken' denied} } })
      unless $request->{path} eq "/iam/v1/projects/-/serviceAccounts/$EMAIL:generateAccessToken" && $token->{scope} =~ /cloud-platform\z/;
    return json(400, { error => { code => 400, status => 'INVALID_ARGUMENT', message => 'scope or lifetime' } })
      unless ref $wish->{scope} eq 'ARRAY' && "@{$wish->{scope}}" =~ $SCOPE && ($wish->{lifetime} // '') eq '3600s';
    my ($given, $seconds) = PgArk::FakeGoogle::Access::new_token($fake, $EMAIL, $wish->{scope}[0]);
    return json(200, { accessToken => $given, expireTime => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $seconds)) });
}

sub metadata {
    my ($fake, $request) = @_;
    my @flavor = [ 'Metadata-Flavor', 'Google' ];
    return { status => 403, body => 'Missing Metadata-Flavor:Google header.', headers => \@flavor } unless ($request->{headers}{'metadata-flavor'} // '') eq 'Google';
    return { status => 404, body => 'not found', headers => \@flavor } unless $request->{target} eq '/computeMetadata/v1/instance/service-accounts/default/token';
    return give($fake, $EMAIL, 'https://www.googleapis.com/auth/devstorage.read_write', @flavor);
}

1;
