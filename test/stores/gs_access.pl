# Google Cloud Storage, played by a strict fake: who may use it, by each kind of credentials that Google's tools know; tokens that
# end or are taken back while a cluster lives; what is wrong is said in words, and nobody's secret with it.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PgArk::Test;

my ($fake, $plain, $tls) = map { $ENV{$_} // die "$_ is not set" } qw(GS_FAKE PG_ARK_TEST_GS PG_ARK_TEST_GS_TLS);

sub fake_file { my ($name, $content) = @_; open my $file, '>', "$fake/$name.new" or die $!; print $file $content; close $file; rename "$fake/$name.new", "$fake/$name" or die $!; return }
# What was asked since a mark, and answered so.
sub mark { return -s "$fake/requests" // 0 }
sub asked { my ($mark, $pattern) = @_; return grep { /$pattern/ } split /\n/, slurp_file("$fake/requests", $mark) }
sub revoke_tokens { unlink glob "$fake/tokens/*"; return }

my $node = ark_cluster('source', repository => place_below($tls, 'access'), conf => "pg_ark.retry_timeout = 20s\n");
my $url = $node->{ark_repository};
my $first = backup_ok($node, 'as a service account, over TLS');
(my $there = $url) =~ s/\?.*//;
$there .= "?endpoint=$ENV{GS_ENDPOINT}";

# ---- each kind of credentials

my $nowhere = PostgreSQL::Test::Utils::tempdir('gcloud');
my %none = (GOOGLE_APPLICATION_CREDENTIALS => '', CLOUDSDK_CONFIG => $nowhere, NO_GCE_CHECK => 'true');
{
    local @ENV{ keys %none } = values %none;
    for my $file (qw(key.json user.json federated.json acting.json boto)) {
        is(scalar backups("$there&credentials_file=$fake/$file"), 1, "read with credentials_file=$file");
    }
    {
        local $ENV{GOOGLE_APPLICATION_CREDENTIALS} = "$fake/user.json";
        is(scalar backups($there), 1, 'with the file that GOOGLE_APPLICATION_CREDENTIALS names');
    }
    {
        my ($id, $secret) = split / /, slurp_file("$fake/hmac_key");
        local @ENV{qw(GS_ACCESS_KEY_ID GS_SECRET_ACCESS_KEY)} = ($id, $secret);
        is(scalar backups($there), 1, 'with an HMAC key of the environment');
    }
    {
        local @ENV{qw(GCE_METADATA_HOST NO_GCE_CHECK)} = ($ENV{GS_ENDPOINT} =~ s{http://}{}r, '');
        is(scalar backups($there), 1, 'with the token of the metadata server');
    }
    append_to_file("$nowhere/application_default_credentials.json", slurp_file("$fake/user.json"));
    is(scalar backups($there), 1, q{with gcloud's own});
    unlink "$nowhere/application_default_credentials.json";
}

# ---- tokens

{
    my $mark = mark();
    revoke_tokens();
    archive_now($node);
    my ($refused) = asked($mark, qr/ 401$/);
    ok($refused, 'a token that was taken back is refused');
    cmp_ok(scalar(asked($mark, qr/ 401$/)), '<', 10, 'and a fresh one is used at once');
    cmp_ok(scalar(asked($mark, qr{^POST /token 200$})), '>=', 1, 'which the service account asked for');
}

load_shop($node);
$node->safe_psql('postgres', q{CREATE TABLE noise AS SELECT n, string_agg(md5(random()::text), '') AS text
    FROM generate_series(1, 24000) n, generate_series(1, 40) GROUP BY n});
{
    fake_file(token_told => 3600);
    fake_file(token_seconds => 1);
    revoke_tokens();
    my $mark = mark();
    my $load = start_load($node);
    my @ids = map { backup_ok($node, 'with tokens that end sooner than they say') } 1 .. 2;
    stop_load($load);
    cmp_ok(scalar(asked($mark, qr/ 401$/)), '>=', 2, 'tokens ended on the way');
    ok(scalar(asked($mark, qr/^PUT .*partNumber=2.* 200$/)), 'packs went in parts');
    ark_ok([ 'verify', '--repo', $url, $ids[1] ], 'the backup is whole');
    unlink "$fake/token_told";
    fake_file(token_seconds => 3);
    revoke_tokens();
    backup_ok($node, 'with tokens that live for seconds');
    unlink "$fake/token_seconds";
}

# ---- what is wrong, in words

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
    unlike("$out$err", qr/hunter2|PRIVATE|ya29\.|fake-(?:hmac|client-secret|refresh|subject)/, "$what: and no secret");
    cmp_ok(time - $began, '<', 20, "$what: within seconds");
    return;
}

refused('no credentials', $there, 7, qr/no credentials.*found/, %none);
refused('a credentials file that is not there', "$there&credentials_file=$fake/nothing", 7, qr/nothing" does not exist/);
refused('a credentials file of another kind', "$there&credentials_file=$fake/public.pem", 2, qr/holds no credentials/);
refused('nobody\'s HMAC key', $there, 7, qr/403 InvalidSecurity/, %none, GS_ACCESS_KEY_ID => 'GOOG1NOBODY', GS_SECRET_ACCESS_KEY => 'hunter2');
refused('a wrong HMAC secret', $there, 7, qr/403 SignatureDoesNotMatch/, %none, GS_ACCESS_KEY_ID => 'GOOG1EFAKEKEYID', GS_SECRET_ACCESS_KEY => 'hunter2');
{
    # The key of the file is one that Google does not know any more.
    my $public = slurp_file("$fake/public.pem");
    my $other = PostgreSQL::Test::Utils::tempdir('key');
    PostgreSQL::Test::Utils::run_command([ 'openssl', 'genrsa', '-out', "$other/private.pem", '2048' ]);
    my ($pem) = PostgreSQL::Test::Utils::run_command([ 'openssl', 'rsa', '-in', "$other/private.pem", '-pubout' ]);
    fake_file('public.pem' => "$pem\n");
    refused('a key that was revoked', $there, 7, qr/invalid_grant: Invalid JWT Signature/);
    fake_file('public.pem' => $public);
}
{
    my $key = JSON::PP::decode_json(slurp_file("$fake/key.json"));
    my $file = PostgreSQL::Test::Utils::tempdir('key') . '/key.json';
    append_to_file($file, JSON::PP::encode_json({ %$key, token_uri => 'http://tokens.example/token' }));
    refused('a key that would go out in clear text', "$there&credentials_file=$file", 2, qr/clear text/);
}
refused('no such bucket', $there =~ s{gs://pgark}{gs://no-such-bucket}r, 7, qr/NoSuchBucket/);
refused('no repository there', $there =~ s{access-}{nothing-}r, 4, qr/not a pg_ark repository|no repository/);
refused('a bucket whose readers pay', $there =~ s{gs://pgark}{gs://payer}r, 7, qr/UserProjectMissing/);
refused('who pays is told', $there =~ s{gs://pgark}{gs://payer}r . '&user_project=p', 4, qr/not a pg_ark repository|no repository/);
refused('a password in the URL', $there =~ s{gs://}{gs://somebody:hunter2@}r, 2, qr/invalid repository URL/);
refused('an option that is none of Google\'s', "$there&create_if_absent=off", 2, qr/option that is not known/);

# ---- what objects are given

{
    my $options = 'storage_class=NEARLINE&kms_key=projects/p/locations/l/keyRings/r/cryptoKeys/k&user_project=p';
    my $elsewhere = place_below("$plain&$options", 'options');
    set_config($node, 'pg_ark.repositories' => $elsewhere);
    backup_ok($node, 'with a storage class, a key and a project');
    my ($prefix) = $elsewhere =~ m{gs://pgark/([^?]*)};
    my @objects = map { JSON::PP::decode_json((split /\n/, slurp_file($_), 2)[0]) } glob "$fake/buckets/pgark/$prefix%2F*";
    cmp_ok(scalar @objects, '>', 4, 'objects are there');
    is_deeply([ grep { $_->{class} ne 'NEARLINE' || $_->{kms} !~ /cryptoKeys/ } @objects ], [], 'each of them has both');
}

my $log = slurp_file($node->logfile);
unlike($log, qr/PRIVATE KEY|ya29\.|fake-(?:hmac|client-secret|refresh|subject)/, q{no secret in the server's log});
never_restarted($node, 0, 'the server stayed up');

done_testing();
