# What the user pays for: archiving, listing backups, restoring and fetching WAL cost as many requests with many objects in the
# prefix as with few; and what they cost is told. PG_ARK_OBJECTS: how many are many (10000; make soak takes 100000).
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::FaultProxy;
use PgArk::S3 qw(bucket_of prefix_of);
use PgArk::Test;

my $many = $ENV{PG_ARK_OBJECTS} || 10000;
my $few  = 100;
my ($host) = $ENV{PG_ARK_TEST_S3} =~ m{endpoint=http://([\d.:]+)} or die 'PG_ARK_TEST_S3 names no endpoint with http';
my $proxy = PgArk::FaultProxy->new($host =~ s/.*://r, PostgreSQL::Test::Utils::tempdir('proxy'));
(my $url = place_below($ENV{PG_ARK_TEST_S3}, 'requests')) =~ s/endpoint=[^&]*/"endpoint=" . $proxy->endpoint/e;
my $s3 = PgArk::S3->new($host);

# Its WAL begins late, so that there is room for much that is older.
my $first_log = 0x400;
my $node = ark_cluster('source', repository => $url, start => 0);
system_or_bail('pg_resetwal', '-f', '-l', sprintf('00000001%08X00000010', $first_log), $node->data_dir);
# How many pieces of the last segment there are is a matter of time; so is when blocks that changed are told.
$node->append_conf('postgresql.conf', "pg_ark.wal_streaming = off\npg_ark.change_tracking = off");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
load_shop($node);
my $id = backup_ok($node, 'whose requests are counted');
archive_now($node);
my $cluster = prefix_of($url) . '/' . $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

# What the bucket has from before: WAL of earlier logs, packs of backups that were never completed.
my $filled = 0;
sub fill {
    my ($to) = @_;
    my @names;
    for (; $filled < $to; $filled++) {
        push @names, $filled % 10
          ? sprintf('%s/wal/00000001/%08X/00000001%08X%08X.zst', $cluster, ($filled / 200) % $first_log, ($filled / 200) % $first_log, $filled % 200)
          : sprintf('%s/backup/manual_20200101_00000%d_00000000/data/%05d.tar.zst', $cluster, $filled / 10 % 3, $filled / 30);
    }
    my $began = time;
    $s3->put_many(bucket_of($url), \@names, 'x');
    note sprintf '%d objects in %.1f s', scalar @names, time - $began;
    return;
}

# What one thing asks of the store, as sorted texts without what differs from run to run. The launcher, which sweeps from time
# to time, is no part of it, and neither are entries of the audit log that are on their way.
sub asked {
    my ($sub) = @_;
    poll_until('the repository has the audit log', sub { $node->safe_psql('postgres', 'SELECT waiting_bytes = 0 AND unmirrored = 0 FROM ark.audit_status') eq 't' });
    my $launcher = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_ark launcher'});
    kill 'STOP', $launcher;
    poll_until('nothing of its is under way', sub { !ark_children($node, 'server-catalog') });
    $proxy->set;
    $sub->();
    my @requests = $proxy->requests;
    kill 'CONT', $launcher;
    return sort grep { $sub != \&archive || m{/wal/} } map { s{^(\S+) /[^/?]+/\Q@{[ prefix_of($url) ]}\E/}{$1 }r =~ s/continuation-token=[^&]*/continuation-token/r } @requests;
}
my $said;
# In one lane: which of several fetches what differs from run to run. The audit log has a connection of its own.
sub restore {
    my $target = PostgreSQL::Test::Utils::tempdir('restored') . '/data';
    my $out = ark_ok([ 'restore', '--repo', $url, '-D', $target, '--jobs', 1, '--no-audit', '--output', 'json' ], 'a restore');
    $said = JSON::PP::decode_json((grep { /"event":"done"/ } split /\n/, $out)[0]);
    return;
}
my $last = $node->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver');
sub wal_get {
    my $file = PostgreSQL::Test::Utils::tempdir('wal') . '/file';
    ark_ok([ 'wal-get', '--repo', $url, $last, $file ], 'a segment is fetched');
    my ($status) = ark('wal-get', '--repo', $url, '00000002.history', $file);
    is($status, 1, 'a history that is not there');
    return;
}
sub archive {
    my $segment = $node->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'x', 'x'); SELECT pg_walfile_name(pg_switch_wal())}) for 1 .. 20;
    archive_now($node);
    return;
}
my %things = (list => sub { is(scalar backups($url), 1, 'the backup is listed') }, restore => \&restore, 'wal-get' => \&wal_get, archive => \&archive);
# Archiving is last the first time and the first time only, so that all else finds the same WAL.
my @order = ('list', 'restore', 'wal-get', 'archive');

fill($few);
my %with_few;
$with_few{$_} = [ asked($things{$_}) ] for @order;
is($said->{requests}{reads} + $said->{requests}{writes}, scalar @{ $with_few{restore} }, 'a restore counts its own requests');
cmp_ok($said->{requests}{bytes_received}, '>=', $said->{fetched}, 'and its bytes');
is($said->{requests}{retries}, 0, 'there was nothing to try again');
is(scalar(grep { /^PUT .*\.zst$/ } @{ $with_few{archive} }), 21, 'a segment is a request') or diag(join "\n", @{ $with_few{archive} });
is(scalar @{ $with_few{archive} }, 21, 'and no more');
like(slurp_file($node->logfile), qr/backup "$id" completed\n.*DETAIL:.*bytes stored, [\d.]+ s; requests: \d+ writes, \d+ reads, 0 retries; .* sent/,
    'the log says what a backup cost');

# The same WAL again: what was archived meanwhile, also while the bucket was being filled, is no part of the comparison.
fill($many);
my ($bucket, @since) = (bucket_of($url), grep { m{/wal/.*([0-9A-F]{24})\.zst$} && $1 gt $last } $s3->objects(bucket_of($url), "$cluster/wal/00000001/" . sprintf '%08X', $first_log));
cmp_ok(scalar @since, '>=', 20, 'segments were archived');
$s3->ok('DELETE', $bucket, $_, {}) for @since;

for my $thing (@order) {
    my @now = asked($things{$thing});
    is(scalar @now, scalar @{ $with_few{$thing} }, "$thing: as many requests with $many objects as with $few")
      or diag(join "\n", "with $few:", @{ $with_few{$thing} }, "with $many:", @now);
}
never_restarted($node, 0, 'the server stayed up');

done_testing();
