# The troubles of networks and stores (PgArk::StoreTrouble), on the fake of Google's storage.
use strict;
use warnings;
use Test::More;
use PgArk::StoreTrouble;

s3_trouble($ENV{PG_ARK_TEST_GS});
done_testing();
