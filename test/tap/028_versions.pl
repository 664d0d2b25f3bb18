# What PostgreSQL's major versions differ in, on the one that this runs on; and a backup of one is not given to the
# server of another.
use strict;
use warnings;
use File::Copy;
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Drill;
use PgArk::Test;

my $outside = PostgreSQL::Test::Utils::tempdir('etc');
my $node    = ark_cluster('source', initdb => ['--wal-segsize=1']);
my $major   = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
note "PostgreSQL $major";

# ---- what the server shows

my ($type, $event) = ('Extension', $major >= 17 ? 'PgArk' : 'Extension');
ok($node->poll_query_until('postgres',
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_ark launcher' AND wait_event_type = '$type' AND wait_event = '$event'"),
    "the launcher waits as $event");

if ($major >= 18) {
    is($node->safe_psql('postgres', q{SELECT module_name, version = (SELECT extversion FROM pg_extension WHERE extname = 'pg_ark')
        FROM pg_get_loaded_modules() WHERE file_name LIKE 'pg_ark%'}), 'pg_ark|t', 'the loaded module tells its name and version');
}

# ---- archive_command beside archive_library

my $library = q{SELECT ok, detail FROM ark.preflight() WHERE name = 'archive_library'};
set_config($node, archive_command => 'true');
if ($major >= 16) {
    ok($node->poll_query_until('postgres', "SELECT NOT ok AND detail ~ '^archive_command is set' FROM ($library) p"), 'preflight() refuses archive_command too')
      or diag($node->safe_psql('postgres', $library));
    my (undef, undef, $err) = $node->psql('postgres', q{SELECT ark.create_manual_backup('x')});
    like($err, qr/archive_command is set beside archive_library/, 'and so does a backup');
}
else {
    ok($node->poll_query_until('postgres', "SELECT ok AND detail ~ 'archive_command is set too, and ignored' FROM ($library) p"), 'preflight() tells that archive_command is ignored')
      or diag($node->safe_psql('postgres', $library));
}
set_config($node, archive_command => '');
ok($node->poll_query_until('postgres', "SELECT ok AND detail = 'pg_ark' FROM ($library) p"), 'and nothing without it');

# ---- files that a version has, or lets include others

if ($major >= 16) {
    make_path("$outside/hba.d");
    append_to_file("$outside/hba.conf", "include_if_exists nothing.conf\ninclude_dir hba.d\n");
    append_to_file("$outside/hba.d/one.conf", "local all somebody trust\n");
    append_to_file("$outside/hba.d/none.conf", "# nothing\n");
    append_to_file("$outside/ident.conf", "people peter somebody\n");
    append_to_file($node->data_dir . '/pg_hba.conf',   "include \"$outside/hba.conf\"\n");
    append_to_file($node->data_dir . '/pg_ident.conf', "include \"$outside/ident.conf\"\n");
    $node->restart;
}
if ($major >= 17) {
    set_config($node, summarize_wal => 'on');
    poll_until('there is a WAL summary', sub { archive_now($node); glob $node->data_dir . '/pg_wal/summaries/*.summary' });
}
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE words (id integer PRIMARY KEY, tags text[]);
INSERT INTO words SELECT n, ARRAY[n::text, (n % 100)::text] FROM generate_series(1, 20000) n;
CREATE INDEX words_tags ON words USING gin (tags);
SQL
my $id = backup_ok($node, 'of this version');
my ($listed) = backups($node->{ark_repository});
like($listed->{pg_version}, qr/^$major\b/, 'the backup knows its version');

my $restored = restore_node($node, 'restored', '--target', 'immediate', '--target-action', 'promote');
my $data = $restored->data_dir;
ok(-d "$data/pg_wal/archive_status", 'the restored pg_wal has its directories');
is(-d "$data/pg_wal/summaries" ? 1 : 0, $major >= 17 ? 1 : 0, 'that of summaries where the version has one');
is_deeply([ glob "$data/pg_wal/summaries/*" ], [], 'with nothing in it');
my ($version) = slurp_file("$data/backup_manifest") =~ /"PostgreSQL-Backup-Manifest-Version": (\d+)/;
is($version, $major >= 17 ? 2 : 1, 'its manifest is of the version that the server writes');
if ($major >= 16) {
    system_or_bail('rm', '-r', $outside);
    verify_backup_ok($data, 'pg_verifybackup accepts it', qw(pg_ark_config pg_hba.conf pg_ident.conf));
}
else {
    verify_backup_ok($data, 'pg_verifybackup accepts it');
}
if ($major >= 17) {
    # It holds the manifest against pg_control and backup_label, and copies each file by the manifest's checksums.
    my $combined = PostgreSQL::Test::Utils::tempdir('combined') . '/data';
    command_ok([ 'pg_combinebackup', '--output', $combined, $data ], 'pg_combinebackup takes the restored directory for a full backup');
    verify_backup_ok($combined, 'and pg_verifybackup accepts what it made', qw(pg_ark_config pg_hba.conf pg_ident.conf));
}
start_restored($restored);
is($restored->safe_psql('postgres', 'SELECT count(*) FROM words'), '20000', 'the restored server answers');
if ($major >= 16) {
    is($restored->safe_psql('postgres', q{SELECT user_name FROM pg_hba_file_rules WHERE file_name LIKE '%/hba.d/one.conf'}), '{somebody}',
        'what its pg_hba.conf includes has come along');
    is($restored->safe_psql('postgres', q{SELECT sys_name FROM pg_ident_file_mappings WHERE map_name = 'people'}), 'peter',
        'and what pg_ident.conf does');
}
$restored->stop;

# ---- what amcheck can do there

my $scratch  = PostgreSQL::Test::Utils::tempdir('scratch');
my $evidence = drill_ok($node, 'a restore test', '--scratch', $scratch, '--backup', $id);
is($evidence->{verified}{gin}{indexes} > 0 ? 1 : 0, $major >= 18 ? 1 : 0, 'GIN indexes are checked where that can be done')
  or diag(explain $evidence->{verified});

# ---- another major version's server

sub bin_of_major {
    my ($other) = @_;
    my $bin = PostgreSQL::Test::Utils::tempdir("bin_$other");
    my $real = `pg_config --bindir`;
    chomp $real;
    copy("$real/pg_ark", "$bin/pg_ark") or die $!;
    append_to_file("$bin/postgres", qq(#!/bin/sh\necho "postgres (PostgreSQL) $other.3"\n));
    append_to_file("$bin/pg_verifybackup", "#!/bin/sh\n");
    chmod 0755, glob "$bin/*";
    return $bin;
}
for my $other ($major - 1, $major + 1) {
    my $bin = bin_of_major($other);
    my $target = PostgreSQL::Test::Utils::tempdir('target') . '/data';
    for my $arguments ([], ['--dry-run'], ['--take-over']) {
        my ($out, $err) = ('', '');
        IPC::Run::run([ "$bin/pg_ark", 'restore', '--repo', $node->{ark_repository}, '-D', $target, @$arguments ], '>', \$out, '2>', \$err);
        is($? >> 8, 3, "restore @$arguments beside a server of $other: refused");
        like($err, qr/backup $id is of PostgreSQL $major, and the server beside this program is of $other\n/, 'in words');
        like($err, qr/HINT.*PostgreSQL $major/i, 'with what to do');
        ok(!-e $target, 'before anything is made');
    }
    my ($status, undef, $err) = ark('drill', '--repo', $node->{ark_repository}, '--scratch', $scratch, '--bindir', $bin);
    is($status, 4, "a restore test with the programs of $other: refused") or diag($err);
    like($err, qr/the server programs of PostgreSQL $major are missing/, 'in words');
    nothing_left($scratch, 'then');
}

done_testing();
