# A corrupt page is named by relation and block; the backup goes on, and says so.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $node = ark_cluster('source');
load_shop($node);
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE TABLE public.here AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n');
$node->safe_psql('postgres', 'CHECKPOINT');
my $file  = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('shop.orders')});
my $there = $node->safe_psql('other', q{SELECT pg_relation_filepath('public.here')});
my $index = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('shop.orders_by_customer')});
my $map   = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('shop.orders') || '_vm'});
backup_ok($node, 'while all is well');
is($node->safe_psql('postgres', q{SELECT string_agg(success::text, ',') FROM ark.backup_verification WHERE verification_type = 'checksum'}),
    'true', 'a clean backup is verified as such');
$node->stop;

sub damage {
    my ($path, $block) = @_;
    open my $handle, '+<:raw', $node->data_dir . "/$path" or die "$path: $!";
    seek $handle, $block * 8192 + 4000, 0;
    print $handle 'damaged!';
}
damage($file, 7);
damage($file, 9);
damage($index, 3);
damage($there, 2);
$node->start;

my $mark = log_mark($node);
my $id   = start_backup_sql($node, 'with damage');
my $row  = wait_backup($node, $id);
is($row->{status}, 'completed', 'a corrupt page does not stop the backup');
is($row->{corrupt_page_count}, 4, 'backup_log counts the pages');
my $details = $node->safe_psql('postgres', "SELECT success::text || ' ' || details::text FROM ark.backup_verification WHERE backup_id = '$id'");
like($details, qr/^false /, 'backup_verification: not a success');
like($details, qr/shop\.orders\b/, 'names the relation');
like($details, qr/orders_by_customer/, 'names the index');
like($details, qr/\bhere\b/, 'names a relation of another database') or diag($details);
for my $block (7, 9, 3, 2) { like($details, qr/\b$block\b/, "names block $block") }
wait_log($node, qr/WARNING:.*damaged pages/, $mark);
pass('the log has a warning');

my ($listed) = grep { $_->{backup_id} eq $id } backups($node->{ark_repository});
my ($status, $info) = ark('info', $id, '--repo', $node->{ark_repository}, '--output', 'json');
is($status, 0, 'pg_ark info works');
like($info, qr/corrupt/, 'the marker has the damage too');

# Restored only by somebody who knows.
my $place = PostgreSQL::Test::Utils::tempdir('restored') . '/data';
my ($refused, undef, $why) = ark('restore', '--repo', $node->{ark_repository}, '-D', $place);
is($refused, 6, 'restore refuses the damage');
like($why, qr/holds 4 corrupt pages.*block/s, 'and names it');
like($why, qr/--accept-corrupt-pages/, 'and says how to get it all the same');
ok(!-e $place, 'before anything is written');
is((ark('restore', '--repo', $node->{ark_repository}, '-D', $place, '--accept-corrupt-pages'))[0], 0, 'with --accept-corrupt-pages it restores');
never_restarted($node);
done_testing();
