# The audit log in the repository: it outlives the database, its failure keeps nobody from anything, and it costs nothing at rest.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $repository = new_repository();
my $node       = ark_cluster('source', repository => $repository);
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN');
my $system = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

sub audit { return @{ JSON::PP::decode_json(ark_ok([ 'audit', '--repo', "file://$repository", '--output', 'json', @_ ], "pg_ark audit @_")) } }
sub objects { return map { "$repository/$_" } find_objects($repository, qr{/audit/}) }
sub all_mirrored {
    poll_until('the repository has all', sub { $node->safe_psql('postgres', q{SELECT waiting_bytes = 0 AND unmirrored = 0 AND mirror_failures = 0 FROM ark.audit_status}) eq 't' });
    return;
}
# What the table says, as the command does.
sub in_table {
    return @{ JSON::PP::decode_json($node->safe_psql('postgres', q{SELECT coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(l) - 'mirrored_at' - 'at') ORDER BY l.at, l.id), '[]') FROM ark.audit_log l})) };
}
sub in_repository {
    my @entries = @_;
    delete @{$_}{qw(at cluster)} for @entries;
    return @entries;
}

# A refusal that comes before there is a repository waits for one.
$node->psql('postgres', 'SELECT ark.create_manual_backup($$x$$)', connstr => $node->connstr('postgres') . ' user=app');
my $id = backup_ok($node, 'the first');
$node->psql('postgres', 'SELECT ark.create_manual_backup(NULL)');
poll_until('the refusal is there', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE sqlstate = '22004'}) eq '1' });
all_mirrored();
my @first = audit();
is_deeply([ sort { $a->{id} cmp $b->{id} } in_repository(map { +{%$_} } @first) ], [ sort { $a->{id} cmp $b->{id} } in_table() ], 'the repository has what the table has');
is(join(',', map { $_->{cluster} } @first), join(',', ($system) x @first), 'under its cluster');
like($first[0]{at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'with the time as the repository writes it');
my @names = objects();
like($_, qr{/\Q$system\E/audit/\d{4}-\d\d-\d\d/\d{6}\.\d{6}-[0-9a-f-]{36}\.json$}, 'its name') for @names;

my $text = ark_ok([ 'audit', '--repo', "file://$repository" ], 'as text');
like($text, qr/^cluster \Q$system\E$/m, 'text: the cluster');
like($text, qr/create_manual_backup  refused  by app  from \[local\]  42501  permission denied for schema ark$/m, 'text: a refusal');
like($text, qr/create_manual_backup  completed  \Q$id\E  by /m, 'text: a backup');
my ($today) = $first[0]{at} =~ /^(.{10})/;
is(scalar(() = audit('--since', $today)), scalar @first, '--since');
is(scalar(() = audit('--since', '2999-01-01')), 0, '--since a day to come');
ark_fails([ 'audit', '--repo', "file://$repository", '--since', 'yesterday' ], qr/is not a date.*HINT/s, '--since something else');

# At rest nothing is written, and no process runs for it.
sleep 4;
is(scalar(() = objects()), scalar @names, 'nothing happens, nothing is written');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_ark audit'}), '0', 'and no writer runs');

# The writer is killed between the object and the mark: the entry is in two objects, and is one.
set_config($node, 'pg_ark.fault' => 'module_audit_stored=sleep');
my $mark = log_mark($node);
$node->psql('postgres', 'SELECT ark.start_backup(NULL)');
wait_log($node, qr/fault point "module_audit_stored" in process (\d+)/, $mark);
my ($pid) = PostgreSQL::Test::Utils::slurp_file($node->logfile, $mark) =~ /fault point "module_audit_stored" in process (\d+)/;
set_config($node, 'pg_ark.fault' => undef);
kill 'KILL', $pid;
wait_running($node);
all_mirrored();
is(scalar(grep { $_->{act} eq 'start_backup' } audit()), 1, 'stored twice, read once');

# The repository is away: acts go on, the failure is told, and all of it gets there later.
all_mirrored();
$mark = log_mark($node);
rename $repository, "$repository.away" or die $!;
$node->psql('postgres', 'SELECT ark.cancel_backup($$no_such$$)');
poll_until('the failure is told', sub { $node->safe_psql('postgres', q{SELECT mirror_failures > 0 AND mirror_error_message <> '' AND failures = 0 FROM ark.audit_status}) eq 't' });
pass('audit_status says that the repository does not get it');
wait_log($node, qr/could not put entries of ark\.audit_log into the repository/, $mark);
my ($status, undef, $err) = $node->psql('postgres', 'SELECT ark.cancel_backup($$another$$)');
like($err, qr/backup "another" does not exist/, 'calls are answered as ever');
poll_until('its row is there', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE message LIKE '%another%'}) eq '1' });
pass('the table gets its row');
set_config($node, 'pg_ark.audit_retention' => 1);
$node->safe_psql('postgres', q{INSERT INTO ark.audit_log (at, act, outcome, message) VALUES (now() - interval '3 days', 'old', 'accepted', E'\u001b[31mred')});
$node->psql('postgres', 'SELECT ark.cancel_backup($$third$$)');
poll_until('a writer has run', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE message LIKE '%third%'}) eq '1' });
is($node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE act = 'old'}), '1', 'retention waits for the repository');
rename "$repository.away", $repository or die $!;
all_mirrored();
$node->psql('postgres', 'SELECT ark.cancel_backup($$fourth$$)');
poll_until('the old one is gone', sub { $node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE act = 'old'}) eq '0' });
my @entries = audit();
is(scalar(grep { $_->{act} eq 'old' } @entries), 1, 'and then takes it from the table: the repository has it');
is(scalar(grep { ($_->{message} // '') =~ /"(?:no_such|another|third)"/ } @entries), 3, 'what waited is there');
like(ark_ok([ 'audit', '--repo', "file://$repository" ], 'text'), qr/\?\[31mred/, 'a terminal gets no control characters');

# A damaged object keeps no other.
my ($victim) = objects();
my $whole = PostgreSQL::Test::Utils::slurp_file($victim);
chmod 0600, $victim;
open my $handle, '>', $victim or die $!;
print $handle substr $whole, 0, length($whole) / 2;
close $handle;
($status, my $out, $err) = ark('audit', '--repo', "file://$repository", '--output', 'json');
isnt($status, 0, 'a damaged object is a failure');
like($err, qr/could not read a part of the audit log/, 'that is told');
cmp_ok(scalar @{ JSON::PP::decode_json($out) }, '>', 3, 'beside what can be read');
open $handle, '>', $victim or die $!;
print $handle $whole;
close $handle;

# The server is gone; a restored copy writes nothing where the original did, until it takes its place.
$node->stop('immediate');
my $copy = restore_node($node, 'copy');
my $before = join "\n", map { $_->{id} } audit();
start_restored($copy);
$copy->psql('postgres', 'SELECT ark.create_manual_backup($$of a copy$$)');
poll_until('the refusal of a copy is in its table', sub { $copy->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE sqlstate = '55000'}) eq '1' });
sleep 2;
is(join("\n", map { $_->{id} } audit()), $before, 'a restored copy writes nothing into the original\'s log');
$copy->safe_psql('postgres', 'SELECT ark.adopt()');
poll_until('the adopted one does', sub { grep { $_->{act} eq 'adopt' && $_->{outcome} eq 'completed' } audit() });
my @after = audit();
is(scalar(grep { $_->{act} eq 'adopt' && $_->{outcome} eq 'accepted' && !$_->{backup_id} } @after), 1, 'who adopted it');
is(scalar(grep { ($_->{sqlstate} // '') eq '55000' } @after), 1, 'what the copy refused comes with it');
my %there = map { $_->{id} => 1 } @after;
is(scalar(grep { !$there{$_} } split /\n/, $before), 0, 'and what was there is there');
# And where the database is gone with all that was in it.
$copy->safe_psql('postgres', 'DROP EXTENSION pg_ark');
is(scalar(() = audit()), scalar @after, 'DROP EXTENSION takes nothing from the repository');

done_testing();
