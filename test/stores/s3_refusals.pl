# What S3 must not be believed, or does not give (PgArk::StoreRefusals).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::StoreRefusals;
use PgArk::Test;

my $node = certificate_refusals($ENV{PG_ARK_TEST_S3_TLS}, $ENV{PG_ARK_TEST_S3});
my $url  = $node->{ark_repository};

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
no_secret_told($node, $ENV{AWS_SECRET_ACCESS_KEY});

# ---- places

refused('no such bucket', $url =~ s{s3://pgark}{s3://no-such-bucket}r, 7, qr/NoSuchBucket/);
refused('no repository there', $url =~ s{refusals-}{nothing-}r, 4, qr/not a pg_ark repository|no repository/);
my ($status, $out, $err) = $node->psql('postgres', q{ALTER SYSTEM SET pg_ark.repositories = 's3://key:hunter2@bucket/x'});
unlike($err, qr/DETAIL.*hunter2/, 'the server refuses a password in the URL, and does not repeat it');

done_testing();
