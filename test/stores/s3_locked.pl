# A bucket with object lock and versions, and a server that may not remove anything: everything works, and nothing piles up in
# the log. Then an attack, with the server's own credentials and with the bucket owner's: what is overwritten or deleted is
# refused by whoever reads the bucket as it is, and comes back with --as-of-bucket-time.
use strict;
use warnings;
use JSON::PP ();
use POSIX qw(strftime);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PgArk::FaultProxy;
use PgArk::S3 qw(prefix_of);
use PgArk::Test;

my ($host) = $ENV{PG_ARK_TEST_S3} =~ m{endpoint=http://([\d.:]+)} or die 'PG_ARK_TEST_S3 names no endpoint with http';
my ($key, $secret) = split /:/, $ENV{PG_ARK_TEST_S3_SERVER} // die 'PG_ARK_TEST_S3_SERVER names no keys';
my $owner  = PgArk::S3->new($host);
my $server = PgArk::S3->new($host, $key, $secret);
my $bucket = sprintf 'pgark-locked-%d-%d', $$, time;
$owner->make_locked_bucket($bucket);

# As docs/object-storage.md recommends it, and what a Ceph needs besides, where the owner of a bucket does not own what others
# put there.
sub grant { my ($user, @actions) = @_; return { Effect => 'Allow', Principal => { AWS => ["arn:aws:iam:::user/$user"] }, Action => [@actions], Resource => [ "arn:aws:s3:::$bucket", "arn:aws:s3:::$bucket/*" ] } }
sub policy { $owner->ok('PUT', $bucket, '', { policy => '' }, JSON::PP::encode_json({ Version => '2012-10-17', Statement => [@_] })); return }
my @writes = qw(s3:ListBucket s3:ListBucketMultipartUploads s3:GetObject s3:PutObject s3:AbortMultipartUpload);
policy(grant('pgark', 's3:*'), grant('pgarkserver', @writes));

my $directory = PostgreSQL::Test::Utils::tempdir('locked');
append_to_file("$directory/server", "[default]\naws_access_key_id = $key\naws_secret_access_key = $secret\n");
chmod 0600, "$directory/server";
# Amazon heeds If-None-Match in a bucket with versions, this Ceph does not: the proxy does it in its place.
my $proxy = PgArk::FaultProxy->new($host =~ s/.*://r, $directory);
$proxy->set(conditional => JSON::PP::true());
(my $direct = place_below($ENV{PG_ARK_TEST_S3}, 'locked')) =~ s{^s3://[^/]+}{s3://$bucket};
(my $url = $direct) =~ s/endpoint=[^&]*/"endpoint=" . $proxy->endpoint/e;
$url .= "&credentials_file=$directory/server";
my $prefix = prefix_of($direct);

sub versions {
    my ($name) = @_;
    my $page = $owner->ok('GET', $bucket, '', { versions => '', prefix => $name });
    return $page =~ m{<VersionId>(.*?)</VersionId>}g;
}
# A dump, without how far ahead of what was used sequences have been logged.
sub lines_of { my ($node) = @_; return dump_of($node) =~ s/^SELECT pg_catalog\.setval.*\n//mgr }
sub status { my ($who, @request) = @_; my ($status) = $who->request(@request); return $status }

# ---- the credentials are what they should be

is(status($server, 'PUT', $bucket, "$prefix-probe", {}, 'x'), 200, 'the server may put');
is(status($server, 'DELETE', $bucket, "$prefix-probe", {}), 403, 'it may not delete');
is(status($server, 'DELETE', $bucket, "$prefix-probe", { versionId => (versions("$prefix-probe"))[0] }), 403, 'nor a version');
is(status($owner, 'DELETE', $bucket, "$prefix-probe", { versionId => (versions("$prefix-probe"))[0] }), 403, 'nor may the owner, while the lock lasts');
my ($levels_status, $said) = ark('check', '--repo', $url, '--output', 'json');
is($levels_status, 0, 'pg_ark check: it can work with this place');
my %found = map { $_->{name} => $_ } @{ JSON::PP::decode_json($said)->{checks} };
is($found{$_}{level}, 'good', "check: $_") or diag($found{$_}{detail}) for qw(right_put right_get right_list create_if_absent right_multipart throughput);
is($found{right_delete}{level}, 'note', 'check: that it may not delete is told, and no error');
my $left = 0;
$left += $owner->bytes($bucket, "$prefix/ark-probe/");
cmp_ok($left, '<', 1000, 'check leaves bytes, not megabytes');

# ---- where the condition is not heeded, that is found out

{
    (my $plain = $direct) =~ s/$/&credentials_file=$directory\/server/;
    my ($status, $out) = ark('check', '--repo', $plain, '--output', 'json');
    my ($race) = grep { $_->{name} eq 'create_if_absent' } @{ JSON::PP::decode_json($out)->{checks} };
    if ($race->{level} eq 'error') { is($status, 7, 'this Ceph overwrites in a bucket with versions: check finds that') }
    else                           { is($status, 0, 'this Ceph heeds If-None-Match in a bucket with versions') }
}

# ---- everything works

my $node = ark_cluster('source', repository => $url);
load_shop($node);
my $mark = log_mark($node);
poll_until('WAL is streamed', sub { $node->safe_psql('postgres', 'SELECT state FROM ark.wal_status') eq 'streaming' });
my $load = start_load($node);
my $first = backup_ok($node, 'under load, without the right to remove');
archive_now($node) for 1 .. 4;
stop_load($load);
$node->safe_psql('postgres', 'SELECT pg_logical_emit_message(true, $$x$$, $$x$$)');
my $moment = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
my $then   = fingerprint($node);
sleep 1;
$load = start_load($node);
my $second = backup_ok($node, 'the second');
archive_now($node) for 1 .. 3;
stop_load($load);
archive_now($node);
my ($cluster) = map { "$prefix/$_" } $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my @pieces = grep { m{/tail/} } $owner->objects($bucket, "$cluster/");
cmp_ok(scalar @pieces, '>=', 2, 'the pieces of whole segments stay');
my @deletes = grep { /^DELETE/ && !/uploadId/ } $proxy->requests;
cmp_ok(scalar(grep { m{/tail/} } @deletes), '<=', 2, 'they are tried to be removed once, not for each segment') or diag(join "\n", @deletes);
my $log = slurp_file($node->logfile, $mark);
is(scalar(() = $log =~ /WARNING: .*stay in the repository/g), 1, 'the log says so, once') or diag($log);
like($log, qr{HINT: .*lifecycle rule.*/tail/}, 'and what to do');
unlike($log, qr/ERROR|could not (?!receive data from client|send data to client)/, 'and has no other trouble');
ark_ok([ 'verify', '--repo', $url ], 'both backups are whole');
is($node->safe_psql('postgres', q{SELECT string_agg(name, ' ') FROM ark.preflight() WHERE NOT ok AND name <> 'oom_policy'}), '', 'preflight() is content');
like($node->safe_psql('postgres', q{SELECT detail FROM ark.preflight() WHERE name = 'right_delete'}), qr/the right is missing/, 'and tells of the right');
my $probes = $owner->bytes($bucket, "$prefix/ark-probe/");
cmp_ok($probes, '<', 10_000, 'what preflight() leaves is small');

# A backup that is given up leaves what it has; that is told when it is swept, and keeps nothing from going on.
$node->safe_psql('postgres', q{CREATE TABLE noise AS SELECT n, string_agg(md5(random()::text), '') AS text
    FROM generate_series(1, 12000) n, generate_series(1, 40) GROUP BY n});
{
    my $id = with_fault($node, 'cloud_part_sent=kill', sub { start_backup_sql($node, 'is killed') });
    is(wait_backup($node, $id)->{status}, 'failed', 'a killed backup is failed');
    wait_log($node, qr/"$id" did not end: its leftovers stay for now.*the right to remove objects is missing/s, $mark);
    is(scalar(grep { $_->{backup_id} eq $id } backups($url)), 0, 'and is none');
}

# The server begins anew: what stays is told once more, and streaming goes on behind it.
$mark = log_mark($node);
$node->restart;
poll_until('WAL is streamed again', sub { $node->safe_psql('postgres', 'SELECT state FROM ark.wal_status') eq 'streaming' });
$load = start_load($node);
archive_now($node) for 1 .. 3;
stop_load($load);
is($node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'), 0, 'nothing failed in the archiver');
cmp_ok(scalar(() = slurp_file($node->logfile, $mark) =~ /WARNING: .*stay in the repository/g), '<=', 1, 'told once for each start');
is($node->safe_psql('postgres', 'SELECT error_message FROM ark.wal_status'), '', 'streaming has no trouble');

# Back to a moment, beside all the pieces that stayed.
{
    my $restored = restore_node($node, 'pitr', '--target-time', $moment, '--target-action', 'promote', '--backup', $first);
    start_restored($restored);
    same_contents(fingerprint($restored), $then, 'restored to a moment, all is as it was then');
    $restored->stop;
}

# ---- before the attack

$node->safe_psql('postgres', 'SELECT pg_logical_emit_message(true, $$x$$, $$x$$)');
archive_now($node);
my $before   = fingerprint($node);
my $dump     = lines_of($node);
my @listed   = map { $_->{backup_id} } backups($url);
my @objects  = $owner->objects($bucket, $cluster);
$node->stop;    # and it is away from now on
sleep 1.5;
my $time = strftime('%Y-%m-%d %H:%M:%S', gmtime) . '+00';
sleep 1.5;

# ---- the attack: with the server's credentials objects are overwritten, with the owner's deleted

my @data = $owner->objects($bucket, "$cluster/");
my @backups = grep { m{/backup/} } @data;
my @wal     = grep { m{/(?:wal|tail)/} } @data;
my @gone;
my $i = 0;
for my $object (sort(@backups), sort(@wal), "$prefix/ark.json") {
    if ($i++ % 2 || $object =~ /ark\.json$/) { is(status($server, 'PUT', $bucket, $object, {}, 'pay us'), 200, 'overwritten') }
    else { push @gone, $object }
}
$owner->ok('DELETE', $bucket, $_, {}) for @gone;
is(status($owner, 'GET', $bucket, $gone[0], {}), 404, 'what is deleted is gone');
# Old versions are out of both their reach.
my ($marker) = grep { m{/backup\.json$} } @backups;
for my $version (versions($marker)) {
    my $denied = status($server, 'DELETE', $bucket, $marker, { versionId => $version });
    is($denied, 403, 'the server can remove no version');
}
# Listings of more than a page, and names that no one can read.
my ($pack) = sort grep { m{/data/00000} } @backups;
$owner->put_many($bucket, [ ($pack) x 1100 ], 'pay us');
(my $beside = $pack) =~ s{[^/]*$}{};
$owner->put_many($bucket, [ map { "$beside$_" } 'a b', "\x01", '%41', '+', 'x/y' ], 'pay us');
$owner->ok('PUT', $bucket, "$prefix/0000000000000000000/backup/x/backup.json", {}, 'another cluster');

$owner->ok('PUT', $bucket, "$cluster/wal/00000002/00000002.history", {}, 'pay us');

# What the condition does where the newest version says "deleted": the name is free, and what is put is one more version.
is(status($owner, 'PUT', $bucket, $gone[1], {}, 'x', { 'if-none-match' => '*' }), 200, 'a name that was deleted is free to a conditional put');

# ---- as it is now it is refused

my $target = PostgreSQL::Test::Utils::tempdir('target') . '/data';
ark_fails([ 'restore', '--repo', $direct, '-D', $target ], qr/ark\.json|not valid|could not/, 'as it is now nothing is restored');
ok(!-e "$target/global/pg_control", 'and nothing is left that starts');
# Also with the mark in its place again.
my ($mark_then) = grep { $owner->ok('GET', $bucket, "$prefix/ark.json", { versionId => $_ }) =~ /pg_ark_repository/ } versions("$prefix/ark.json");
$owner->ok('PUT', $bucket, "$prefix/ark.json", {}, $owner->ok('GET', $bucket, "$prefix/ark.json", { versionId => $mark_then }));
for my $id (@listed) {
    ark_fails([ 'restore', '--repo', $direct, '--cluster', $cluster =~ s{.*/}{}r, '-D', $target, '--backup', $id ], qr/error: .+/, "as it is now $id is not restored");
    ok(!-e "$target/global/pg_control", 'and nothing is left that starts');
}

# Where the markers were left alone, the packs tell.
my %good = map { ($_ => (versions($_))[-1]) } grep { m{/backup\.json$} } @backups;
$owner->ok('PUT', $bucket, $_, {}, $owner->ok('GET', $bucket, $_, { versionId => $good{$_} })) for sort keys %good;
my @here = ('--repo', $direct, '--cluster', $cluster =~ s{.*/}{}r);
is_deeply([ map { $_->{backup_id} } @{ JSON::PP::decode_json(ark_ok([ 'list', @here, '--output', 'json' ], 'list, with the markers back')) } ], \@listed, 'the backups seem to be there');
for my $id (@listed) {
    ark_fails([ 'restore', @here, '-D', $target, '--backup', $id, '--target', 'immediate', '--force' ], qr/error: .+/, "but $id is not restored");
    ok(!-e "$target/global/pg_control", 'and nothing is left that starts');
}

# ---- as it was

my @past = ('--as-of-bucket-time', $time);
my @now  = $owner->objects($bucket, $prefix);
is_deeply([ map { $_->{backup_id} } @{ JSON::PP::decode_json(ark_ok([ 'list', '--repo', $direct, @past, '--output', 'json' ], 'list, as it was')) } ],
    \@listed, 'all backups are listed');
like(ark_ok([ 'info', '--repo', $direct, @past, $first ], 'info, as it was'), qr/under load/, 'tells of one');
like(ark_ok([ 'ranges', '--repo', $direct, @past ], 'ranges, as it was'), qr/timeline 1  from .* until /, 'there is a way');
unlike(ark_ok([ 'ranges', '--repo', $direct, @past ], 'ranges, as it was'), qr/MISSING/, 'without a hole');
ark_ok([ 'audit', '--repo', $direct, @past ], 'audit, as it was');
like(ark_ok([ 'verify', '--repo', $direct, @past ], 'verify, as it was'), qr/is whole/, 'all is whole');
ark_ok([ 'drill', '--repo', $direct, @past, '--backup', $second, '--scratch', PostgreSQL::Test::Utils::tempdir('scratch') ], 'drill, as it was');
is_deeply([ $owner->objects($bucket, $prefix) ], \@now, 'nothing was written');

my $restored = restore_node($node, 'restored', '--repo', $direct, @past, '--backup', $first);
verify_backup_ok($restored->data_dir, 'pg_verifybackup', qw(postgresql.auto.conf recovery.signal pg_wal backup_label.old), 'pg_wal/pg_ark.clone');
like(slurp_file($restored->data_dir . '/postgresql.auto.conf'), qr/restore_command = .*--as-of-bucket-time/, 'recovery reads the past, too');
start_restored($restored);
same_contents(fingerprint($restored), $before, 'restored as it was, all is there');
same_contents(lines_of($restored), $dump, 'down to the last line of a dump');
amcheck_ok($restored, 'pg_amcheck finds nothing');

# Its archive is a new place: what it would meet in the old one is the attacker's.
my $fresh = place_below($url, 'afterwards');
set_config($restored, 'pg_ark.repositories' => $fresh);
$restored->safe_psql('postgres', 'SELECT ark.adopt()');
archive_now($restored);
my $taken = poll_until('a full backup is there', sub { (grep { $_->{timeline} == 2 } eval { backups($fresh) })[0] });
ark_ok([ 'verify', '--repo', $fresh, $taken->{backup_id} ], 'the full backup that adopt() begins is whole');
$restored->stop;

# What happens in the old one: nothing is overwritten, and that is told.
{
    my $clash = PostgreSQL::Test::Cluster->new('clash');
    my (undef, undef, $err) = ark('restore', '-D', $clash->data_dir, '--repo', $direct, @past, '--take-over');
    like($err, qr/warning: recovery reads the bucket as it was at .*Set pg_ark\.repositories to a new place before you start it/, 'a restore that takes over warns of the present');
    start_restored($clash);
    my $log = poll_until('archiving says what is in its way', sub { slurp_file($clash->logfile) =~ /(.*00000002\.history.*)/s && $1 });
    like($log, qr/could not archive|00000002\.history" .*(?:other content|not|another)/s, 'the name of its timeline is taken: archiving stops');
    is($owner->ok('GET', $bucket, "$cluster/wal/00000002/00000002.history", {}), 'pay us', 'and nothing is overwritten');
    $clash->stop;
}

# To a moment in the past of that past.
my $pitr = restore_node($node, 'past_of_past', '--repo', $direct, @past, '--backup', $first, '--target-time', $moment, '--target-action', 'promote');
start_restored($pitr);
same_contents(fingerprint($pitr), $then, 'an earlier moment can be reached, too');
$pitr->stop;

# ---- what is refused

my @restore = ('restore', '-D', $target);
ark_fails([ @restore, '--repo', $direct, '--as-of-bucket-time', '2020-01-01 00:00:00+00' ], qr/is not a pg_ark repository/, 'before there was anything there is nothing');
ark_fails([ @restore, '--repo', $direct, '--as-of-bucket-time', '2099-01-01' ], qr/is in the future/, 'the future is not known');
ark_fails([ @restore, '--repo', $direct, '--as-of-bucket-time', 'yesterday' ], qr/invalid bucket time "yesterday"/, 'a time that is none');
ark_fails([ @restore, '--repo', $direct, @past, '--standby' ], qr/--standby and --as-of-bucket-time exclude each other/, 'a standby has no past');
ark_fails([ @restore, '--repo', "file://$directory", @past ], qr/not supported for file:.*HINT: .*snapshot/s, 'a directory has none');
ark_fails([ 'list', '--repo', $url, @past ], qr/AccessDenied.*HINT: .*s3:ListBucketVersions/s, 'the server\'s credentials do not read the past');
ark_fails([ 'list', '--repo', $ENV{PG_ARK_TEST_S3}, @past ], qr/keeps no versions/, 'a bucket without versions has none');
my $file = "$directory/segment";
my ($exit) = ark('wal-get', '--repo', $url, @past, '--timeout', 1, '000000010000000000000001', $file);
cmp_ok($exit, '>', 125, 'wal-get that may not look stops recovery');
($exit) = ark('wal-get', '--repo', $direct, '--cluster', $cluster =~ s{.*/}{}r, @past, '0000000100000000000000FF', $file);
is($exit, 1, 'what was not there then wal-get calls "not there"');
ark_ok([ 'wal-get', '--repo', $direct, '--cluster', $cluster =~ s{.*/}{}r, @past, $wal[0] =~ s{.*/([0-9A-F]{24}).*}{$1}r, $file ], 'and what was it fetches');

done_testing();
