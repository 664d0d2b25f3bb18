# The census takes a damaged page for none, whatever the server is set to do with one: a row out of it may bring down
# whoever reads it, and a page that is made zeros in memory may be written so.
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
done_testing();
