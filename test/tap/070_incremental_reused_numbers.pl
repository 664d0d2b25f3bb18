# Numbers that are used again between backups: a table's file by another table, a database's directory by another database of the same OID.
# What comes back from a chain is never a block of who had the number before.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use PgArk::Pages;
use PgArk::Test;

my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => <<'CONF');
pg_ark.audit_fraction = 1
checkpoint_timeout = 1h
autovacuum = off
CONF
my $data = $node->data_dir;
sub sql { my ($query, $database) = @_; return $node->safe_psql($database // 'postgres', $query) }

my $second = 0;
sub take {
    my ($type, $parent) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    usleep(20_000) while time == $second;    # which of two is the newer one their names tell by the second
    $second = time;
    my $row = wait_backup($node, sql("SELECT ark.start_backup('$type')"));
    is($row->{status}, 'completed', "a backup, $type") or diag(JSON::PP::encode_json($row->{error} // {}));
    is($row->{parent}, $parent, 'it builds on the one before') or diag($row->{full_because});
    is($row->{audit_misses}, 0, 'the audit agrees') if defined $parent;
    return $row->{backup_id};
}

# What this backup brings back is what the server has now.
sub restored_is {
    my ($id, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    sql('SELECT txid_current(); CHECKPOINT');
    my $expected = dump_of($node);
    archive_now($node);
    $node->stop;
    my $copy = restore_node($node, "copy_$id", '--backup', $id, '--target-action', 'promote');
    start_restored($copy, conf => "shared_preload_libraries = ''\narchive_mode = off\nautovacuum = off\n");
    same_contents(dump_of($copy), $expected, "$what: restored it is what the server had");
    $copy->stop;
    my ($lines, $pages) = page_differences($copy->data_dir, $data);
    is(scalar @$lines, 0, "$what: $pages pages are the server's") or diag(join "\n", splice @$lines, 0, 20);
    $copy->start;
    amcheck_ok($copy, "$what: pg_amcheck finds nothing");
    $copy->stop('immediate');
    $copy->clean_node;
    $node->start;
    return;
}

# ---- a table's number: nobody can wait until the counter has gone round, but pg_upgrade may choose it

sub create_with_number {
    my ($table, $number) = @_;
    sql("CREATE TABLE $table (n int, s char(500))");
    my ($statements) = run_command([ 'pg_dump', '--binary-upgrade', '--schema-only', '-t', $table, '-d', $node->connstr('postgres') ]);
    $statements =~ s/(binary_upgrade_set_next_heap_relfilenode\(')\d+/$1$number/ or die $statements;
    sql("DROP TABLE $table");
    $node->stop;
    my @server = ('pg_ctl', '-s', '-w', '-D', $data, '-l', $node->logfile);
    system_or_bail(@server, '-o', '-b', 'start');
    sql($statements =~ s/^\\.*\n//mgr);
    system_or_bail(@server, 'stop');
    $node->start;
    is(sql("SELECT pg_relation_filenode('$table')"), $number, "table $table has number $number");
    return;
}
sub fill   { my ($table, $text, $rows) = @_; sql("INSERT INTO $table SELECT n, '$text' FROM generate_series(1, $rows) n"); return }
sub number { my ($table) = @_; return sql("SELECT pg_relation_filenode('$table')") }
sub drop   { my ($table) = @_; my $path = "$data/" . sql("SELECT pg_relation_filepath('$table')"); sql("DROP TABLE $table"); sql('CHECKPOINT'); ok(!-e $path, "the file of $table has gone"); return }

sql('CREATE TABLE long (n int, s char(500)); CREATE TABLE short (n int, s char(500)); CREATE TABLE twice (n int, s char(500)); CREATE TABLE paused (n int, s char(500)); CREATE TABLE alike (n int, s char(500))');
fill('long', 'long', 3000), fill('short', 'short', 300), fill('twice', 'twice', 2000), fill('paused', 'paused', 2000), fill('alike', 'alike', 2000);
my %number = map { $_ => number($_) } qw(long short twice paused alike);

# ---- a database's OID, with files of the same numbers

my %oid = (template => 60_000, file_copy => 60_001, wal_log => 60_002);
my %other = (file_copy => 'wal_log', wal_log => 'file_copy');
sub make_database { my ($name, $template, $strategy) = @_; sql("CREATE DATABASE $name TEMPLATE $template STRATEGY $strategy OID = $oid{$name}"); return }
make_database('template', 'template0', 'wal_log');
sql('CREATE TABLE here (n int, s char(500)); CREATE INDEX ON here (n); CREATE TABLE resting (n int, s char(500))', 'template');
sql('INSERT INTO here SELECT n, $$template$$ FROM generate_series(1, 2000) n; INSERT INTO resting SELECT n, $$resting$$ FROM generate_series(1, 2000) n', 'template');
for my $name (sort keys %other) {
    make_database($name, 'template', $name);
    sql('UPDATE here SET s = $$own$$ WHERE n % 7 = 0; INSERT INTO resting SELECT n, $$own$$ FROM generate_series(1, 1000) n', $name);
}

# ---- used by one

sql('VACUUM FREEZE');
my $full = take('full');
sql('UPDATE long SET s = $$changed$$ WHERE n % 100 = 0; UPDATE alike SET s = $$changed$$ WHERE n = 1');
sql('UPDATE here SET s = $$own, later$$ WHERE n % 5 = 0; INSERT INTO here SELECT n, $$own$$ FROM generate_series(1, 1000) n', $_) for sort keys %other;
my $one = take('incremental', $full);

# ---- then by another: shorter than the first, longer, of the same length; and one that had it only between two backups

drop($_) for qw(long short twice paused alike);
create_with_number('now_short', $number{long}),  fill('now_short', 'now short', 100);
create_with_number('now_long',  $number{short}), fill('now_long',  'now long',  4000);
create_with_number('between',   $number{twice}), fill('between',   'between',   3000);
drop('between');
create_with_number('at_last',   $number{twice}), fill('at_last',   'at last',   1000);
create_with_number('now_alike', $number{alike}), fill('now_alike', 'now alike', 2000);
# Pages of the template are older than those of whom they replace, and than the parent.
for my $name (sort keys %other) {
    sql("DROP DATABASE $name");
    make_database($name, 'template', $name);
    is(sql(q{SELECT count(*) FROM here WHERE s LIKE 'own%'}, $name), 0, "$name: a new database has the OID");
}
my $two = take('incremental', $one);
restored_is($two, 'used again');

# ---- and a third time: after one backup in which it was nobody's; blocks that come later are not those of the former one

create_with_number('resumed', $number{paused});
fill('resumed', 'resumed', 50), fill('now_short', 'more', 2500);
sql('UPDATE now_long SET s = $$changed$$ WHERE n % 500 = 0; DELETE FROM now_alike WHERE n > 1000'), sql('VACUUM now_alike');
sql('UPDATE here SET s = $$own again$$ WHERE n % 100 = 0', $_) for sort keys %other;
my $three = take('incremental', $two);
sql('UPDATE here SET s = $$template, changed$$ WHERE n % 50 = 1; TRUNCATE resting', 'template');
sql("DROP DATABASE $_"), make_database($_, 'template', $_) for sort keys %other;
my $four = take('incremental', $three);
sql('INSERT INTO resting SELECT n, $$own at last$$ FROM generate_series(1, 300) n', $_) for sort keys %other;
my $five = take('incremental', $four);
restored_is($five, 'used a third time');

# ---- what one strategy has made the other replaces, with less in it; a differential one spans all of it

sql("DROP DATABASE $_"), make_database($_, 'template0', $other{$_}) for sort keys %other;
my $six = take('incremental', $five);
restored_is(take('differential', $full), 'a differential one');
ark_ok([ 'verify', $six, '--repo', $url ], 'pg_ark verify finds nothing');
restored_is($six, 'by the other strategy');
done_testing();
