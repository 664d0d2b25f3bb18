# The troubles of networks and stores (PgArk::StoreTrouble), on the fake of Google's storage.
use strict;
use warnings;
use Test::More;
use PgArk::StoreTrouble;

store_trouble(
    url     => $ENV{PG_ARK_TEST_GS},
    begin   => '^POST .*\?uploads',
    part    => sub { "partNumber=$_[0]" },
    finish  => 'POST .*uploadId',
    listing => 'list-type',
    busy    => { body => '<Error><Code>SlowDown</Code><Message>later</Message></Error>' },
);
done_testing();
