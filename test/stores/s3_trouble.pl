# The troubles of networks and stores (PgArk::StoreTrouble), on S3.
use strict;
use warnings;
use Test::More;
use PgArk::StoreTrouble;

s3_trouble($ENV{PG_ARK_TEST_S3});
done_testing();
