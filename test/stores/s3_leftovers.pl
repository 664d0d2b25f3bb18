# kill -9 in the middle of an upload in parts leaves no object, and the parts go: at once where it is known whose they were, else
# when nobody alive can have begun them; and never those of somebody who may live.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::FaultProxy;
use PgArk::S3 qw(bucket_of prefix_of);
use PgArk::Test;

my ($host) = $ENV{PG_ARK_TEST_S3} =~ m{endpoint=http://([\d.:]+)} or die 'PG_ARK_TEST_S3 names no endpoint with http';
my $proxy = PgArk::FaultProxy->new($host =~ s/.*://r, PostgreSQL::Test::Utils::tempdir('proxy'));
(my $url = place_below($ENV{PG_ARK_TEST_S3}, 'leftovers')) =~ s/endpoint=[^&]*/"endpoint=" . $proxy->endpoint/e;
my ($bucket, $prefix) = (bucket_of($url), prefix_of($url));
my $s3 = PgArk::S3->new($host);

my $node = ark_cluster('source', repository => $url);
# Packs of more than one part.
$node->safe_psql('postgres', q{CREATE TABLE noise AS SELECT n, string_agg(md5(random()::text), '') AS text
    FROM generate_series(1, 24000) n, generate_series(1, 40) GROUP BY n});
my $cluster = "$prefix/" . $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

sub objects_of { my ($id) = @_; return $s3->objects($bucket, "$cluster/backup/$id/") }
sub uploads_of { my ($id) = @_; return $s3->uploads($bucket, "$cluster/backup/$id/") }

# A backup that stands still with parts in the store; returns its id and the process.
sub stopped_backup {
    my ($point) = @_;
    my ($id, $pid);
    with_fault($node, "$point=stop", sub {
        $id = start_backup_sql($node, "stops at $point");
        $pid = poll_until('it stands still', sub { (grep { slurp_file("/proc/$_/stat") =~ /\) T / } ark_children($node, 'server-backup'))[0] });
    });
    return ($id, $pid);
}

for my $point (qw(cloud_upload_begun cloud_part_sent cloud_before_finish)) {
    my ($id, $pid) = stopped_backup($point);
    cmp_ok(scalar uploads_of($id), '>=', 1, "$point: an upload is under way");
    my %packs = map { $_ => 1 } objects_of($id);
    ok(!$packs{ $_->[0] }, "$point: of what is under way nothing is visible") for uploads_of($id);
    kill 'KILL', $pid;
    is(wait_backup($node, $id)->{status}, 'failed', "$point: killed, the backup fails");
    poll_until("$point: its parts and packs are removed", sub { !objects_of($id) && !uploads_of($id) });
    pass("$point: its parts and packs are removed");
    is_deeply([ grep { $_->{backup_id} eq $id } backups($url) ], [], "$point: and it is no backup");
}

# All processes at once, as with a container.
{
    my ($id, $pid) = stopped_backup('cloud_part_sent');
    cmp_ok(scalar uploads_of($id), '>=', 1, 'all killed: an upload is under way');
    my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    $node->kill9;
    kill 'KILL', $pid;
    # The postmaster's children see that it has gone a little later.
    poll_until('all of the dead server has ended', sub { !kill(0, $postmaster) && !grep { (readlink($_) // '') eq $node->data_dir } glob '/proc/[0-9]*/cwd' });
    $node->start;
    is(wait_backup($node, $id)->{status}, 'failed', 'all killed: the next server says that it failed');
    poll_until('its parts and packs are removed', sub { !objects_of($id) && !uploads_of($id) });
    pass('all killed: the next server removes its parts and packs');
}

# Somebody else's, of whom nothing is known but the upload; and one beside the repository.
my @foreign = ("$cluster/backup/manual_20260101_000000_0badcafe/data/00001.tar.zst", "$prefix-beside/something");
for my $key (@foreign) {
    my ($id) = $s3->ok('POST', $bucket, $key, { uploads => '' }) =~ m{<UploadId>(.*?)</UploadId>};
    $s3->ok('PUT', $bucket, $key, { partNumber => 1, uploadId => $id }, 'x' x 100_000);
}
# Starts the server anew and waits until its sweep has looked for uploads.
sub sweep {
    my (@rules) = @_;
    $node->stop;
    $proxy->set(rules => \@rules);
    $node->start;
    poll_until('the sweep has looked', sub { grep { /^GET .*uploads.*ark-probe/ } $proxy->requests });
    return;
}
my $id = start_backup_sql($node, 'lives');
wait_backup($node, $id);
sweep();
is(scalar $s3->uploads($bucket, $foreign[0]), 1, 'an upload that may be a living writer\'s stays');
ok(!(grep { /^DELETE .*uploadId/ } $proxy->requests), 'none is aborted');
# What counts is the store's clock.
sweep({ match => '^HEAD .*ark-probe', do => 'headers', headers => { 'Last-Modified' => PgArk::FaultProxy::http_date(time + 24 * 3600) } });
is(scalar $s3->uploads($bucket, $foreign[0]), 1, 'also a day later');
sweep({ match => '^HEAD .*ark-probe', do => 'headers', headers => { 'Last-Modified' => PgArk::FaultProxy::http_date(time + 26 * 3600) } });
poll_until('it is removed', sub { !$s3->uploads($bucket, $foreign[0]) });
pass('26 hours later it is removed');
poll_until('the log says so', sub { slurp_file($node->logfile) =~ /removed 1 objects of unfinished backups and uploads/ });
pass('and the log says so');
is(scalar $s3->uploads($bucket, $foreign[1]), 1, 'what is not the repository\'s is left alone');
is(scalar backups($url), 1, 'the backup is still there');
ark_ok([ 'verify', '--repo', $url, $id ], 'and whole');

done_testing();
