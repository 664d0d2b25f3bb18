# A server that was set back to an older copy of its files, on the same timeline, whose archiver was made to forget what it could
# not store: its WAL is another than that of the backups that were taken before. None of them is built on.
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
autovacuum = off
wal_keep_size = 256MB
CONF
sub sql { my ($query) = @_; return $node->safe_psql('postgres', $query) }
sub write_as { my ($name, $from) = @_; sql("UPDATE things SET who = '$name' WHERE n BETWEEN $from AND $from + 1000"); return }

sql(q{CREATE TABLE things (n int, who text); INSERT INTO things SELECT n, 'nobody' FROM generate_series(1, 30000) n});
my $full = backup_ok($node, 'before the copy');
archive_now($node);
$node->stop;
my $copy = PostgreSQL::Test::Utils::tempdir('snapshot') . '/data';
system_or_bail('cp', '-a', $node->data_dir, $copy);
$node->start;
write_as('abandoned', 1);
my $abandoned = backup_ok($node, 'that will be no more');
my $stop = sql("SELECT stop_lsn FROM ark.backup_log WHERE backup_id = '$abandoned'");
archive_now($node);
$node->stop('immediate');

system_or_bail('rm', '-rf', $node->data_dir);
system_or_bail('cp', '-a', $copy, $node->data_dir);
$node->append_conf('postgresql.conf', "archive_library = ''\narchive_command = '/bin/true'\n");
$node->start;
write_as('going on', 20000);
for (1 .. 60) {
    last if sql("SELECT pg_current_wal_lsn() > '$stop'::pg_lsn + 4 * 1024 * 1024") eq 't';
    sql('INSERT INTO things SELECT n, md5(n::text) FROM generate_series(1, 5000) n; SELECT pg_switch_wal()');
}
ok(sql("SELECT pg_current_wal_lsn() > '$stop'::pg_lsn") eq 't', 'the WAL is behind that of the backup that is no more');
sql('CHECKPOINT');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_ls_archive_statusdir() WHERE name ~ '\.ready$'});
$node->append_conf('postgresql.conf', "archive_library = 'pg_ark'\narchive_command = ''\n");
$node->restart;

my $id  = sql(q{SELECT ark.start_backup('incremental')});
my $row = wait_backup($node, $id);
is($row->{status}, 'completed', 'there is a backup') or diag(JSON::PP::encode_json($row->{error} // {}));
isnt($row->{parent} // 'none', $abandoned, 'it does not build on the backup that is no more');
# Which of the two is seen first depends on where the tables of the time that is no more end.
like($row->{full_because} // '', qr{^the server's WAL does not have the end of the parent at \Q$stop\E: it is other WAL than the parent's$|^the change table for \S+ to \S+ on timeline 1 does not follow the one before it: it was made from other WAL$}, 'and says why');
my $expected = dump_of($node);
archive_now($node);
my $restored = restore_node($node, 'restored', '--target-action', 'promote', '--backup', $id);
start_restored($restored);
same_contents(dump_of($restored), $expected, 'restored it is what the server has');
$restored->stop('immediate');

# Its WAL was thrown away and begun anew.
for my $segments (0, 3) {
    write_as("before pg_resetwal $segments", 10000);
    archive_now($node);
    my ($before) = sql(q{SELECT pg_walfile_name(pg_current_wal_lsn())});
    $node->stop;
    my $next = sprintf '%s%08X', substr($before, 0, 16), hex(substr $before, 16) + $segments + 1;
    system_or_bail('pg_resetwal', $segments ? ('-l', $next) : (), '-D', $node->data_dir);
    $node->start;
    write_as("after pg_resetwal $segments", 10500);
    my $reset = wait_backup($node, sql(q{SELECT ark.start_backup('incremental')}));
    is($reset->{status}, 'completed', "after pg_resetwal, $segments segments ahead: there is a backup") or diag(JSON::PP::encode_json($reset->{error} // {}));
    is($reset->{parent}, undef, 'it builds on nothing');
    like($reset->{full_because} // '', qr/^changes were not tracked for WAL from \S+ to \S+ on timeline 1, and it cannot be read now: /, 'and says why');
    usleep(1_000_000);
    my $again = wait_backup($node, sql(q{SELECT ark.start_backup('incremental')}));
    is($again->{parent}, $reset->{backup_id}, 'the next one builds on it');
    usleep(1_000_000);
}
done_testing();
