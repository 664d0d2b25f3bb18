# pg_ark check and ark.preflight() on a real store: each right that is missing is named, whether racing writers are told apart,
# the clock, the speed; and what lives without the right to remove.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::FaultProxy;
use PgArk::S3 qw(bucket_of prefix_of);
use PgArk::Test;

my ($host) = $ENV{PG_ARK_TEST_S3} =~ m{endpoint=http://([\d.:]+)} or die 'PG_ARK_TEST_S3 names no endpoint with http';
my $s3 = PgArk::S3->new($host);
# A bucket of its own: rights are a bucket's.
my $bucket = sprintf 'pgark-check-%d-%d', $$, time;
$s3->ok('PUT', $bucket, '', {});
(my $url = place_below($ENV{PG_ARK_TEST_S3}, 'check')) =~ s{^s3://[^/]+}{s3://$bucket};
my $prefix = prefix_of($url);

# `pg_ark check`: exit status, what it says, and the levels that are not "good" as text.
sub check {
    my ($repository, @arguments) = @_;
    my ($status, $out, $err) = ark('check', '--repo', $repository, '--output', 'json', @arguments);
    my $said = $out eq '' ? {} : JSON::PP::decode_json($out);
    my $levels = join ' ', map { "$_->{name}=$_->{level}" } grep { $_->{level} ne 'good' } @{ $said->{checks} // [] };
    return ($status, $said, $levels, $err);
}
sub one { my ($said, $name) = @_; my ($one) = grep { $_->{name} eq $name } @{ $said->{checks} }; return $one // {} }

# ---- all is well

my ($status, $said, $levels) = check($url);
is($status, 0, 'a good store: exit status 0');
is($levels, 'repository=note', 'and nothing but that there is no repository yet') or diag(JSON::PP::encode_json($said));
ok($said->{ok}, 'ok');
cmp_ok($said->{$_}, '>', 0, "$_ is measured") for qw(round_trip_seconds write_bytes_per_second read_bytes_per_second);
cmp_ok(abs $said->{clock_skew_seconds}, '<=', 2, 'the clock is right');
cmp_ok($said->{requests}{$_}, '>', 5, "$_ are counted") for qw(reads writes deletes);
cmp_ok($said->{requests}{bytes_sent}, '<', 28 << 20, 'the bytes that it sends are bounded');
is_deeply([ $s3->objects($bucket, $prefix) ], [], 'nothing stays');
is_deeply([ $s3->uploads($bucket, $prefix) ], [], 'no unfinished upload either');
like(ark_ok([ 'check', '--repo', $url ], 'as text'), qr/^  ok       create_if_absent  of 4 writers.*^requests: \d+ writes, \d+ reads/ms, 'for people');

# ---- rights

sub deny {
    my ($actions, $on_bucket) = @_;
    $s3->ok('PUT', $bucket, '', { policy => '' }, JSON::PP::encode_json({ Version => '2012-10-17', Statement => [ {
        Effect => 'Deny', Principal => '*', Action => $actions, Resource => [ $on_bucket ? "arn:aws:s3:::$bucket" : "arn:aws:s3:::$bucket/*" ] } ] }));
    return;
}
sub allow { $s3->ok('DELETE', $bucket, '', { policy => '' }); return }

for my $case (
    [ 'put',    ['s3:PutObject'],           0, 7, qr/^right_put=error/m ],
    [ 'get',    ['s3:GetObject'],           0, 7, qr/(?:^| )right_get=error$/ ],
    [ 'list',   ['s3:ListBucket'],          1, 7, qr/(?:^| )right_list=error$/ ],
    [ 'delete', ['s3:DeleteObject'],        0, 0, qr/(?:^| )right_delete=note$/ ],
    [ 'multipart', ['s3:AbortMultipartUpload'], 0, 0, qr/(?:^| )right_multipart=note$/ ],
    [ 'multipart', ['s3:ListBucketMultipartUploads'], 1, 0, qr/(?:^| )right_multipart=note$/ ],
) {
    my ($right, $actions, $on_bucket, $status_wanted, $pattern) = @$case;
    deny($actions, $on_bucket);
    my ($status, $said, $levels) = check($url);
    allow();
    $levels =~ s/^repository=note ?//;
    is($status, $status_wanted, "without @$actions: exit status $status_wanted") or diag(JSON::PP::encode_json($said));
    like($levels, $pattern, "without @$actions: $right is named, and nothing else");
    like(one($said, "right_$right")->{detail}, qr/^the right is missing: .*403/, "without @$actions: with what the store said");
    isnt(one($said, "right_$right")->{hint}, '', "without @$actions: and what to do");
}

# ---- a server without the right to remove: its backups work, and preflight() tells it

{
    deny(['s3:DeleteObject'], 0);
    my $node = ark_cluster('no_delete', repository => $url);
    ok((grep { m{/ark-probe/} } $s3->objects($bucket, $prefix)), 'a check without the right to remove leaves its objects');
    my $id = backup_ok($node, 'without the right to remove');
    archive_now($node);
    is($node->safe_psql('postgres', q{SELECT string_agg(name, ' ') FROM ark.preflight() WHERE NOT ok AND name <> 'oom_policy'}), '', 'preflight() tolerates it');
    like($node->safe_psql('postgres', q{SELECT detail FROM ark.preflight() WHERE name = 'right_delete'}), qr/the right is missing/, 'and tells it');
    is($node->safe_psql('postgres', q{SELECT string_agg(name, ' ' ORDER BY name) FROM ark.preflight() WHERE name ~ '^right|^clock|^create|trip|through'}),
        'clock create_if_absent right_delete right_get right_list right_multipart right_put round_trip throughput', 'with a row for each thing');
    deny(['s3:PutObject'], 0);
    my $row = $node->safe_psql('postgres', q{SELECT ok, detail, hint FROM ark.preflight() WHERE name = 'right_put'});
    like($row, qr/^f\|the right is missing: .*403.*\|\S/, 'preflight() names the right to put when it is missing');
    like($node->safe_psql('postgres', q{SELECT ok, detail FROM ark.preflight() WHERE name = 'repository'}), qr/^f\|it cannot be written/, 'and the repository is not well');
    allow();
    ark_ok([ 'verify', '--repo', $url, $id ], 'what it stored is whole');
    $node->stop;
}

# ---- a store that overwrites: WAL is archived, and never streamed

{
    my $there = place_below($url, 'overwrites') . '&create_if_absent=off';
    ($status, $said, $levels) = check($there);
    is("$status $levels", '0 repository=note create_if_absent=note', 'a store that overwrites can be used');
    my $node = ark_cluster('overwrites', repository => $there);
    backup_ok($node, 'where objects may be overwritten');
    archive_now($node);
    poll_until('streaming has said why it is not', sub { $node->safe_psql('postgres', 'SELECT state, error_message FROM ark.wal_status') =~ /^stopped\|.*create_if_absent=off/ });
    my $row;
    poll_until('preflight() says it', sub { ($row = $node->safe_psql('postgres', q{SELECT ok, detail, hint FROM ark.preflight() WHERE name = 'wal_streaming'})) =~ /^f/ });
    like($row, qr/^f\|stopped: .*create_if_absent=off.*by segments\|.*pg_ark\.wal_streaming to off/, 'and what to do');
    like($node->safe_psql('postgres', q{SELECT ok, detail FROM ark.preflight() WHERE name = 'create_if_absent'}), qr/^t\|.*not streamed/, 'beside what the store was said to be');
    is_deeply([ grep { m{/tail/} } $s3->objects($bucket, prefix_of($there)) ], [], 'there is no piece');
    my ($exit, undef, $err) = ark('wal-receive', '--repo', $there, '--conninfo', $node->connstr('postgres'));
    ok($exit == 2 && $err =~ /create_if_absent=off/, 'nor is WAL received') or diag("$exit $err");
    set_config($node, 'pg_ark.wal_streaming' => 'off');
    poll_until('preflight() is content', sub { $node->safe_psql('postgres', q{SELECT ok FROM ark.preflight() WHERE name = 'wal_streaming'}) eq 't' });
    $node->stop;
}

# ---- the clock, and a store that is not there

my ($port) = $host =~ /:(\d+)/;
my $proxy = PgArk::FaultProxy->new($port, PostgreSQL::Test::Utils::tempdir('proxy'));
(my $through = $url) =~ s/endpoint=[^&]*/"endpoint=" . $proxy->endpoint/e;
for my $case ([ 300, 0, 'warning' ], [ -300, 0, 'warning' ], [ 1200, 7, 'error' ]) {
    my ($seconds, $status_wanted, $level) = @$case;
    $proxy->set(clock => $seconds);
    my ($status, $said) = check($through);
    is($status, $status_wanted, "a clock that is off by $seconds s: exit status");
    is(one($said, 'clock')->{level}, $level, "a clock that is off by $seconds s: a $level");
    cmp_ok(abs($said->{clock_skew_seconds} - $seconds), '<=', 2, "a clock that is off by $seconds s: by how much");
}
$proxy->set(rules => [ { match => 'PUT .*race', do => 'status', code => 200, headers => { ETag => '"x"' } } ]);
($status, $said) = check($through);
is($status, 7, 'a store that tells all racers that they won: exit status 7');
like(one($said, 'create_if_absent')->{detail}, qr/4 were told/, 'and is found out');
$proxy->set(refuse => JSON::PP::true());
($status) = check($through, '--retry-timeout', 1);
is($status, 7, 'a store that is gone: exit status 7');
$proxy->set;

# ---- a directory: the same names

my $directory = PostgreSQL::Test::Utils::tempdir('place');
($status, $said, $levels) = check("file://$directory");
is("$status $levels", '0 repository=note', 'a directory is checked too');
is($said->{clock_skew_seconds}, undef, 'it has no clock of its own');
chmod 0555, $directory;
($status, $said, $levels) = check("file://$directory");
chmod 0755, $directory;
is("$status $levels", '7 repository=note right_put=error right_delete=note', 'one that cannot be written to');
like(one($said, 'right_put')->{detail}, qr/^the right is missing: .*Permission denied/, 'by name');

done_testing();
