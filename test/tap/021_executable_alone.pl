# A machine that has the server, the executable and the repository, and not the extension: what was restored there
# starts all the same. And a data directory with a name that the shell would take apart.
use strict;
use warnings;
use File::Basename;
use File::Copy;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my (undef, $url) = new_repository('a place');
$url =~ s/ /%20/;
my $node = ark_cluster('source', repository => $url);
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 100) AS a');
backup_ok($node, 'only');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (101)');
archive_now($node);
$node->stop;

# ---- the other machine: the server finds its libraries and the rest from where its own executable lies
sub config { my ($what) = @_; my $path = `pg_config --$what`; chomp $path; return $path }
my $root = PostgreSQL::Test::Utils::tempdir('machine');
my ($bin, $lib, $share) = map { $root . config($_) } qw(bindir pkglibdir sharedir);
make_path($bin, $lib, dirname($share));
symlink config('sharedir'), $share or die "symlink: $!";
for my $name (qw(postgres pg_ctl pg_ark pg_verifybackup)) {
    copy(config('bindir') . "/$name", "$bin/$name") or die "$name: $!";
    chmod 0755, "$bin/$name";
}
for my $file (glob config('pkglibdir') . '/*') {
    symlink $file, "$lib/" . basename($file) if $file !~ m{/pg_ark[^/]*$};
}

my $data = PostgreSQL::Test::Utils::tempdir('restored') . q{/it's a directory};
my ($out, $err) = ('', '');
ok(IPC::Run::run([ "$bin/pg_ark", 'restore', '--repo', $url, '-D', $data ], '>', \$out, '2>', \$err), 'restored') or diag($err);
like($err, qr/warning: the server's module of pg_ark is not in "\Q$lib\E"/, 'and told that the module is missing');
verify_backup_ok($data, 'pg_verifybackup accepts it');

# ---- the command that restore prints, as it stands, but for where the programs are
my ($command) = $out =~ /^Start it:\n\s*(\S.*start)$/m;
ok($command, 'the output says how to start it');
$command =~ s{^\S+/}{};
my $socket = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
{
    local $ENV{PATH} = "$bin:$ENV{PATH}";
    is(system("$command -s -w -l '$root/log' -o '-p $port -k $socket -h \"\"'"), 0, "$command works when pasted")
      or diag(slurp_file("$root/log"));
}
END {
    my $status = $?;
    system "$bin/pg_ctl", '-D', $data, '-s', '-m', 'immediate', 'stop' if defined $data && -e "$data/postmaster.pid";
    $? = $status;
}
my $sql = sub { my $answer = `psql -h $socket -p $port -d postgres -XAtc '$_[0]' 2>&1`; chomp $answer; $answer };
poll_until('recovery has ended', sub { $sql->('SELECT pg_is_in_recovery()') eq 'f' });
is($sql->('SELECT count(*) FROM t'), '101', 'with all rows');
is($sql->('SHOW shared_preload_libraries'), '', 'without the module');
is($sql->('SHOW archive_mode'), 'off', 'and without WAL that nobody archives');

done_testing();
