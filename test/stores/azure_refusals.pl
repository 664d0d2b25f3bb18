# What Azure must not be believed, or does not give (PgArk::StoreRefusals).
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use IO::Socket::INET;
use JSON::PP qw(encode_json);
use MIME::Base64 qw(decode_base64 encode_base64 encode_base64url);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::StoreRefusals;
use PgArk::Test;

my $node = certificate_refusals($ENV{PG_ARK_TEST_AZURE_TLS}, $ENV{PG_ARK_TEST_AZURE});
my $url  = $node->{ark_repository};
my $key  = $ENV{AZURE_STORAGE_KEY};

# ---- credentials

my $home = PostgreSQL::Test::Utils::tempdir('home');
# Where the machine's metadata service would be, nobody listens.
my %none = (AZURE_STORAGE_KEY => '', HOME => $home, AZURE_POD_IDENTITY_AUTHORITY_HOST => 'http://127.0.0.1:1');
refused('no credentials', $url, 7, qr/no credentials.*found/, %none);
refused('a wrong key', $url, 7, qr/40[03] \w*Auth/, AZURE_STORAGE_KEY => encode_base64('hunter2', ''));
refused('a key that is none', $url, 7, qr/key of the storage account/, AZURE_STORAGE_KEY => 'hunter2!');
refused('a signature that nobody made', $url, 7, qr/403 Auth/, AZURE_STORAGE_KEY => '',
    AZURE_STORAGE_SAS_TOKEN => '?sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=hunter2');
refused('a password in the URL', $url =~ s{azure://}{azure://somebody:hunter2@}r, 2, qr/invalid repository URL/);
refused('a secret as an option', "$url&account_key=hunter2", 2, qr/option that is not known/);
refused('another account\'s connection string', $url, 2, qr/not for the storage account/,
    AZURE_STORAGE_CONNECTION_STRING => "AccountName=other;AccountKey=$key");

# From a file that the URL names, as a server has them; and as a connection string.
append_to_file("$home/keys", "[storage]\nkey = $key\n");
{
    local @ENV{ keys %none } = values %none;
    is(scalar backups("$url&credentials_file=$home/keys"), 1, 'a key from a file that the URL names');
    my ($endpoint) = $url =~ /endpoint=([^&]*)/;
    local $ENV{AZURE_STORAGE_CONNECTION_STRING} = "AccountName=$ENV{AZURE_STORAGE_ACCOUNT};AccountKey=$key;BlobEndpoint=$endpoint";
    is(scalar backups($url =~ s/account=[^&]*&endpoint=[^&]*&//r), 1, 'key, account and endpoint from a connection string');
}
# A shared access signature of the account, made by its key.
{
    my $expiry = '2099-01-01T00:00:00Z';
    my $text = join "\n", $ENV{AZURE_STORAGE_ACCOUNT}, 'rwdlac', 'b', 'sco', '', $expiry, '', '', '2021-12-02', '', '';
    my $signature = encode_base64(hmac_sha256($text, decode_base64($key)), '');
    $signature =~ s/([+\/=])/sprintf '%%%02X', ord $1/ge;
    local @ENV{ keys %none } = values %none;
    local $ENV{AZURE_STORAGE_SAS_TOKEN} = "sv=2021-12-02&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&sig=$signature";
    is(scalar backups($url), 1, 'by a shared access signature');
}
# A machine's metadata service, which gives a token for this audience.
sub metadata_service {
    my ($audience) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "no port: $!";
    my %claims = (aud => $audience, iss => 'https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/', nbf => time - 60, iat => time - 60, exp => time + 3600);
    my $token  = join '.', map { encode_base64url($_) } encode_json({ alg => 'RS256', typ => 'JWT' }), encode_json(\%claims), 'hunter2';
    my $answer = encode_json({ access_token => $token, expires_in => '3599', token_type => 'Bearer' });
    my $pid    = fork // die "fork: $!";
    return ($pid, 'http://127.0.0.1:' . $listener->sockport) if $pid;
    while (my $client = $listener->accept) {
        my $request = '';
        while ($request !~ /\r\n\r\n/) { sysread $client, $request, 65536, length $request or last }
        my $right = $request =~ m{^GET /metadata/identity/oauth2/token\?api-version=2018-02-01&resource=https%3A%2F%2Fstorage\.azure\.com%2F HTTP} && $request =~ /^metadata: true\r$/mi;
        print $client 'HTTP/1.1 ', ($right ? '200 OK' : '400 Bad Request'), "\r\nConnection: close\r\nContent-Length: ", length $answer, "\r\n\r\n", $answer;
        close $client;
    }
    POSIX::_exit(0);
}
{
    local @ENV{ keys %none } = values %none;
    my ($pid, $service) = metadata_service('https://storage.azure.com');
    local $ENV{AZURE_POD_IDENTITY_AUTHORITY_HOST} = $service;
    is(scalar backups($url), 1, 'by the identity of the machine');
    my ($plain) = $ENV{PG_ARK_TEST_AZURE};
    refused('a token over plain HTTP', $plain, 7, qr/not sent over plain HTTP/);
    kill 'TERM', $pid;
    waitpid $pid, 0;
    ($pid, $service) = metadata_service('https://vault.azure.net');
    refused('a token for another service', $url, 7, qr/40[13] \w*Auth/, %none, AZURE_POD_IDENTITY_AUTHORITY_HOST => $service);
    kill 'TERM', $pid;
    waitpid $pid, 0;
}
no_secret_told($node, $key);

# ---- places

refused('no such container', $url =~ s{azure://pgark}{azure://no-such-container}r, 7, qr/ContainerNotFound/);
refused('no such account', $url =~ s{account=[^&]*}{account=nobody}r =~ s{(127\.0\.0\.1:\d+)/\w+}{$1}r, 7, qr/40[34] \w+/);
refused('no repository there', $url =~ s{refusals-}{nothing-}r, 4, qr/not a pg_ark repository|no repository/);
refused('no account', $url =~ s{account=[^&]*&endpoint=[^&]*&}{}r, 2, qr/which storage account/, AZURE_STORAGE_ACCOUNT => '');

done_testing();
