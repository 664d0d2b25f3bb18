# Damage that no checksum shows and no other tool looks for: a commit log that does not agree with the rows, objects of
# another backup under this one's names. Each is found and named.
use strict;
use warnings;
use File::Copy ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $scratch = PostgreSQL::Test::Utils::tempdir('scratch');

# What became of a transaction, in a server's commit log: 1 committed, 2 aborted.
sub set_status {
    my ($node, $xid, $status) = @_;
    my $path = sprintf '%s/pg_xact/%04X', $node->data_dir, $xid >> 20;
    open my $file, '+<:raw', $path or die "$path: $!";
    seek $file, ($xid & 0xFFFFF) >> 2, 0;
    read $file, my $byte, 1 or die "$path is too short";
    my $shift = 2 * ($xid & 3);
    seek $file, ($xid & 0xFFFFF) >> 2, 0;
    print $file chr(ord($byte) & ~(3 << $shift) | $status << $shift);
    close $file or die "$path: $!";
    return;
}

for my $checksums ('with', 'without') {
    my $node = ark_cluster("$checksums-checksums", initdb => [ $checksums eq 'with' ? '--data-checksums' : (`$ENV{PG_CONFIG} --version` || "") =~ / 1[89]/ ? '--no-data-checksums' : () ],
        conf => 'autovacuum = off');
    $node->safe_psql('postgres', <<'SQL');
CREATE TABLE kept (n int, filler text) WITH (fillfactor = 50);
CREATE TABLE taken_back (n int, filler text);
CREATE TABLE deleted (n int, filler text) WITH (fillfactor = 50);
CREATE TABLE untouched (n int, filler text);
CREATE TABLE unread (n int, filler text);
INSERT INTO kept SELECT n, repeat('x', 500) FROM generate_series(1, 100) n;
INSERT INTO untouched SELECT n, repeat('x', 500) FROM generate_series(1, 100) n;
INSERT INTO deleted SELECT n, repeat('x', 500) FROM generate_series(1, 100) n;
SQL
    # Each with a transaction of its own, and read once: from then on the rows know what became of it.
    my %xid;
    $xid{kept}       = $node->safe_psql('postgres', q{INSERT INTO kept SELECT n, 'last' FROM generate_series(1, 500) n; SELECT xmin FROM kept WHERE filler = 'last' LIMIT 1});
    $xid{taken_back} = $node->safe_psql('postgres', q{BEGIN; INSERT INTO taken_back SELECT n, repeat('x', 500) FROM generate_series(1, 100) n; SELECT xmin FROM taken_back LIMIT 1; ROLLBACK});
    $xid{deleted}    = $node->safe_psql('postgres', q{BEGIN; DELETE FROM deleted WHERE n > 50; SELECT pg_current_xact_id()::xid; COMMIT});
    $node->safe_psql('postgres', "SET enable_indexscan = off; SELECT count(*) FROM $_") for qw(kept taken_back deleted untouched);
    my $clean = backup_ok($node, 'while all is well');
    drill_ok($node, "$checksums checksums: while all is well", '--scratch', $scratch, '--backup', $clean);

    my %finding = (
        kept       => { check => 'commit_log', relation => 'public.kept', message => qr/transaction $xid{kept}, which made it, has committed; the commit log says that it has not/, hint => qr/missing/ },
        taken_back => { check => 'commit_log', relation => 'public.taken_back', block => 0, message => qr/transaction $xid{taken_back}, which made it, has not committed; the commit log says that it has/ },
        deleted    => { check => 'commit_log', relation => 'public.deleted', message => qr/transaction $xid{deleted}, which deleted it, has committed/ },
    );
    my %wrong = (kept => 2, taken_back => 1, deleted => 2);
    for my $which (sort keys %wrong) {
        $node->stop;
        set_status($node, $xid{$which}, $wrong{$which});
        $node->start;
        my $id = backup_ok($node, "with a wrong end of what is in $which");
        my $evidence = drill_finds($node, "$checksums checksums: a wrong bit in the commit log ($which)", [ $finding{$which} ], '--scratch', $scratch, '--backup', $id);
        is(join(' ', sort { $a cmp $b } keys %{ { map { ($_->{relation} // '-') => 1 } grep { $_->{check} eq 'commit_log' } @{ $evidence->{errors} } } }),
            "public.$which", 'and no other table is named');
        $node->stop;
        set_status($node, $xid{$which}, 3 - $wrong{$which});
        $node->start;
    }
    drill_ok($node, "$checksums checksums: when it is right again", '--scratch', $scratch, '--backup', backup_ok($node, 'right again'));
    $node->stop;
    next if $checksums eq 'without';

    # ---- of another backup, or another cluster's
    my ($directory) = $node->{ark_repository} =~ m{^file://(.*)};
    my ($cluster) = glob "$directory/*/backup";
    my $id = (sort map { $_->{backup_id} } backups($node->{ark_repository}))[-1];
    my $place = "$cluster/$id";
    for my $object ('index.zst', 'manifest.zst', 'backup.json', map { "data/$_" } find_objects("$place/data")) {
        my $other = "$cluster/$clean/$object";
        next if !-e $other;
        my $kept = slurp_file("$place/$object");
        unlink "$place/$object" or die $!;
        File::Copy::copy($other, "$place/$object") or die $!;
        drill_finds($node, "$object of another backup", [ { message => qr/./ } ], '--scratch', $scratch, '--backup', $id);
        unlink "$place/$object" or die $!;
        open my $file, '>:raw', "$place/$object" or die $!;
        print $file $kept;
        close $file or die $!;
    }
    drill_ok($node, 'after all of it', '--scratch', $scratch, '--backup', $id);
}

done_testing();
