# Secrets are planted (a key file, a passphrase, what a command prints, a password, a store's credentials), and everything is searched for them: logs, errors,
# tables, settings, arguments and environments of processes while they run, memory that others may read, the repository, restored configuration.
# In the end one is leaked on purpose into each place, to show that the search sees it.
use strict;
use warnings;
use IO::Handle ();
use IPC::Run ();
use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(usleep);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
my ($key, $pass, $copy) = ("$keys/ark.key", "$keys/passphrase", "$keys/copy");
my ($directory, $url) = new_repository();
# Not whole in this file's text either, which is somebody's argument or open file for sure.
my $passphrase = join '-', 'correct', 'horse', 4711 * 13, 'planted';
my $password   = join '-', 'wal', 'conninfo', 'planted';
append_to_file($pass, "passphrase:$passphrase\n");
chmod 0600, $pass;

my %secrets = (passphrase => $passphrase, password => $password);
sub learn {
    my ($what, $file) = @_;
    my ($text) = slurp_file($file) =~ /^pgark-key-1:(\S+)$/ or BAIL_OUT("no key in $file");
    my $bytes = MIME::Base64::decode_base64($text);
    @secrets{ "$what, text", "$what, bytes", "$what, hexadecimal" } = (substr($text, 0, 40), $bytes, unpack 'H*', $bytes);
    return;
}
# Names of the secrets that a text has.
sub secrets_in {
    my ($text) = @_;
    return grep { index($text, $secrets{$_}) >= 0 } sort keys %secrets;
}
sub has_none {
    my ($text, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    cmp_ok(length $text, '>', 0, "$what: there is something to search");
    return is_deeply([ secrets_in($text) ], [], "$what: no secret is in it");
}

# ---- arguments and environments: everything that runs here is looked at again and again, until the end

my ($hits, $stop) = ("$keys/hits", "$keys/stop");
sub start_watch {
    # What is looked for goes to it by the fork alone. Exits without the test's own end blocks.
    my $pid = fork // die $!;
    return $pid if $pid;
    my (%seen, $ours);
    while (!-e $stop) {
        for my $file (glob '/proc/[0-9]*/cmdline /proc/[0-9]*/environ') {
            open my $handle, '<:raw', $file or next;
            local $/;
            my $text = <$handle> // next;
            $ours++ if $file =~ /cmdline/ && $text =~ m{pg_ark\0};
            for my $what (secrets_in($text)) {
                next if $seen{"$file $what"}++;
                append_to_file($hits, "$file has $what: " . ($text =~ tr/\0\n/ /r) . "\n"); # a line each, whatever functions a shell has exported
            }
        }
        usleep(10_000);
    }
    append_to_file("$keys/watched", $ours // 0);
    POSIX::_exit(0);
}

my $stranger = "$keys/stranger";
ark_ok([ 'key', 'create', '--repo', "$url-of-a-stranger", '--cluster', 'x', '--key-file', $stranger ], 'a key is made');
ark_ok([ 'key', 'create', '--repo', "$url-of-the-key", '--cluster', 'x', '--key-file', $key ], 'and another one');
learn('another key', $stranger);
learn('the key', $key);
my $watch = start_watch();

# ---- a cluster that uses them all

my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => <<"CONF");
autovacuum = off
log_min_messages = debug1
log_statement = none
pg_ark.wal_stream_interval = 200ms
CONF
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key ], 'which opens the keys of a cluster');
ark_ok([ 'key', 'add-slot', '--repo', $url, '--key-file', $key, '--new-key-file', $pass ], 'a passphrase opens it, too');
my $errors = '';
sub tried {
    my @arguments = @_;
    my ($status, $out, $err) = ark(@arguments);
    $errors .= "$out$err\n";
    return $status;
}

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) n');
set_config($node, 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => $key);
my $id = backup_ok($node, 'by a file');
set_config($node, 'pg_ark.encryption_key_file' => undef, 'pg_ark.encryption_key_command' => "cat $key");
backup_ok($node, 'by a command');
archive_now($node);
set_config($node, 'pg_ark.encryption_key_command' => "cat $pass");
my $last = backup_ok($node, 'by a passphrase');
archive_now($node);
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$last')"), 't', 'a restore test goes well');

# ---- what goes wrong, and is told

# A stranger's key, a command that prints the key and fails, one that says more than a key, one that says it where errors go.
append_to_file("$keys/garbage", slurp_file($key) =~ s/\n/garbage\n/r);
append_to_file("$keys/two", slurp_file($key) . slurp_file($pass));
append_to_file("$keys/bare", "$passphrase\n");
chmod 0600, glob "$keys/*";
for my $command ("cat $key; exit 3", "cat $key $pass", "cat $keys/garbage", "cat $keys/bare", "cat $key; kill -9 \$\$", "while :; do cat $key; done") {
    isnt(tried('list', '--repo', $url, '--key-command', $command), 0, "\"$command\" gives no key");
}
for my $file ($stranger, "$keys/garbage", "$keys/two", "$keys/bare") {
    for my $command ([ 'list' ], [ 'verify' ], [ 'key', 'check' ], [ 'key', 'rotate' ], [ 'restore', '-D', "$keys/none" ], [ 'drill', '--scratch', "$keys/scratch" ], [ 'check' ]) {
        isnt(tried(@$command, '--repo', $url, '--key-file', $file), 0, "$command->[0] with $file fails");
    }
}
isnt(tried('list', '--repo', $url, '--key-file', $key, '--key-command', "cat $key"), 0, 'both at once fail');
chmod 0644, $key;
isnt(tried('list', '--repo', $url, '--key-file', $key), 0, 'a key that all may read is refused');
chmod 0600, $key;
tried('key', 'list', '--repo', $url, '--output', 'json');
tried('key', 'check', '--repo', $url, '--key-file', $key, '--output', 'json');
{
    local @ENV{qw(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY PG_ARK_KEY_COMMAND)} = ('PLANTED', join('-', 'aws', 'planted', 99), "cat $key");
    my $aws = $ENV{AWS_SECRET_ACCESS_KEY};
    isnt(tried('check', '--repo', 's3://bucket/x?endpoint=http://127.0.0.1:1&region=x&tls=off', '--retry-timeout', 1), 0, 'a store that is not there');
    isnt(tried('list', '--repo', 's3://bucket/x?endpoint=https://127.0.0.1:1&region=x', '--retry-timeout', 1), 0, 'nor there');
    ok(index($errors, $aws) < 0, 'what it was asked with is in no error');
}
has_none($errors, 'errors of commands');

my $recipient = ark_ok([ 'key', 'export-recipient', '--repo', $url, '--key-file', $key ], 'a recipient') =~ s/\s+\z//r;
my ($identity) = $recipient =~ /:([^:]+)\z/;
$secrets{'the identity key'} = MIME::Base64::decode_base64($identity);
$secrets{'the identity key, text'} = substr $identity, 0, 40;
for my $bad ([ 'pg_ark.encryption_key_command' => "cat $key; exit 3" ], [ 'pg_ark.encryption_key_command' => "cat $keys/garbage" ], [ 'pg_ark.encryption_key_file' => $stranger ], [ 'pg_ark.encryption_recipients' => "$recipient,pgark-recipient-1:zz:$identity" ]) {
    set_config($node, 'pg_ark.encryption_key_command' => undef, 'pg_ark.encryption_key_file' => undef, 'pg_ark.encryption_recipients' => undef);
    my $mark = log_mark($node);
    set_config($node, @$bad);
    $node->safe_psql('postgres', 'INSERT INTO t SELECT 1; SELECT pg_switch_wal()');
    wait_log($node, qr/archiving|pg_ark/, $mark);
    is(wait_backup($node, start_backup_sql($node, 'with trouble'))->{status}, 'failed', "with $bad->[0] wrong a backup fails");
    $errors .= $node->safe_psql('postgres', 'SELECT * FROM ark.preflight()');
    $errors .= ($node->psql('postgres', $_))[2] // '' for 'SELECT * FROM ark.find_wal_gaps()', "SELECT ark.verify_backup('$id')";
}
has_none($errors, 'errors of the server');
set_config($node, 'pg_ark.encryption_recipients' => $recipient, 'pg_ark.encryption_key_file' => undef);
archive_now($node);
backup_ok($node, 'for a recipient');
set_config($node, 'pg_ark.encryption_recipients' => undef, 'pg_ark.encryption_key_file' => $key, 'pg_ark.wal_conninfo' => "host=127.0.0.1 port=1 password=$password");
wait_log($node, qr/could not connect|Connection refused|connection to server/);
archive_now($node);

# ---- tables and settings

my %tables = map { $_ => $node->safe_psql('postgres', "SELECT * FROM $_") } grep { $_ } split /\n/,
  $node->safe_psql('postgres', q{SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'ark'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1});
ok(exists $tables{"ark.$_"}, "ark.$_ is among what is searched") for qw(backup_log audit_log wal_status backup_tests backup_verification archiver_status);
$node->poll_query_until('postgres', q{SELECT count(*) > 5 FROM ark.audit_log WHERE act = 'setting'}) or BAIL_OUT('settings are not audited');
has_none(join("\n", values %tables, $node->safe_psql('postgres', 'SELECT * FROM ark.audit_log'), $node->safe_psql('postgres', 'SELECT * FROM ark.preflight()')), 'tables, views and functions');
$node->safe_psql('postgres', 'CREATE ROLE nobody');
for my $sql ('SELECT * FROM pg_settings', 'SELECT * FROM pg_file_settings', 'SELECT query, application_name FROM pg_stat_activity') {
    my ($ret, $out, $err) = $node->psql('postgres', "SET ROLE nobody; $sql");
    has_none("$out$err", "$sql, as a role without rights");
    next if $sql !~ /pg_settings/;
    unlike($out, qr/\Q$key\E|\Q$pass\E/, 'nor where the key is');
}
$node->safe_psql('postgres', 'SET ROLE nobody; SHOW pg_ark.compression_level');
like(($node->psql('postgres', 'SET ROLE nobody; SHOW pg_ark.encryption_key_file'))[2], qr/permission denied|must be superuser|pg_read_all_settings/, 'SHOW refuses it');

# ---- memory

# What may be read of a process by another one of its user, as a debugger would and a core would hold it: its writable memory, as text. undef where the kernel refuses.
sub memory_of {
    my ($pid) = @_;
    open my $maps, '<', "/proc/$pid/maps" or return;
    open my $memory, '<:raw', "/proc/$pid/mem" or return;
    my $all = '';
    while (my $line = <$maps>) {
        no warnings 'portable';
        my ($from, $to) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
        next if hex($to) - hex($from) > 1 << 28;
        sysseek($memory, hex $from, 0) or next;
        my $part;
        $all .= $part if sysread $memory, $part, hex($to) - hex($from);
    }
    return $all;
}
my @children = (ark_children($node, 'server-stream'), ark_children($node, 'server-archive'));
cmp_ok(scalar @children, '>=', 2, 'children that hold the key run');
for my $pid (@children) {
    my $memory = memory_of($pid);
    ok(!defined $memory || $memory eq '', "nobody but root reads the memory of child $pid");
    my ($soft) = slurp_file("/proc/$pid/limits") =~ /^Max core file size\s+(\S+)/m;
    is($soft, 0, 'and it leaves no core');
}
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
my @server = ($postmaster, split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()'));
my $looked = 0;
for my $pid (@server) {
    # The password is a setting's value, which each process of the server has.
    local $secrets{password} = "\0no such thing\0";
    my $memory = memory_of($pid) // next;
    $looked++;
    # As text the identity key is a setting's value, too, which the configuration was.
    is_deeply([ grep { !/identity key/ } secrets_in($memory) ], [], "no key is in the memory of the server's process $pid");
}
SKIP: {
    skip 'the kernel lets nobody read another process here', 1 if !$looked;
    cmp_ok($looked, '>=', 3, 'the memory of the server was read');
}

# ---- what is stored and restored

sub tree_text { my ($dir) = @_; return join "\n", map { slurp_file("$dir/$_") } find_objects($dir) }
has_none(tree_text($directory), 'the repository');
set_config($node, 'pg_ark.wal_conninfo' => undef);
my $restored = restore_node($node, 'restored', '--key-command', "cat $pass", '--target-action', 'promote');
# But for the value of a setting that the source had.
has_none(slurp_file($restored->data_dir . '/postgresql.auto.conf') =~ s/^pg_ark\.encryption_recipients = .*\n//mr, 'restored configuration');
start_restored($restored, conf => "log_min_messages = debug1\n");
is($restored->safe_psql('postgres', 'SELECT count(*) > 0 FROM t'), 't', 'the restored cluster is there');
$restored->stop;
$node->stop;
has_none(slurp_file($restored->logfile), "the restored server's log");
# PostgreSQL itself tells of each setting that has changed, and of its value.
has_none(slurp_file($node->logfile) =~ s/^.*LOG:  parameter "pg_ark\.(?:wal_conninfo|encryption_recipients)" changed to .*\n//mgr, "the server's log");

# ---- the search sees what it should

# Runs with a secret among its arguments, and one in its environment, for a moment.
{
    local $ENV{PG_ARK_TEST_LEAK} = $passphrase;
    system 'sleep', '0.5';
}
append_to_file($hits, "(the leaks)\n");
my $leak = fork // die $!;
exec 'perl', '-e', 'sleep 1', $secrets{'the key, text'} if !$leak;
waitpid $leak, 0;
append_to_file($stop, 'stop');
waitpid $watch, 0;
my @hits = split /^/, slurp_file($hits);
cmp_ok(slurp_file("$keys/watched"), '>', 100, 'our processes were seen while they ran');
is(scalar(grep { !/has passphrase: .*PG_ARK_TEST_LEAK|has the key, text: perl|^\(/ } @hits), 0, 'no secret was an argument or in the environment of anything') or diag(@hits);
ok((grep { /environ has passphrase/ } @hits) > 0, 'but the one that was put there was seen in the environment');
ok((grep { /cmdline has the key, text/ } @hits) > 0, 'and among the arguments');
for my $what (sort keys %secrets) {
    ok((grep { $_ eq $what } secrets_in("before $secrets{$what} behind")) == 1, "a text with \"$what\" in it is told");
}
append_to_file("$directory/planted", 'x' . $secrets{'the key, bytes'});
isnt(scalar(secrets_in(tree_text($directory))), 0, 'and so is one in the repository');
$node->start;
$node->safe_psql('postgres', "DO \$\$ BEGIN RAISE LOG '%', '$passphrase'; END \$\$");
isnt(scalar(secrets_in(slurp_file($node->logfile))), 0, 'and one in the log');
isnt(scalar(secrets_in(memory_of($$) // '')), 0, 'and one in the memory of a process');
done_testing();
