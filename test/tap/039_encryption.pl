# Encryption: with a key, for recipients, and off again. What is stored tells nothing, each backup of each kind is restored with the one
# key file, a server that cannot have its key stores nothing, and the key is in no log, no list of processes and no setting.
use strict;
use warnings;
use File::Find ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
my ($directory, $url) = new_repository();
my $key  = "$keys/ark.key";
my $node = ark_cluster('source', repository => $url, conf => <<"CONF");
autovacuum = off
pg_ark.encryption = 'aes-256-gcm'
pg_ark.encryption_key_file = '$key'
pg_ark.wal_stream_interval = 200ms
CONF
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $secret  = 'planted-secret-of-the-test';

# The objects of the cluster by name, keyrings left out.
sub stored {
    my %stored;
    return () unless -d "$directory/$cluster";
    File::Find::find({ no_chdir => 1, wanted => sub { $stored{ s{^\Q$directory/$cluster/\E}{}r } = slurp_file($_) if -f && !m{/keys/} } }, "$directory/$cluster");
    return %stored;
}
my %plain_objects;
sub all_sealed {
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my %stored = stored();
    cmp_ok(scalar keys %stored, '>', 3, "$what: there are objects");
    my @open = grep { !$plain_objects{$_} && $stored{$_} !~ /^\x5a\x2a\x4d\x18.{4}PGARKHDR.{4}\{[^\n]*"cipher":"aes-256-gcm"/s } sort keys %stored;
    is_deeply(\@open, [], "$what: all of them are encrypted");
    is_deeply([ grep { !$plain_objects{$_} && $stored{$_} =~ /$secret|backup_label|shared_preload/ } sort keys %stored ], [], "$what: and show nothing of what is in them");
    return;
}
my $rows = 0;
sub mark { $node->safe_psql('postgres', "INSERT INTO marks SELECT '$secret' FROM generate_series(1, 100)"); $rows += 100; return }
sub rows_of { return $_[0]->safe_psql('postgres', 'SELECT count(*) FROM marks') }
my $n = 0;
sub restores {
    my ($id, $expected, $what, @more) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $restored = restore_node($node, 'restored' . ++$n, '--backup', $id, '--key-file', $key, '--target-action', 'promote', @more);
    my $conf = slurp_file($restored->data_dir . '/postgresql.auto.conf');
    like($conf, qr/--key-file.*\Q$key\E/, "$what: restore_command knows where the key is");
    start_restored($restored, conf => "pg_ark.encryption_key_file = ''\npg_ark.encryption = none\n");
    is(rows_of($restored), $expected, "$what: everything is there");
    $restored->stop;
    return;
}
sub check_row { my ($name) = @_; return $node->safe_psql('postgres', "SELECT ok || ': ' || coalesce(detail, '') || ' ' || coalesce(hint, '') FROM ark.preflight() WHERE name = '$name'") }

# ---- without its key the server stores nothing

$node->safe_psql('postgres', 'CREATE TABLE marks (what text)');
mark();
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
wait_log($node, qr/could not (?:open|stat) file "\Q$key\E"|\Q$key\E.*No such file|has no encryption keys/);
is_deeply([ grep { !/^ark/ } map { s{.*/}{}r } glob "$directory/*" ], [], 'without keys nothing is stored');
like(check_row('encryption'), qr/^false: on, and nothing is stored: .*(?:\Q$key\E|no encryption keys)/, 'preflight says what is missing');
my $refused = wait_backup($node, start_backup_sql($node, 'too early'));
is($refused->{status}, 'failed', 'a backup fails');
like($refused->{error}{message}, qr/\Q$key\E|no encryption keys/, 'and says why');

# ---- keys

ark_fails([ 'key', 'create', '--repo', $url, '--key-file', $key ], qr/--cluster/, 'create wants to know for which cluster');
my $made = JSON::PP::decode_json(ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key, '--output', 'json' ], 'keys are made'));
is($made->{key_file}, $key, 'and a file with what opens them');
is((stat $key)[2] & 07777, 0600, 'for its owner alone');
my ($text) = slurp_file($key) =~ /^pgark-key-1:(\S+)$/;
ok($text, 'it holds a key');
ark_fails([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key ], qr/already/, 'once');
archive_now($node);
mark();
my $first = backup_ok($node, "with $secret");
archive_now($node);
all_sealed('with a key');
like(check_row('encryption'), qr/^true: on, under key [0-9a-f]{16}/, 'preflight: encryption is on');
my $first_rows = $rows;

# ---- who has no key, or another one

ark_fails([ 'list', '--repo', $url ], qr/encrypted/, 'without the key nothing is listed');
ark_fails([ 'restore', '--repo', $url, '-D', "$keys/none" ], qr/encrypted.*--key-file/s, 'nor restored');
ok(!-e "$keys/none", 'and nothing is left of the try');
PostgreSQL::Test::Utils::append_to_file("$keys/other", "passphrase:another\n");
chmod 0600, "$keys/other";
ark_fails([ 'list', '--repo', $url, '--key-file', "$keys/other" ], qr/does not open/, 'a wrong key is told apart');
chmod 0644, $key;
ark_fails([ 'list', '--repo', $url, '--key-file', $key ], qr/chmod/, 'a file that others may read is refused');
chmod 0600, $key;
ark_fails([ 'list', '--repo', $url, '--key-command', "echo $text; echo sealed >&2; exit 3" ], qr/status 3.*sealed/s, 'a command that fails says why');
unlike((ark('list', '--repo', $url, '--key-command', "cat $key; exit 3"))[2], qr/\Q$text\E/, 'and not what it printed');
{
    local $ENV{PG_ARK_KEY_COMMAND} = "cat $key";
    like(ark_ok([ 'list', '--repo', $url ], 'the environment may name it'), qr/\Q$first\E/, 'then backups are listed');
    ark_ok([ 'ranges', '--repo', $url ], 'and what can be recovered');
    ark_ok([ 'verify', '--repo', $url, '--require-encryption' ], 'and they are verified');
    ark_ok([ 'info', $first, '--repo', $url ], 'and shown');
}

# ---- a second key for the same slots, and another slot

ark_ok([ 'key', 'rotate', '--repo', $url, '--key-file', $key ], 'the key is rotated');
ark_ok([ 'key', 'add-slot', '--repo', $url, '--key-file', $key, '--new-key-file', "$keys/safe" ], 'another file opens it, too');
ark_ok([ 'key', 'check', '--repo', $url, '--key-file', "$keys/safe" ], 'so it does');
like(ark_ok([ 'check', '--repo', $url, '--key-file', $key ], 'check takes a key'), qr/^  ok +encryption +the key opens keyring 3 of cluster $cluster by slot 1;/m, 'and says what it opens');
my @check = ark('check', '--repo', $url, '--key-file', "$keys/other");
is($check[0], 7, 'or fails');
like($check[1], qr/^  error +encryption +the key does not open/m, 'and says why');
like(ark_ok([ 'check', '--repo', $url ], 'it needs none'), qr/^  note +encryption .*none was given/m, 'and says so');
my $list = JSON::PP::decode_json(ark_ok([ 'key', 'list', '--repo', $url, '--output', 'json' ], 'who has no key may see which there are'));
is(scalar @{ $list->{keys} }, 2, 'two keys');
is(scalar @{ $list->{slots} }, 2, 'two slots');
mark();
my $second = backup_ok($node, 'after the rotation');

# ---- a server that writes and cannot read

my $recipient = ark_ok([ 'key', 'export-recipient', '--repo', $url, '--key-file', $key ], 'what such a server needs') =~ s/\s+\z//r;
like($recipient, qr/^pgark-recipient-1:/, 'is printed');
set_config($node, 'pg_ark.encryption_key_file' => '', 'pg_ark.encryption_recipients' => $recipient);
mark();
archive_now($node);
my $third = backup_ok($node, 'for a recipient');
my $third_rows = $rows;
all_sealed('for a recipient');
like(check_row('encryption'), qr/^true: on, for recipients/, 'preflight knows it');
# Its streamer starts anew behind pieces that it cannot read.
for my $round (1 .. 2) {
    mark();
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    poll_until('what was written is durable', sub { $node->safe_psql('postgres', "SELECT coalesce(durable_lsn >= '$lsn', false) FROM ark.wal_status") eq 't' });
    my ($pid) = ark_children($node, 'server-stream');
    kill 'KILL', $pid;
    poll_until('another streamer is there', sub { my ($new) = ark_children($node, 'server-stream'); $new && $new != $pid });
}
mark();
my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
poll_until('it goes on where it was', sub { $node->safe_psql('postgres', "SELECT coalesce(durable_lsn >= '$lsn', false) FROM ark.wal_status") eq 't' });
ok(!log_has($node, qr/cannot read\.|has recipients alone/), 'and has complained of nothing that it cannot read');
my ($ret, undef, $err) = $node->psql('postgres', 'SELECT * FROM ark.find_wal_gaps()');
like($err, qr/needs an encryption key/, 'what it cannot know it says');

# ---- off again

set_config($node, 'pg_ark.encryption' => 'none', 'pg_ark.encryption_recipients' => undef, 'pg_ark.encryption_key_file' => $key);
my %before = stored();
mark();
archive_now($node);
my $fourth = backup_ok($node, 'open again');
# The audit log and the tables of changed blocks, too, which come a moment later.
my $whole = $node->safe_psql('postgres', q{SELECT '0/0'::pg_lsn + div(pg_current_wal_flush_lsn() - '0/0', 16777216) * 16777216});
poll_until('the tables of changed blocks are there', sub { $node->safe_psql('postgres', "SELECT coalesce(lsn >= '$whole', false) FROM ark.change_tracking") eq 't' });
poll_until('the audit log is there', sub { $node->safe_psql('postgres', 'SELECT waiting_bytes = 0 AND unmirrored = 0 FROM ark.audit_status') eq 't' });
%plain_objects = map { $_ => 1 } grep { !$before{$_} } keys %{ { stored() } };
like(check_row('encryption'), qr/off, although/, 'preflight: off');
ark_fails([ 'restore', '--repo', $url, '-D', "$keys/none", '--key-file', $key, '--require-encryption', '--dry-run' ], qr/not encrypted/, '--require-encryption takes none of that');

# ---- a command that gives no key

set_config($node, 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => '', 'pg_ark.encryption_key_command' => 'echo no vault >&2; exit 3');
my $mark = log_mark($node);
# The audit log follows some seconds later, by a process that may have begun before.
sub stored_but_audit { my %stored = stored(); return scalar grep { !m{^audit/} } keys %stored }
my $count = stored_but_audit();
mark();
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
wait_log($node, qr/command for the encryption key gave none.*status 3.*no vault/s, $mark);
is(stored_but_audit(), $count, 'nothing is stored meanwhile');
%plain_objects = (%plain_objects, map { $_ => 1 } grep { m{^audit/} } keys %{ { stored() } });
set_config($node, 'pg_ark.encryption_key_command' => "cat $key");
archive_now($node);
my $fifth = backup_ok($node, 'by a command');
set_config($node, 'pg_ark.encryption_key_command' => "sleep 12; cat $key");
like(check_row('encryption'), qr/^true: on, under key/, 'preflight waits for a command that takes its time');
set_config($node, 'pg_ark.encryption_key_command' => "cat $key");
archive_now($node);
all_sealed('by a command');

# ---- the key is nowhere

unlike(slurp_file($node->logfile), qr/\Q$text\E/, 'the key is not in the log');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_settings WHERE setting LIKE '%' || '$text' || '%'"), 0, 'nor in a setting');
$node->safe_psql('postgres', 'CREATE ROLE nobody');
is($node->safe_psql('postgres', q{SET ROLE nobody; SELECT count(*) FROM pg_settings WHERE name LIKE 'pg_ark.encryption_%'}), 0, 'where it comes from only superusers see');
for my $pid (ark_children($node, 'server-stream'), ark_children($node, 'server-archive')) {
    unlike(slurp_file("/proc/$pid/cmdline"), qr/\Q$text\E/, 'nor in an argument');
}

# ---- each of them is restored

my $all = $rows;
$node->stop;
restores($first, $first_rows, 'the first', '--target', 'immediate');
restores($_, $all, "backup $_") for $second, $third, $fourth, $fifth;
done_testing();
