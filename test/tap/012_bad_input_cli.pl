# Bad input on the command line: each refusal with its message and a hint, exit status 1 to 125, nothing written.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);
my $early = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
my $lsn   = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
my $id    = backup_ok($node);
archive_now($node);
my $place = PostgreSQL::Test::Utils::tempdir('restores');
my $n = 0;

# A restore that must be refused, leaving its directory as it was.
sub refused {
    my ($pattern, $what, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $dir = "$place/" . ++$n;
    my @where = (grep { $_ eq '-D' } @arguments) ? () : ('-D', $dir);
    my @repo  = (grep { $_ eq '--repo' } @arguments) ? () : ('--repo', $url);
    ark_fails([ 'restore', @repo, @where, @arguments ], $pattern, $what);
    ok(!-e "$dir/PG_VERSION", "$what: nothing was written") if @where;
}

refused(qr/no_such_backup/, 'an unknown backup', '--backup', 'no_such_backup');
refused(qr/2099|future|reach|after/i, 'a target in the future', '--target-time', '2099-01-01 00:00:00+00');
refused(qr/before|reach|no backup/i, 'a time before the first backup', '--target-time', $early);
refused(qr/before|reach|no backup/i, 'an LSN before the first backup', '--target-lsn', $lsn);
refused(qr/after|reach|not (?:yet )?(?:in|archived)|future/i, 'an LSN after the end', '--target-lsn', 'FF/0');
refused(qr/yesterday/, 'a time that is none', '--target-time', 'yesterday-ish');
refused(qr/twelve/, 'an xid that is none', '--target-xid', 'twelve');
refused(qr/0-3/, 'an LSN that is none', '--target-lsn', '0-3');
refused(qr/sideways/, 'a target that is none', '--target', 'sideways');
refused(qr/explode/, 'an action that is none', '--target-action', 'explode');
refused(qr/target/, 'two targets', '--target-lsn', '0/3000000', '--target-name', 'x');
refused(qr/target/, 'exclusive without a target', '--target-exclusive');
refused(qr/timeline|77/i, 'a timeline that does not exist', '--target-timeline', '77');
refused(qr/tablespace|=|map/i, 'a tablespace map that is none', '--tablespace-map', 'nonsense');
refused(qr/jobs/i, 'no jobs', '--jobs', '0');
refused(qr/nowhere/, 'a cluster that is not there', '--cluster', 'nowhere');
refused(qr/nonsense/, 'an unknown option', '--nonsense');
refused(qr/not a (?:pg_ark )?repository|does not exist|no repository/i, 'a repository that is not there', '--repo', "file://$place/none");
refused(qr/not a (?:pg_ark )?repository|ark\.json/i, 'a directory that is no repository', '--repo', "file://$place");
refused(qr/URL|file:/, 'a repository that is no URL', '--repo', '::');
ark_fails([ 'restore', '-D', "$place/x" ], qr/--repo|PG_ARK_REPO/, 'no repository named');
ark_fails([ 'restore', '--repo', $url ], qr/--pgdata|-D/, 'no directory named');
ok(!-e "$place/none", 'a repository that was not there is not made by reading');

# Directories.
my $full = "$place/full";
mkdir $full;
append_to_file("$full/precious", 'text');
refused(qr/not empty.*--force/s, 'a directory that is not empty', '-D', $full);
is(slurp_file("$full/precious"), 'text', 'and its contents are as they were');
refused(qr/running/i, 'the data directory of a running server', '-D', $node->data_dir, '--force');
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'which goes on running');
refused(qr/not a directory|exists/i, 'a file', '-D', "$full/precious");
mkdir "$place/closed", 0500;
refused(qr/permission denied/i, 'a place that may not be written', '-D', "$place/closed/data");
refused(qr/repository/i, 'a directory inside the repository', '-D', "$directory/data");

# --dry-run writes nothing and says what would be done.
my $out = ark_ok([ 'restore', '--repo', $url, '-D', "$place/dry", '--dry-run' ], '--dry-run');
like($out, qr/\Q$id\E/, '--dry-run names the backup');
ok(!-e "$place/dry", '--dry-run writes nothing');

# The other commands.
ark_fails([ 'info', 'no_such_backup', '--repo', $url ], qr/no_such_backup/, 'info of an unknown backup');
ark_fails([ 'info', '--repo', $url ], qr/ID/i, 'info of nothing');
ark_fails([ 'list', '--repo', $url, '--output', 'xml' ], qr/xml/, 'an unknown form of output');
ark_fails([ 'wal-get', '000000010000000000000099', "$place/wal", '--repo', $url ], qr//, 'a segment that is not there');
is((ark('wal-get', '000000010000000000000099', "$place/wal", '--repo', $url))[0], 1, 'exit status 1: the archive has said that it is not there');
my ($status) = ark('wal-get', '--timeout', '2', '000000010000000000000001', "$place/wal", '--repo', "file://$place/none");
cmp_ok($status, '>', 125, 'an archive that cannot be asked: above 125, so that a recovery stops rather than ends early');
ok(!-e "$place/wal", 'nothing is left where the segment should have been');
cmp_ok((ark('wal-get', '../../etc/passwd', "$place/wal", '--repo', $url))[0], '>', 125, 'a name that is none stops a recovery too');
ark_fails(['frobnicate'], qr/frobnicate/, 'an unknown command');
ark_fails([], qr/\S/, 'no command');

# What must work without anything.
like(ark_ok(['--help'], '--help'), qr/restore.*list/s, '--help names the commands');
for my $command (qw(restore list info verify wal-get version)) {
    my $help = ark_ok([ $command, '--help' ], "$command --help");
    like($help, qr/pg_ark $command/, "$command --help has an example");
}
like(ark_ok(['version'], 'version'), qr/\d+\.\d+/, 'version has one');
{
    local $ENV{PG_ARK_REPO} = $url;
    like(ark_ok(['list'], 'the repository from PG_ARK_REPO'), qr/\Q$id\E/, 'PG_ARK_REPO works');
}
is(scalar(backups($url)), 1, 'one backup');
like(ark_ok([ 'info', $id, '--repo', $url ], 'info'), qr/\Q$id\E/, 'info shows it');

# A message never reaches standard output, where a script reads.
(undef, $out, my $err) = ark('restore', '--repo', $url, '-D', $full);
is($out, '', 'an error leaves standard output empty');
like($err, qr/^pg_ark: error: /m, 'errors look like those of PostgreSQL\'s tools');
(undef, undef, $err) = ark('list', '--nonsense');
like($err, qr/^pg_ark: error: .*nonsense.*\nHINT: /m, 'those of usage too');
(undef, $out) = ark('list', '--nonsense', '--output', 'json');
like(eval { JSON::PP::decode_json($out)->{error}{message} } // $out, qr/nonsense/, 'as JSON where that was asked for');

never_restarted($node);
done_testing();
