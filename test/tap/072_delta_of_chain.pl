# A delta restore of a chain fetches what differs: by the checksums of blocks, also of frames of which newer backups
# have replaced some. What comes out is what a plain restore makes, byte by byte.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use PgArk::Test;

my $node = ark_cluster('source');
my $repository = $node->{ark_repository};
my $space = PostgreSQL::Test::Utils::tempdir('space');
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
# Three rows on a page, and room for the one that an UPDATE makes.
for my $table ([ 'wide', 12000, '' ], [ 'far', 3000, 'TABLESPACE space' ]) {
    my ($name, $rows, $where) = @$table;
    $node->safe_psql('postgres', "CREATE TABLE $name (n int, hits int, text text) WITH (fillfactor = 75) $where");
    $node->safe_psql('postgres', "INSERT INTO $name SELECT n, 0, (SELECT string_agg(md5(n::text || '$name' || i), '')"
            . " FROM generate_series(1, 58) i) FROM generate_series(1, $rows) n");
}
$node->safe_psql('postgres', 'VACUUM FREEZE wide, far; CHECKPOINT');

sub backup_of_type {
    my ($type) = @_;
    sleep 1.1;    # the newest is told by its second
    my $id = $node->safe_psql('postgres', "SELECT ark.start_backup('$type', 'a test')");
    my $row = wait_backup($node, $id);
    is($row->{status}, 'completed', "a backup, $type") or diag(JSON::PP::encode_json($row->{error} // {}));
    is($row->{full_because}, undef, 'of the type that was asked for');
    return $id;
}

# One block of fifty, others each time: each frame has some.
my @chain = (backup_of_type('full'));
for my $n (1, 31, 61) {
    $node->safe_psql('postgres', "UPDATE $_ SET hits = hits + 1 WHERE n % 150 = $n") for qw(wide far);
    push @chain, backup_of_type('incremental');
}
archive_now($node);
my $wide = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('wide')});
my $far = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('far')});

my $base = PostgreSQL::Test::Utils::tempdir('restored');
my @ADDED = qw(postgresql.auto.conf recovery.signal backup_manifest);

sub restore_json {
    my ($to, $id, @arguments) = @_;
    my ($status, $out, $err) = ark('restore', '--repo', $repository, '-D', "$base/$to", '--tablespace-map', "$space=$base/$to.space", '--backup', $id,
        '--output', 'json', @arguments);
    is($status, 0, join ' ', 'restore', $to, $id, @arguments) or diag($err);
    my ($done) = map { JSON::PP::decode_json($_) } grep { /"event":\s*"done"/ } split /\n/, $out;
    note "fetched $done->{fetched}, reused $done->{reused_bytes} of $done->{bytes}";
    is(join(' ', grep { /checksums of the blocks/ } @{ $done->{warnings} // [] }), '', 'without a word of damage');
    return $done;
}

sub same_as_plain {
    my ($to, $what) = @_;
    verify_backup_ok("$base/$to", "$what: pg_verifybackup", @ADDED);
    my @differ;
    for my $place ([ "$base/plain", "$base/$to" ], [ "$base/plain.space", "$base/$to.space" ]) {
        my ($expected, $found) = map { [ sort(find_objects($_)) ] } @$place;
        cmp_ok(scalar @$expected, '>', $place->[0] =~ /space/ ? 0 : 500, 'there are files to compare');
        is_deeply($found, $expected, "$what: the same files");
        push @differ, grep { slurp_file("$place->[0]/$_") ne slurp_file("$place->[1]/$_") } grep { !m{^pg_wal/} } @$expected;
    }
    is(join(' ', @differ), '', "$what: byte by byte what a plain restore makes");
}

sub spoil {
    my ($path, $block, $bytes) = @_;
    open my $file, '+<:raw', $path or die "$path: $!";
    seek $file, $block * 8192 + 8192 - length $bytes, 0;
    print $file $bytes;
    close $file or die $!;
}

# ---- an older state is there

my $plain = restore_json('plain', $chain[-1]);
restore_json('data', $chain[-2]);
my $done = restore_json('data', $chain[-1], '--delta');
same_as_plain('data', 'over an older state');
cmp_ok($done->{fetched}, '<', $plain->{fetched} / 8, 'what differs is fetched, and little more');
cmp_ok($done->{reused_bytes}, '>', $done->{bytes} * 0.9, 'almost all was there');

# ---- nothing differs

my $least = restore_json('data', $chain[-1], '--delta')->{fetched};
same_as_plain('data', 'over itself');
cmp_ok($least, '<', $plain->{fetched} / 10, 'next to nothing is fetched');

# ---- some blocks differ: wrong, torn, cut off, too many

my $file = "$base/data/$wide";
spoil($file, $_, 'spoiled') for 3, 1000, 3999;
spoil("$base/data.space/" . ($far =~ s{^pg_tblspc/\d+/}{}r), 500, 'x' x 4096);
my $some = restore_json('data', $chain[-1], '--delta');
same_as_plain('data', 'where four blocks were wrong');
cmp_ok($some->{fetched}, '<', $least + 4 * 1024 * 1024, 'their frames are fetched, and no others');
cmp_ok($some->{fetched}, '>', $least + 256 * 1024, 'they are');

truncate $file, 8192 * 2000 + 100 or die $!;
my $short = restore_json('data', $chain[-1], '--delta');
same_as_plain('data', 'where half of a file was gone');
cmp_ok($short->{fetched}, '<', $least + 12 * 1024 * 1024, 'that half is fetched');

append_to_file($file, 'longer' x 10000);
restore_json('data', $chain[-1], '--delta');
same_as_plain('data', 'where a file was longer');

# ---- back to each backup of the chain, and to the newest again

for my $id (reverse @chain) {
    restore_json('data', $id, '--delta');
    verify_backup_ok("$base/data", "$id: pg_verifybackup", @ADDED);
}
restore_json('data', $chain[-1], '--delta');
same_as_plain('data', 'over the full backup');

# ---- checksums are in all backups, also in one that is made of a chain, and are right there

my ($cluster) = map { $_->{cluster} } backups($repository);
ark_ok([ 'compact', '--repo', $repository, $chain[-1], '--output', 'json' ], 'the chain is compacted');
my ($compacted) = grep { my $id = $_; !grep { $_ eq $id } @chain } map { $_->{backup_id} } backups($repository);
if (my ($directory) = $repository =~ m{^file://(.*)}) {
    for my $id ($chain[0], $compacted) {
        my $lines = `zstd -dqc "$directory/$cluster/backup/$id/index.zst" | grep block_xxh3`;
        like($lines, qr/"path":"\Q$_\E"/, "$id has checksums of the blocks of $_") for $wide, $far;
    }
}
for my $id (@chain, $compacted) {
    my ($status, $verified, $err) = ark('verify', '--repo', $repository, $id, '--output', 'json');
    is($status, 0, "$id is verified") or diag($err . $verified);
}
restore_json('data', $chain[1], '--delta');
restore_json('data', $compacted, '--delta');
verify_backup_ok("$base/data", 'what was compacted: pg_verifybackup', @ADDED);
done_testing();
