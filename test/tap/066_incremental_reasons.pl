# Each way in which a chain cannot be continued gives a full backup that says why; where it can be, the backup is incremental,
# and what is restored from it is what the server had. All blocks that are called unchanged are audited.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => <<'CONF');
pg_ark.audit_fraction = 1
checkpoint_timeout = 1h
max_prepared_transactions = 10
autovacuum = off
min_wal_size = 2MB
max_wal_size = 8MB
CONF
my $cluster = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $backups = "$directory/$cluster/backup";
my $space;    # of a tablespace

sub sql { my ($on, $query, $database) = @_; return $on->safe_psql($database // 'postgres', $query) }

# Takes one of this type; its row. Which of two is the newer one their names tell by the second.
my $second = 0;
sub take {
    my ($on, $type, %options) = @_;
    usleep(20_000) while time == $second;
    $second = time;
    my $id = sql($on, sprintf q{SELECT ark.start_backup('%s', 'a test', '%s')}, $type, JSON::PP::encode_json(\%options));
    my $row = wait_backup($on, $id);
    $row->{status} eq 'completed' or diag(JSON::PP::encode_json($row->{error} // {}));
    $row->{id} = $id;
    return $row;
}

# The id of a backup that is built on this one. The page LSNs agree with it.
sub builds_on {
    my ($on, $parent, $what, $type) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = take($on, $type // 'incremental');
    is($row->{parent}, $parent, "$what: builds on the right one") or diag($row->{full_because} // $row->{status});
    is($row->{audit_misses}, 0, "$what: the audit agrees");
    cmp_ok($row->{audited_blocks} // 0, '>', 100, "$what: it looked");
    return $row->{id};
}

sub is_full {
    my ($on, $because, $what, $type) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = take($on, $type // 'incremental');
    is($row->{status}, 'completed', "$what: there is a backup");
    is($row->{parent}, undef, "$what: a full one");
    like($row->{full_because} // '', $because, "$what: says why");
    is($row->{changed_blocks}, undef, "$what: no figures of an incremental one");
    return $row->{id};
}

sub restored_is {
    my ($on, $id, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $expected = dump_of($on, '--no-tablespaces');
    archive_now($on);
    my $elsewhere = PostgreSQL::Test::Utils::tempdir('elsewhere');
    my $copy = restore_node($on, "copy_$id", '--target-action', 'promote', '--backup', $id, defined $space ? ('--tablespace-map', "$space=$elsewhere") : ());
    start_restored($copy);
    same_contents(dump_of($copy, '--no-tablespaces'), $expected, "$what: restored it is what the server has");
    amcheck_ok($copy, "$what: pg_amcheck finds nothing");
    $copy->stop('immediate');
    $copy->clean_node;
    return;
}

sub write_some {
    my ($on) = @_;
    sql($on, q{UPDATE things SET more = md5(random()::text) WHERE n % 97 = 3; INSERT INTO things SELECT n, md5(n::text) FROM generate_series(1, 500) n});
    return;
}

sub flip_byte {
    my ($path, $at) = @_;
    my $content = slurp_file($path);
    substr($content, $at, 1) ^= "\x01";
    unlink $path or die "$path: $!";
    append_to_file($path, $content);
    return;
}

sub recycle_wal {
    my ($on) = @_;
    for (1 .. 3) { archive_now($on); sql($on, 'CHECKPOINT') }
    return;
}

sql($node, q{CREATE TABLE things (n int, more text); INSERT INTO things SELECT n, md5(n::text) FROM generate_series(1, 50000) n;
    CREATE INDEX ON things (more); CREATE TABLE resting AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n});

# ---- nothing to build on

my $unused = is_full($node, qr/^there is no full backup yet$/, 'a differential one without a full one', 'differential');
system_or_bail('rm', '-r', "$backups/$unused");
my $full = is_full($node, qr/^there is no backup yet$/, 'the first one');
ok(log_has($node, qr/backup "\Q$full\E" is a full one: there is no backup yet/), 'the log says so too');

# ---- a chain, and its types

write_some($node);
my $one = builds_on($node, $full, 'the second one');
write_some($node);
my $two = builds_on($node, $one, 'the third one');
my $row = take($node, 'differential');
is($row->{parent}, $full, 'a differential one builds on the full one');
cmp_ok($row->{changed_blocks}, '>', 0, 'and has the changes since then');
cmp_ok($row->{stored_bytes}, '<', backup_row($node, $full)->{stored_bytes} / 2, 'which is not much');
my $type = sql($node, "SELECT backup_type FROM ark.backup_log WHERE backup_id = '$row->{id}'");
is($type, 'differential', 'backup_log: its type');
my ($listed) = grep { $_->{backup_id} eq $two } backups($url);
is($listed->{parent} // 'unknown', $one, 'pg_ark list: its parent') if exists $listed->{parent};
restored_is($node, $two, 'a chain of three');

# What is asked for wrongly.
for (
    [ q{SELECT ark.start_backup('half')},                                               qr/unknown backup type "half".*Use "full", "incremental" or "differential"/s ],
    [ q{SELECT ark.start_backup('')},                                                   qr/unknown backup type ""/ ],
    [ q{SELECT ark.start_backup(NULL)},                                                 qr/p_type must not be null/ ],
    [ q{SELECT ark.start_backup('incremental', 'x', '{"audit_fraction": 1.5}')},        qr/audit_fraction/ ],
    [ q{SELECT ark.start_backup('incremental', 'x', '{"audit_fraction": -0.1}')},       qr/audit_fraction/ ],
    [ q{SELECT ark.start_backup('incremental', 'x', '{"audit_fraction": "all"}')},      qr/audit_fraction/ ],
    [ q{SELECT ark.start_backup('incremental', 'x', '{"audit_fraction": null}')},       qr/audit_fraction/ ],
    [ q{SELECT ark.start_backup('incremental', 'x', '{"audit_fraction": "NaN"}')},      qr/audit_fraction/ ],
    [ q{SELECT ark.start_backup('incremental', 'x', '{"audit": 1}')},                   qr/audit_fraction/ ],
    [ q{ALTER SYSTEM SET pg_ark.audit_fraction = 1.01},                                 qr/audit_fraction/ ],
  )
{
    my ($query, $pattern) = @$_;
    my ($status, undef, $err) = $node->psql('postgres', $query);
    ok($status != 0 && $err =~ $pattern, "refused: $query") or diag($err);
}
my $unaudited = take($node, 'incremental', audit_fraction => 0);
is($unaudited->{audited_blocks}, 0, 'audit_fraction 0: none is read');
my $some = take($node, 'incremental', audit_fraction => 0.5);
my $all  = take($node, 'incremental', audit_fraction => 1);
cmp_ok($some->{audited_blocks}, '<', $all->{audited_blocks}, 'audit_fraction 0.5: not all are');
cmp_ok($some->{audited_blocks}, '>', 0,                      'audit_fraction 0.5: some are');

# ---- what goes on all the same

# A crash; everything that is done with files, on both of its sides.
$space = PostgreSQL::Test::Utils::tempdir('space');
sql($node, "CREATE TABLESPACE elsewhere LOCATION '$space'");
sql($node, $_) for 'CREATE DATABASE copied STRATEGY file_copy', 'CREATE DATABASE logged STRATEGY wal_log', 'CREATE TABLE doomed AS SELECT generate_series(1, 1000) n',
  'CREATE TABLE moved AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n';
my $last = builds_on($node, $all->{id}, 'after new databases');
sql($node, q{BEGIN; DROP TABLE doomed; INSERT INTO things VALUES (1, 'prepared'); PREPARE TRANSACTION 'dropping'});
sql($node, 'ALTER TABLE moved SET TABLESPACE elsewhere');
sql($node, 'VACUUM FULL pg_class'), sql($node, 'VACUUM FULL pg_attribute'), sql($node, 'REINDEX TABLE pg_proc');
sql($node, 'CREATE TABLE here AS SELECT n, md5(n::text) FROM generate_series(1, 3000) n', $_) for qw(copied logged);
sql($node, 'UPDATE resting SET n = n WHERE n % 50 = 0; DELETE FROM things WHERE n % 11 = 0');
$node->stop('immediate');
$node->start;
$last = builds_on($node, $last, 'after a crash');
sql($node, q{COMMIT PREPARED 'dropping'});
sql($node, 'VACUUM things; TRUNCATE resting'), sql($node, 'INSERT INTO resting SELECT n, md5(n::text) FROM generate_series(1, 100) n');
sql($node, 'DROP DATABASE copied'), sql($node, 'ALTER DATABASE logged SET TABLESPACE elsewhere');
$node->restart;
$last = builds_on($node, $last, 'after a clean restart');
restored_is($node, $last, 'a chain of many');

# Databases that come while the backup runs.
{
    my $during = with_fault($node, 'backup_after_planning=sleep1000', sub {
        usleep(1_000_000);
        my $id = sql($node, q{SELECT ark.start_backup('incremental')});
        my $n  = 0;
        while (backup_row($node, $id)->{status} eq 'in_progress') {
            ++$n;
            sql($node, "CREATE DATABASE during_$n STRATEGY " . ($n % 2 ? 'file_copy' : 'wal_log'));
            sql($node, "CREATE TABLE here AS SELECT $n AS n", "during_$n");
            sql($node, "UPDATE things SET n = n + 1 WHERE n % 100 = $n");
            sql($node, 'DROP DATABASE during_' . ($n - 1)) if $n % 3 == 0;
        }
        cmp_ok($n, '>', 0, "databases were made while the backup ran: $n");
        wait_backup($node, $id) });
    is($during->{status}, 'completed', 'with databases made meanwhile: completed') or diag(JSON::PP::encode_json($during->{error} // {}));
    is($during->{parent}, $last, 'and incremental');
    $last = builds_on($node, $during->{backup_id}, 'the one after that');
    restored_is($node, $last, 'databases that came and went while backups ran');
}

# The archiver has caught up late: it could not write for a while.
my @closed = map { "$directory/$cluster/$_" } 'wal/00000001/00000000', 'wal/00000001', 'wal';
chmod 0555, @closed;
write_some($node), sql($node, 'SELECT pg_switch_wal()') for 1 .. 3;
sql($node, 'CHECKPOINT');
{
    usleep(1_000_000);
    my $id = sql($node, q{SELECT ark.start_backup('incremental')});
    poll_until('the backup waits for WAL', sub { sql($node, "SELECT count(*) FROM ark.backup_progress WHERE phase = 'waiting_for_wal'") });
    chmod 0755, @closed;
    my $late = wait_backup($node, $id);
    is($late->{parent}, $last, 'archived late: incremental') or diag(JSON::PP::encode_json($late));
    $last = $id;
}

# ---- kill -9 of the child

for my $point (qw(backup_after_planning backup_copy_piece backup_before_marker)) {
    write_some($node);
    my $mark   = log_mark($node);
    my $killed = with_fault($node, "$point=kill", sub {
        my $row = take($node, 'incremental');
        kill 'TERM', ark_children($node, 'server-archive');    # it read the same setting
        $row });
    is($killed->{status}, 'failed', "killed at $point: failed");
    never_restarted($node, $mark, "killed at $point: the server stays up");
    poll_until("what was killed at $point leaves nothing", sub { !find_objects("$backups/$killed->{id}") });
    pass("killed at $point: nothing is left");
    $last = builds_on($node, $last, "after the one that was killed at $point");
}
restored_is($node, $last, 'after all who were killed');

# ---- a page that changed without WAL

{
    write_some($node);
    my $path = sql($node, q{SELECT pg_relation_filepath('resting')});
    sql($node, 'CREATE TABLE untouched AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n');
    sql($node, 'VACUUM untouched');    # who reads its rows, a backup's census too, has nothing to note on the pages
    $path = sql($node, q{SELECT pg_relation_filepath('untouched')});
    $last = builds_on($node, $last, 'before the page is changed');
    write_some($node);
    my ($high, $low) = sql($node, 'SELECT pg_current_wal_insert_lsn()') =~ m{(\w+)/(\w+)};
    archive_now($node);
    $node->stop;
    system_or_bail('pg_checksums', '--disable', '-D', $node->data_dir);
    open my $file, '+<:raw', $node->data_dir . "/$path" or die "$path: $!";
    seek $file, 17 * 8192, 0;
    print $file pack 'VV', hex $high, hex $low;
    seek $file, 17 * 8192 + 6000, 0;
    print $file 'changed';
    close $file or die $!;
    system_or_bail('pg_checksums', '--enable', '-D', $node->data_dir);
    $node->start;
    my $mark = log_mark($node);
    my $missed = take($node, 'incremental');
    is($missed->{parent}, $last, 'a page that changed without WAL: incremental');
    is($missed->{audit_misses}, 1, 'the audit has a miss');
    ok(log_has($node, qr{WARNING:.*block 17 of "\Q$path\E" had changed, though no WAL says so.*DETAIL:.*LSN is $high/$low}s, $mark), 'the log says which');
    my $marker = JSON::PP::decode_json(slurp_file("$backups/$missed->{id}/backup.json"));
    is($marker->{changes}{audit_misses}, 1, 'so does the marker');
    $last = $missed->{id};
    restored_is($node, $last, 'the whole file is in the backup');
    $last = builds_on($node, $last, 'after the miss');
}

# ---- what is missing in the repository

sub hide { my ($name) = @_; system_or_bail('mv', "$backups/$name/backup.json", "$backups/$name/hidden"); return }
sub show { my ($name) = @_; system_or_bail('mv', "$backups/$name/hidden", "$backups/$name/backup.json"); return }
my $before = $last;
my $parent = backup_row($node, $last)->{parent};
hide($parent);
my $on_older = take($node, 'incremental');
ok(defined $on_older->{parent} && $on_older->{parent} ne $before, 'the parent of the newest has gone: an older one serves') or diag($on_older->{full_because});
system_or_bail('rm', '-r', "$backups/$on_older->{id}");
show($parent);

# Only the newest is left, without what it builds on.
my @others = grep { $_ ne $before } map { $_->{backup_id} } backups($url);
hide($_) for @others;
$last = is_full($node, qr/^backup \Q$parent\E, which \Q$before\E builds on, is not in the repository any more$/, 'the parent has gone');
hide($before);
write_some($node);

# ---- what is damaged there

flip_byte("$backups/$last/backup.json", 300);
my $damaged = $last;
$last = is_full($node, qr{^invalid content in \".*/\Q$damaged\E/backup\.json\"$}, 'the marker is damaged');
system_or_bail('rm', '-r', "$backups/$damaged");
my ($pack) = find_objects("$backups/$last", qr{^data/});
flip_byte("$backups/$last/$pack", -s("$backups/$last/$pack") / 2);
sql($node, "SELECT ark.verify_backup('$last')");
$last = is_full($node, qr/^backup \Q$last\E did not pass its last verification or restore test$/, 'it failed ark.verify_backup');
write_some($node);
$last = builds_on($node, $last, 'the next one');
{
    my $child = $last;
    flip_byte("$backups/" . backup_row($node, $child)->{parent} . '/index.zst', 200);
    # What changed in its own files it knows; what the newest builds on nobody looked at. A differential one reads it.
    my $differential = take($node, 'differential');
    is($differential->{parent}, undef, 'an index that is damaged: a full one');
    like($differential->{full_because}, qr/the parent's list of files cannot be read/, 'and why');
    $last = $differential->{id};
}

# ---- WAL that is nowhere

# Who tracks has tables of it.
set_config($node, 'pg_ark.change_tracking' => 'off');
poll_until('nothing is tracked', sub { $node->safe_psql('postgres', 'SELECT child_pid IS NULL FROM ark.change_tracking') eq 't' });
write_some($node);
recycle_wal($node);
{
    my $start = backup_row($node, $last)->{stop_segment};
    my @wal   = grep { m{/([0-9A-F]{24})\.zst$} && $1 gt $start } find_objects($directory, qr{/wal/});
    my $gone  = $wal[ @wal / 2 ];
    my ($segment) = $gone =~ m{/([0-9A-F]{24})\.zst$};
    ok(!-e $node->data_dir . "/pg_wal/$segment", "segment $segment is not in pg_wal any more");
    unlink "$directory/$_" for $gone, find_objects($directory, qr{/tail/.*/$segment/});
    unlink "$directory/$_" for find_objects($directory, qr{/blocks/});
    $last = is_full($node, qr/^changes were not tracked for WAL from \S+ to \S+ on timeline 1, and it cannot be read now: /, 'WAL that is nowhere');
    set_config($node, 'pg_ark.change_tracking' => undef);
}

# ---- what the server was, and is not any more

# Each of these is the newest, and all before it are like it.
sub only_newest { my ($keep) = @_; for my $other (map { $_->{backup_id} } backups($url)) { hide($other) if $other ne $keep } return }
only_newest($last);
$node->stop;
system_or_bail('pg_checksums', '--disable', '-D', $node->data_dir);
$node->start;
my $without = is_full($node, qr/^data checksums were turned off since backup \Q$last\E, which changes pages without WAL$/, 'data checksums turned off');
write_some($node);
sql($node, 'VACUUM resting; SELECT count(*) FROM things');
$without = builds_on($node, $without, 'without data checksums');
$node->stop;
system_or_bail('pg_checksums', '--enable', '-D', $node->data_dir);
$node->start;
hide($last);
my $with = is_full($node, qr/^data checksums were turned on since backup \Q$without\E/, 'data checksums turned on');
only_newest($with);
write_some($node);
$last = builds_on($node, $with, 'with data checksums again');

$node->append_conf('postgresql.conf', "wal_level = minimal\nmax_wal_senders = 0\narchive_mode = off\n");
$node->restart;
sql($node, 'BEGIN; CREATE TABLE skipped AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n; COMMIT');
sql($node, 'CHECKPOINT');
$node->append_conf('postgresql.conf', "wal_level = replica\nmax_wal_senders = 4\narchive_mode = on\n");
$node->restart;
$last = is_full($node, qr/wal_level was minimal at \S+, so that not everything that changed is in WAL/, 'wal_level = minimal for a while');
restored_is($node, builds_on($node, $last, 'after it'), 'what minimal WAL does not have');
only_newest(my $open = take($node, 'full')->{id});

my $key = PostgreSQL::Test::Utils::tempdir('keys') . '/ark.key';
ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key ], 'a key');
set_config($node, 'pg_ark.encryption' => 'aes-256-gcm', 'pg_ark.encryption_key_file' => $key);
$last = is_full($node, qr/^encryption was turned on since backup \Q$open\E$/, 'encryption turned on');
write_some($node);
builds_on($node, $last, 'encrypted');
set_config($node, 'pg_ark.encryption' => 'none');
write_some($node);
builds_on($node, $open, 'encryption turned off: the one that is not encrypted');
hide($open);
hide($_) for split /\n/, sql($node, "SELECT backup_id FROM ark.backup_log WHERE parent = '$open' AND status = 'completed'");
is_full($node, qr/^encryption was turned off since backup /, 'encryption turned off');
done_testing();
