# The audit log of an encrypted cluster, and what people do by command: both lie in the repository, tell nothing to who has no key, and
# hold up nobody who may only read. What can't be read of it is named, and what was forged does not hide what was there.
use strict;
use warnings;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $keys = PostgreSQL::Test::Utils::tempdir('keys');
my ($directory, $url) = new_repository();
my $key  = "$keys/ark.key";
my $node = ark_cluster('source', repository => $url, start => 0, conf => "autovacuum = off\npg_ark.encryption = 'aes-256-gcm'\npg_ark.encryption_key_file = '$key'\n");
my ($system) = qx(pg_controldata '@{[ $node->data_dir ]}') =~ /Database system identifier:\s+(\d+)/;
my @key = ('--repo', $url, '--key-file', $key);
ark_ok([ 'key', 'create', '--cluster', $system, @key ], 'keys are made');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_ark; CREATE ROLE planted_role LOGIN');

sub audit { return @{ JSON::PP::decode_json(ark_ok([ 'audit', @key, '--output', 'json', @_ ], 'pg_ark audit')) } }
sub of_act { my ($act, @entries) = @_; return grep { $_->{act} eq $act } @entries ? @entries : audit() }
sub outcomes { return join ',', map { $_->{outcome} } of_act(@_) }
sub objects { return map { "$directory/$_" } find_objects($directory, qr{/audit/}) }
sub refuse { my ($application) = @_; $node->psql('postgres', "SET application_name = '$application'; SELECT ark.create_manual_backup('x')", connstr => $node->connstr('postgres') . ' user=planted_role'); return }
sub all_mirrored {
    poll_until('the repository has all', sub { $node->safe_psql('postgres', q{SELECT waiting_bytes = 0 AND unmirrored = 0 AND mirror_failures = 0 FROM ark.audit_status}) eq 't' });
    return;
}
sub sealed {
    my ($what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my %stored = map { $_ => slurp_file($_) } objects();
    is_deeply([ grep { $stored{$_} !~ /^\x5a\x2a\x4d\x18.{4}PGARKHDR.{4}\{[^\n]*"cipher":"aes-256-gcm"/s } sort keys %stored ], [], "$what: every object is encrypted");
    is_deeply([ grep { $stored{$_} =~ /planted|permission denied|create_manual_backup|session_role|os_user|key create|"restore"/ } sort keys %stored ], [], "$what: and shows nothing of what is in it");
    return scalar keys %stored;
}

# ---- a key

my $id = backup_ok($node, 'planted reason');
archive_now($node);
refuse('planted_first');
poll_until('the refusal is there', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE application = 'planted_first'}) eq '1' });
all_mirrored();
cmp_ok(sealed('with a key'), '>=', 2, 'there are objects');
my @entries = audit();
my %told = map { $_->{id} => 1 } @entries;
is_deeply([ grep { !$told{$_} } split /\n/, $node->safe_psql('postgres', 'SELECT id FROM ark.audit_log') ], [], 'with the key all of it is read');
my ($created) = of_act('key create', @entries);
is($created->{outcome}, 'completed', 'who made the keys');
is($created->{os_user}, scalar getpwuid($>), 'by the name of the system');
ok($created->{host}, 'and on which host');
like($created->{at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'and when');
like(ark_ok([ 'audit', @key ], 'as text'), qr/key create  completed  by user \S+.* on \S+  keyring 1, key [0-9a-f]{16}$/m, 'text: a command');

my ($status, $out, $err) = ark('audit', '--repo', $url, '--output', 'json');
isnt($status, 0, 'without the key it fails');
is($out, "[]\n", 'and tells nothing');
is_deeply([ grep { !$err =~ /\Q$_\E/ } map { s{^\Q$directory\E/}{}r } objects() ], [], 'it names each object that it could not read');
like($err, qr/--key-file/, 'and says what it takes');

# ---- a host that only writes

my $recipient = ark_ok([ 'key', 'export-recipient', @key ], 'export') =~ s/\s+\z//r;
is(outcomes('key export-recipient'), 'completed', 'that is recorded');
set_config($node, 'pg_ark.encryption_key_file' => '', 'pg_ark.encryption_recipients' => $recipient);
refuse('planted_second');
poll_until('the refusal is there', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE application = 'planted_second'}) eq '1' });
all_mirrored();
# It has to be able to go on where it was, without reading.
$node->restart;
refuse('planted_third');
poll_until('the refusal is there', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE application = 'planted_third'}) eq '1' });
all_mirrored();
sealed('for recipients');
is(scalar(grep { ($_->{application} // '') =~ /^planted_(?:second|third)$/ } audit()), 2, 'the key reads what it wrote');
ok(!log_has($node, qr/could not put entries of ark\.audit_log/), 'and it never had to read');
set_config($node, 'pg_ark.encryption_key_file' => $key, 'pg_ark.encryption_recipients' => undef);

# ---- commands

my $n = 0;
sub restore { return ark('restore', @key, '-D', "$keys/restored" . ++$n, @_) }
is((restore())[0], 0, 'a restore');
my ($begun, $ended) = of_act('restore');
is_deeply([ @$begun{qw(outcome backup_id target)} ], [ 'accepted', $id, "$keys/restored1" ], 'its beginning: what, and whereto');
is($ended->{outcome}, 'completed', 'its end');
is($ended->{pid}, $begun->{pid}, 'of one process');
{
    local $ENV{PG_ARK_FAULT} = 'restore_after_files=eio';
    isnt((restore())[0], 0, 'a restore that fails');
    my ($last) = reverse of_act('restore');
    is_deeply([ @$last{qw(outcome sqlstate)} ], [ 'failed', '58030' ], 'and why it failed');
    $ENV{PG_ARK_FAULT} = 'command_audit_begun=kill';
    isnt((restore())[0], 0, 'a restore that is killed');
    is(outcomes('restore'), 'accepted,completed,accepted,failed,accepted', 'its beginning is there');
}
all_mirrored();
my $count = objects();
is((restore('--no-audit'))[0], 0, 'a restore that shall leave no trace');
is((restore('--dry-run'))[0], 0, 'and one that only looks');
is(scalar(() = objects()), $count, 'leave none');
ark_ok([ 'verify', @key, $id ], 'a verification');
is(join('|', map { "$_->{outcome} " . ($_->{message} // '') } of_act('verify')), 'accepted |completed 1 backup: nothing wrong was found', 'is recorded');
mkdir "$keys/scratch" or die $!;
ark_ok([ 'drill', @key, '--scratch', "$keys/scratch" ], 'a drill');
is(join('|', map { "$_->{outcome} " . ($_->{message} // '') } of_act('drill')), "accepted |completed backup $id: nothing wrong was found", 'is recorded');

ark_ok([ 'key', 'rotate', @key ], 'the key is rotated');
ark_ok([ 'key', 'add-slot', @key, '--new-key-file', "$keys/safe" ], 'another slot');
ark_ok([ 'key', 'remove-slot', @key, '--slot', 2 ], 'and away again');
ark_fails([ 'key', 'remove-slot', @key, '--slot', 7 ], qr/slot 7/, 'one that is not there');
@entries = audit();
is(outcomes($_, @entries), 'accepted,completed', "$_ is recorded") for 'key rotate', 'key add-slot', 'key remove-slot';
is((of_act('key add-slot', @entries))[0]{target}, 'slot 2', 'which slot');
my ($secret) = slurp_file($key) =~ /^pgark-key-1:(\S+)$/;
unlike(JSON::PP::encode_json(\@entries), qr/\Q$secret\E/, 'and no key');

# What was removed is in the older generation still: no store forgets it.
PostgreSQL::Test::Utils::system_or_bail('cp', '-a', $directory, "$directory.rolled_back");
unlink "$directory.rolled_back/$system/keys/4.json" or die $!;
ark_fails([ 'key', 'check', '--repo', $url, '--key-file', "$keys/safe" ], qr/does not open/, 'the removed slot opens nothing');
ark_ok([ 'key', 'check', '--repo', "$url.rolled_back", '--key-file', "$keys/safe" ], 'who can delete keyrings brings back a slot that was removed');

my ($said, $complained) = ('', '');
my $receiver = IPC::Run::start([ 'pg_ark', 'wal-receive', @key, '--conninfo', $node->connstr('postgres') . ' password=planted', '--output', 'json' ], '<', '/dev/null', '>', \$said, '2>', \$complained);
eval { poll_until('it receives', sub { $receiver->pump_nb; $said =~ /"connected"/ }) } or diag $complained;
$receiver->signal('INT');
$receiver->finish;
is(outcomes('wal-receive'), 'accepted', 'who received WAL');
unlike(JSON::PP::encode_json([ of_act('wal-receive') ]), qr/planted/, 'and not with which password');
sealed('after all commands');

# ---- what may only be read

$node->stop;
sub writable { my ($bits) = @_; PostgreSQL::Test::Utils::system_or_bail('find', $directory, '-type', 'd', '-exec', 'chmod', $bits, '{}', '+'); return }
writable('u-w');
SKIP: {
    skip 'this user may write everywhere', 5 if -w "$directory/$system";
    ($status, undef, $err) = restore();
    is($status, 0, 'a restore needs no right to write');
    like($err, qr/warning: this is not in the audit log of the repository.*HINT:\s+Use --no-audit/s, 'and says that its trace is missing');
    ($status, undef, $err) = restore('--no-audit');
    is("$status $err" =~ /warning/ ? $err : $status, 0, 'unless it shall leave none');
    ark_fails([ 'key', 'rotate', @key ], qr/could not write the audit log/, 'without its trace no key is changed');
    is(scalar(() = glob "$directory/$system/keys/*.json"), 4, 'there is no other keyring');
}
writable('u+w');

# ---- what others put there

my ($some) = grep { ($_->{application} // '') eq 'planted_first' } audit();
my $forged = JSON::PP->new->canonical->encode({ pg_ark_audit => 1, cluster => $system, entries => [ { id => $some->{id}, at => $some->{at}, act => 'nothing', outcome => 'completed' } ] });
sub plant {
    my ($name, $content) = @_;
    my ($day) = $some->{at} =~ /^(.{10})/;
    PostgreSQL::Test::Utils::append_to_file("$directory/$system/audit/$day/000000.000000-$name.json", $content);
    return;
}
plant('aaaaaaaa-0000-4000-8000-000000000000', "$forged\n");
($status, $out, $err) = ark('audit', @key, '--output', 'json');
is($status, 6, 'two entries of one id are no good sign');
like($err, qr/entry \Q$some->{id}\E is in the audit log with different contents/, 'it is told which');
is(scalar(grep { $_->{id} eq $some->{id} } @{ JSON::PP::decode_json($out) }), 2, 'the forged one does not hide the other');
($status, $out, $err) = ark('audit', @key, '--output', 'json', '--require-encryption');
like($err, qr/000000\.000000-aaaaaaaa.*is not encrypted/, 'who wants only what is encrypted learns what is not');
is(scalar(grep { $_->{id} eq $some->{id} } @{ JSON::PP::decode_json($out) }), 1, 'and does not see it');
plant('bbbbbbbb-0000-4000-8000-000000000000', 'x' x 3_000_000);
plant('cccccccc-0000-4000-8000-000000000000', '[' x 100_000);
my ($old) = grep { slurp_file($_) =~ /^\x5a/ } objects();
plant('dddddddd-0000-4000-8000-000000000000', slurp_file($old));
($status, $out, $err) = ark('audit', @key, '--output', 'json', '--require-encryption');
like($err, qr/\Q$_\E-0000/, "$_: named") for qw(bbbbbbbb cccccccc dddddddd);
cmp_ok(scalar @{ JSON::PP::decode_json($out) }, '>', 10, 'and the others are there');
done_testing();
