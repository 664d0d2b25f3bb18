# The census takes a damaged page for none, whatever the server is set to do with one: a row out of it may bring down
# whoever reads it, and a page that is made zeros in memory may be written so. And a value in the copy that its own type
# cannot show is damage, by whatever name the error goes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');
my $node = ark_cluster('damaged', conf => "autovacuum = off\n");
$node->safe_psql('postgres', q{CREATE TABLE damaged AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 1000) n; CHECKPOINT});
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('damaged')});
$node->stop;
open my $file, '+<:raw', $path or die "$path: $!";
seek $file, 3 * 8192 + 5000, 0;
print $file 'y';
close $file or die $!;
for my $setting (qw(ignore_checksum_failure zero_damaged_pages)) {
    $node->append_conf('postgresql.conf', "ignore_checksum_failure = off\nzero_damaged_pages = off\n$setting = on\n");
    $node->restart;
    my $id = start_backup_sql($node, $setting);
    is(wait_backup($node, $id)->{status}, 'completed', "$setting: the backup is taken");
    my ($status, $evidence) = PgArk::Drill::run_drill($node, '--scratch', $scratch, '--backup', $id);
    my $left_out = $evidence->{verified}{census}{not_recorded};
    ok((grep { $_->{why} eq 'could not be read' } @$left_out), "$setting: the census leaves the table out") or diag(JSON::PP->new->encode($evidence->{verified}{census} // {}));
}

# ---- without checksums: the server's memory has the page as it was, its file and the backup one bit less or more

my $bare = ark_cluster('bare', start => 0, conf => "autovacuum = off\npg_ark.census = 'rows'\n");
system_or_bail('pg_checksums', '--disable', '-D', $bare->data_dir);
$bare->start;
$bare->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_ark;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE enums AS SELECT n, 'good'::mood AS mood FROM generate_series(1, 10) n;
CREATE TABLE times AS SELECT '2026-01-01'::timestamptz + n * interval '1 hour' AS at FROM generate_series(1, 10) n;
CREATE TABLE sound AS SELECT n FROM generate_series(1, 10) n;
INSERT INTO ark.recorded_values (name, sql) VALUES ('fails in the copy', $$SELECT 1 / CASE current_setting('application_name') WHEN 'pg_ark drill' THEN 0 ELSE 1 END$$);
VACUUM (FREEZE);
SELECT * FROM enums, times, sound;
CHECKPOINT;
SQL
# The first row's last bytes are the page's: of an enumeration's value, which is an oid, and of a time's, whose last byte has its sign.
for my $flip ([ 'enums', 8189, 1 ], [ 'times', 8191, 0x80 ]) {
    my ($table, $place, $bit) = @$flip;
    open my $data, '+<:raw', $bare->data_dir . '/' . $bare->safe_psql('postgres', "SELECT pg_relation_filepath('$table')") or die $!;
    seek $data, $place, 0;
    read $data, my $byte, 1;
    seek $data, $place, 0;
    print $data chr(ord($byte) ^ $bit);
    close $data or die $!;
}
backup_ok($bare, 'values that cannot be shown');
my @census = ('--scratch', $scratch, '--only', 'census');
my @found = ({ check => 'census', database => 'postgres', relation => 'public.enums', message => qr/^invalid internal value for enum: \d+$/ },
    { check => 'census', database => 'postgres', relation => 'public.times', message => qr/^timestamp out of range$/ });
my $evidence = PgArk::Drill::drill_finds($bare, 'values that cannot be shown', \@found, @census);
my $census = $evidence->{verified}{census};
is($evidence->{error_count}, 2, 'which is all');
is_deeply([ @{ $census->{tables} }{qw(differing left_out not_asked)} ], [ 2, 0, 0 ], 'no table has changed since');
is_deeply([ @{ $census->{values} }{qw(differing left_out not_asked)} ], [ 0, 0, 1 ], "the users' own query fails, which is no damage");
is($census->{recorded_values}[0]{status}, 'error', 'and is told apart');
is_deeply([ grep { /recorded tables/ } @{ $evidence->{notes} } ], [], 'nor does a note say so');
$bare->safe_psql('postgres', 'UPDATE sound SET n = n + 1');
archive_now($bare);
$evidence = PgArk::Drill::drill_finds($bare, 'at the latest moment', \@found, @census, '--target', 'latest');
$census = $evidence->{verified}{census}{tables};
my $all = $census->{compared} + $census->{left_out};
ok((grep { /^$census->{left_out} of $all recorded tables changed since/ } @{ $evidence->{notes} }), 'what changed since is counted, and that alone') or diag(JSON::PP->new->encode($evidence->{notes}));
is($census->{differing}, 2, 'beside what is damaged');
$bare->stop('immediate');
done_testing();
