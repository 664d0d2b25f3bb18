# What is encrypted can be read without pg_ark: docs/decrypt.py, the recipe of docs/repository-format.md, with Debian's python3-cryptography
# and zstd, gives the same bytes as the server and pg_ark have, by a key, by a passphrase, and of what a host wrote that cannot read it.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $script = "$ENV{PG_ARK_SOURCE}/docs/decrypt.py";
my $dir    = PostgreSQL::Test::Utils::tempdir('keys');
my ($directory, $url) = new_repository();
my $key        = "$dir/ark.key";
my $passphrase = "$dir/passphrase";
PostgreSQL::Test::Utils::append_to_file($passphrase, "passphrase:correct horse battery staple\n");
chmod 0600, $passphrase;
# Segments stay in pg_wal, to be compared with.
my $node = ark_cluster('source', repository => $url, conf => <<"CONF");
autovacuum = off
wal_keep_size = 1GB
pg_ark.encryption = 'aes-256-gcm'
pg_ark.encryption_key_file = '$key'
CONF
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $place   = "$directory/$cluster";

# Runs the recipe; the plain bytes, or undef where it fails.
sub decrypted {
    my ($with, $object, @more) = @_;
    my ($keyring) = sort { length $b <=> length $a || $b cmp $a } glob "$place/keys/*.json";
    my $command = "set -o pipefail; python3 $script $with $keyring $object @more 2>>$dir/errors | zstd -dq > $dir/plain 2>>$dir/errors";
    note $command;
    return system('bash', '-c', $command) == 0 ? slurp_file("$dir/plain") : undef;
}
sub is_same { # without a megabyte of a difference
    my ($got, $expected, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(defined $got && $got eq $expected, $what) || diag(slurp_file("$dir/errors"));
}
sub same_segment {
    my ($segment, $what, @keys) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $original = slurp_file($node->data_dir . "/pg_wal/$segment");
    my ($object) = glob "$place/wal/*/*/$segment.zst";
    is_same(decrypted($_, $object), $original, "$what: a segment, byte by byte, with $_") for @keys;
    return $object;
}

ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key ], 'keys are made');
ark_ok([ 'key', 'add-slot', '--repo', $url, '--key-file', $key, '--new-key-file', $passphrase ], 'and a passphrase opens them, too');
load_shop($node);
# Large enough for checksums of its blocks, which are no content.
$node->safe_psql('postgres', 'CREATE TABLE large AS SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 10000) n');
my $segment = archive_now($node);
my $id      = backup_ok($node, 'by a key');
my $object  = same_segment($segment, 'with a key', $key, $passphrase);
rename "$dir/plain", "$dir/$segment" or die;
command_ok([ "pg_waldump", "-q", "$dir/$segment" ], "pg_waldump reads it");

# ---- one frame: the file, and where its frames are, from the index

my ($backup) = glob "$place/backup/$id";
my %index = map { my $entry = JSON::PP::decode_json($_); ($entry->{path} => $entry) } split /\n/, decrypted($key, "$backup/index.zst");
my $entry = $index{'postgresql.conf'};
my $pack  = sprintf '%s/data/%05d.tar.zst', $backup, $entry->{pack};
my $conf  = decrypted($key, $pack, $entry->{frames}[0][0]);
is_same(substr($conf // '', $entry->{skip}, $entry->{size}), slurp_file($node->data_dir . '/postgresql.conf'), 'one frame has the file that the index says is in it');
is(JSON::PP::decode_json(decrypted($key, "$backup/backup.json"))->{backup_id}, $id, 'the marker is read');

# ---- a whole backup

sub unpacks {
    my ($which, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $to = "$dir/$which";
    mkdir $to, 0700 or die $!;
    for my $stored (glob "$place/backup/$which/data/*.tar.zst") {
        defined decrypted($key, $stored) && system("cat $dir/plain >> $dir/$which.tar") == 0 or return fail("$what: $stored");
    }
    is(system("tar x -i -C $to -f $dir/$which.tar"), 0, "$what: the packs unpack");
    PostgreSQL::Test::Utils::append_to_file("$to/backup_manifest", decrypted($key, "$place/backup/$which/manifest.zst"));
    return verify_backup_ok($to, "$what: pg_verifybackup accepts it");
}
unpacks($id, 'with a key');

# ---- for a recipient, after a rotation

ark_ok([ 'key', 'rotate', '--repo', $url, '--key-file', $key, '--other-key-file', $passphrase ], 'the key is rotated');
my $recipient = ark_ok([ 'key', 'export-recipient', '--repo', $url, '--key-file', $key ], 'what a server needs that shall not read') =~ s/\s+\z//r;
set_config($node, 'pg_ark.encryption_key_file' => '', 'pg_ark.encryption_recipients' => $recipient);
my $for_recipient = backup_ok($node, 'for a recipient');
my $sealed = same_segment(archive_now($node), 'for a recipient', $key, $passphrase);
like(slurp_file($sealed), qr/"sealed":/, 'its data key was sealed, not wrapped');
unpacks($for_recipient, 'for a recipient');
same_segment($segment, 'of the key before', $key);

# ---- it fails where pg_ark would

my $copy = "$dir/copy/" . substr($object, length "$place/");
system("mkdir -p \$(dirname $copy)") == 0 or die;
my $bytes = slurp_file($object);
sub changed {
    my ($content, $what, $with) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    unlink $copy;
    PostgreSQL::Test::Utils::append_to_file($copy, $content);
    return is(decrypted($with // $key, $copy), undef, "refused: $what");
}
for my $at (200, length($bytes) / 2, length($bytes) - 1) {
    my $flipped = $bytes;
    substr($flipped, $at, 1) ^= "\1";
    changed($flipped, "a flipped bit at $at");
}
changed(substr($bytes, 0, length($bytes) - 44), 'without its end');
changed(slurp_file($sealed), 'another object in its place');
PostgreSQL::Test::Utils::append_to_file("$dir/other", "passphrase:another\n");
changed($bytes, 'a wrong key', "$dir/other");
unlink $copy;
PostgreSQL::Test::Utils::append_to_file($copy, $bytes);
is_same(decrypted($key, $copy), slurp_file($node->data_dir . "/pg_wal/$segment"), 'unchanged it is read there, too');

done_testing();
