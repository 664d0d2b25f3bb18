# Segments of 1 MB and 64 MB (16 MB is everywhere else): archived, backed up, restored.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

for my $megabytes (1, 64) {
    my $node = ark_cluster("source_$megabytes", initdb => ["--wal-segsize=$megabytes"],
        conf => "max_wal_size = 512MB\nmin_wal_size = 128MB\n");
    is($node->safe_psql('postgres', 'SHOW wal_segment_size'), $megabytes . 'MB', "segments of $megabytes MB");
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
    $node->stop;
}
done_testing();
