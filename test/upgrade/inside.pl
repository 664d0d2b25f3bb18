# pg_upgrade from one major to the next, with pg_ark in both: the extension and its rows survive, the new cluster has a
# directory of its own in the repository and takes backups, the old one's stay and are restored by the old programs. Run by
# scripts/check-upgrade where the programs of all majors are; speaks TAP. Arguments: the majors, oldest first.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time usleep);

my @majors = @ARGV;
my $top    = '/var/tmp/upgrade';
my $repo   = "file://$top/repo";
my ($port, %backup, %identifier, %contents, @started) = (5432);

sub bin { return "/usr/lib/postgresql/$_[0]/bin/$_[1]" }

# Runs a command as user postgres; returns (exit status, what it wrote).
sub run {
    my $words = join ' ', map { my $word = $_; $word =~ s/'/'\\''/g; "'$word'" }
      'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', 'env', '-C', $top, "HOME=$top", "PG_ARK_REPO=$repo", @_;
    my $out = qx($words 2>&1 </dev/null);
    return ($? >> 8, $out);
}
sub run_ok {
    my ($what, @command) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $out) = run(@command);
    is($status, 0, $what) or diag($out);
    return $out;
}
sub sql {
    my ($query) = @_;
    my ($status, $out) = run(bin($majors[-1], 'psql'), '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', $top, '-p', $port, '-U', 'postgres', '-c', $query, 'postgres');
    chomp $out;
    die "$query: $out\n" if $status != 0;
    return $out;
}
sub poll {
    my ($what, $query) = @_;
    my $end = time + 180;
    until ((eval { sql($query) } // '') eq 't') {
        die "timed out waiting until $what\n" if time > $end;
        usleep(100_000);
    }
}
sub start {
    my ($major, $directory) = @_;
    push @started, [ $major, $directory ];
    my ($status, $out) = run(bin($major, 'pg_ctl'), '-D', $directory, '-s', '-w', '-t', '120', '-l', "$directory.log", '-o', "-p $port -k $top -c listen_addresses=''", 'start');
    is($status, 0, "$major: the server in $directory starts") or diag($out, qx(tail -n 20 $directory.log));
    return;
}
sub stop {
    my ($major, $directory) = @{ pop @started };
    run_ok("$major: it stops", bin($major, 'pg_ctl'), '-D', $directory, '-s', '-w', '-m', 'fast', 'stop');
    return;
}
END {
    my $status = $?;
    run(bin($_->[0], 'pg_ctl'), '-D', $_->[1], '-m', 'immediate', 'stop') for reverse @started;
    $? = $status;
}
sub fingerprint { return sql('SELECT count(*), md5(string_agg(t::text, $$ $$ ORDER BY n)) FROM kept t') }
sub archived {
    my $segment = sql('SELECT pg_walfile_name(pg_switch_wal())');
    poll("$segment is archived", "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver");
    return;
}

# An empty cluster of a major, with pg_ark in its configuration from the beginning: pg_upgrade starts it so.
sub make_cluster {
    my ($major) = @_;
    run_ok("$major: initdb", bin($major, 'initdb'), '-D', "$top/$major", '-A', 'trust', '-U', 'postgres', '-N', '--data-checksums', '-E', 'UTF8', '--locale', 'C');
    open my $conf, '>>', "$top/$major/postgresql.conf" or die $!;
    print $conf "shared_preload_libraries = 'pg_ark'\narchive_mode = on\narchive_library = 'pg_ark'\npg_ark.repositories = '$repo'\n";
    close $conf;
    ($identifier{$major}) = run_ok("$major: its identity", bin($major, 'pg_controldata'), "$top/$major") =~ /^Database system identifier: +(\d+)$/m;
    return;
}

# What a living cluster of a major has to be able to do.
sub use_cluster {
    my ($major) = @_;
    is(sql(q{SELECT string_agg(name || ': ' || coalesce(detail, ''), '; ') FROM ark.preflight() WHERE NOT ok AND name <> 'last_backup'}), '', "$major: ark.preflight() has nothing to say");
    my $id = $backup{$major} = sql("SELECT ark.create_manual_backup('of $major')");
    sql("CALL ark.wait_for_backup('$id', '5 minutes')");
    is(sql("SELECT status FROM ark.backup_log WHERE backup_id = '$id'"), 'completed', "$major: a backup") or diag(sql("SELECT error FROM ark.backup_log WHERE backup_id = '$id'"));
    is(sql("SELECT ark.test_backup_restoration('$id')"), 't', "$major: a restore test of it") or diag(sql('SELECT errors, notes FROM ark.backup_tests ORDER BY started_at DESC LIMIT 1'));
    sql("INSERT INTO kept VALUES ((SELECT max(n) + 1 FROM kept), 'written by $major')");
    $contents{$major} = fingerprint();
    archived();
    return;
}

mkdir $top;
system('chown', 'postgres:', $top) == 0 or die;

my $oldest = $majors[0];
make_cluster($oldest);
start($oldest, "$top/$oldest");
sql('CREATE EXTENSION pg_ark');
sql('CREATE TABLE kept AS SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) n');
use_cluster($oldest);
my $rows = sql('SELECT count(*) FROM ark.backup_log');
stop();

for my $i (1 .. $#majors) {
    my ($from, $to) = @majors[ $i - 1, $i ];
    make_cluster($to);
    my @upgrade = (bin($to, 'pg_upgrade'), '-b', bin($from, ''), '-B', bin($to, ''), '-d', "$top/$from", '-D', "$top/$to", '-U', 'postgres', '-s', $top, '-p', '50432', '-P', '50433');
    run_ok("pg_upgrade --check from $from to $to", @upgrade, '--check');
    my ($status, $out) = run(@upgrade);
    is($status, 0, "pg_upgrade from $from to $to") or diag($out, qx(tail -n 30 $top/$to/pg_upgrade_output.d/*/log/*));
    ok(!-e "$top/repo/$identifier{$to}", "$to: nothing was archived while pg_upgrade worked");
    isnt($identifier{$to}, $identifier{$from}, "$to: the new cluster has an identity of its own");
    start($to, "$top/$to");
    poll('the launcher is there', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_ark launcher'});
    is(fingerprint(), $contents{$from}, "$to: the data is there");
    is(sql("SELECT string_agg(DISTINCT status, ',') FROM ark.backup_log WHERE backup_id = '$backup{$from}'"), 'completed', "$to: the log still has the old cluster's backup");
    like(sql('SELECT pg_describe_object(classid, objid, 0) FROM pg_depend WHERE refclassid = $$pg_extension$$::regclass AND deptype = $$e$$ AND refobjid = (SELECT oid FROM pg_extension WHERE extname = $$pg_ark$$)'),
        qr/^view ark\.backup_progress$/m, "$to: the extension has its members");
    use_cluster($to);
    ok(-d "$top/repo/$identifier{$_}", "$_ has a directory of its own in the repository: $identifier{$_}") for @majors[ 0 .. $i ];
    sql('CHECKPOINT');
    stop();
}

# Every cluster's backups, each by the programs of its major, to the last thing that it archived.
my %found = map { $_ => 1 } run_ok('pg_ark list', 'pg_ark', 'list', '--output', 'json') =~ /"backup_id": *"([^"]+)"/g;
is_deeply([ sort keys %found ], [ sort values %backup ], 'the repository has the backups of all');
for my $major (@majors) {
    run_ok("$major: pg_ark verify", 'pg_ark', 'verify', '--cluster', $identifier{$major});
    run_ok("$major: pg_ark drill", 'pg_ark', 'drill', '--cluster', $identifier{$major}, '--scratch', $top);
    my @restore = ('pg_ark', 'restore', '--cluster', $identifier{$major}, '-D', "$top/restored-$major", '--target-action', 'promote');
    run_ok("$major: pg_ark restore", @restore);
    start($major, "$top/restored-$major");
    poll('it is open', 'SELECT NOT pg_is_in_recovery()');
    like(sql('SHOW server_version'), qr/^$major\./, "$major: the restored server is of that major");
    is(fingerprint(), $contents{$major}, "$major: nothing is missing in it");
    is(sql("SELECT status FROM ark.backup_log WHERE backup_id = '$backup{$oldest}'"), 'completed', "$major: nor in the log of backups");
    stop();
}
done_testing();
