# The main job: a backup under write load, of two databases and a tablespace, then a restore to every kind of
# target. Each restored cluster is compared with what the source was at that point.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $node = ark_cluster('source', database => 'shop');
load_shop($node, 'shop');

my $tablespace = PostgreSQL::Test::Utils::tempdir('space') . '/fast';
mkdir $tablespace or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE fast LOCATION '$tablespace'");
$node->safe_psql('postgres', 'CREATE DATABASE ledger TABLESPACE fast');
$node->safe_psql('ledger', q{
    CREATE TABLE entries AS SELECT n AS id, md5(n::text) AS text FROM generate_series(1, 30000) n;
    ALTER TABLE entries ADD PRIMARY KEY (id);
    CREATE UNLOGGED TABLE scratch AS SELECT 1 AS a;
    CREATE TABLE wide (id int, big text);
    ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
    INSERT INTO wide SELECT n, repeat(md5(n::text), 2000) FROM generate_series(1, 40) n;});
$node->safe_psql('shop', q{
    CREATE TABLE shop.in_tablespace TABLESPACE fast AS SELECT n AS a FROM generate_series(1, 5000) n;
    CREATE TABLE shop.marks (n int)});

# ---- the backup, while orders come in
my $load   = start_load($node, 'shop');
my $before = $node->safe_psql('shop', 'SELECT max(order_id) FROM shop.orders');
my $id     = backup_ok($node, q{before migration 42, it's "quoted" \ ü});
my $during = $node->safe_psql('shop', 'SELECT max(order_id) FROM shop.orders');
cmp_ok($during, '>', $before, 'orders came in during the backup');
stop_load($load);

like($id, qr/^manual_\d{8}_\d{6}_[0-9a-f]{8}$/, 'the id has the promised form');
my $row = backup_row($node, $id);
is($row->{backup_type}, 'manual', 'backup_log: type');
is($row->{reason}, "before migration 42, it's \"quoted\" \\ \x{fc}", 'backup_log: reason, byte by byte');
is($row->{error}, undef, 'backup_log: no error');
is($row->{timeline}, 1, 'backup_log: timeline');
like($row->{$_}, qr{^[0-9A-F]+/[0-9A-F]+$}, "backup_log: $_") for qw(start_lsn stop_lsn);

my ($listed) = grep { $_->{backup_id} eq $id } backups($node->{ark_repository});
ok($listed, 'pg_ark list has it');
for my $key (qw(backup_id type status reason started_at completed_at timeline start_lsn stop_lsn parent
    database_bytes stored_bytes files pg_version system_identifier))
{
    ok(exists $listed->{$key}, "pg_ark list: $key");
}
is($listed->{status}, 'completed', 'pg_ark list: completed');
cmp_ok($listed->{stored_bytes}, '<', $listed->{database_bytes}, 'what is stored is smaller than what was read');
is($listed->{system_identifier}, $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
    'pg_ark list: system identifier');

# ---- a history to restore into: marks 1, 2, … and what each kind of target ends with
my %at;      # name => what to restore to, and the last mark expected
my $steady = { map { $_ => fingerprint($node, $_) } qw(ledger) };
my $orders = $node->safe_psql('shop', 'SELECT count(*), sum(hashtextextended(o::text, 0)::numeric) FROM shop.orders o');
sub mark { return $node->safe_psql('shop', "INSERT INTO shop.marks VALUES ($_[0])") }
mark(1);
$at{time} = [ 1, '--target-time', $node->safe_psql('shop', 'SELECT clock_timestamp()') ];
mark(2);
my $xid = $node->safe_psql('shop', 'BEGIN; INSERT INTO shop.marks VALUES (3); SELECT pg_current_xact_id(); COMMIT');
$at{xid}             = [ 3, '--target-xid', $xid ];
$at{'xid exclusive'} = [ 2, '--target-xid', $xid, '--target-exclusive' ];
$at{lsn}             = [ 3, '--target-lsn', $node->safe_psql('shop', 'SELECT pg_current_wal_insert_lsn()') ];
mark(4);
$node->safe_psql('shop', q{SELECT pg_create_restore_point('before the accident')});
$at{name} = [ 4, '--target-name', 'before the accident' ];
mark(5);
$node->safe_psql('shop', 'DROP TABLE shop.orders CASCADE');
$at{latest} = [ 5, '--target', 'latest' ];
my $latest = { map { $_ => fingerprint($node, $_) } qw(shop ledger) };
my $dump   = dump_of($node);
archive_now($node);

# ---- the restores. The tablespace must go elsewhere: its place is in use by the living source.
my $number = 0;
sub restored {
    my ($name, @arguments) = @_;
    my $elsewhere = PostgreSQL::Test::Utils::tempdir('elsewhere') . '/fast';
    (my $slug = $name) =~ s/ /_/g;
    my $restored = restore_node($node, "to_$slug", '--tablespace-map', "$tablespace=$elsewhere",
        '--target-action', 'promote', @arguments);
    ok(-e $restored->data_dir . '/backup_label', "$name: restored with its backup_label");
    is(readlink((glob $restored->data_dir . '/pg_tblspc/*')[0]), $elsewhere, "$name: the tablespace is where the map says");
    # What restore itself adds or writes; every other byte is the backup's.
    verify_backup_ok($restored->data_dir, "$name: pg_verifybackup accepts the directory",
        qw(postgresql.auto.conf recovery.signal backup_manifest));
    start_restored($restored);
    same_contents(fingerprint($restored, 'ledger'), $steady->{ledger}, "$name: the other database is as it was");
    is($restored->safe_psql('ledger', 'SELECT count(*) FROM scratch'), 0, "$name: the unlogged table is empty");
    $restored->{dump} = dump_of($restored) if $name eq 'latest';    # before amcheck becomes part of it
    amcheck_ok($restored, "$name: pg_amcheck finds nothing");
    return $restored;
}

for my $name (sort keys %at) {
    my ($last, @target) = @{ $at{$name} };
    my $restored = restored($name, @target);
    is($restored->safe_psql('shop', 'SELECT max(n) FROM shop.marks'), $last, "$name: ends where it should");
    if ($name eq 'latest') {
        same_contents(fingerprint($restored, $_), $latest->{$_}, "latest: database $_ is as it was") for qw(shop ledger);
        my ($got, $expected) = map { s/^(CREATE TABLESPACE .* LOCATION ).*/$1;/mr } $restored->{dump}, $dump;
        same_contents(without_ark($got), without_ark($expected), 'latest: pg_dumpall equals the source\'s');
    }
    else {
        is($restored->safe_psql('shop', 'SELECT count(*), sum(hashtextextended(o::text, 0)::numeric) FROM shop.orders o'),
            $orders, "$name: the dropped table is back, every row of it");
    }
    $restored->stop;
}

# The rows that the extension itself keeps differ: the restored cluster has its own view of the repository.
sub without_ark {
    my ($text) = @_;
    $text =~ s/^COPY ark\..*?^\\\.\n//msg;
    return $text;
}

# The end of the backup: whatever was committed then, and nothing torn.
my $immediate = restored('immediate', '--target', 'immediate');
is($immediate->safe_psql('shop', 'SELECT count(*) FROM shop.marks'), 0, 'immediate: nothing after the backup');
cmp_ok($immediate->safe_psql('shop', 'SELECT max(order_id) FROM shop.orders'), '>=', $before,
    'immediate: what was committed before the backup is there');
is($immediate->safe_psql('shop', q{
    SELECT count(*) FROM shop.orders o WHERE status = 'paid' AND NOT EXISTS
        (SELECT FROM shop.payments p WHERE p.order_id = o.order_id)}), 0, 'immediate: no order is torn');
$immediate->stop;

# Without a target: all there is. A named backup does the same.
my $plain = restored('plain', '--backup', $id);
is($plain->safe_psql('shop', 'SELECT max(n) FROM shop.marks'), 5, 'no target: the end of the archive');
$plain->stop;

# Actions other than promote.
my $elsewhere = PostgreSQL::Test::Utils::tempdir('elsewhere') . '/fast';
my $paused = restore_node($node, 'paused', '--tablespace-map', "$tablespace=$elsewhere", @{ $at{name} }[ 1, 2 ],
    '--target-action', 'pause');
start_restored($paused, until => 'SELECT pg_get_wal_replay_pause_state() = $$paused$$');
is($paused->safe_psql('shop', 'SELECT max(n) FROM shop.marks'), 4, 'pause: stands at the target, can be read');
is($paused->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'pause: is still in recovery');
$paused->stop;

never_restarted($node);
done_testing();
