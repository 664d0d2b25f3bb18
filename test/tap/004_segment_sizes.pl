# Segments of 1 MB and 64 MB (16 MB is everywhere else; PG_ARK_SEGMENT_SIZES for others, up to 1024): archived, streamed, backed up, restored.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

for my $megabytes (split ' ', $ENV{PG_ARK_SEGMENT_SIZES} // '1 64') {
    my ($most, $least) = map { $_ > 2 * $megabytes ? $_ : 2 * $megabytes } 512, 128;
    my $node = ark_cluster("source_$megabytes", initdb => ["--wal-segsize=$megabytes"],
        conf => "max_wal_size = ${most}MB\nmin_wal_size = ${least}MB\n");
    is($node->safe_psql('postgres', q{SELECT setting::int8 >> 20 FROM pg_settings WHERE name = 'wal_segment_size'}), $megabytes, "segments of $megabytes MB");
    load_shop($node);
    my $load = start_load($node);
    backup_ok($node, "segments of $megabytes MB");
    $node->safe_psql('postgres', "CREATE TABLE bulk AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n");
    stop_load($load);
    # Segments that do not compress: with the least memory that the setting allows, several at once.
    set_config($node, 'pg_ark.memory_limit' => $node->safe_psql('postgres', q{SELECT min_val FROM pg_settings WHERE name = 'pg_ark.memory_limit'}));
    $node->safe_psql('postgres', q{CREATE TABLE noise AS
        SELECT n, (SELECT string_agg(decode(md5(random()::text || n::text || m::text), 'hex'), '') FROM generate_series(1, 400) m) AS bytes
        FROM generate_series(1, 24000) n;});
    my $expected = { postgres => fingerprint($node) };
    my $segment  = archive_now($node);
    my ($status) = ark('wal-get', '--repo', $node->{ark_repository}, $segment, $node->basedir . '/got');
    is($status, 0, "$megabytes MB: wal-get");
    is(-s $node->basedir . '/got', $megabytes * 1024 * 1024, "$megabytes MB: wal-get writes a whole segment");
    restored_ok($node, "restored_$megabytes", $expected)->stop;
    # In the middle of a segment, of which the repository has pieces.
    $node->safe_psql('postgres', 'CREATE TABLE last AS SELECT n FROM generate_series(1, 100000) n');
    my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    poll_until('the last commit is durable', sub { $node->safe_psql('postgres', "SELECT durable_lsn >= '$lsn' FROM ark.wal_status") eq 't' });
    $node->stop('immediate');
    my $copy = restore_node($node, "pieces_$megabytes", '--target-action', 'promote');
    start_restored($copy);
    is($copy->safe_psql('postgres', 'SELECT count(*) FROM last'), 100000, "$megabytes MB: what was streamed comes back");
    $copy->stop('immediate');
}
done_testing();
