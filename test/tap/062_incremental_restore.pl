# Restoring incremental backups: each of a chain, taken under load, comes back and recovers to the same end; also
# over what is there already; verification and restore tests look at the whole chain; one that is broken is told.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $node = ark_cluster('source');
my $repository = $node->{ark_repository};
my $space = PostgreSQL::Test::Utils::tempdir('space');
load_shop($node);
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE far TABLESPACE space AS SELECT n, md5(n::text) AS text FROM generate_series(1, 50000) n;
CREATE TABLE cut AS SELECT n, md5(n::text) AS text FROM generate_series(1, 50000) n;
CREATE TABLE quiet AS SELECT n, md5(n::text) AS text FROM generate_series(1, 100000) n;
CREATE INDEX ON far (n);
SQL

sub backup_of_type {
    my ($type) = @_;
    sleep 1.1;    # the newest is told by its second
    my $id = $node->safe_psql('postgres', "SELECT ark.start_backup('$type', 'a test')");
    my $row = wait_backup($node, $id);
    is($row->{status}, 'completed', "a backup, $type") or diag(JSON::PP::encode_json($row->{error} // {}));
    is($row->{full_because}, undef, 'of the type that was asked for');
    return $id;
}

# What a chain has to bring back: changed blocks, files that shrink and grow, come and go.
my @CHANGES = (
    'UPDATE far SET text = text WHERE n % 500 = 1',
    'DELETE FROM cut WHERE n > 10000; VACUUM cut',
    'INSERT INTO cut SELECT n, md5(n::text) FROM generate_series(1, 30000) n; UPDATE far SET text = text WHERE n < 100',
    'CREATE TABLE later AS SELECT n FROM generate_series(1, 10000) n; TRUNCATE cut',
    'DROP TABLE later; INSERT INTO cut SELECT n, md5(n::text) FROM generate_series(1, 5000) n; VACUUM FULL far',
    'UPDATE quiet SET text = text WHERE n = 50000',
);
my $load = start_load($node);
my @chain = (backup_of_type('full'));
for my $sql (@CHANGES) {
    $node->safe_psql('postgres', $_) for split /; /, $sql;
    push @chain, backup_of_type('incremental');
}
my $differential = backup_of_type('differential');
stop_load($load);
archive_now($node);
my $expected = fingerprint($node);
my %listed = map { $_->{backup_id} => $_ } backups($repository);
is($listed{ $chain[$_] }{parent}, $chain[ $_ - 1 ], "backup $_ builds on the one before") for 1 .. $#chain;
is($listed{$differential}{parent}, $chain[0], 'the differential one on the full one');
like(scalar(ark_ok([ 'info', '--repo', $repository, $chain[2] ], 'info')), qr/^builds on +\Q$chain[1]\E$/m, 'says so');

my @ADDED = qw(postgresql.auto.conf recovery.signal backup_manifest);
my $other = PostgreSQL::Test::Utils::tempdir('other');
my $map = [ '--tablespace-map', "$space=$other" ];

# ---- each of the chain

my $kept = PostgreSQL::Test::Utils::tempdir('kept');
for my $n (0 .. @chain) {
    my $id = $n < @chain ? $chain[$n] : $differential;
    my $place = PostgreSQL::Test::Utils::tempdir("space$n");
    my $restored = restore_node($node, "restored$n", '--backup', $id, '--tablespace-map', "$space=$place");
    verify_backup_ok($restored->data_dir, "backup $n: pg_verifybackup", @ADDED);
    unlike(slurp_file($restored->data_dir . '/backup_label'), qr/INCREMENTAL/, 'its label is that of a full backup');
    start_restored($restored);
    is(fingerprint($restored), $expected, "backup $n: it recovers to what there was");
    amcheck_ok($restored, "backup $n: pg_amcheck finds nothing") if $n >= $#chain;
    $restored->stop;
}

# ---- the same with PostgreSQL's own program

SKIP: {
    skip 'PostgreSQL 17 and later combine incremental backups', 1 if $node->pg_version < 17 || $repository !~ m{^file://(.*)};
    my ($stored) = glob "$1/*/backup";
    my $by_hand = PostgreSQL::Test::Utils::tempdir('by_hand');
    for my $id (@chain) {
        mkdir "$by_hand/$id", 0700 or die $!;
        system_or_bail('sh', '-c', 'cat "$1"/data/*.tar.zst | zstd -dq | tar x -i -C "$2" && zstd -dq "$1/manifest.zst" -o "$2/backup_manifest"',
            'sh', "$stored/$id", "$by_hand/$id");
    }
    command_ok([ 'pg_combinebackup', (map { "$by_hand/$_" } @chain), '-o', "$by_hand/all" ], 'pg_combinebackup takes the chain');
    verify_backup_ok("$by_hand/all", 'and makes a backup');
    my $restored = restore_node($node, 'to_compare', '--backup', $chain[-1], '--tablespace-map', "$space=" . PostgreSQL::Test::Utils::tempdir('compared'));
    my $ours = $restored->data_dir;
    my $theirs = "$by_hand/all";
    my @files = grep { !m{^(?:backup_manifest|postgresql\.auto\.conf|recovery\.signal|pg_wal/.*)$} } find_objects($theirs);
    cmp_ok(scalar @files, '>', 500, 'there are files to compare');
    my @differ = grep { !-f "$ours/$_" || slurp_file("$ours/$_") ne slurp_file("$theirs/$_") } @files;
    is(join(' ', @differ), '', 'every file is what pg_ark restores');
}

# ---- over what is there

sub restore_json {
    my (@arguments) = @_;
    my ($status, $out, $err) = ark('restore', '--repo', $repository, '--output', 'json', @$map, @arguments);
    is($status, 0, join ' ', 'restore', @arguments) or diag($err);
    my ($done) = map { JSON::PP::decode_json($_) } grep { /"event":\s*"done"/ } split /\n/, $out;
    return $done // JSON::PP::decode_json($out);
}
my $data = "$kept/data";
my $done = restore_json('-D', $data, '--backup', $chain[3]);
cmp_ok($done->{fetched}, '>', 0, 'something was fetched');
$done = restore_json('-D', $data, '--backup', $chain[-1], '--delta');
cmp_ok($done->{reused_bytes}, '>', $done->{bytes} / 5, 'much was there already');
verify_backup_ok($data, 'and it is the backup', @ADDED);
my $again = restore_json('-D', $data, '--backup', $chain[-1], '--delta');
cmp_ok($again->{reused_bytes}, '>=', $done->{reused_bytes}, 'and more the next time');
verify_backup_ok($data, 'and it is the backup', @ADDED);
my ($table) = grep { -s "$data/$_" > 1_000_000 } find_objects($data, qr{^base/\d+/\d{4,}$});
open my $file, '+<:raw', "$data/$table" or die $!;
seek $file, 500_000, 0;
print $file 'spoiled';
close $file;
restore_json('-D', $data, '--backup', $chain[-1], '--delta');
verify_backup_ok($data, 'what was spoiled is right again', @ADDED);

# ---- killed at any step, and run again

for my $point (grep { /piece|file|manifest|reuse/ } fault_points('core/restore')) {
    {
        local $ENV{PG_ARK_FAULT} = "$point=kill\@50";
        ark('restore', '--repo', $repository, '-D', $data, '--backup', $chain[-1], '--delta', @$map);
    }
    restore_json('-D', $data, '--backup', $chain[-1], '--delta');
    verify_backup_ok($data, "$point: whole when it is run again", @ADDED);
}

# ---- verified and tested

my ($status, $out, $err) = ark('verify', '--repo', $repository, $chain[-1], '--output', 'json');
is($status, 0, 'the newest is verified') or diag($err . $out);
my ($evidence) = @{ JSON::PP::decode_json($out) };
is_deeply($evidence->{verified}{chain}, [ reverse @chain[ 0 .. $#chain - 1 ] ], 'with the chain below it');
like(join(' ', @{ $evidence->{notes} }), qr/by verifying each of them/, 'and says what it did not do');
my $tested = drill_ok($node, 'a restore test of the newest', '--scratch', PostgreSQL::Test::Utils::tempdir('scratch'), '--backup', $chain[-1]);
my ($cluster) = map { $_->{cluster} } backups($repository);
my $packs = 0;
$packs += scalar @{ JSON::PP::decode_json(scalar ark_ok([ 'info', '--repo', $repository, $_, '--output', 'json' ], 'info'))->{packs} } for @chain;
is($tested->{verified}{objects}{packs}, $packs, 'which read the packs of the whole chain');

# ---- broken

my ($directory) = $repository =~ m{^file://(.*)};
if (defined $directory) {
    my $marker = "$directory/$cluster/backup/$chain[2]/backup.json";
    rename $marker, "$directory.away" or die $!;
    ark_fails([ 'restore', '--repo', $repository, '-D', "$kept/new", '--backup', $chain[4], @$map ],
        qr/chain of backup \Q$chain[4]\E is broken.*builds on backup \Q$chain[2]\E, which is missing/s, 'a broken chain is refused');
    ok(!-e "$kept/new", 'and nothing made');
    ($status, $out, $err) = ark('verify', '--repo', $repository, $chain[4], '--output', 'json');
    ($evidence) = @{ JSON::PP::decode_json($out) };
    is_deeply([ map { $_->{check} } @{ $evidence->{errors} } ], ['chain'], 'a verification says it');
    # The differential one builds on the full one alone.
    rename "$directory/$cluster/backup/$differential/backup.json", "$directory.away2" or die $!;
    ($status, $out, $err) = ark('restore', '--repo', $repository, '-D', "$kept/new", '--tablespace-map',
        "$space=" . PostgreSQL::Test::Utils::tempdir('third'));
    is($status, 0, 'without a name an older backup is used') or diag($err);
    like($err . $out, qr/backup \Q$chain[-1]\E cannot be restored, an older one is used/, 'with a word');
    verify_backup_ok("$kept/new", 'and it is whole', @ADDED);
}
done_testing();
