# The fake of Google's storage is as strict as its documents: what pg_ark must not do it refuses, so that a test on it can fail.
use strict;
use warnings;
use Digest::MD5 qw(md5_base64);
use HTTP::Tiny;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

my ($fake, $endpoint) = map { $ENV{$_} // die "$_ is not set" } qw(GS_FAKE GS_ENDPOINT);
my $http  = HTTP::Tiny->new(no_proxy => ['127.0.0.1']);
my $bytes = '123456789';
my ($crc, $md5) = ('crc32c=4waSgw==', md5_base64($bytes) . '==');

my $given = $http->get("$endpoint/computeMetadata/v1/instance/service-accounts/default/token", { headers => { 'Metadata-Flavor' => 'Google' } });
is($given->{status}, 200, 'the metadata server gives a token');
is($http->get("$endpoint/computeMetadata/v1/instance/service-accounts/default/token")->{status}, 403, 'to who says its name');
my $token = JSON::PP::decode_json($given->{content})->{access_token};

# A request with the token; returns "status code".
sub ask {
    my ($method, $path, $content, %headers) = @_;
    my $answer = $http->request($method, "$endpoint/pgark/gs_fake-$$/$path",
        { headers => { Authorization => "Bearer $token", %headers }, $method =~ /^P/ ? (content => $content // '') : () });
    my ($code) = $answer->{content} =~ m{<Code>(\w+)</Code>};
    return wantarray ? ("$answer->{status}" . (defined $code ? " $code" : ''), $answer) : "$answer->{status}" . (defined $code ? " $code" : '');
}
sub tag { my ($answer) = @_; return $answer->{headers}{etag} }

# ---- who

is(ask('GET', 'a', undef, Authorization => 'Bearer ya29.guessed'), '401 AuthenticationRequired', 'a token that nobody was given');
is(ask('GET', 'a', undef, Authorization => 'AWS4-HMAC-SHA256 Credential=x'), '401 AuthenticationRequired', q{Amazon's signature});
is(ask('GET', 'a'), '404 NoSuchKey', 'and its own');

# ---- objects

is(ask('PUT', 'a', $bytes), '400 InvalidArgument', 'no checksum');
is(ask('PUT', 'a', $bytes, 'x-goog-hash' => 'crc32c=AAAAAA=='), '400 BadDigest', 'a wrong CRC-32C');
is(ask('PUT', 'a', $bytes, 'x-goog-hash' => "$crc,md5=AAAAAAAAAAAAAAAAAAAAAA=="), '400 BadDigest', 'a wrong MD5 beside it');
is(ask('PUT', 'a', $bytes, 'Content-MD5' => md5_base64('other') . '=='), '400 BadDigest', 'a wrong Content-MD5');
is(ask('PUT', 'a', $bytes, 'x-goog-hash' => $crc, 'x-amz-meta-x' => 1), '400 InvalidArgument', q{a header of Amazon's});
is(ask('PUT', 'a', $bytes, 'x-goog-hash' => $crc, 'If-None-Match' => '*'), '400 InvalidArgument', q{Amazon's condition});
is(ask('PUT', 'a?x=1', $bytes, 'x-goog-hash' => $crc), '400 InvalidArgument', 'a parameter that there is not');
is(ask('PUT', 'a', $bytes, 'x-goog-hash' => $crc, 'x-goog-storage-class' => 'GLACIER'), '400 InvalidStorageClass', q{a storage class of Amazon's});
my ($status, $answer) = ask('PUT', 'a', $bytes, 'x-goog-hash' => "$crc,md5=$md5", 'x-goog-if-generation-match' => '0');
is($status, '200', 'what is right');
is_deeply($answer->{headers}{'x-goog-hash'}, [ $crc, "md5=$md5" ], 'and both sums come back');
is(ask('PUT', 'a', $bytes, 'x-goog-hash' => $crc, 'x-goog-if-generation-match' => '0'), '412 PreconditionFailed', 'not twice');
is(ask('GET', 'a', undef, Range => 'bytes=9-9'), '416 InvalidRange', 'beyond the end');
($status, $answer) = ask('GET', 'a', undef, Range => 'bytes=2-4');
is("$status $answer->{content} $answer->{headers}{'content-range'}", '206 345 bytes 2-4/9', 'a range');
is(ask('DELETE', 'a'), '204', 'removed');
is(ask('DELETE', 'a'), '404 NoSuchKey', 'and not twice');

# ---- uploads in parts

is(ask('POST', 'b?uploads', '', 'x-goog-if-generation-match' => '0'), '400 InvalidArgument', 'no precondition at the beginning');
($status, $answer) = ask('POST', 'b?uploads', '', 'x-goog-storage-class' => 'NEARLINE');
my ($id) = $answer->{content} =~ m{<UploadId>(\w+)</UploadId>};
my $large = 'x' x (5 << 20);
my %sum = ('Content-MD5' => md5_base64($large) . '==');
is(ask('PUT', "b?partNumber=1&uploadId=$id", $large), '400 InvalidArgument', 'a part without checksum');
is(ask('PUT', "b?partNumber=0&uploadId=$id", $large, %sum), '400 InvalidArgument', 'part 0');
is(ask('PUT', "c?partNumber=1&uploadId=$id", $large, %sum), '404 NoSuchUpload', q{another object's upload});
my @tags = map { my ($status, $answer) = ask('PUT', "b?partNumber=$_&uploadId=$id", $large, %sum); tag($answer) } 1, 2;
(undef, $answer) = ask('PUT', "b?partNumber=3&uploadId=$id", $bytes, 'x-goog-hash' => $crc);
push @tags, tag($answer);
sub finish { return '<CompleteMultipartUpload>' . join('', map { "<Part><PartNumber>$_->[0]</PartNumber><ETag>$_->[1]</ETag></Part>" } @_) . '</CompleteMultipartUpload>' }
is(ask('POST', "b?uploadId=$id", finish([ 2, $tags[1] ], [ 1, $tags[0] ])), '400 InvalidPartOrder', 'parts in disorder');
is(ask('POST', "b?uploadId=$id", finish([ 3, $tags[2] ], [ 4, $tags[0] ])), '400 EntityTooSmall', 'a small part that is not the last');
is(ask('POST', "b?uploadId=$id", finish([ 1, $tags[2] ])), '400 InvalidPart', q{another part's tag});
is(ask('POST', "b?uploadId=$id", finish([ 1, $tags[0] ]), 'x-goog-if-generation-match' => '0'), '400 InvalidArgument', 'no precondition at the end');
is(ask('GET', 'b'), '404 NoSuchKey', 'nothing is seen before');
is(ask('PUT', 'b', $bytes, 'x-goog-hash' => $crc), '200', 'another writer was faster');
is(ask('POST', "b?uploadId=$id", finish([ 1, $tags[0] ], [ 2, $tags[1] ], [ 3, $tags[2] ])), '200', 'in order');
($status, $answer) = ask('GET', 'b');
ok($answer->{content} eq $large x 2 . $bytes, 'and is overwritten, as with Google');
is($answer->{headers}{'x-goog-storage-class'}, 'NEARLINE', 'with what was said at the beginning');
is(ask('POST', "b?uploadId=$id", finish([ 1, $tags[0] ])), '404 NoSuchUpload', 'not twice');

done_testing();
