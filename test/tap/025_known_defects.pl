# What other backup tools got wrong, and no other test here has: settings that change between backups, files of an
# earlier recovery in the data directory, WAL of wal_level = minimal, a shutdown that waits for a backup.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::Drill;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => "pg_ark.shutdown_timeout = 3s\n");
my $data = $node->data_dir;
$node->safe_psql('postgres', q{CREATE TABLE marks (n int PRIMARY KEY); CREATE TABLE bulk AS SELECT n, md5(n::text) AS t FROM generate_series(1, 20000) n});

# The row's count says which backup it is.
my $marks = 0;
sub mark { return $node->safe_psql('postgres', 'INSERT INTO marks VALUES (' . ++$marks . ')') }

# ---- a setting that changes leaves what was stored before readable

my %by_setting;
for my $settings (
    [ 'the settings as they come', {}, '{}' ],
    [ 'the least compression and memory, one lane', { 'pg_ark.compression_level' => 1, 'pg_ark.memory_limit' => $node->safe_psql('postgres', q{SELECT min_val FROM pg_settings WHERE name = 'pg_ark.memory_limit'}) }, '{"jobs": 1}' ],
    [ 'much compression, many lanes, WAL compressed by the server', { 'pg_ark.compression_level' => 12, 'pg_ark.memory_limit' => 1024, 'pg_ark.backup_jobs' => 8, wal_compression => 'lz4' }, '{"compression_level": 15}' ],
) {
    my ($what, $values, $options) = @$settings;
    set_config($node, %$values) if %$values;
    mark();
    my $id = $node->safe_psql('postgres', "SELECT ark.start_backup('full', '$what', '$options')");
    is(wait_backup($node, $id)->{status}, 'completed', "with $what: a backup");
    $by_setting{$id} = [ $what, $marks ];
}
set_config($node, wal_compression => undef, map { ("pg_ark.$_" => undef) } qw(compression_level memory_limit backup_jobs));
archive_now($node);
ark_ok([ 'verify', '--repo', $url ], 'all of them are whole');
for my $id (sort keys %by_setting) {
    my ($what, $last) = @{ $by_setting{$id} };
    my $restored = restore_node($node, "setting_$last", '--backup', $id, '--target', 'immediate', '--target-action', 'promote');
    start_restored($restored);
    is($restored->safe_psql('postgres', 'SELECT count(*) FROM marks'), $last, "with $what: restored as it was then");
    $restored->stop;
}

# ---- what an earlier recovery left in the data directory is not taken for the backup's own

my %stale = (
    'backup_label'    => "START WAL LOCATION: 0/1000028 (file 000000010000000000000010)\nCHECKPOINT LOCATION: 0/1000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2020-01-01 00:00:00 UTC\nLABEL: stale\nSTART TIMELINE: 1\n",
    'tablespace_map'  => "16999 /nowhere\n",
    'backup_manifest' => "{}\n",
    'standby.signal'  => '',
    'recovery.signal' => '',
);
append_to_file("$data/$_", $stale{$_}) for sort keys %stale;
mark();
my $id = backup_ok($node, 'beside stale files');
unlink map { "$data/$_" } keys %stale;
archive_now($node);
my $restored = restore_node($node, 'stale', '--backup', $id);
my ($start) = backup_row($node, $id)->{start_lsn};
like(slurp_file($restored->data_dir . '/backup_label'), qr/^START WAL LOCATION: \Q$start\E /, 'backup_label is the backup\'s own');
ok(!-e $restored->data_dir . "/$_", "no $_") for qw(tablespace_map standby.signal);
verify_backup_ok($restored->data_dir, 'and so is its manifest');
start_restored($restored);
is($restored->safe_psql('postgres', 'SELECT count(*) FROM marks'), $marks, 'restored');
$restored->stop;

# ---- without its backup_label a restored cluster does not start: its control file may be younger than its pages

set_config($node, 'pg_ark.fault' => 'backup_after_copy=stop');
$id = start_backup_sql($node, 'with a checkpoint in its middle');
my $copied = poll_until('the backup is held', sub { (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0] });
$node->safe_psql('postgres', 'UPDATE bulk SET t = $$after the copy$$; CHECKPOINT');
kill 'CONT', $copied;
is(wait_backup($node, $id)->{status}, 'completed', 'a backup with a checkpoint in its middle');
set_config($node, 'pg_ark.fault' => undef);
archive_now($node);
my $unlabelled = restore_node($node, 'unlabelled', '--backup', $id);
unlink $unlabelled->data_dir . '/backup_label' or die $!;
$unlabelled->append_conf('postgresql.conf', sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\n", $unlabelled->port, $unlabelled->host);
ok(!$unlabelled->start(fail_ok => 1), 'without its backup_label it does not start');
ok(log_has($unlabelled, qr/could not locate a valid checkpoint record/), 'and the log says why');

# ---- what was written under wal_level = minimal is not in the WAL: recovery across it ends with an error

my %logged = (wal_level => 'replica', archive_mode => 'on', max_wal_senders => 4);
my %minimal = (wal_level => 'minimal', archive_mode => 'off', max_wal_senders => 0);
$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$minimal{$_}'") for sort keys %minimal;
$node->restart;
$node->safe_psql('postgres', q{BEGIN; CREATE TABLE unseen AS SELECT n FROM generate_series(1, 10000) n; COMMIT});
my ($status, undef, $err) = $node->psql('postgres', q{SELECT ark.create_manual_backup('minimal')});
ok($status != 0 && $err =~ /ERROR:.*(?:wal_level|archiv)/s, 'a backup is refused meanwhile') or diag($err);
$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$logged{$_}'") for sort keys %logged;
$node->restart;
mark();
archive_now($node);
my $before = PostgreSQL::Test::Cluster->new('across_minimal');
my ($refused, undef, $why) = ark('restore', '--repo', $url, '-D', $before->data_dir, '--backup', $id);
if ($refused) { like($why, qr/minimal|missing|not in the repository|gap/, 'a restore across it is refused') }
else {
    $before->append_conf('postgresql.conf', sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\n", $before->port, $before->host);
    # Not by $before->start: it may be over before that has read its number.
    system_log('pg_ctl', '-w', '-D', $before->data_dir, '-l', $before->logfile, 'start');
    poll_until('recovery has ended', sub { !-e $before->data_dir . '/postmaster.pid' || ($before->psql('postgres', 'SELECT pg_is_in_recovery()'))[1] eq 'f' });
    ok(!-e $before->data_dir . '/postmaster.pid', 'the restored server does not open');
    ok(log_has($before, qr/WAL was generated with "?wal_level=minimal/), 'and says why');
    system_log('pg_ctl', '-m', 'immediate', '-D', $before->data_dir, 'stop') if -e $before->data_dir . '/postmaster.pid';
}
$id = backup_ok($node, 'after wal_level = minimal');
archive_now($node);
my $after = restored_ok($node, 'after_minimal', { postgres => fingerprint($node) });
is($after->safe_psql('postgres', 'SELECT count(*) FROM unseen'), 10000, 'a backup taken since has all of it');
$after->stop;

# ---- a shutdown waits neither for a backup nor for a segment, though their processes do nothing any more

my @held;
END { my $status = $?; kill 'KILL', @held; $? = $status }
for my $mode (qw(fast smart)) {
    set_config($node, 'pg_ark.fault' => 'backup_after_start=stop');
    my $running = start_backup_sql($node, "at a $mode shutdown");
    my $child = poll_until('the backup is held', sub { (grep { state_of($_) eq 'T' } ark_children($node, 'server-backup'))[0] });
    push @held, $child, my @archiver = $mode eq 'fast' ? ark_children($node, 'server-archive') : ();
    kill 'STOP', @archiver;
    $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')});
    $node->adjust_conf('postgresql.auto.conf', 'pg_ark.fault', undef, 1);
    my $since = time;
    $node->stop($mode);
    cmp_ok(time - $since, '<', 30, "$mode: a shutdown is not held up");
    poll_until('the children have ended', sub { !grep { state_of($_) =~ /[RSDT]/ } @held });
    @held = ();
    $node->start;
    is(wait_backup($node, $running)->{status}, 'failed', "$mode: the backup is failed");
    archive_now($node);
}
backup_ok($node, 'after it');
never_restarted($node);
$node->stop;
done_testing();
