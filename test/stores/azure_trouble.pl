# The troubles of networks and stores (PgArk::StoreTrouble), on Azure.
use strict;
use warnings;
use MIME::Base64 qw(encode_base64);
use Test::More;
use PgArk::StoreTrouble;

# A block's id is base64 of the upload's token and the number in eight digits, whose last character is by itself.
sub block { my ($n) = @_; return 'PUT .*blockid=' . ($n =~ /^\d$/ ? '\S+MDAwMDAw' . substr(encode_base64($n, ''), 0, 2) . '%3D%3D' : '') }

store_trouble(
    url     => $ENV{PG_ARK_TEST_AZURE},
    part    => \&block,
    finish  => 'PUT .*comp=blocklist',
    listing => 'comp=list',
    busy    => { headers => { 'x-ms-error-code' => 'ServerBusy', 'Retry-After' => 1 } },
);
done_testing();
