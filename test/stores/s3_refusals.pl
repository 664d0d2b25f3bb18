# What a store must not be believed, or does not give: certificates, credentials, buckets. Each ends with one clear error, in
# seconds, and nobody's secret in it.
use strict;
use warnings;
use IO::Socket::INET;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::Test;

my $tls   = $ENV{PG_ARK_TEST_S3_TLS};
my $plain = $ENV{PG_ARK_TEST_S3};
my ($certificates) = $tls =~ m{ca_file=(.*)/ca\.pem} or die 'PG_ARK_TEST_S3_TLS names no ca_file';
my ($tls_port)     = $tls   =~ /127\.0\.0\.1:(\d+)/;
my ($plain_port)   = $plain =~ /127\.0\.0\.1:(\d+)/;

# A repository to ask for.
my $node = ark_cluster('source', repository => place_below($tls, 'refusals'));
my $url  = $node->{ark_repository};
backup_ok($node, 'over TLS');
is(scalar backups($url), 1, 'a repository over TLS is read');
(my $localhost = $url) =~ s/127\.0\.0\.1/localhost/;
is(scalar backups($localhost), 1, 'by the other name of the certificate, too');

# `pg_ark list` of a URL that must fail, with a status of its own, soon.
sub refused {
    my ($what, $repository, $status_wanted, $pattern, %environment) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    local @ENV{ keys %environment } = values %environment;
    my $began = time;
    my ($status, $out, $err) = ark('list', '--repo', $repository, '--retry-timeout', 3);
    is($status, $status_wanted, "$what: the exit status") or diag("$out$err");
    like($err, $pattern, "$what: the error");
    like($err, qr/^HINT:  \S/m, "$what: says what to do");
    unlike("$out$err", qr/hunter2|test-secret/, "$what: and no secret");
    cmp_ok(time - $began, '<', 20, "$what: within seconds");
    return;
}

# ---- certificates

(my $other = $url) =~ s/ca\.pem/other-ca.pem/;
refused('signed by nobody known', $other, 7, qr/certificate/i);
(my $system = $url) =~ s/&ca_file=[^&]*//;
refused('not signed by the system\'s authorities', $system, 7, qr/certificate/i);
(my $missing = $url) =~ s/ca\.pem/nowhere.pem/;
refused('an authority\'s file that is not there', $missing, 7, qr/nowhere\.pem|certificate/i);
for my $kind (qw(expired wronghost)) {
    my $free = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;
    my $server = IPC::Run::start([ 'openssl', 's_server', '-accept', "127.0.0.1:$free", '-cert', "$certificates/$kind.pem", '-key', "$certificates/$kind.key", '-www', '-quiet' ],
        '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
    poll_until("port $free answers", sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $free) });
    (my $there = $url) =~ s/:$tls_port/:$free/;
    refused("a certificate that is $kind", $there, 7, qr/certificate/i);
    $server->kill_kill(grace => 1);
}
(my $no_tls = $url) =~ s/:$tls_port/:$plain_port/;
refused('TLS spoken to one who does not', $no_tls, 7, qr/failed/);
(my $no_plain = $url) =~ s/https/http/;
refused('plain HTTP spoken to one who wants TLS', $no_plain, 7, qr/failed/);
refused('nobody there', $url =~ s/:$tls_port/:1/r, 7, qr/Tried \d+ times/);
refused('a name that is none', $url =~ s/127\.0\.0\.1/no-such-host.invalid/r, 7, qr/resolve/);

# ---- credentials

my $home = PostgreSQL::Test::Utils::tempdir('home');
my %none = (AWS_ACCESS_KEY_ID => '', AWS_SECRET_ACCESS_KEY => '', HOME => $home, AWS_EC2_METADATA_DISABLED => 'true');
refused('no credentials', $url, 7, qr/no credentials.*found/, %none);
refused('a wrong secret', $url, 7, qr/403.*SignatureDoesNotMatch/, AWS_SECRET_ACCESS_KEY => 'hunter2');
refused('nobody\'s key', $url, 7, qr/403.*InvalidAccessKeyId/, AWS_ACCESS_KEY_ID => 'hunter2');
refused('a password in the URL', $url =~ s{s3://}{s3://somebody:hunter2@}r, 2, qr/invalid repository URL/);
refused('a secret as an option', "$url&secret_key=hunter2", 2, qr/option that is not known/);

# From a file that the URL names, as a server has them.
append_to_file("$home/keys", "[default]\naws_access_key_id = $ENV{AWS_ACCESS_KEY_ID}\naws_secret_access_key = $ENV{AWS_SECRET_ACCESS_KEY}\n");
{
    local @ENV{ keys %none } = values %none;
    is(scalar backups("$url&credentials_file=$home/keys"), 1, 'credentials from a file that the URL names');
}
my $leak = qr/\Q$ENV{AWS_SECRET_ACCESS_KEY}\E/;
unlike(slurp_file($node->logfile), $leak, 'no secret in the server\'s log');
unlike($node->safe_psql('postgres', 'SELECT string_agg(s::text, $$ $$) FROM pg_settings s'), $leak, 'none in the settings');

# ---- places

refused('no such bucket', $url =~ s{s3://pgark}{s3://no-such-bucket}r, 7, qr/NoSuchBucket/);
refused('no repository there', $url =~ s{refusals-}{nothing-}r, 4, qr/not a pg_ark repository|no repository/);
my ($status, $out, $err) = $node->psql('postgres', q{ALTER SYSTEM SET pg_ark.repositories = 's3://key:hunter2@bucket/x'});
unlike($err, qr/DETAIL.*hunter2/, 'the server refuses a password in the URL, and does not repeat it');

done_testing();
