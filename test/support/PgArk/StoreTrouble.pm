# What networks and stores do, done to pg_ark by a proxy in front of a real store: WAL waits and nothing is lost, a backup
# survives what is short and fails cleanly after what is long, and no lie is believed.
package PgArk::StoreTrouble;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PgArk::FaultProxy;
use PgArk::Test;

our @EXPORT = qw(store_trouble s3_trouble);

# The same, for what speaks as S3 does.
sub s3_trouble {
    my ($url) = @_;
    return store_trouble(
        url     => $url,
        begin   => '^POST .*\?uploads',
        part    => sub { "partNumber=$_[0]" },
        finish  => 'POST .*uploadId',
        listing => 'list-type',
        busy    => { body => '<Error><Code>SlowDown</Code><Message>later</Message></Error>' },
    );
}

# All of it on one kind of store, which says how it speaks, as regular expressions on "METHOD /path?query":
#   url      of a server on loopback, whose endpoint= the proxy takes the place of
#   part     what sends part number n, a sub of n      begin    what begins an upload, where something does
#   finish   what ends one                             listing  what lists
#   busy     the rule's part of an answer that asks for fewer requests
sub store_trouble {
    my (%store) = @_;
    my ($backend) = $store{url} =~ /127\.0\.0\.1(?::|%3A)(\d+)/ or die "$store{url} names no server on loopback";
    my $proxy = PgArk::FaultProxy->new($backend, PostgreSQL::Test::Utils::tempdir('proxy'));
    (my $url = place_below($store{url}, 'trouble')) =~ s{endpoint=http://[^&/]*}{"endpoint=" . $proxy->endpoint}e;
    my $part  = $store{part};
    my $parts = $part->('\d+');

    my $node = ark_cluster('source', repository => $url, conf => "pg_ark.retry_timeout = 30s\npg_ark.push_timeout = 8s\n");
    load_shop($node);
    # More than one part of a pack, hardly compressible.
    $node->safe_psql('postgres', q{CREATE TABLE noise AS SELECT n, string_agg(md5(random()::text), '') AS text
        FROM generate_series(1, 24000) n, generate_series(1, 40) GROUP BY n});
    my $first = backup_ok($node, 'through the proxy');
    my @asked = $proxy->requests;
    ok((grep { /$store{begin}/ } @asked), 'packs go in parts') if $store{begin};
    my $second = $part->(2);
    ok((grep { /$second/ } @asked), 'in several parts');

    my $rules = sub { $proxy->set(rules => [@_]); return };

    # ---- archiving

    {
        my $mark = log_mark($node);
        $proxy->set(refuse => JSON::PP::true());
        $node->safe_psql('postgres', q{SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'x', 'x')}) for 1 .. 5;
        wait_log($node, qr/WARNING: .*could not archive/, $mark);
        like($node->safe_psql('postgres', q{SELECT string_agg(detail || ' ' || hint, ' ') FROM ark.preflight() WHERE NOT ok}), qr/fail|127\.0\.0\.1/,
            'a store that is gone: preflight() says so');
        sleep 10;
        my @told = slurp_file($node->logfile, $mark) =~ /WARNING: .*could not archive/g;
        cmp_ok(scalar @told, '<=', 2, 'the log says so, and not once a try');
        cmp_ok(scalar(() = glob $node->data_dir . '/pg_wal/archive_status/*.ready'), '>=', 5, 'WAL waits');
        $proxy->set;
        my $began = time;
        archive_now($node);
        cmp_ok(time - $began, '<', 90, 'and is stored when the store is back');
        wait_log($node, qr/archiving has recovered/, $mark);
    }

    # ---- a backup, and outages

    {
        $rules->({ match => $part->(1), from => 1, to => 1, do => 'reset' }, { match => $part->(2), from => 1, to => 3, do => 'status', code => 503, %{ $store{busy} } },
            { match => $part->(1), from => 2, to => 2, do => 'lost' }, { match => $store{finish}, from => 1, to => 1, do => 'lost' },
            { match => 'PUT .*index', from => 1, to => 1, do => 'lost' }, { match => 'PUT .*backup\.json', from => 1, to => 1, do => 'lost' },
            { match => $part->(3), from => 1, to => 1, do => 'corrupt_request' });
        my $id = backup_ok($node, 'with parts lost, answers lost, slow down, and a bit flipped on the way');
        # Pieces of WAL go when their segment is whole.
        ok(!scalar(grep { /DELETE/ && !m{/tail/} } $proxy->requests), 'nothing of it is given up');
        ark_ok([ 'verify', '--repo', $url, $id ], 'verify reads all of it back');
        my $restored = restore_node($node, 'restored', '--backup', $id, '--target', 'immediate', '--target-action', 'promote');
        start_restored($restored);
        is($restored->safe_psql('postgres', 'SELECT sum(hashtextextended(t::text, 0)::numeric) FROM noise t'),
            $node->safe_psql('postgres', 'SELECT sum(hashtextextended(t::text, 0)::numeric) FROM noise t'), 'restored as it was');
        $restored->stop;
    }

    {
        my $id = start_backup_sql($node, 'an outage shorter than pg_ark.retry_timeout');
        poll_until('a part is on its way', sub { grep { /$parts/ } $proxy->requests });
        $proxy->set(refuse => JSON::PP::true());
        sleep 6;
        $proxy->set;
        is(wait_backup($node, $id)->{status}, 'completed', 'a backup survives an outage of seconds');
    }

    {
        set_config($node, 'pg_ark.retry_timeout' => '3s');
        my $id = start_backup_sql($node, 'an outage longer than pg_ark.retry_timeout');
        poll_until('a part is on its way', sub { grep { /$parts/ } $proxy->requests });
        $proxy->set(refuse => JSON::PP::true());
        my $row = wait_backup($node, $id);
        $proxy->set;
        is($row->{status}, 'failed', 'a longer outage: the backup fails');
        like($row->{error}{detail} // '', qr/Tried \d+ times in \d+ seconds/, 'and says how long it was tried') or diag(JSON::PP::encode_json($row->{error}));
        is_deeply([ grep { $_->{backup_id} eq $id && $_->{status} eq 'completed' } backups($url) ], [], 'it is no backup');
        set_config($node, 'pg_ark.retry_timeout' => '5min');
    }

    {
        my $id = start_backup_sql($node, 'cancelled while the store is gone');
        poll_until('a part is on its way', sub { grep { /$parts/ } $proxy->requests });
        $proxy->set(refuse => JSON::PP::true());
        sleep 1;
        my $began = time;
        $node->safe_psql('postgres', "SELECT ark.cancel_backup('$id')");
        is(wait_backup($node, $id)->{status}, 'cancelled', 'a backup is cancelled while the store is gone');
        cmp_ok(time - $began, '<', 30, 'within seconds');
        $proxy->set;
    }

    # ---- kill -9 in the middle of an upload

    for my $point (fault_points('core/store', qr/^cloud_/)) {
        my $row = with_fault($node, "$point=kill", sub { wait_backup($node, start_backup_sql($node, "kill at $point")) });
        is($row->{status}, 'failed', "kill at $point: the backup is failed");
        is_deeply([ grep { $_->{backup_id} eq $row->{backup_id} && $_->{status} eq 'completed' } backups($url) ], [], "kill at $point: and is none");
    }
    my $last = backup_ok($node, 'after all of that');

    # ---- lies

    my $page = '<html><body>Please log in to the network</body></html>';
    archive_now($node);
    my %lies = (
        'half of the bytes, said to be all' => { do => 'half' },
        'an HTML page'                      => { do => 'replace', body => $page },
        'nothing'                           => { do => 'replace', body => '' },
        'a flipped bit'                     => { do => 'corrupt' },
    );
    for my $lie (sort keys %lies) {
        for my $object ('ark\.json', 'backup\.json', 'index', 'manifest', 'data/', $store{listing}) {
            $rules->({ match => "GET .*$object", %{ $lies{$lie} } });
            my $target = PostgreSQL::Test::Utils::tempdir('lie') . '/data';
            local $ENV{PG_ARK_RETRY_TIMEOUT} = 2;
            my ($status, $out, $err) = ark('restore', '--repo', $url, '-D', $target, '--backup', $last, '--target', 'immediate');
            # A listing is not needed for a backup that is named; then nothing of the lie was read.
            next if $status == 0 && !grep { /GET .*$object/ } $proxy->requests;
            ok($status > 0 && $status < 126, "$lie for $object: the restore fails") or diag($err);
            ok(!-e "$target/global/pg_control", "$lie for $object: and leaves nothing that starts");
        }
        $rules->({ match => 'GET .*/wal/', %{ $lies{$lie} } });
        my $file = PostgreSQL::Test::Utils::tempdir('wal') . '/segment';
        my ($status) = ark('wal-get', '--repo', $url, '--timeout', 3, $node->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver'), $file);
        cmp_ok($status, '>', 125, "$lie for WAL: recovery is stopped, not ended");
        ok(!-e $file, "$lie for WAL: and gets no file");
    }
    $rules->({ match => 'GET .*/wal/', do => 'status', code => 404, body => $page });
    my ($status) = ark('wal-get', '--repo', $url, '--timeout', 3, $node->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver'), 'nowhere');
    cmp_ok($status, '>', 125, q{a "not found" that is not the store's: not "not there"});
    $rules->();
    ark_ok([ 'verify', '--repo', $url, $last ], 'without the lies all is well');
    never_restarted($node, 0, 'the server stayed up through all of it');

    return;
}

1;
