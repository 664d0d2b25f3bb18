# Somebody who can write to the repository and has no key: a catalogue of what he could put into an encrypted backup. verify finds and names each; no restore
# takes any; what nothing but --require-encryption can refuse is told.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
my $key  = "$keys/ark.key";
my ($directory, $url) = new_repository();
my $node  = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], start => 0, conf => "autovacuum = off\n");
my $extra = $node->basedir . '/extra.conf';
append_to_file($extra, "work_mem = '5MB'\n");
$node->append_conf('postgresql.conf', "include '$extra'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark; CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n');
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key ], 'keys are made');
set_config($node, 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => $key);
my $id = backup_ok($node, 'the one');
archive_now($node) for 1 .. 3;
my $other = backup_ok($node, 'another one');
archive_now($node);
# What somebody could make by himself: the same, not encrypted.
set_config($node, 'pg_ark.encryption' => 'none');
my $open = backup_ok($node, 'unencrypted');
archive_now($node);
$node->stop;

my $root   = "$directory/$cluster";
my $backup = "$root/backup/$id";
my %stored = map { $_ => slurp_file("$root/$_") } find_objects($root);

# ---- tools of the trade

# The frames of a stored object, its header first.
sub frames {
    my ($object) = @_;
    my @frames;
    while ($object ne '') {
        my ($magic, $length) = unpack 'VV', $object;
        BAIL_OUT(sprintf 'no frame: %08x', $magic) if $magic < 0x184D2A5A || $magic > 0x184D2A5C;
        push @frames, substr $object, 0, $length + 8, '';
    }
    return @frames;
}

my @crc_table = map { my $c = $_; $c = $c & 1 ? 0x82F63B78 ^ ($c >> 1) : $c >> 1 for 1 .. 8; $c } 0 .. 255;
sub crc32c {
    my $c = 0xFFFFFFFF;
    $c = $crc_table[ ($c ^ $_) & 0xFF ] ^ ($c >> 8) for unpack 'C*', $_[0];
    return $c ^ 0xFFFFFFFF;
}

# An object with another text in its header, and a checksum that fits.
sub with_header {
    my ($object, $from, $to) = @_;
    my $length = 8 + unpack 'V', substr $object, 4, 4;
    my $json = substr $object, 20, $length - 20;
    $json =~ s/\Q$from\E/$to/ or BAIL_OUT("no $from in a header");
    return pack('VV', 0x184D2A5A, 12 + length $json) . 'PGARKHDR' . pack('V', crc32c($json)) . $json . substr $object, $length;
}
sub moved { my ($from, $from_id, $to_id) = @_; return with_header($stored{$from}, $from_id, $to_id) }
is(with_header($stored{"backup/$id/index.zst"}, $id, $id), $stored{"backup/$id/index.zst"}, 'headers can be written anew');

my %changed;
sub put {
    my ($name, $content) = @_;
    $changed{$name} = 1;
    unlink "$root/$name";
    return if !defined $content;
    open my $handle, '>:raw', "$root/$name" or die "$name: $!";
    print $handle $content;
    close $handle or die "$name: $!";
    return;
}
sub put_back { put($_, $stored{$_}) for sort keys %changed; %changed = (); return }

sub verify {
    my @arguments = @_;
    my ($status, $out) = ark('verify', $id, '--repo', $url, '--key-file', $key, '--output', 'json', '--wait', 0, @arguments);
    return ($status, $out =~ /^\[/ ? map { @{ $_->{errors} } } @{ JSON::PP::decode_json($out) } : ());
}
sub restore_fails {
    my ($what, $pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $dir = PostgreSQL::Test::Utils::tempdir('restored') . '/data';
    ark_fails([ 'restore', '--repo', $url, '-D', $dir, '--backup', $id, '--key-file', $key, @arguments ], $pattern // qr/damaged|invalid|not encrypted/, "$what: a restore fails");
    ok(!-e "$dir/global/pg_control", "$what: and leaves nothing to start");
    system 'rm', '-rf', $dir;
    return;
}

my $tried = 0;
sub refused {
    my ($what, $name, $content, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    put($name, $content);
    my ($status, @findings) = verify();
    is($status, 6, "$what: verify ends with 6");
    my $object = $options{object} // $name;
    my ($named) = grep { ($_->{object} // '') eq "$cluster/$object" } @findings;
    ok($named, "$what: and names it") or diag(JSON::PP->new->pretty->encode(\@findings));
    like(join(' ', map { $_->{detail} // '' } @findings), $options{detail}, "$what: and says what it is") if $options{detail};
    if ($name =~ m{^wal/\w+/\w+/(\w{24})\.zst$}) {
        my ($gave) = ark('wal-get', '--repo', $url, '--key-file', $key, '--timeout', 0, $1, "$keys/segment");
        cmp_ok($gave, '>', 125, "$what: wal-get gives nothing out, and does not say that it is not there");
        ok(!-e "$keys/segment", "$what: nor leaves anything");
    } elsif (!$options{restores}) {
        restore_fails($what);
    }
    put_back();
    $tried++;
    return;
}

my ($status, @findings) = verify();
is($status, 0, 'nothing is wrong before') or diag(JSON::PP->new->pretty->encode(\@findings));
my @objects = grep { m{^backup/\Q$id\E/(?!tests/)} } sort keys %stored;
my @kinds = map { (/(\w+)[^\/]*$/)[0] } grep { !m{/data/} } @objects;
is(join(' ', sort @kinds), 'answers backup census config index manifest', 'the backup has every kind of object');
my @packs = grep { m{/data/} } @objects;
cmp_ok(scalar @packs, '>=', 2, 'and several packs');
my ($largest) = sort { length $stored{$b} <=> length $stored{$a} } @packs;
my ($marker) = JSON::PP::decode_json(ark_ok([ 'info', $id, '--repo', $url, '--key-file', $key, '--output', 'json' ], 'its marker is read'));
my ($first_segment) = grep { /\Q$marker->{start_segment}\E\.zst$/ } keys %stored;
ok($first_segment, 'its WAL is there');
# A restore needs neither census nor answers. Of the packs the largest has to do: one with nothing but directories is not read.
sub options_of { my ($name) = @_; return $name =~ /census|answers/ || ($name =~ m{/data/} && $name ne $largest) ? (restores => 1) : () }

# ---- what is changed

for my $name (@objects, $first_segment) {
    my $short = $name =~ s{^backup/\Q$id\E/}{}r;
    my %options = options_of($name);
    my @frames = frames($stored{$name});
    for my $at ([ 'the header', 60 ], [ 'a data key', index($stored{$name}, '"wrapped":"') + 20 ], [ 'a frame', length($frames[0]) + 40 ], [ 'the end', length($stored{$name}) - 5 ]) {
        my $content = $stored{$name};
        substr($content, $at->[1], 1) = chr(ord(substr $content, $at->[1], 1) ^ 4);
        refused("a flipped bit in $at->[0] of $short", $name, $content, %options, ($at->[0] eq 'the end' && $name =~ m{/data/} ? (restores => 1) : ()));
    }
    refused("$short without its end", $name, join('', @frames[ 0 .. $#frames - 1 ]), %options, ($name =~ m{/data/} ? (restores => 1) : ()));
    refused("$short without a frame", $name, join('', $frames[0], @frames[ 2 .. $#frames ]), %options);
    refused("$short cut off behind its header", $name, $frames[0], %options);
}
for my $name ($largest, $first_segment) {
    my @frames = frames($stored{$name});
    SKIP: {
        skip 'it has too few frames', 1 if @frames < 4;
        refused("two frames of $name swapped", $name, join('', @frames[ 0, 2, 1, 3 .. $#frames ]));
    }
}
cmp_ok(scalar(frames($stored{$largest})), '>=', 4, 'there were frames to swap');

# ---- what is of another place

for my $name (@objects) {
    my $theirs = $name =~ s/\Q$id\E/$other/r;
    my $short = $name =~ s{^backup/\Q$id\E/}{}r;
    next if !defined $stored{$theirs};
    my %options = options_of($name);
    refused("$short of another backup", $name, $stored{$theirs}, %options);
    refused("$short of another backup under this one's name", $name, moved($theirs, $other, $id), %options);
}
refused('one pack for another', $largest, $stored{ (grep { $_ ne $largest } @packs)[0] });
{
    my @segments = sort grep { m{^wal/\w+/\w+/\w{24}\.zst$} && $_ gt $first_segment } keys %stored;
    my ($from, $to) = map { (m{/(\w{24})\.zst$})[0] } $first_segment, $segments[0];
    refused('an older segment', $segments[0], $stored{$first_segment});
    refused('an older segment under the newer name', $segments[0], with_header($stored{$first_segment}, "$from.zst", "$to.zst"));
}

# ---- what is not encrypted: an encrypted marker takes no such thing, without any option

for my $name (@objects) {
    my $theirs = $name =~ s/\Q$id\E/$open/r;
    my $short = $name =~ s{^backup/\Q$id\E/}{}r;
    next if !defined $stored{$theirs} || $short eq 'backup.json';
    my $forged = moved($theirs, $open, $id);
    like($forged, qr/"cipher":"none"/, "$short: the forgery is not encrypted");
    # Of a pack with nothing but directories verify reads the digest alone.
    my $read = $name !~ m{/data/} || $name eq $largest;
    refused("$short unencrypted", $name, $forged, $read ? (detail => qr/It is not encrypted, and its backup is/) : (), options_of($name));
}

# A whole backup of his own is one that could have been taken before encryption was turned on.
sub forged_marker {
    my $text = $stored{"backup/$open/backup.json"} =~ s/\Q$open\E/$id/gr;
    $text =~ s/,\n  "sha256": "[0-9a-f]{64}"\n\}\n\z// or BAIL_OUT('the marker has no seal');
    require Digest::SHA;
    return $text . qq(,\n  "sha256": ") . Digest::SHA::sha256_hex($text) . qq("\n}\n);
}
refused('a marker in the clear with the rest encrypted', "backup/$id/backup.json", forged_marker(), object => "backup/$id/index.zst", detail => qr/It is encrypted, and the marker of its backup is not/);
put("backup/$id/backup.json", forged_marker());
for my $name (@objects) {
    my $theirs = $name =~ s/\Q$id\E/$open/r;
    put($name, defined $stored{$theirs} ? moved($theirs, $open, $id) : undef) if $name !~ /backup\.json$/;
}
{
    my $dir = PostgreSQL::Test::Utils::tempdir('forged') . '/data';
    my ($forged, undef, $err) = ark('restore', '--repo', $url, '-D', $dir, '--backup', $id, '--key-file', $key);
    is($forged, 0, 'a whole unencrypted backup is restored');
    like($err, qr/warning: .*is not encrypted, although the cluster has keys.*--require-encryption/, 'and a warning says what it is');
    restore_fails('the same with --require-encryption', qr/not encrypted/, '--require-encryption');
}
put_back();

# WAL that is not encrypted could have been archived while encryption was off.
{
    my ($plain) = sort grep { m{^wal/\w+/\w+/\w{24}\.zst$} && $stored{$_} =~ /"cipher":"none"/ } keys %stored;
    my ($name) = $plain =~ m{/(\w{24})\.zst$};
    my ($gave) = ark('wal-get', '--repo', $url, '--key-file', $key, '--timeout', 0, $name, "$keys/segment");
    is($gave, 0, 'unencrypted WAL is given out');
    unlink "$keys/segment";
    my ($strict, undef, $err) = ark('wal-get', '--repo', $url, '--key-file', $key, '--timeout', 0, '--require-encryption', $name, "$keys/segment");
    cmp_ok($strict, '>', 125, 'but not where encryption is required');
    like($err, qr/not encrypted/, 'which it says');
    ok(!-e "$keys/segment", 'and leaves nothing');
}

# ---- the keys

{
    my ($ring) = sort grep { m{^keys/} } keys %stored;
    my $content = $stored{$ring};
    substr($content, 100, 1) = chr(ord(substr $content, 100, 1) ^ 4);
    put($ring, $content);
    restore_fails('a flipped bit in the keyring');
    put($ring, undef);
    restore_fails('without the keyring', qr/encrypted/);
    put_back();
    my $mine = "$keys/mine";
    my (undef, $mine_url) = new_repository();
    ark_ok([ 'key', 'create', '--repo', $mine_url, '--cluster', $cluster, '--key-file', $mine ], 'he makes keys of his own');
    my ($made) = find_objects($mine_url =~ s{^file://}{}r, qr/keys/);
    put($ring, slurp_file($mine_url =~ s{^file://}{}r . "/$made"));
    restore_fails('his keyring', qr/does not open/);
    my ($got) = ark('wal-get', '--repo', $url, '--key-file', $key, '--on-error', 'not-found', $marker->{start_segment}, "$keys/segment");
    cmp_ok($got, '>', 125, 'wal-get takes a key that does not open for what it is, at once');
    put_back();
}
($status) = verify();
is($status, 0, 'nothing is wrong after all that');
note "$tried attacks";
cmp_ok($tried, '>', 60, 'the catalogue was gone through');
done_testing();
