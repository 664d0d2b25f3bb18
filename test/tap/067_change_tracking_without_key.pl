# The tracker on a host that writes to an encrypted repository and cannot read there: it keeps its tables in the data
# directory, and what changed up to a backup's start is answered from them and from pg_wal alone.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $WAL = 1024 * 1024;    # bytes in a segment
my $key = PostgreSQL::Test::Utils::tempdir('keys') . '/ark.key';
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => "max_wal_size = 64MB\nmin_wal_size = 16MB\npg_ark.encryption = 'aes-256-gcm'\npg_ark.encryption_key_file = '$key'\n");
my $data = $node->data_dir;
sub sql      { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }
sub tracking { my ($columns) = @_; return sql("SELECT $columns FROM ark.change_tracking") }
sub number_of { my ($lsn) = @_; my ($high, $low) = split m{/}, $lsn; return hex($high) * 2**32 + hex($low) }
sub local_tables { return map { m{^00000001-([0-9A-F]{16})-([0-9A-F]{16})$} ? [ hex $1, hex $2 ] : () } find_objects("$data/pg_wal/pg_ark.changes") }
sub write_wal {
    my ($segments) = @_;
    my $end = number_of(sql('SELECT pg_current_wal_lsn()')) + $segments * $WAL;
    sql('INSERT INTO grows SELECT g, md5(random()::text) FROM generate_series(1, 4000) g') while number_of(sql('SELECT pg_current_wal_lsn()')) < $end;
}
my $wait = sub {
    my $begin = int(number_of(sql('SELECT pg_current_wal_flush_lsn()')) / $WAL) * $WAL;
    poll_until('WAL is tracked', sub { tracking('state') eq 'tracking' && number_of(tracking('lsn')) >= $begin });
};

my $cluster = sql('SELECT system_identifier FROM pg_control_system()');
ark_ok([ 'key', 'create', '--repo', $url, '--cluster', $cluster, '--key-file', $key ], 'keys are made');
my $recipient = ark_ok([ 'key', 'export-recipient', '--repo', $url, '--key-file', $key ], 'what such a server needs') =~ s/\s+\z//r;
sql('CREATE TABLE grows (n int, t text)');
set_config($node, 'pg_ark.encryption_key_file' => '', 'pg_ark.encryption_recipients' => $recipient);
my $id = backup_ok($node, 'the parent');
my ($start, $stop) = split /\|/, sql("SELECT start_lsn, stop_lsn FROM ark.backup_log WHERE backup_id = '$id'");
poll_until('it tracks', sub { tracking('state') eq 'tracking' });
write_wal(40);
$wait->();
my @tables = local_tables();
cmp_ok(scalar(@tables), '>=', 2, 'tables are in the data directory');
is(scalar(grep { $tables[ $_ - 1 ][1] != $tables[$_][0] } 1 .. $#tables), 0, 'they follow each other');
cmp_ok(scalar(() = find_objects($directory, qr{/blocks/})), '>=', scalar(@tables), 'and in the repository');
is(tracking(q{concat_ws(': ', gaps, last_gap)}), 0, 'no gap');
poll_until('it tells what changed', sub { tracking('coalesce(changed_blocks > 100, false)') eq 't' }, 30);

# A new backup begins; its checkpoint removes old segments.
my $next = backup_ok($node, 'the next');
my $begin = sql("SELECT start_lsn FROM ark.backup_log WHERE backup_id = '$next'");
$wait->();
poll_until('a table ends where it begins', sub { grep { $_->[1] == int(number_of($begin) / $WAL) * $WAL } local_tables() });
write_wal(20);
$wait->();
is(tracking(q{concat_ws(': ', gaps, last_gap)}), 0, 'still no gap');

# It is started again: it goes on from its own tables.
$node->restart;
write_wal(20);
$wait->();
@tables = local_tables();
is(scalar(grep { $tables[ $_ - 1 ][1] != $tables[$_][0] } 1 .. $#tables), 0, 'after a restart: all tables follow each other');
is(tracking(q{concat_ws(': ', gaps, last_gap)}), 0, 'without a gap');
cmp_ok($tables[0][0], '<=', number_of($start), 'from the oldest backup on');

# What is written last before a shutdown is archived by it, and its checkpoint may remove it; so may the checkpoint of a
# backup that begins as soon as the server is up.
my @because;
for my $round (1 .. 4) {
    write_wal(3);
    $round % 2 == 0 ? $node->stop('immediate') : $node->stop('fast');
    $node->start;
    sql("CALL ark.backup('incremental', 'after restart $round')");
    push @because, sql("SELECT coalesce(full_because, '') FROM ark.backup_log ORDER BY started_at DESC LIMIT 1");
}
is(join('|', @because), '|||', 'a backup right after the start is an incremental one, however the server was stopped');
is(tracking(q{concat_ws(': ', gaps, last_gap)}), 0, 'nothing was lost');

# A tracker that does nothing: archiving waits for it once, and no more before it has caught up.
my ($tracker) = ark_children($node, 'server-track');
my $mark = log_mark($node);
kill 'STOP', $tracker;
archive_now($node);
ok(log_has($node, qr/archiving does not wait any more for the tracking of changed blocks/, $mark), 'archiving does not wait for ever');
my $began = time;
archive_now($node) for 1 .. 3;
cmp_ok(time - $began, '<', 5, 'nor for each segment');
kill 'CONT', $tracker;
$wait->();
is(tracking(q{concat_ws(': ', gaps, last_gap)}), 0, 'it catches up');
$mark = log_mark($node);
archive_now($node) for 1 .. 3;
ok(!log_has($node, qr/archiving does not wait/, $mark), 'and archiving waits for it again');
done_testing();
