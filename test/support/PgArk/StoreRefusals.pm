# What a store must not be believed, or does not give: certificates, credentials, places. Each ends with one clear error, in
# seconds, and nobody's secret in it.
package PgArk::StoreRefusals;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::Test;

our @EXPORT = qw(refused certificate_refusals no_secret_told);

# `pg_ark list` of a URL that must fail, with a status of its own, soon.
sub refused {
    my ($what, $repository, $status_wanted, $pattern, %environment) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    local @ENV{ keys %environment } = values %environment;
    my $began = time;
    my ($status, $out, $err) = ark('list', '--repo', $repository, '--retry-timeout', 3);
    is($status, $status_wanted, "$what: the exit status") or diag("$out$err");
    like($err, $pattern, "$what: the error");
    like($err, qr/^HINT:  \S/m, "$what: says what to do");
    unlike("$out$err", qr/hunter2|test-secret/, "$what: and no secret");
    cmp_ok(time - $began, '<', 20, "$what: within seconds");
    return;
}

# A cluster with a backup in the store over TLS, and what is refused there whatever language the store speaks. `plain` names
# a server of the same kind without TLS. Returns the cluster.
sub certificate_refusals {
    my ($tls, $plain) = @_;
    my ($certificates) = $tls =~ m{ca_file=(.*)/ca\.pem} or die "$tls names no ca_file";
    my ($tls_port)     = $tls   =~ /127\.0\.0\.1:(\d+)/;
    my ($plain_port)   = $plain =~ /127\.0\.0\.1:(\d+)/;

    my $node = ark_cluster('source', repository => place_below($tls, 'refusals'));
    my $url  = $node->{ark_repository};
    backup_ok($node, 'over TLS');
    is(scalar backups($url), 1, 'a repository over TLS is read');
    (my $localhost = $url) =~ s/127\.0\.0\.1/localhost/;
    is(scalar backups($localhost), 1, 'by the other name of the certificate, too');

    (my $other = $url) =~ s/ca\.pem/other-ca.pem/;
    refused('signed by nobody known', $other, 7, qr/certificate/i);
    (my $system = $url) =~ s/&ca_file=[^&]*//;
    refused('not signed by the system\'s authorities', $system, 7, qr/certificate/i);
    (my $missing = $url) =~ s/ca\.pem/nowhere.pem/;
    refused('an authority\'s file that is not there', $missing, 7, qr/nowhere\.pem|certificate/i);
    for my $kind (qw(expired wronghost)) {
        my $free = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;
        my $server = IPC::Run::start([ 'openssl', 's_server', '-accept', "127.0.0.1:$free", '-cert', "$certificates/$kind.pem", '-key', "$certificates/$kind.key", '-www', '-quiet' ],
            '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
        poll_until("port $free answers", sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $free) });
        (my $there = $url) =~ s/:$tls_port/:$free/;
        refused("a certificate that is $kind", $there, 7, qr/certificate/i);
        $server->kill_kill(grace => 1);
    }
    (my $no_tls = $url) =~ s/:$tls_port/:$plain_port/;
    refused('TLS spoken to one who does not', $no_tls, 7, qr/failed/);
    (my $no_plain = $url) =~ s/https/http/;
    refused('plain HTTP spoken to one who wants TLS', $no_plain, 7, qr/failed/);
    refused('nobody there', $url =~ s/:$tls_port/:1/r, 7, qr/Tried \d+ times/);
    refused('a name that is none', $url =~ s/127\.0\.0\.1/no-such-host.invalid/r, 7, qr/resolve/);
    return $node;
}

# Neither the server's log nor its settings tell it.
sub no_secret_told {
    my ($node, $secret) = @_;
    my $leak = qr/\Q$secret\E/;
    unlike(slurp_file($node->logfile), $leak, 'no secret in the server\'s log');
    unlike($node->safe_psql('postgres', 'SELECT string_agg(s::text, $$ $$) FROM pg_settings s'), $leak, 'none in the settings');
    return;
}

1;
