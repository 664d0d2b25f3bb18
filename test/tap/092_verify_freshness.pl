# pg_ark verify a second time: what was read a short while ago is not read again, and yet nothing that goes, shrinks or is written anew goes unnoticed;
# damage that no listing shows is found by --full and when the time is over, and is not forgotten then. WAL up to now: what is missing is named, and
# how far recovery comes.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep utime);
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => "pg_ark.wal_streaming = off\n");
load_shop($node);
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $id      = backup_ok($node, 'full');
sub more_wal {
    $node->safe_psql('postgres', q{SELECT count(pg_logical_emit_message(false, 'x', repeat(md5(random()::text), 200))) FROM generate_series(1, 250)});
    archive_now($node);
    return;
}
more_wal() for 1 .. 4;

my @key;

# (status, evidence) of one backup.
sub verify {
    my ($which, @arguments) = @_;
    my ($status, $out, $err) = ark('verify', $which, '--repo', $url, '--output', 'json', '--wait', 0, @key, @arguments);
    return ($status, undef) if $out !~ /^\[/;
    return ($status, JSON::PP->new->utf8->decode($out)->[0]);
}
sub is_whole {
    my ($what, $which, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $evidence) = verify($which, @arguments);
    is($status, 0, "$what: nothing is found") || diag(JSON::PP->new->pretty->encode($evidence // {}));
    return $evidence->{verified};
}
sub is_found {
    my ($what, $check, $object, $which, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $evidence) = verify($which, @arguments);
    is($status, 6, "$what: verify ends with 6");
    ok((grep { $_->{check} eq $check && $_->{object} =~ $object } @{ $evidence->{errors} }), "$what: and names it") || diag(JSON::PP->new->pretty->encode($evidence // {}));
    return $evidence;
}

# Changes a file's bytes; of the other way of it, time and all, a listing shows nothing.
sub bytes_of { my ($path) = @_; return scalar slurp_file($path) }
sub put {
    my ($path, $content, $times) = @_;
    open my $handle, '>:raw', $path or die "$path: $!";
    print $handle $content;
    close $handle or die "$path: $!";
    utime $times->[0], $times->[1], $path if $times;
    return;
}
sub exact_times {
    my ($path) = @_;
    return [ (Time::HiRes::stat($path))[ 8, 9 ] ];
}
sub flipped {
    my ($content) = @_;
    my $at = int(length($content) / 2);
    substr($content, $at, 1) = chr(ord(substr $content, $at, 1) ^ 4);
    return $content;
}
# As a disk rots. A file system keeps nanoseconds, which Perl's floating point does not: the time is rounded before anything is verified.
sub rot {
    my ($path) = @_;
    my $times = exact_times($path);
    put($path, flipped(bytes_of($path)), $times);
    return;
}
sub round_times {
    my ($root) = @_;
    my $time = time - 60;
    utime $time, $time, "$root/$_" for find_objects($root);
    return;
}

my $root   = "$directory/$cluster";
my $backup = "$root/backup/$id";
my ($largest) = sort { -s "$backup/data/$b" <=> -s "$backup/data/$a" } find_objects("$backup/data");
my $pack = "$backup/data/$largest";
round_times($root);

# ---- twice

my $first = is_whole('the first time', $id);
is($first->{objects_fresh}, 0, 'nothing is fresh');
cmp_ok($first->{bytes_read}, '>', -s $pack, 'everything is read');
cmp_ok(scalar find_objects("$root/verified"), '>=', 1, 'and written down');
my $second = is_whole('the second time', $id);
cmp_ok($second->{bytes_read}, '<', $first->{bytes_read} / 10, 'next to nothing is read');
cmp_ok($second->{wal}{segments}, '<=', 2, 'the newest segment, and the one before it');
is($second->{objects_read} + $second->{objects_fresh}, $first->{objects_read}, 'what is not read was read');
ok($second->{oldest_verification} =~ /^\d{4}-/, 'it says since when');
is($second->{wal}{recoverable_to}, $first->{wal}{recoverable_to}, 'and how far recovery comes');
my ($text) = ark_ok([ 'verify', $id, '--repo', $url ], 'as text');
like($text, qr/not read again: found good since \d{4}/, 'and for people');
is(is_whole('--full', $id, '--full')->{objects_fresh}, 0, '--full reads all');
is(is_whole('--freshness 0', $id, '--freshness', 0)->{objects_fresh}, 0, '--freshness 0 too');
for my $value ('31d', '-1', '7 weeks') { isnt((ark('verify', $id, '--repo', $url, '--freshness', $value))[0], 0, "--freshness $value is refused") }

more_wal();
my $third = is_whole('with more WAL', $id);
cmp_ok($third->{wal}{segments}, '<=', 5, 'the new is read');
isnt($third->{wal}{last}, $first->{wal}{last}, 'up to now');

# ---- what a listing does not show

my $good  = bytes_of($pack);
my $times = exact_times($pack);
rot($pack);
is_whole('a bit that rots', $id);
is_found('--full', 'pack', qr{/\Q$largest\E$}, $id, '--full');
is_found('from then on', 'pack', qr{/\Q$largest\E$}, $id);
put($pack, $good, $times);
is_whole('put back', $id);
rot($pack);
sleep 3;
is_found('when the time is over', 'pack', qr{/\Q$largest\E$}, $id, '--freshness', '2s');
put($pack, $good, $times);
is_whole('put back again', $id);

# ---- what it does

for my $path ($pack, "$backup/index.zst", "$backup/manifest.zst", glob "$root/wal/00000001/*/$third->{wal}{first}.zst") {
    my ($name) = $path =~ m{([^/]+)$};
    my ($content, $when) = (bytes_of($path), exact_times($path));
    unlink $path;
    is_found("$name is removed", $name =~ /^0{7}1/ ? 'wal' : $path eq $pack ? 'pack' : $name =~ /^(\w+)/, qr{/\Q$name\E$}, $id);
    put($path, substr($content, 0, -1), $when);
    is_found("$name is shorter", $name =~ /^0{7}1/ ? 'wal' : $path eq $pack ? 'pack' : $name =~ /^(\w+)/, qr{/\Q$name\E$}, $id);
    put($path, flipped($content));
    is_found("$name is written anew", $name =~ /^0{7}1/ ? 'wal' : $path eq $pack ? 'pack' : $name =~ /^(\w+)/, qr{/\Q$name\E$}, $id);
    put($path, $content, $when);
    is_whole("$name is back", $id);
}

# ---- WAL between the backup's end and now

my @segments = sort map { m{([0-9A-F]{24})\.zst$} ? $1 : () } find_objects("$root/wal/00000001");
my $missing = $segments[-4];
my ($lost)  = glob "$root/wal/00000001/*/$missing.zst";
rename $lost, "$lost.away" or die $!;
my $evidence = is_found('a segment in the middle', 'wal_after_backup', qr{/\Q$missing\E\.zst$}, $id);
is($evidence->{verified}{backup_is_whole}, JSON::PP::true, 'the backup itself is whole');
my ($finding) = @{ $evidence->{errors} };
like("$finding->{message}. $finding->{detail}", qr/"\Q$missing\E" is missing.*possible up to \Q$evidence->{verified}{wal}{recoverable_to}\E/, 'recovery is possible up to there');
like((ark('verify', $id, '--repo', $url, '--wait', 0))[1], qr/is whole, but recovery from it ends at/, 'for people');
my $restored = restore_node($node, 'restored', '--backup', $id, '--target', 'immediate', '--target-action', 'promote');
start_restored($restored);
pass('so it is');
$restored->stop;
rename "$lost.away", $lost or die $!;
is_whole('it is back', $id);

# ---- two at once, and a verification by the server

{
    my @children = map { my $pid = fork // die $!; if (!$pid) { exec 'sh', '-c', "pg_ark verify '$id' --repo '$url' >/dev/null 2>&1; exit \$?" } $pid } 1 .. 3;
    my @status = map { waitpid $_, 0; $? >> 8 } @children;
    is_deeply(\@status, [ 0, 0, 0 ], 'several at once');
}
sub by_server {
    my ($options) = @_;
    my $test = $node->safe_psql('postgres', "SELECT ark.verify_backup('$id', '$options')");
    return JSON::PP::decode_json($node->safe_psql('postgres', "SELECT details || jsonb_build_object('success', success) FROM ark.backup_verification WHERE id = '$test'"));
}
my $details = by_server('{}');
ok($details->{success}, 'the server finds nothing');
cmp_ok($details->{objects_fresh}, '>', 3, 'it does not read what pg_ark verify has read');
is($details->{freshness_seconds}, 604800, 'for a week');
is(by_server('{"full": true}')->{objects_fresh}, 0, '"full": true reads all');
set_config($node, 'pg_ark.verify_freshness' => '0');
is(by_server('{}')->{objects_fresh}, 0, 'pg_ark.verify_freshness = 0 too');
set_config($node, 'pg_ark.verify_freshness' => '1d');
cmp_ok(by_server('{}')->{objects_fresh}, '>', 3, 'and a day is long enough');

# A gap behind a backup is nothing against it: what has changed since is known otherwise.
is($node->safe_psql('postgres', q{SELECT backup_id FROM ark.backup_log WHERE status = 'completed' ORDER BY started_at DESC LIMIT 1}), $id, 'it is the newest backup');
rename $lost, "$lost.away" or die $!;
$details = by_server('{"full": true}');
ok(!$details->{success} && $details->{backup_is_whole}, 'a gap in the WAL behind a whole backup');
my $behind = wait_backup($node, $node->safe_psql('postgres', q{SELECT ark.start_backup('incremental')}));
is($behind->{backup_type}, 'incremental', 'it goes on being a parent') or diag($behind->{full_because});
rename "$lost.away", $lost or die $!;

# ---- a change of timelines

my $taken = restore_node($node, 'taken', '--take-over', '--target-action', 'promote');
$node->stop;
start_restored($taken);
for (1 .. 3) {
    $taken->safe_psql('postgres', q{SELECT count(pg_logical_emit_message(false, 'x', repeat(md5(random()::text), 200))) FROM generate_series(1, 250)});
    archive_now($taken);
}
my $both = is_whole('two timelines', $id);
is_deeply($both->{wal}{timelines}, [ 1, 2 ], 'the WAL of both');
my ($fork) = sort map { m{([0-9A-F]{24})\.zst$} ? $1 : () } find_objects("$root/wal/00000002");
my @fork = grep { -e } map { (glob "$root/wal/$_/*/$_" . substr($fork, 8) . '.zst') } '00000001', '00000002';
rename $_, "$_.away" or die $! for @fork;
$evidence = is_found('a gap at the change', 'wal_after_backup', qr{/\Q$fork\E\.zst$}, $id);
is($evidence->{verified}{backup_is_whole}, JSON::PP::true, 'the backup itself is whole');
rename "$_.away", $_ or die $! for @fork;
is_whole('whole again', $id);

# ---- a chain, whose parent's index need not be read twice

my $next = do {
    my $made = $taken->safe_psql('postgres', q{SELECT ark.start_backup('incremental')});
    wait_backup($taken, $made);
    $made;
};
my $chain = is_whole('a chain', $next);
cmp_ok(is_whole('a chain again', $next)->{bytes_read}, '<', $chain->{bytes_read} / 2, 'little is read');
my ($parent) = map { $_->{parent} } grep { $_->{backup_id} eq $next } backups($url);
SKIP: {
    skip 'a full one was taken', 3 if !$parent;
    my $index = "$root/backup/$parent/index.zst";
    my ($content, $when) = (bytes_of($index), exact_times($index));
    put($index, flipped($content));
    is_found('the parent\'s index is damaged', 'chain', qr{/backup\.json$}, $next);
    put($index, $content, $when);
    is_whole('and is back', $next);
}

# ---- the records: those that are damaged, or of others, are not believed

{
    my @records = map { "$root/verified/$_" } find_objects("$root/verified");
    put($_, flipped(bytes_of($_))) for @records;
    is(is_whole('damaged records', $id)->{objects_fresh}, 0, 'are no records');
    cmp_ok(is_whole('a new one', $id)->{objects_fresh}, '>', 3, 'is one');
    chmod 0500, "$root/verified";
    unlink map { "$root/verified/$_" } find_objects("$root/verified") if $< == 0;
    my ($status, $seen) = verify($id, '--full');
    is($status, 0, 'a repository that cannot be written can be verified');
    like(join(' ', @{ $seen->{notes} }), qr/could not be written down/, 'with a note') if $< != 0;
    chmod 0700, "$root/verified";
}
cmp_ok(scalar find_objects("$root/verified"), '<=', 40, 'they do not pile up');

# ---- encrypted

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', "$keys/ark.key" ], 'a key');
set_config($taken, 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => "$keys/ark.key");
my $secret = backup_ok($taken, 'encrypted');
archive_now($taken);
@key = ('--key-file', "$keys/ark.key");
is(is_whole('encrypted', $secret)->{objects_fresh}, 0, 'what was written down in the clear is not believed');
cmp_ok(is_whole('encrypted, again', $secret)->{objects_fresh}, '>', 3, 'what was encrypted is');
my @clear = grep { bytes_of("$root/verified/$_") !~ /aes-256-gcm/ } grep { -M "$root/verified/$_" < 0.0001 } find_objects("$root/verified");
cmp_ok(scalar(grep { bytes_of("$root/verified/$_") =~ /aes-256-gcm/ } find_objects("$root/verified")), '>=', 1, 'it is encrypted');
never_restarted($_) for $node, $taken;
done_testing();
