# pg_ark restore --delta: what is right in the directory stays, by content and never by time; everything else is made
# what the backup has; what does not belong goes, and WAL that the repository lacks is kept aside. Killed at any step
# it is not startable, and can be run again.
use strict;
use warnings;
use JSON::PP ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $node = ark_cluster('source');
my $repository = $node->{ark_repository};
my $space = PostgreSQL::Test::Utils::tempdir('space');
load_shop($node);
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
$node->safe_psql('postgres', 'CREATE TABLE far TABLESPACE space AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n');
$node->safe_psql('postgres', 'CREATE TABLE far_too TABLESPACE space AS SELECT n, md5(n::text) FROM generate_series(1, 20000) n');
my $load = start_load($node);
my $id = backup_ok($node);
stop_load($load);
$node->safe_psql('postgres', 'CREATE TABLE later AS SELECT n FROM generate_series(1, 1000) n');
archive_now($node);
my $expected = fingerprint($node);
my @ADDED = qw(postgresql.auto.conf recovery.signal backup_manifest);

sub delta {
    my ($dir, @arguments) = @_;
    my ($status, $out, $err) = ark('restore', '--repo', $repository, '-D', $dir, '--delta', '--output', 'json', @arguments);
    my ($done) = map { JSON::PP::decode_json($_) } grep { /"event":\s*"done"/ } split /\n/, $out;
    return ($status, $done, $err);
}

sub change {
    my ($path, $content, $offset) = @_;
    my @st = stat $path;
    open my $file, '+<:raw', $path or die "$path: $!";
    seek $file, $offset // 0, 0;
    print $file $content;
    close $file or die $!;
    utime $st[8], $st[9], $path or die $!;
}

sub spoil_a_little {
    my ($dir) = @_;
    my @files = grep { -s "$dir/$_" } find_objects($dir, qr{^base/\d+/\d{4,}$});
    change("$dir/$files[ int(rand @files) ]", 'spoiled', 4096) for 1 .. 5;
    unlink "$dir/$files[ int(rand @files) ]" for 1 .. 3;
    append_to_file("$dir/$files[ int(rand @files) ]", 'longer');
    append_to_file("$dir/base/stray", 'stray');
}

# ---- in place: the cluster has gone on since, and its last WAL was archived nowhere

set_config($node, 'pg_ark.shutdown_timeout' => '1s');
my ($directory) = $repository =~ m{^file://(.*)};
rename $directory, "$directory.away" or die $!;
$node->safe_psql('postgres', 'INSERT INTO later SELECT n FROM generate_series(1, 50000) n; CHECKPOINT');
my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
$node->stop;
rename "$directory.away", $directory or die $!;
my $data = $node->data_dir;

ark_fails([ 'restore', '--repo', $repository, '-D', $data ], qr/is not empty.*--delta/s, 'without a word it is refused, and --delta named');
my ($table) = grep { -s "$data/$_" > 100_000 } find_objects($data, qr{^base/\d+/\d{4,}$});
change("$data/$table", 'same size, same time', 50_000);
my ($linked) = grep { -s "$data/$_" > 8192 && $_ ne $table } find_objects($data, qr{^base/1/\d{4,}$});
link "$data/$linked", "$data.other_name" or die $!;
my ($as_directory, $as_link, $mode) = map { $data . '/' . $_ } (find_objects($data, qr{^base/4/\d{4,}$}))[ 0, 1, 2 ];
unlink $as_directory, $as_link;
mkdir $as_directory or die $!;
append_to_file("$as_directory/inside", 'x');
append_to_file("$data.outside", 'not to be touched');
symlink "$data.outside", $as_link or die $!;
chmod 0444, $mode;
append_to_file("$data/base/stray", 'x');
mkdir "$data/base/stray.d" or die $!;
append_to_file("$data/base/stray.d/file", 'x');
POSIX::mkfifo("$data/base/fifo", 0600) or die $!;
symlink '/nowhere', "$data/base/dangling" or die $!;
append_to_file("$data/standby.signal", '');
my ($version) = glob "$space/PG_*";
append_to_file("$version/stray", 'x');
my ($far) = grep { -s "$version/$_" > 100_000 } find_objects($version);
change("$version/$far", 'x', 9000);
mkdir "$space/somebody_else" or die $!;
my $before = { map { $_ => (stat "$data/$_")[1] } find_objects($data, qr{^base/1/\d{4,}$}) };

my ($status, $done, $err) = delta($data);
is($status, 0, 'a delta restore in place') or diag($err);
cmp_ok($done->{reused_files}, '>', $done->{files} * 0.8, "most files are reused: $done->{reused_files} of $done->{files}");
cmp_ok($done->{reused_files}, '<', $done->{files}, 'not all');
cmp_ok($done->{reused_bytes}, '>', $done->{bytes} / 4, 'and many bytes');
cmp_ok($done->{fetched}, '<', $done->{bytes} / 2, 'and the rest was fetched');
my @same = grep { ((stat "$data/$_")[1] // 0) == $before->{$_} } keys %$before;
cmp_ok(scalar @same, '>', 100, 'they are the same files');
verify_backup_ok($data, 'it is the backup', @ADDED);
is((stat "$data.other_name")[3], 1, 'a file with a second name elsewhere was not reused');
is(slurp_file("$data.outside"), 'not to be touched', 'a link was not followed');
is((stat $mode)[2] & 07777, 0600, 'modes are right again');
ok(!-e "$data/base/$_" && !-l "$data/base/$_", "$_ has gone") for qw(stray stray.d fifo dangling);
ok(!-e "$version/stray", 'so has what was in the tablespace');
ok(-d "$space/somebody_else", 'what lies beside it there stays');
ok(!-e "$data/standby.signal", 'it is no standby');
my $kept = $done->{kept_wal_directory};
ok(-s "$kept/$last", 'WAL that the repository lacks was kept aside');
$node->append_conf('postgresql.conf', "port = @{[ $node->port ]}\n");
$node->start;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(fingerprint($node), $expected, 'it has what the repository has');
amcheck_ok($node);
$node->stop;

# ---- killed at any step, and run again

my @points = fault_points('core/restore');
ok((grep { $_ eq 'restore_after_reuse' } @points), 'the delta restore has a fault point of its own');
for my $point (@points) {
    for my $n (1, 100) {
        spoil_a_little($data);
        {
            local $ENV{PG_ARK_FAULT} = "$point=kill\@$n";
            ($status) = delta($data);
        }
        next if $status == 0;
        is($status, -9, "$point, passing $n: killed");
        if (!-e "$data/global/pg_control") {
            my $started = system_log('pg_ctl', '-D', $data, '-w', '-t', 20, '-l', "$data.log", '-o', "-p 1 -c listen_addresses=''", 'start') == 0;
            ok(!$started, "$point, passing $n: not startable");
        }
        ($status, $done, $err) = delta($data);
        is($status, 0, "$point, passing $n: run again") or diag($err);
        cmp_ok($done->{reused_files}, '>', 0, "$point, passing $n: some of it was right");
        verify_backup_ok($data, "$point, passing $n: and whole", @ADDED);
    }
}

# ---- from nothing, and over what it is not for

my $map = [ '--tablespace-map', "$space=" . PostgreSQL::Test::Utils::tempdir('other') ];
my $new = PostgreSQL::Test::Utils::tempdir('new') . '/data';
($status, $done) = delta($new, @$map);
is($status, 0, 'into a directory that is not there');
is($done->{reused_files}, 0, 'there is nothing to reuse');
verify_backup_ok($new, 'and it is the backup', @ADDED);
($status, $done) = delta($new, @$map);
is($status, 0, 'once more');
cmp_ok($done->{reused_files}, '>=', $done->{files} - 5, 'and all but a few files were right');
verify_backup_ok($new, 'and it is the backup', @ADDED);
my ($text) = ark_ok([ 'restore', '--repo', $repository, '-D', $new, '--delta', @$map ], 'as text');
like($text, qr/^\d+ of the files, .* were right already; .* were fetched$/m, 'for people');
like($text, qr/^  changes +the cluster in/m, 'with a plan');
($text) = ark_ok([ 'restore', '--repo', $repository, '-D', $new, '--delta', '--dry-run', @$map ], 'a dry run');
verify_backup_ok($new, 'which changes nothing', @ADDED);

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
append_to_file($other->data_dir . '/mine', 'x');
ark_fails([ 'restore', '--repo', $repository, '-D', $other->data_dir, '--delta', @$map ], qr/does not hold the cluster that the backup is of.*--force/s, 'another cluster is refused');
ok(-e $other->data_dir . '/mine', 'and not touched');
my ($nothing) = PostgreSQL::Test::Utils::tempdir('nothing');
append_to_file("$nothing/file", 'x');
ark_fails([ 'restore', '--repo', $repository, '-D', $nothing, '--delta', @$map ], qr/not a data directory/, 'so is what is no cluster');
change("$new/global/pg_control", 'x' x 100);
ark_fails([ 'restore', '--repo', $repository, '-D', $new, '--delta', @$map ], qr/does not hold the cluster.*cannot be read/s, 'and one that cannot be told');
($status, $done) = delta($new, '--force', @$map);
is($status, 0, 'with --force it is taken');
cmp_ok($done->{reused_files}, '>', 0, 'and reused where it is right');
verify_backup_ok($new, 'and it is the backup', @ADDED);
($status) = delta($other->data_dir, '--force', '--tablespace-map', "$space=" . PostgreSQL::Test::Utils::tempdir('third'));
is($status, 0, 'with --force another cluster is taken too');
verify_backup_ok($other->data_dir, 'and it is the backup', @ADDED);
$node->start;
ark_fails([ 'restore', '--repo', $repository, '-D', $data, '--delta' ], qr/a server is running/, 'a running server is refused');
done_testing();
