# The executable and the module of different versions: where they have one version of the protocol they work together,
# whatever either says that the other does not know; where they have not, the refusal says so, and nothing else breaks.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;
use PgArk::Relay;

my @roles = qw(server-backup server-archive server-catalog server-verify server-drill server-stream);
my ($version) = slurp_file(($ENV{PG_ARK_SOURCE} // '.') . '/pg_ark.control') =~ /^default_version = '(.*)'$/m;

# ---- the executable alone: what it answers to a module's greeting

# Sends lines to a role and closes its input; returns (exit status, first line of the answer as a hash).
sub greet {
    my ($role, @lines) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'pg_ark', $role ], '<', \(join '', map { "$_\n" } @lines), '>', \$out, '2>', \$err, IPC::Run::timeout(60));
    my $status = $? >> 8;
    my ($verb, @pairs) = split / /, (split /\n/, $out)[0] // '';
    my %answer = (verb => $verb // '', map { /^([a-z_]+)=(.*)$/ ? ($1 => $2) : () } @pairs);
    $answer{$_} = pack 'H*', $answer{$_} for grep { exists $answer{$_} } qw(program message detail hint);
    return ($status, \%answer);
}

for my $role (@roles) {
    my ($status, $answer) = greet($role, 'hello protocol=1 module=' . text_value('0.9.0'));
    is_deeply([ @$answer{qw(verb protocol program)} ], [ 'hello', 1, $version ], "$role: an older module of the same protocol is greeted");
    cmp_ok($status, '<=', 1, "$role: and it ends as it should");
    (undef, $answer) = greet($role, 'hello novelty=1 protocol=1 module=' . text_value('9.0.0') . ' another=abc');
    is($answer->{verb}, 'hello', "$role: so is a newer one that says more");
    for my $protocol (0, 2) {
        ($status, $answer) = greet($role, "hello protocol=$protocol module=" . text_value('9.0.0'));
        is($answer->{verb}, 'error', "$role: one of protocol $protocol is refused");
        is($answer->{sqlstate}, '0A000', "$role: as unsupported");
        like($answer->{message}, qr/^the server module speaks protocol $protocol, this executable speaks 1$/, "$role: in words");
        like($answer->{detail}, qr/version 9\.0\.0, the executable \Q$version\E\./, "$role: with both versions");
        like($answer->{hint}, qr/restart the server/, "$role: and what to do");
        cmp_ok($status, '<=', 1, "$role: and it ends as it should");
    }
}

# ---- a server, with another version of the executable, or of the module

my $node  = ark_cluster('versions');
my $relay = PostgreSQL::Test::Utils::tempdir('relay') . '/pg_ark';
sub preflight { my ($name) = @_; return $node->safe_psql('postgres', "SELECT ok, detail FROM ark.preflight() WHERE name = '$name'") }
sub last_error { return backup_row($node, $_[0])->{error} }

write_relay($relay);
set_config($node, 'pg_ark.program' => $relay);
like(preflight('versions'), qr/^t\|module \Q$version\E, extension \Q$version\E, executable \Q$version\E$/, 'the relay alone changes nothing');
archive_now($node);
backup_ok($node, 'through the relay');

# The module in memory is of an older version than the executable that was installed over it; each says what the other has
# never heard of.
write_relay(
    $relay,
    to_child => q{s/module=[0-9a-f]+/'module=' . text('0.9.0')/e if /^hello /; $_ .= ' novelty=17' unless /=$/;
                  $_ = "setting name=unheard_of value=" . text('1') . "\n$_" if /^cluster /;},
    to_module => q{s/program=[0-9a-f]+/'program=' . text('7.1.0')/e if /^hello /; $_ .= ' novelty=abc.def:1';});
set_config($node, 'pg_ark.wal_timeout' => '5min');    # a changed setting: the archiver's process is started again
like(preflight('versions'), qr/^f\|module \Q$version\E, extension \Q$version\E, executable 7\.1\.0$/, 'ark.preflight() sees another version of the executable');
like(preflight('repository'), qr/^t\|/, 'and talks to it');
archive_now($node);
my $id = backup_ok($node, 'with a newer executable');
is($node->safe_psql('postgres', "SELECT ark.test_backup_restoration('$id')"), 't', 'a restore test with it');
my $verification = $node->safe_psql('postgres', "SELECT ark.verify_backup('$id')");
poll_until('the verification has ended', sub { $node->safe_psql('postgres', "SELECT success FROM ark.backup_verification WHERE id = '$verification'") eq 't' });
pass('and a verification');

# An executable that has given up version 1.
my $mark = log_mark($node);
write_relay($relay, to_child => q{if (/^hello /) { @answer = ('hello protocol=2 program=' . text('8.0.0')); $_ = undef }});
set_config($node, 'pg_ark.wal_timeout' => '6min');
$id = start_backup_sql($node, 'refused');
my $row = wait_backup($node, $id);
is($row->{status}, 'failed', 'with an executable of another protocol a backup fails');
like($row->{error}{message}, qr/^the executable speaks version 2 of the protocol, the module version 1$/, 'in words');
like($row->{error}{detail}, qr/executable has version 8\.0\.0, the module version \Q$version\E/, 'with both versions');
like($row->{error}{hint}, qr/same version of both/, 'and what to do');
my $segment = $node->safe_psql('postgres', q{SELECT pg_walfile_name(pg_switch_wal()) FROM pg_logical_emit_message(true, 'x', 'x')});
wait_log($node, qr/the executable speaks version 2 of the protocol, the module version 1/, $mark);
$node->poll_query_until('postgres', 'SELECT failed_count > 0 FROM pg_stat_archiver') or die 'archiving did not fail';
pass('archiving fails, and the log says why');
is(preflight('repository') =~ /^f\|.*version 2 of the protocol/s ? 1 : 0, 1, 'ark.preflight() says it too') or diag(preflight('repository'));

# An executable that is older than the module's protocol: it refuses, the module passes its words on.
write_relay($relay, to_child => q{s/protocol=1/protocol=2/ if /^hello /;});
set_config($node, 'pg_ark.wal_timeout' => '7min');
$row = wait_backup($node, start_backup_sql($node, 'refused by the executable'));
is($row->{status}, 'failed', 'an executable that does not know the module\'s protocol fails a backup');
like($row->{error}{message}, qr/^the server module speaks protocol 2, this executable speaks 1$/, 'in its words');

# Something else that was put there.
my $other = "$relay.other";
append_to_file($other, "#!/bin/sh\nexec cat\n");
chmod 0755, $other;
set_config($node, 'pg_ark.program' => $other);
$row = wait_backup($node, start_backup_sql($node, 'no executable of pg_ark'));
is($row->{status}, 'failed', 'a program that is not pg_ark fails a backup');
like($row->{error}{message}, qr/sent "\w+" where "opened" was expected/, 'with what it said');

# All that was refused is made good by the right one.
set_config($node, 'pg_ark.program' => undef);
wait_archived($node, $segment);
pass('with the right executable the WAL is archived');
backup_ok($node, 'with the right executable');
never_restarted($node, 0, 'the server never restarted');
$node->stop;
done_testing();
