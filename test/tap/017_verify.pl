# pg_ark verify: a catalogue of damage to the repository. Each is found and named, none is missed; a restore of each
# fails clearly, before or instead of giving a wrong cluster; nothing is found where nothing is wrong.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

# ---- a cluster with what may confuse: a tablespace, configuration elsewhere, odd files, two timelines

my ($directory, $url) = new_repository();
my $node  = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], start => 0);
my $extra = $node->basedir . '/extra.conf';
append_to_file($extra, "work_mem = '5MB'\n");
$node->append_conf('postgresql.conf', "include '$extra'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
load_shop($node);
my $space = PostgreSQL::Test::Utils::tempdir('space');
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$space'");
$node->safe_psql('postgres', 'CREATE TABLE far TABLESPACE elsewhere AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n; CREATE UNLOGGED TABLE light (n int)');
append_to_file($node->data_dir . "/base/na\xFF\xFEme", 'not UTF-8');
append_to_file($node->data_dir . '/empty', '');

my $patience = 10;

# All findings of `pg_ark verify` with its exit status: (status, [findings], [evidence]).
sub verify {
    my @arguments = @_;
    my ($status, $out, $err) = ark('verify', '--repo', $url, '--output', 'json', '--wait', $patience, @arguments);
    return ($status, [], []) if $out !~ /^\[/;
    my $all = JSON::PP->new->utf8->decode($out);
    return ($status, [ map { @{ $_->{errors} } } @$all ], $all);
}
sub clean {
    my ($what, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $findings, $evidence) = verify(@arguments);
    return is($status, 0, "$what: nothing is found") || diag(JSON::PP->new->pretty->encode($evidence));
}

# ---- no false alarm

my $load  = start_load($node);
my $first = backup_ok($node, 'under load');
clean('under load, while WAL is archived', $first) for 1 .. 3;
stop_load($load);
archive_now($node);
clean('at rest');
{
    my ($status, $out, $err) = ark('verify', $first, '--repo', $url, '--output', 'json');
    my @events = map { JSON::PP::decode_json($_) } split /\n/, $err;
    is_deeply([ grep { $_->{event} ne 'progress' } @events ], [], 'progress is told as events, on standard error');
    is(join(' ', map { $_->{phase} } @events[ 0, -1 ]), 'marker done', 'from beginning to end');
    ok($events[-1]{bytes} > 0 && $events[-1]{bytes} == $events[-1]{bytes_total}, 'and all bytes are counted');
}

my $taken = restore_node($node, 'taken', '--take-over', '--target-action', 'promote', '--tablespace-map', "$space=" . PostgreSQL::Test::Utils::tempdir('space2'));
$node->stop;
$taken->append_conf('postgresql.conf', "include '$extra'\n");    # the restored one has a copy of its own inside
start_restored($taken);
backup_ok($taken, 'on timeline 2');
for (1 .. 4) { archive_now($taken) }
my ($id) = map { $_->{backup_id} } grep { $_->{timeline} == 2 } backups($url);
clean('after a change of timelines', '--jobs', '4');
my (undef, undef, $evidence) = verify($first);
is_deeply($evidence->[0]{verified}{wal}{timelines}, [ 1, 2 ], 'the WAL of both timelines was read');
is($evidence->[0]{kind}, 'verification', 'it is evidence');
my $cluster = $evidence->[0]{cluster};
my @stored = find_objects("$directory/$cluster/backup/$first/tests", qr/\.json$/);
cmp_ok(scalar @stored, '>=', 4, 'which is stored beside the backup');
my ($text) = ark_ok([ 'verify', $id, '--repo', $url ], 'as text');
like($text, qr/\Q$id\E is whole/, 'and for people');

# ---- another cluster with a repository of its own

my ($foreign, $foreign_url) = new_repository();
my $other = ark_cluster('other', repository => $foreign_url, initdb => ['--wal-segsize=1']);
my $other_id = backup_ok($other, 'of another cluster');
$other->stop;
$taken->stop;

# ---- the catalogue

$patience = 0;    # nobody is storing anything

my $backup = "$directory/$cluster/backup/$id";
my @packs  = find_objects("$backup/data");
cmp_ok(scalar @packs, '>=', 2, 'there are packs to swap');
my ($largest) = sort { -s "$backup/data/$b" <=> -s "$backup/data/$a" } @packs;
my ($marker) = map { JSON::PP::decode_json($_) } slurp_file("$backup/backup.json");
my ($wal_directory) = glob "$directory/$cluster/wal/00000002/????????";
my @segments = find_objects($wal_directory, qr/^[0-9A-F]{24}\.zst$/);
my @later    = grep { substr($_, 0, 24) gt $marker->{stop_segment} } @segments;
cmp_ok(scalar @later, '>=', 3, 'there is WAL after the backup');

my (%saved, $tried);
sub save { my ($path) = @_; $saved{$path} //= [ -e $path ? slurp_file($path) : undef ]; return $path }

sub put {
    my ($path, $content) = @_;
    unlink save($path);
    return if !defined $content;
    open my $handle, '>:raw', $path or die "$path: $!";
    print $handle $content;
    close $handle or die "$path: $!";
}
sub put_back { put($_, $saved{$_}[0]) for sort keys %saved; %saved = () }

sub flip_bit {
    my ($path, $where) = @_;
    my $content = slurp_file($path);
    my $at = int(length($content) * ($where // 0.5));
    substr($content, $at, 1) = chr(ord(substr $content, $at, 1) ^ 4);
    put($path, $content);
}

# Does the damage; verify must find it and name the object, in no more than it; a restore must fail.
sub found {
    my ($what, $check, $object, $damage, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $damage->();
    my ($status, $findings) = verify($id);
    is($status, 6, "$what: verify ends with 6");
    my @named = grep { $_->{check} eq $check && ($_->{object} // '') =~ $object } @$findings;
    ok(@named > 0, "$what: and names it") or diag(JSON::PP->new->pretty->encode($findings));
    is_deeply([ grep { $_->{check} ne $check } @$findings ], [], "$what: and nothing else");
    if ($options{files}) {
        ok((grep { defined $_->{path} } @named) > 0, "$what: and the files in it");
    }
    my ($all) = verify();
    is($all, 6, "$what: found among all backups too");
    my ($text_status, $text) = ark('verify', $id, '--repo', $url, '--wait', 0);
    my $verdict = $check eq 'wal_after_backup' ? 'is whole, but recovery from it ends' : 'DAMAGED';
    like($text, qr/\b$verdict\b.*\b$check: /s, "$what: as text");

    my $dir = PostgreSQL::Test::Utils::tempdir('restored') . '/data';
    my @map = map { ('--tablespace-map', "$_->{location}=$dir.space") } @{ $marker->{tablespaces} };
    ark_fails([ 'restore', '--repo', $url, '-D', $dir, '--backup', $id, @map ], $options{restore} // qr/damaged|corrupt|does not exist|missing|invalid/, "$what: a restore fails");
    ok(!-e "$dir/global/pg_control", "$what: and leaves nothing to start");
    system('rm', '-rf', $dir, "$dir.space");
    put_back();
    $tried++;
}

found('a flipped bit in a pack', 'pack', qr{/data/\Q$largest\E$}, sub { flip_bit("$backup/data/$largest") }, files => 1);
found('a flipped bit in a pack\'s header', 'pack', qr{/data/\Q$largest\E$}, sub { flip_bit("$backup/data/$largest", 0.000001) });
found('a truncated pack', 'pack', qr{/data/\Q$largest\E$}, sub {
    my $content = slurp_file("$backup/data/$largest");
    put("$backup/data/$largest", substr $content, 0, length($content) / 2);
}, files => 1);
found('a missing pack', 'pack', qr{/data/\Q$packs[-1]\E$}, sub { put("$backup/data/$packs[-1]", undef) }, files => 1);
found('swapped packs', 'pack', qr{/data/(?:\Q$packs[0]\E|\Q$packs[-1]\E)$}, sub {
    my @contents = map { slurp_file("$backup/data/$_") } @packs[ 0, -1 ];
    put("$backup/data/$packs[0]",  $contents[1]);
    put("$backup/data/$packs[-1]", $contents[0]);
}, files => 1);
found('a pack of another backup', 'pack', qr{/data/\Q$largest\E$}, sub {
    put("$backup/data/$largest", scalar slurp_file("$directory/$cluster/backup/$first/data/$largest")) }, files => 1);
found('a pack of another cluster', 'pack', qr{/data/\Q$packs[-1]\E$}, sub {
    my ($path) = glob "$foreign/*/backup/$other_id/data/00000.tar.zst";
    put("$backup/data/$packs[-1]", scalar slurp_file($path)) }, files => 1);
found('a flipped bit in the index', 'index', qr{/index\.zst$}, sub { flip_bit("$backup/index.zst") });
found('a missing index', 'index', qr{/index\.zst$}, sub { put("$backup/index.zst", undef) });
found('a flipped bit in the manifest', 'manifest', qr{/manifest\.zst$}, sub { flip_bit("$backup/manifest.zst") });
found('a flipped bit in the configuration archive', 'config', qr{/config\.tar\.zst$}, sub { flip_bit("$backup/config.tar.zst") });
found('a missing configuration archive', 'config', qr{/config\.tar\.zst$}, sub { put("$backup/config.tar.zst", undef) });
for my $where (0.02, 0.3, 0.7) {
    found("a flipped bit in the marker at $where", 'marker', qr{/backup\.json$}, sub { flip_bit("$backup/backup.json", $where) }, restore => qr{invalid content in "[^"]+/backup\.json"});
}
found('a marker of another backup', 'marker', qr{/backup\.json$}, sub {
    put("$backup/backup.json", scalar slurp_file("$directory/$cluster/backup/$first/backup.json")) }, restore => qr/does not exist|wrong place/);
my $needed = "$marker->{start_segment}.zst";
found('a flipped bit in a segment that the backup needs', 'wal', qr{/\Q$needed\E$}, sub { flip_bit("$wal_directory/$needed") });
found('a segment that the backup needs is missing', 'wal', qr{/\Q$needed\E$}, sub { put("$wal_directory/$needed", undef) });
found('a flipped bit in a later segment', 'wal_after_backup', qr{/\Q$later[0]\E$}, sub { flip_bit("$wal_directory/$later[0]") });
found('a missing segment in the middle', 'wal_after_backup', qr{/\Q$later[0]\E$}, sub { put("$wal_directory/$later[0]", undef) });
found('the newest is behind a gap', 'wal_after_backup', qr{/\Q$later[-2]\E$}, sub { put("$wal_directory/$later[-2]", undef) });
found('two segments changed places', 'wal_after_backup', qr{/(?:\Q$later[0]\E|\Q$later[1]\E)$}, sub {
    my @contents = map { slurp_file("$wal_directory/$_") } @later[ 0, 1 ];
    put("$wal_directory/$later[0]", $contents[1]);
    put("$wal_directory/$later[1]", $contents[0]);
});
my $history = "$directory/$cluster/wal/00000002/00000002.history";
found('a missing history file', 'wal', qr{/00000002\.history$}, sub { put($history, undef) }, restore => qr/not in the repository/);
found('a history file of garbage', 'wal', qr{/00000002\.history$}, sub { put($history, "one\ttwo\n") });
cmp_ok($tried, '>=', 24, "the catalogue has $tried entries");

# From the timeline before, the lost file leads astray: recovery would end too early.
put($history, undef);
my ($status, $findings) = verify($first);
is($status, 6, 'a lost history file is damage for the backup before it');
like($findings->[0]{object} // '', qr/00000002\.history$/, 'and is named');
ark_fails([ 'restore', '--repo', $url, '-D', PostgreSQL::Test::Utils::tempdir('r') . '/x', '--backup', $first ], qr/00000002\.history/, 'a restore says so rather than end on timeline 1');
put_back();

# What stays is whole.
clean('after all of it');
is((ark('verify', 'no_such_backup', '--repo', $url))[0], 4, 'an unknown backup: 4');
ark_fails([ 'verify', '--repo', "$url.none" ], qr/not a pg_ark repository|does not exist/, 'a repository that is not there');
isnt((ark('verify', '--repo', "$url.none"))[0], 6, 'is no damage');
{
    # Evidence that cannot be stored is no reason to say nothing.
    my @directories = split /\n/, qx(find '$backup' -type d);
    chmod 0500, @directories;
    my ($read_only, undef, $err) = ark('verify', $id, '--repo', $url);
    chmod 0700, @directories;
    is($read_only, 0, 'a repository that cannot be written can be verified');
    like($err, qr/warning: could not store the evidence/, 'with a warning');
}
never_restarted($_) for $node, $taken;
done_testing();
