# Bad input from SQL: each refusal has its message, its SQLSTATE class and, where there is one, its hint.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url);

# A statement that must fail with a message that matches; most must come with a hint.
sub refused {
    my ($statement, $pattern, $what, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $out, $err) = ($options{node} // $node)->psql($options{database} // 'postgres', $statement,
        extra_params => [ defined $options{user} ? ('-U', $options{user}) : () ], timeout => 60);
    my $good = isnt($status, 0, "$what: refused") && like($err, qr/ERROR:\s.*$pattern/s, "$what: the message");
    like($err, qr/HINT:/, "$what: a hint") if $options{hint};
    unlike($err, qr/server closed the connection|PANIC|FATAL/, "$what: the server goes on");
}

refused(q{SELECT ark.create_manual_backup(NULL)}, qr/reason/i, 'a NULL reason');
refused(q{SELECT ark.start_backup('sideways', 'x')}, qr/type.*sideways|sideways.*type/i, 'an unknown type', hint => 1);
refused(q{SELECT ark.start_backup(NULL, 'x')}, qr/type/i, 'a NULL type');
refused(q{SELECT ark.start_backup('full', 'x', '{"no_such_option": 1}')}, qr/no_such_option/, 'an unknown option', hint => 1);
refused(q{SELECT ark.start_backup('full', 'x', '[1]')}, qr/option|object/i, 'options that are no object');
refused(q{SELECT ark.start_backup('full', repeat('x', 100000))}, qr/reason|long/i, 'a reason without end');
refused(q{CALL ark.wait_for_backup('manual_20200101_000000_00000000')}, qr/manual_20200101_000000_00000000.*does not exist|no backup|unknown/i, 'waiting for an unknown id', hint => 1);
refused(q{CALL ark.wait_for_backup(NULL)}, qr/NULL|backup_id|id/i, 'waiting for NULL');
refused(q{SELECT ark.cancel_backup('manual_20200101_000000_00000000')}, qr/does not exist|no backup|unknown|not running/i, 'cancelling an unknown id');

# Who may: superusers; others by what the DBA grants.
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
refused(q{SELECT ark.create_manual_backup('x')}, qr/permission denied/, 'an ordinary user', user => 'app');
refused(q{SELECT * FROM ark.backup_log}, qr/permission denied/, 'an ordinary user reading', user => 'app');
refused(q{DELETE FROM ark.backup_log}, qr/permission denied/, 'pg_monitor writing', user => 'watcher');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ark.backup_log', extra_params => [ '-U', 'watcher' ]), 0, 'pg_monitor may read');
refused(q{ALTER SYSTEM SET pg_ark.repositories = 'file:///tmp/elsewhere'}, qr/permission denied/, 'an ordinary user and a setting', user => 'app');

# Where: the database that pg_ark.database names, in a server that has preloaded the library.
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
refused('CREATE EXTENSION pg_ark', qr/postgres/, 'CREATE EXTENSION in another database', database => 'elsewhere', hint => 1);

my $cold = PostgreSQL::Test::Cluster->new('not_preloaded');
$cold->init;
$cold->start;
my ($status, $out, $err) = $cold->psql('postgres', 'CREATE EXTENSION pg_ark');
if ($status == 0) {
    refused(q{SELECT ark.create_manual_backup('x')}, qr/shared_preload_libraries/, 'not preloaded', node => $cold, hint => 1);
    like($cold->safe_psql('postgres', 'SELECT string_agg(hint, $$ $$) FROM ark.preflight() WHERE NOT ok'), qr/shared_preload_libraries/,
        'not preloaded: preflight() says what to do');
}
else {
    like($err, qr/shared_preload_libraries/, 'not preloaded: CREATE EXTENSION says what to do');
}
$cold->stop;

# Settings that cannot be: refused by ALTER SYSTEM with the reason, before they are written.
my $data = $node->data_dir;
refused(q{ALTER SYSTEM SET pg_ark.repositories = 'not a url'}, qr/pg_ark\.repositories/, 'a repository that is no URL', hint => 1);
refused(q{ALTER SYSTEM SET pg_ark.repositories = 'ftp://host/x'}, qr/ftp|scheme|support/i, 'a repository of an unknown kind', hint => 1);
refused(q{ALTER SYSTEM SET pg_ark.repositories = 's3://key:secret@bucket/x'}, qr/s3|credential/i, 'a repository URL with a password in it');
ok(!log_has($node, qr/HINT.*secret|ERROR.*secret/), 'and the password is in no message');
refused(q{ALTER SYSTEM SET pg_ark.compression_level = 99}, qr/outside the valid range/, 'a level outside its range');
refused(q{ALTER SYSTEM SET pg_ark.no_such_setting = 1}, qr/no_such_setting|reserved|unrecognized/, 'an unknown setting');

# A repository inside the data directory, or in a tablespace; a directory that is not a repository.
sub fails_with_repository {
    my ($bad, $pattern, $what) = @_;
    my $error;
    eval {
        set_config($node, 'pg_ark.repositories' => "file://$bad");
        my $row = wait_backup($node, start_backup_sql($node, $what));
        $error = $row->{status} eq 'failed' ? "$row->{error}{message} " . ($row->{error}{detail} // '') . ($row->{error}{hint} // '') : $row->{status};
        1;
    } or $error = $@;
    like($error, $pattern, $what);
    set_config($node, 'pg_ark.repositories' => $url);
}
fails_with_repository("$data/backups", qr/inside|within|data directory/i, 'a repository inside the data directory');
ok(!-e "$data/backups", 'and nothing was written there');
my $space = PostgreSQL::Test::Utils::tempdir('space') . '/space';
mkdir $space;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
fails_with_repository("$space/backups", qr/inside|within|tablespace/i, 'a repository inside a tablespace');
symlink $data, "$space.link";
fails_with_repository("$space.link/backups", qr/inside|within|data directory/i, 'a repository inside the data directory, by a link');
my $strange = PostgreSQL::Test::Utils::tempdir('strange');
append_to_file("$strange/letters.txt", 'not a repository');
fails_with_repository($strange, qr/not a (?:pg_ark )?repository|not empty/i, 'a directory full of something else');
append_to_file("$strange/ark.json", '{"pg_ark_repository": 99, "id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}');
fails_with_repository($strange, qr/version|format/i, 'a repository of another time');

# The setting that archives padded files under final names.
$node->append_conf('postgresql.conf', "archive_mode = always\n");
$node->restart;
refused(q{SELECT ark.create_manual_backup('x')}, qr/archive_mode/, 'archive_mode = always', hint => 1);
$node->append_conf('postgresql.conf', "archive_mode = off\n");
$node->restart;
refused(q{SELECT ark.create_manual_backup('x')}, qr/archiv/, 'archive_mode = off', hint => 1);
like($node->safe_psql('postgres', 'SELECT string_agg(hint, $$ $$) FROM ark.preflight() WHERE NOT ok'), qr/archive_mode/, 'preflight() names it');
$node->append_conf('postgresql.conf', "archive_mode = on\narchive_library = ''\narchive_command = 'true'\n");
$node->restart;
refused(q{SELECT ark.create_manual_backup('x')}, qr/archive_library/, 'archived by something else', hint => 1);
$node->append_conf('postgresql.conf', "archive_library = 'pg_ark'\narchive_command = ''\npg_ark.repositories = ''\n");
$node->adjust_conf('postgresql.auto.conf', 'pg_ark.repositories', undef, 1);
$node->restart;
refused(q{SELECT ark.create_manual_backup('x')}, qr/pg_ark\.repositories/, 'no repository', hint => 1);
$node->append_conf('postgresql.conf', "pg_ark.repositories = '$url'\n");
$node->restart;
backup_ok($node, 'after all the refusals');

# A standby.
$node->safe_psql('postgres', 'DROP TABLESPACE space');
$node->backup('for_standby');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'for_standby', has_streaming => 1);
$standby->start;
refused(q{SELECT ark.create_manual_backup('x')}, qr/standby|recovery/, 'on a standby', node => $standby, hint => 1);
like($standby->safe_psql('postgres', 'SELECT string_agg(p::text, $$ $$) FROM ark.preflight() p WHERE NOT ok'), qr/standby|recovery/, 'preflight() on a standby says so');
$standby->stop;

# The executable is not where it should be.
set_config($node, 'pg_ark.program' => '/nonexistent/pg_ark');
my $row = eval { wait_backup($node, start_backup_sql($node, 'no executable')) };
like($row ? $row->{error}{message} . ($row->{error}{hint} // '') : $@, qr{/nonexistent/pg_ark}, 'a missing executable is named');
set_config($node, 'pg_ark.program' => undef);

# No worker free.
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 0\n");
$node->restart;
my ($code, undef, $message) = $node->psql('postgres', q{SELECT ark.create_manual_backup('x')}, timeout => 60);
ok($code == 0 || $message =~ /max_worker_processes/, 'exhausted workers: an error that names the setting, or there was one') or diag($message);

never_restarted($node);
done_testing();
