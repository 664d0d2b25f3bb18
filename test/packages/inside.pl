# Run by installed.t in a clean Debian, as root: /mnt holds the packages. Speaks TAP.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time usleep);

my $major = $ARGV[0];
my $bin   = "/usr/lib/postgresql/$major/bin";
my $data  = "/var/lib/postgresql/$major/main";
my $repo  = 'file:///var/backups/ark/repo';
my ($restored, $program) = ("/var/lib/postgresql/$major/restored", '/usr/bin/pg_ark');

# Runs a command; returns (exit status, what it wrote).
sub run {
    my $words = join ' ', map { my $word = $_; $word =~ s/'/'\\''/g; "'$word'" } @_;
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
sub as_postgres { return ('setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups', 'env', '-C', '/', 'HOME=/var/lib/postgresql', "PG_ARK_REPO=$repo", "PATH=/usr/local/bin:/usr/bin:/bin:$bin", @_) }

my $port = 5432;
sub sql {
    my ($query) = @_;
    my ($status, $out) = run(as_postgres('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', '/var/run/postgresql', '-p', $port, '-c', $query, 'postgres'));
    chomp $out;
    die "$query: $out\n" if $status != 0;
    return $out;
}
sub poll {
    my ($what, $query) = @_;
    my $end = time + 120;
    until ((eval { sql($query) } // '') eq 't') {
        die "timed out waiting until $what\n" if time > $end;
        usleep(100_000);
    }
}
sub installed { my ($package) = @_; return (run('dpkg-query', '-W', '-f', '${db:Status-Status}', $package))[1] eq 'installed' }

my @started;    # data directories
END {
    my $status = $?;
    run(as_postgres("$bin/pg_ctl", '-D', $_, '-m', 'immediate', 'stop')) for @started;
    $? = $status;
}

# ---- install

ok(installed("postgresql-$major"), 'the server is here');
is_deeply([ grep { -e } $program, glob("/usr/lib/postgresql/*/*/pg_ark*"), glob('/usr/share/postgresql/*/extension/pg_ark*') ], [], 'and nothing of pg_ark');

# There is no network here: what is not in the packages' own dependencies would be missed.
run_ok('pg-ark installs', 'apt-get', '-y', '--no-install-recommends', 'install', glob('/mnt/pg-ark_*.deb'));
like(run_ok('the executable runs without the module', $program, 'version'), qr/^pg_ark \d/, 'and knows its version');
run_ok("postgresql-$major-pg-ark installs", 'apt-get', '-y', '--no-install-recommends', 'install', glob("/mnt/postgresql-$major-pg-ark_*.deb"));
is_deeply([ grep { my $name = (split m{/}, readlink($_) // '')[-1] // ''; $name =~ /^(?:postgres|pg_ark)$/ } glob('/proc/[0-9]*/exe') ], [], 'nothing was started');
ok(-e '/usr/share/man/man1/pg_ark.1.gz', 'the manual page is there');
run_ok("no library is missing: $_", 'sh', '-c', "! ldd $_ | grep 'not found'") for $program, "/usr/lib/postgresql/$major/lib/pg_ark.so";

# ---- a cluster as Debian makes one: its configuration lies in /etc

run_ok('a cluster is made', 'pg_createcluster', $major, 'main', '--', '--data-checksums');
mkdir '/var/backups/ark';
run_ok('a place for the repository', 'chown', 'postgres:', '/var/backups/ark');
open my $conf, '>>', "/etc/postgresql/$major/main/postgresql.conf" or die $!;
print $conf <<"CONF";
listen_addresses = ''
shared_preload_libraries = 'pg_ark'
archive_mode = on
archive_library = 'pg_ark'
pg_ark.repositories = '$repo'
CONF
close $conf;
push @started, $data;
run_ok('it starts', 'pg_ctlcluster', $major, 'main', 'start');
poll('the server answers', 'SELECT true');

sql('CREATE EXTENSION pg_ark');
note(sql('SELECT * FROM ark.preflight()'));
is(sql(q{SELECT string_agg(name || ': ' || coalesce(detail, ''), '; ') FROM ark.preflight() WHERE NOT ok AND name <> 'last_backup'}), '', 'ark.preflight() has nothing to say');
like(sql(q{SELECT detail FROM ark.preflight() WHERE name = 'versions'}), qr/^module (\S+), extension \1, executable \1$/, 'module, extension and executable have one version');

sql('CREATE TABLE kept AS SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) n');
my $id = sql(q{SELECT ark.create_manual_backup('first backup')});
sql(qq{CALL ark.wait_for_backup('$id', '5 minutes')});
is(sql(qq{SELECT status FROM ark.backup_log WHERE backup_id = '$id'}), 'completed', 'a backup');
is(sql(qq{SELECT ark.test_backup_restoration('$id')}), 't', 'a restore test of it');
is(sql(q{SELECT success, errors FROM ark.backup_tests}), 't|[]', 'its row') or note(sql('SELECT * FROM ark.backup_tests'));
my ($child) = grep { (readlink("$_/exe") // '') eq $program } glob('/proc/[0-9]*');
ok($child, 'the archiver uses the executable of the package');

sql(q{INSERT INTO kept SELECT 0, 'after the backup'});
my $contents = sql('SELECT count(*), md5(string_agg(text, $$ $$ ORDER BY n)) FROM kept');
sql(q{SELECT pg_create_restore_point('before the accident')});
sql('DROP TABLE kept');
my $segment = sql('SELECT pg_walfile_name(pg_switch_wal())');
poll('the last WAL is archived', "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver");

# ---- it is 3 a.m.

run_ok('the server is gone', 'pg_ctlcluster', $major, 'main', 'stop', '-m', 'immediate');
pop @started;
like(run_ok('pg_ark list', as_postgres('pg_ark', 'list')), qr/\Q$id\E/, 'names the backup');
run_ok('pg_ark verify', as_postgres('pg_ark', 'verify', $id));
run_ok('pg_ark drill finds the programs and the module of this server', as_postgres('pg_ark', 'drill', '--scratch', '/var/lib/postgresql'));
my @restore = as_postgres('pg_ark', 'restore', '-D', $restored, '--target-name', 'before the accident', '--target-action', 'promote');
run_ok('pg_ark restore --dry-run', @restore, '--dry-run');
ok(!-e $restored, 'changes nothing');
run_ok('pg_ark restore', @restore);
like(qx(cat $restored/postgresql.auto.conf), qr{^restore_command = .*\Q$program\E\b.*wal-get}m, 'the restored server fetches WAL by the executable of the package') or diag(qx(cat $restored/postgresql.auto.conf));
push @started, $restored;
my ($status, $out) = run(as_postgres("$bin/pg_ctl", '-D', $restored, '-s', '-w', '-t', '120', '-l', '/tmp/restored.log', '-o', '-p 5433', 'start'));
is($status, 0, 'the restored server starts') or diag($out, qx(tail -n 20 /tmp/restored.log));
$port = 5433;
poll('it is open', 'SELECT NOT pg_is_in_recovery()');
is(sql('SELECT count(*), md5(string_agg(text, $$ $$ ORDER BY n)) FROM kept'), $contents, 'nothing is missing in it');
run_ok('it stops', as_postgres("$bin/pg_ctl", '-D', $restored, '-s', '-w', '-m', 'fast', 'stop'));
pop @started;

# ---- uninstall

run_ok('the packages are removed', 'apt-get', '-y', 'purge', 'pg-ark', "postgresql-$major-pg-ark");
is_deeply([ grep { -e } $program, '/usr/share/man/man1/pg_ark.1.gz', glob("/usr/lib/postgresql/*/*/pg_ark*"), glob('/usr/share/postgresql/*/extension/pg_ark*') ], [], 'with all their files');
ok(-e '/var/backups/ark/repo/ark.json', 'the repository stays');
ok(installed("postgresql-$major"), 'and the server');
done_testing();
