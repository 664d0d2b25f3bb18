# One cluster, six settings in turn: not encrypted, encrypted, under a rotated key, for recipients, by a passphrase after the first key's slot
# was removed, not encrypted again. In each a backup, archived WAL and streamed WAL. In the end one key file restores all six, each to what the
# source had then; and what was killed in the middle of a segment whose pieces are of several settings.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => <<"CONF");
autovacuum = off
pg_ark.wal_stream_interval = 200ms
CONF
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my ($key, $pass) = ("$keys/ark.key", "$keys/passphrase");
append_to_file($pass, "passphrase:six settings in turn\n");
chmod 0600, $pass;

sub key_command { my ($action, @arguments) = @_; return ark_ok([ 'key', $action, '--repo', $url, '--cluster', $cluster, @arguments ], "pg_ark key $action") }
sub header_of {
    my ($path) = @_;
    my $content = slurp_file($path);
    return { cipher => 'none', bare => 1 } if $content !~ /^\x5a\x2a\x4d\x18(.{4})PGARKHDR.{4}/s;
    return JSON::PP::decode_json(substr $content, 20, unpack('V', $1) - 12);
}
sub streamed {
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    poll_until('what was written is durable', sub { $node->safe_psql('postgres', "SELECT coalesce(durable_lsn >= '$lsn', false) FROM ark.wal_status") eq 't' });
    return;
}
sub write_some {
    my ($what) = @_;
    $node->safe_psql('postgres', "INSERT INTO things SELECT '$what', n, md5(n::text) FROM generate_series(1, 500) n");
    return;
}

my (@stages, %dump, %id);
# With these settings: a backup, WAL that is archived, WAL that is streamed alone.
sub stage {
    my ($name, $cipher, %settings) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    set_config($node, %settings) if %settings;
    push @stages, $name;
    $node->safe_psql('postgres', "CREATE TABLE $name AS SELECT n, '$name' AS what FROM generate_series(1, 100) n");
    write_some("$name before");
    $id{$name} = backup_ok($node, $name);
    write_some("$name archived");
    archive_now($node);
    write_some("$name streamed");
    $node->safe_psql('postgres', "UPDATE things SET what = what || ', seen by $name' WHERE n % 7 = 0; SELECT pg_create_restore_point('$name')");
    streamed();
    $dump{$name} = dump_of($node);
    my @objects = find_objects("$directory/$cluster/backup/$id{$name}");
    cmp_ok(scalar @objects, '>=', 5, "$name: the backup has its objects");
    my @headers = map { header_of("$directory/$cluster/backup/$id{$name}/$_") } @objects;
    is_deeply([ grep { $_->{cipher} ne $cipher } @headers ], [], "$name: all of them are as they should be");
    return \@headers;
}
sub writers_keys { my ($headers) = @_; my %ids = map { $_->{key} => 1 } map { @{ $_->{data_key} } } @$headers; return sort keys %ids }

$node->safe_psql('postgres', 'CREATE TABLE things (what text, n int, more text)');

# ---- six settings

stage('open', 'none');

key_command('create', '--key-file', $key);
my $first = stage('encrypted', 'aes-256-gcm', 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => $key, 'pg_ark.compression_level' => 1);

key_command('rotate', '--key-file', $key);
# A child that runs has opened the keyring once: another level, another child.
my $second = stage('rotated', 'aes-256-gcm', 'pg_ark.compression_level' => 7);
isnt((writers_keys($second))[0], (writers_keys($first))[0], 'rotated: under another key');
my @rotated = writers_keys($second);
is(scalar @rotated, 1, 'rotated: and under no other');

my $recipient = key_command('export-recipient', '--key-file', $key) =~ s/\s+\z//r;
my $third = stage('sealed', 'aes-256-gcm', 'pg_ark.encryption_key_file' => undef, 'pg_ark.encryption_recipients' => $recipient);
is_deeply([ grep { grep { !defined $_->{sealed} } @{ $_->{data_key} } } @$third ], [], 'sealed: to the recipient');

# What such a server adopts it knows by the outline alone, until it has a key.
my $figures = "SELECT backup_id || ' ' || coalesce(files::text, 'unknown') || ' ' || reason FROM ark.backup_log WHERE backup_id = '$id{encrypted}'";
my $known = $node->safe_psql('postgres', $figures);
$node->safe_psql('postgres', "DELETE FROM ark.backup_verification; DELETE FROM ark.backup_log WHERE backup_id = '$id{encrypted}'");
$node->restart;
$node->poll_query_until('postgres', $figures, "$id{encrypted} unknown ") or BAIL_OUT('a backup without a row was not adopted');

key_command('add-slot', '--key-file', $key, '--new-key-file', $pass);
key_command('remove-slot', '--key-file', $pass, '--slot', 1);
ark_fails([ 'key', 'check', '--repo', $url, '--key-file', $key ], qr/does not open/, 'the first key opens nothing any more');
stage('passphrase', 'aes-256-gcm', 'pg_ark.encryption_recipients' => undef, 'pg_ark.encryption_key_file' => $pass);
ok($node->poll_query_until('postgres', $figures, $known), 'with a key the row has its figures');

# The segment that the server is writing has encrypted pieces, and the key's setting goes with the encryption.
my $mark = log_mark($node);
set_config($node, 'pg_ark.encryption' => 'none', 'pg_ark.encryption_key_file' => undef);
ok(wait_log($node, qr/pieces of WAL segment.* are encrypted and cannot be continued/, $mark), 'open again: that they cannot be continued is told');
stage('open_again', 'none');
ok(log_has($node, qr/archived by whole segments until the server has finished this one/, $mark), 'open again: and what happens until then');

# ---- one segment in pieces of several settings, and the end of the server

for my $cipher ('aes-256-gcm', 'none', 'aes-256-gcm') {
    set_config($node, 'pg_ark.encryption' => $cipher, 'pg_ark.encryption_key_file' => $pass);
    write_some("in pieces with $cipher");
    streamed();
}
my $last = dump_of($node);
my ($segment) = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
my %ciphers = map { header_of($_)->{cipher} => 1 } glob "$directory/$cluster/tail/*/$segment/*.zst";
$node->stop('immediate');
is(join(' ', sort keys %ciphers), 'aes-256-gcm none', 'its last segment is there in pieces of both kinds');

# ---- with one key file all of them come back

ark_ok([ 'verify', '--repo', $url, '--key-file', $pass ], 'all of them are verified');
my $list = JSON::PP::decode_json(ark_ok([ 'list', '--repo', $url, '--key-file', $pass, '--output', 'json' ], 'and listed'));
is(join(' ', map { $_->{encrypted} ? 1 : 0 } @$list), '0 1 1 1 1 0', 'with what they are');
my $n = 0;
sub restored {
    my ($what, $expected, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $restored = restore_node($node, 'restored' . ++$n, '--key-file', $pass, '--target-action', 'promote', @arguments);
    start_restored($restored, conf => "pg_ark.encryption = none\npg_ark.encryption_key_file = ''\npg_ark.encryption_recipients = ''\n");
    same_contents(dump_of($restored), $expected, "$what: is what the source had");
    $restored->stop;
    return;
}
restored($_, $dump{$_}, '--backup', $id{$_}, '--target-name', $_) for @stages;
restored('the first backup, all WAL', $last, '--backup', $id{open});
restored('the last backup, all WAL', $last, '--backup', $id{open_again});
is(scalar @stages, 6, 'six settings');
done_testing();
