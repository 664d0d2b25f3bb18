# A restore test finds damage and names it, by relation and block where there is one: pages that are not what they
# were, files that are gone, rows and indexes that disagree, catalogs with holes, a repository that lost something.
# One damaged relation hides no other. `pg_ark restore` gives no wrong cluster out of any of them.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $PAGE = 8192;
my $SEGMENT = 1 << 30;
my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');

sub path_of { my ($node, $relation, $database) = @_; return $node->data_dir . '/' . $node->safe_psql($database // 'postgres', "SELECT pg_relation_filepath('$relation')") }

sub change {
    my ($path, $offset, $sub) = @_;
    chmod 0600, $path;
    open my $file, '+<:raw', $path or die "$path: $!";
    seek $file, $offset, 0;
    read $file, my $byte, 1 or die "$path: nothing at $offset";
    seek $file, $offset, 0;
    print $file $sub ? $sub->($byte) : chr(ord($byte) ^ 4);
    close $file or die "$path: $!";
}

sub restore_refuses {
    my ($node, $id, $pattern, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $place = PostgreSQL::Test::Utils::tempdir('restored') . '/data';
    my ($status, undef, $err) = ark('restore', '--repo', $node->{ark_repository}, '-D', $place, '--backup', $id);
    isnt($status, 0, "$what: a restore fails");
    like($err, $pattern, "$what: and says why");
    ok(!-e "$place/global/pg_control", "$what: and leaves nothing to start");
}

# ---- with data checksums: the backup sees it too

my $node = ark_cluster('source', initdb => ['--wal-segsize=1'], conf => "autovacuum = off\n");
load_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE in_heap AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 2000) n;
CREATE TABLE in_index AS SELECT n, md5(n::text) AS t FROM generate_series(1, 20000) n;
CREATE INDEX the_index ON in_index (t);
CREATE TABLE in_toast (n int, big text);
ALTER TABLE in_toast ALTER big SET STORAGE EXTERNAL;
INSERT INTO in_toast SELECT n, repeat(md5(n::text), 200) FROM generate_series(1, 200) n;
CREATE TABLE in_gin AS SELECT n, ARRAY[n, n + 1, n % 7] AS a FROM generate_series(1, 5000) n;
CREATE INDEX the_gin ON in_gin USING gin (a);
CREATE TABLE without_file AS SELECT n FROM generate_series(1, 1000) n;
CREATE INDEX without_file_n ON without_file (n);
CREATE TABLE index_gone AS SELECT n FROM generate_series(1, 1000) n;
CREATE INDEX gone ON index_gone (n);
CREATE TABLE holed AS SELECT n, repeat('y', 500) AS filler FROM generate_series(1, 2000) n;
CREATE TABLE untouched AS SELECT n FROM generate_series(1, 1000) n;
CHECKPOINT;
SQL
my $clean = backup_ok($node, 'while all is well');
drill_ok($node, 'while all is well', '--scratch', $scratch);

my %path = map { $_ => path_of($node, $_) } qw(in_heap the_index the_gin without_file gone holed);
$path{in_toast} = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'in_toast'});
my $toast = $node->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'in_toast'});
$node->stop;
change($path{in_heap}, 3 * $PAGE + 5000);
change($path{in_heap}, 90 * $PAGE + 5000);
change($path{the_index}, 5 * $PAGE + 6000);
change($path{in_toast}, 7 * $PAGE + 6000);
change($path{the_gin}, 2 * $PAGE + 6000);
unlink $path{without_file}, $path{gone} or die $!;
# Three segment files, of which the second is lost: the server would read the table as ending before it.
truncate $path{holed}, $SEGMENT or die $!;
open my $third, '>:raw', "$path{holed}.2" or die $!;
truncate $third, 3 * $PAGE;
close $third;
$node->start;
my $mark = log_mark($node);
my $id = start_backup_sql($node, 'with damage');
my $row = wait_backup($node, $id);
is($row->{status}, 'completed', 'the backup is taken all the same');
is($row->{corrupt_page_count}, 8, 'and knows of all of it') or diag($row->{corrupt_pages});
my $named = $node->safe_psql('postgres', "SELECT corrupt_pages FROM ark.backup_log WHERE backup_id = '$id'");
like($named, qr/\b$_\b/, "it names $_") for qw(in_heap the_index the_gin without_file gone holed), $toast;
unlike($named, qr/untouched/, 'and no other');
wait_log($node, qr/WARNING:.*damaged pages/, $mark);
restore_refuses($node, $id, qr/corrupt pages.*--accept-corrupt-pages/s, 'damage that the backup knows of');

drill_finds($node, 'damage of files', [
    { check => 'page', database => 'postgres', relation => 'public.in_heap', block => 3 },
    { check => 'page', database => 'postgres', relation => 'public.in_heap', block => 90 },
    { check => 'page', database => 'postgres', relation => 'public.the_index', block => 5, detail => qr/index of public\.in_index/ },
    { check => 'page', database => 'postgres', relation => $toast, block => 7, detail => qr/TOAST table of public\.in_toast/ },
    { check => 'page', database => 'postgres', relation => 'public.the_gin', block => 2 },
    { check => 'catalog', relation => 'public.without_file', message => qr/file is missing/ },
    { check => 'catalog', relation => 'public.gone', message => qr/file is missing/ },
    { relation => 'public.holed', path => qr/\.1$/, message => qr/missing/ },
    { check => 'heap', relation => 'public.in_heap' },
    { check => 'index_structure', relation => 'public.the_index' },
], '--scratch', $scratch, '--backup', $id);
nothing_left($scratch, 'damage of files');
$node->stop;

# ---- without them: what amcheck and the catalog say

my $bare = PostgreSQL::Test::Cluster->new('bare');
{
    my ($directory, $url) = new_repository();
    $bare->init(extra => [ $bare->pg_version >= 18 ? '--no-data-checksums' : () ]);    # 18 has them unless told otherwise
    $bare->append_conf('postgresql.conf', "autovacuum = off\nshared_preload_libraries = 'pg_ark'\narchive_mode = on\narchive_library = 'pg_ark'\npg_ark.repositories = '$url'\nmax_worker_processes = 16\nwal_level = replica\n");
    $bare->{ark_repository} = $url;
    $bare->start;
    $bare->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
}
$bare->safe_psql('postgres', <<'SQL');
CREATE TABLE line_pointer AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 2000) n;
CREATE TABLE key (n int, t text);
INSERT INTO key SELECT n, repeat('k', 50) || lpad(n::text, 10, '0') FROM generate_series(1, 5000) n;
CREATE INDEX key_t ON key (t);
CREATE TABLE lost_chunk (n int, big text);
ALTER TABLE lost_chunk ALTER big SET STORAGE EXTERNAL;
INSERT INTO lost_chunk SELECT n, repeat(md5(n::text), 200) FROM generate_series(1, 200) n;
CREATE TABLE cut_off (n int PRIMARY KEY, filler text);
INSERT INTO cut_off SELECT n, repeat('x', 500) FROM generate_series(1, 2000) n;
CREATE TABLE unchanged AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 2000) n;
CREATE TABLE stale_map AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 1000) n;
CREATE TABLE zeroed AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 1000) n;
CREATE SEQUENCE counter;
SELECT nextval('counter');
SELECT lo_from_bytea(0, repeat(md5(n::text), 3000)::bytea) FROM generate_series(1, 50) n;
CREATE UNLOGGED TABLE loose AS SELECT n FROM generate_series(1, 100) n;
CREATE DATABASE no_attribute;
CREATE DATABASE no_type;
CREATE DATABASE no_toast;
VACUUM FREEZE;
SQL
$bare->safe_psql($_, q{CREATE TABLE here (n int, t text); INSERT INTO here VALUES (1, 'one')}) for qw(no_attribute no_type no_toast);
my $settings = 'SET allow_system_table_mods = on;';
$bare->safe_psql('no_attribute', "$settings DELETE FROM pg_attribute WHERE attrelid = 'here'::regclass AND attname = 't'");
$bare->safe_psql('no_type', "$settings DELETE FROM pg_namespace WHERE nspname = 'public'");
$bare->safe_psql('no_toast', "$settings DELETE FROM pg_class WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'here'::regclass)");
my $sound_bare = backup_ok($bare, 'before the damage of files');
my %bare = map { $_ => path_of($bare, $_) } qw(line_pointer key_t cut_off stale_map zeroed counter pg_largeobject loose);
$bare->stop;
my $map = slurp_file("$bare{stale_map}_vm");
$bare->start;
$bare->safe_psql('postgres', 'DELETE FROM stale_map WHERE n > 500');
$bare{lost_chunk} = $bare->data_dir . '/' . $bare->safe_psql('postgres', q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'lost_chunk'});
my $chunks = $bare->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'lost_chunk'});
$bare->stop;
# The second line pointer of block 4: an offset that nothing has.
change($bare{line_pointer}, 4 * $PAGE + 24 + 4, sub { chr(ord($_[0]) ^ 0x55) });
# A key in a leaf of the index: at the end of the page is the page's first tuple.
change($bare{key_t}, 3 * $PAGE - 16 - 5, sub { 'Z' });
# The map of before the DELETE. This must be found, or rows come back.
{
    open my $file, '>:raw', "$bare{stale_map}_vm" or die $!;
    print $file $map;
    close $file or die $!;
}
# Pages zeroed, which have no checksum that could be wrong: of chunks, of a table that has no index, of a sequence,
# of large objects.
for my $zeroed ([ lost_chunk => 9 ], [ zeroed => 5 ], [ counter => 0 ], [ pg_largeobject => 3 ]) {
    open my $file, '+<:raw', $bare{ $zeroed->[0] } or die $!;
    seek $file, $zeroed->[1] * $PAGE, 0;
    print $file "\0" x $PAGE;
    close $file;
}
unlink "$bare{loose}_init" or die $!;
truncate $bare{cut_off}, (-s $bare{cut_off}) - 2 * $PAGE or die $!;
$bare->start;
my $broken = start_backup_sql($bare, 'damage that no checksum shows');
is(wait_backup($bare, $broken)->{status}, 'completed', 'a backup of damage that no checksum shows');
my $evidence = drill_finds($bare, 'damage that no checksum shows', [
    { check => 'heap', database => 'postgres', relation => 'public.line_pointer', block => 4 },
    { check => 'index_structure', database => 'postgres', relation => 'public.key_t' },
    { check => 'heap', database => 'postgres', relation => qr/lost_chunk|\Q$chunks\E/ },
    { relation => qr/^public\.cut_off(_pkey)?$/ },
    { check => 'heap', relation => 'public.stale_map', message => qr/visibility map/ },
    { check => 'heap', relation => 'public.zeroed', block => 5, message => qr/visibility map/ },
    { check => 'rows', relation => 'public.counter', message => qr/bad magic number/ },
    { check => 'rows', relation => 'pg_catalog.pg_largeobject', message => qr/table has \d+ rows, its index \d+/ },
    { check => 'catalog', relation => 'public.loose', message => qr/initialization fork is missing/ },
    { check => 'catalog', database => 'no_attribute' },
    { check => 'catalog', database => 'no_type' },
    { check => 'catalog', database => 'no_toast' },
], '--scratch', $scratch);
ok(!(grep { ($_->{relation} // '') =~ /unchanged/ } @{ $evidence->{errors} }), 'and nothing about a sound table');
ok((grep { /data checksums/ } @{ $evidence->{notes} }), 'with a note that there are no checksums');
nothing_left($scratch, 'damage that no checksum shows');
$bare->stop;

# ---- the repository: with WAL in several segments between the backup's start and stop

$node = ark_cluster('other', initdb => ['--wal-segsize=1']);
load_shop($node);
my ($long, $longer);
with_fault($node, 'backup_after_start=stop', sub {
    $long = start_backup_sql($node, 'with WAL');
    my $child = poll_until('the backup has stopped in its middle', sub { (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0] });
    archive_now($node) for 1 .. 4;
    kill 'CONT', $child;
    is(wait_backup($node, $long)->{status}, 'completed', 'a backup with WAL');
});
archive_now($node);
drill_ok($node, 'with WAL', '--scratch', $scratch);
$node->stop;
my ($directory) = $node->{ark_repository} =~ m{^file://(.*)};
my ($cluster) = map { m{/([^/]+)/backup$} } glob "$directory/*/backup";
my $backup = "$directory/$cluster/backup/$long";
my ($largest) = sort { -s "$backup/data/$b" <=> -s "$backup/data/$a" } find_objects("$backup/data");
my ($smallest) = sort { -s "$backup/data/$a" <=> -s "$backup/data/$b" } find_objects("$backup/data");
my $marker = JSON::PP::decode_json(slurp_file("$backup/backup.json"));
my ($wal) = glob "$directory/$cluster/wal/00000001/????????";
my @needed = grep { my $name = substr $_, 0, 24; $name gt $marker->{start_segment} && $name lt $marker->{stop_segment} } find_objects($wal, qr/^[0-9A-F]{24}\.zst$/);
cmp_ok(scalar @needed, '>=', 2, 'segments between start and stop');

sub found {
    my ($what, $expected, $path, $damage, $restore) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $content = slurp_file($path);
    $damage->($path);
    drill_finds($node, $what, [$expected], '--scratch', $scratch, '--backup', $long);
    nothing_left($scratch, $what);
    restore_refuses($node, $long, $restore // qr/./, $what) if !defined $restore || $restore;
    unlink $path;
    open my $file, '>:raw', $path or die $!;
    print $file $content;
    close $file or die $!;
}
my $middle = sub { change($_[0], int((-s $_[0]) / 2)) };
my $cut    = sub { chmod 0600, $_[0]; truncate $_[0], (-s $_[0]) / 2 or die $! };
my $gone   = sub { unlink $_[0] or die $! };
found('a flipped bit in a pack', { check => 'pack', object => qr{/\Q$largest\E$} }, "$backup/data/$largest", $middle);
# It holds directories alone, of which a restore reads the index.
found('a flipped bit in the smallest pack', { check => 'pack', object => qr{/\Q$smallest\E$} }, "$backup/data/$smallest", $middle, '');
found('a truncated pack', { check => 'pack', object => qr{/\Q$largest\E$} }, "$backup/data/$largest", $cut);
found('a missing pack', { check => 'pack', object => qr{/\Q$largest\E$} }, "$backup/data/$largest", $gone);
found('a flipped bit in the index', { message => qr{index\.zst} }, "$backup/index.zst", $middle);
found('a flipped bit in the manifest', { message => qr{manifest} }, "$backup/manifest.zst", $middle);
found('a missing manifest', { message => qr{manifest} }, "$backup/manifest.zst", $gone);
found('a flipped bit in the marker', { check => 'marker' }, "$backup/backup.json", $middle);
found('a flipped bit in WAL', { message => qr{$needed[0]} }, "$wal/$needed[0]", $middle);
found('missing WAL', { detail => qr/@{[ substr $needed[1], 0, 24 ]}/ }, "$wal/$needed[1]", $gone);
drill_ok($node, 'after all of it', '--scratch', $scratch);
done_testing();
