# ark.preflight()'s row for the key: every way in which encryption can be set up wrongly has words of its own, and a hint; what
# the store is like is told all the same.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
my ($directory, $url) = new_repository();
my $key  = "$keys/ark.key";
my $node = ark_cluster('source', repository => $url, conf => "autovacuum = off\npg_ark.wal_streaming = off\n");
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my @key = ('--repo', $url, '--key-file', $key);

my %rows;
sub preflight { %rows = map { $_->{name} => $_ } @{ JSON::PP::decode_json($node->safe_psql('postgres', 'SELECT json_agg(p) FROM ark.preflight() p')) }; return $rows{encryption} }
sub good {
    my ($detail, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = preflight();
    ok($row->{ok} && $row->{detail} =~ $detail, $what) or diag JSON::PP::encode_json($row);
    return;
}
# Each bad state has words that no other has.
my %seen;
sub bad {
    my ($detail, $hint, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = preflight();
    ok(!$row->{ok} && $row->{detail} =~ $detail && $row->{hint} =~ $hint && !$seen{ $row->{detail} }++, $what) or diag JSON::PP::encode_json($row);
    ok($rows{repository}{ok} && $rows{create_if_absent}{ok}, "$what: the store is fine, and said to be") or diag JSON::PP::encode_json($rows{repository});
    return;
}
sub file {
    my ($name, $text, $mode) = @_;
    PostgreSQL::Test::Utils::append_to_file("$keys/$name", $text);
    chmod $mode // 0600, "$keys/$name" or die $!;
    return "$keys/$name";
}
sub set {
    my %settings = ((map { $_ => undef } qw(encryption encryption_key_file encryption_key_command encryption_recipients)), @_);
    set_config($node, map { ("pg_ark.$_" => $settings{$_}) } keys %settings);
    return;
}
sub on { set(encryption => 'aes-256-gcm', @_); return }

good(qr/^off$/, 'off');
on();
bad(qr/there is no key/, qr/pg_ark\.encryption_key_file/, 'on, and nothing says where the key is');
on(encryption_key_file => file('passphrase', "passphrase:correct horse\n"));
bad(qr/has no encryption keys/, qr/pg_ark key create/, 'a cluster without keys');
on(encryption_recipients => 'pgark-recipient-1:zz');
bad(qr/recipient/, qr/./, 'what is no recipient');
my $foreign = do {
    my (undef, $elsewhere) = new_repository('elsewhere');
    ark_ok([ 'key', 'create', '--repo', $elsewhere, '--cluster', $system, '--key-file', "$keys/foreign" ], 'a key of somewhere else');
    ark_ok([ 'key', 'export-recipient', '--repo', $elsewhere, '--key-file', "$keys/foreign" ], 'and its recipient') =~ s/\s+\z//r;
};
on(encryption_recipients => $foreign);
bad(qr/has no encryption keys for its recipients/, qr/pg_ark key create/, 'a recipient, and no keys');

set();
ark_ok([ 'key', 'create', '--cluster', $system, @key ], 'keys');
bad(qr/^off, although the cluster has keys/, qr/aes-256-gcm/, 'off, and the cluster has keys');
set(encryption_key_file => "$keys/gone");
bad(qr/^off, and what was encrypted cannot be read: .*gone/, qr/./, 'off, and the key for what was encrypted is away');
on(encryption_key_file => "$keys/gone");
bad(qr/could not open file "\S+gone"/, qr/may read the file/, 'a file that is not there');
on(encryption_key_file => file('empty', ''));
bad(qr/key file "\S+empty" holds no key/, qr/./, 'an empty file');
on(encryption_key_file => file('open', "passphrase:x\n", 0644));
bad(qr/can be read or changed by others/, qr/chmod 600/, 'a file that others may read');
mkdir "$keys/directory" or die $!;
on(encryption_key_file => "$keys/directory");
bad(qr/not a regular file/, qr/use a command/, 'no file');
on(encryption_key_command => 'echo no vault >&2; exit 3');
bad(qr/status 3.*no vault/, qr/Run the command by hand/, 'a command that fails');
on(encryption_key_command => 'echo nothing');
bad(qr/the command for the encryption key gave none/, qr/./, 'a command that prints something else');
on(encryption_key_command => 'kill -9 $$');
bad(qr/Signal 9/, qr/Run the command by hand/, 'a command that is killed');
on(encryption_key_file => $key);
good(qr/^on, under key [0-9a-f]{16}, which this server has opened$/, 'on');
my $recipient = ark_ok([ 'key', 'export-recipient', @key ], 'its recipient') =~ s/\s+\z//r;
on(encryption_key_file => $key, encryption_recipients => $recipient);
good(qr/opened; pg_ark\.encryption_recipients is not used/, 'a key and recipients: the key counts');
on(encryption_key_file => "$keys/foreign");
bad(qr/does not open any slot of keyring 1/, qr/belongs to this cluster/, 'a key of another cluster');
on(encryption_key_file => "$keys/passphrase");
bad(qr/does not open any slot of keyring 1 .*passphrase|does not open any slot of keyring 1/, qr/belongs to this cluster/, 'a passphrase that opens none') if !$seen{preflight()->{detail}};
on(encryption_recipients => $recipient);
good(qr/^on, for recipients/, 'for recipients');
on(encryption_recipients => $foreign);
bad(qr/nothing is stored: .*not one of the cluster's: nobody could read.*has no key [0-9a-f]{16}/, qr/export-recipient/, 'for a key of another cluster');
my ($id, $public) = (split /:/, $foreign)[ 1, 2 ];
my $mixed = $recipient =~ s/^(pgark-recipient-1:[0-9a-f]+):[^:]+/$1:$public/r;
on(encryption_recipients => $mixed);
bad(qr/nothing is stored: .*nobody could read.*not key [0-9a-f]{16}'s own public half/, qr/export-recipient/, 'for a public key that is not the key\'s');

ark_ok([ 'key', 'add-slot', @key, '--new-key-file', "$keys/second" ], 'another slot');
ark_ok([ 'key', 'rotate', @key ], 'which does not open the next key');
on(encryption_recipients => $recipient);
bad(qr/which is no longer the current one/, qr/export-recipient/, 'for a key that was rotated away');
on(encryption_key_file => "$keys/second");
bad(qr/opens only older keys of keyring 3/, qr/rotated with/, 'a key that was left behind');
my $keyring = "$directory/$system/keys/3.json";
my $text    = slurp_file($keyring);
my $replace = sub { chmod 0600, $keyring; open my $file, '>', $keyring or die $!; print $file $_[0]; close $file };
$replace->($text =~ s/"generation"/"Generation"/r);
on(encryption_key_file => $key);
bad(qr{keys/3\.json}, qr/./, 'a damaged keyring');
$replace->($text);
good(qr/^on, under key/, 'and when it is whole again');
# What was checked leaves the server as strict as it was.
on(encryption_key_file => "$keys/gone");
preflight();
my $row = wait_backup($node, start_backup_sql($node, 'without a key'));
is($row->{status}, 'failed', 'a check without the key lets nothing else happen without it');
is_deeply([ grep { !m{^(?:ark\.json|\d+/keys/|\d+/audit/)} } find_objects($directory) ], [], 'and nothing was stored');
done_testing();
