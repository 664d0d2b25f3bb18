# What the TAP tests share: clusters with pg_ark, backups, restores, and the proofs that a restored cluster is
# the one that was lost. Built on PostgreSQL::Test::Cluster, which comes with the server.
#
# Every wait polls against a deadline; whatever is started here is stopped here.
package PgArk::Test;
use strict;
use warnings;
use Carp;
use Exporter 'import';
use IPC::Run ();
use JSON::PP ();
use Test::More;
use Time::HiRes qw(usleep time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(
  new_repository place_below ark_cluster ark ark_ok ark_fails backups
  start_backup_sql wait_backup backup_ok backup_row
  archive_now wait_archived poll_until set_config wait_running
  start_load stop_load load_shop
  restore_node start_restored restored_ok
  dump_of same_contents fingerprint verify_backup_ok amcheck_ok
  log_mark log_has wait_log never_restarted
  ark_children find_objects tree_digest fault_points with_fault
);

my $DEADLINE = $ENV{PG_ARK_TEST_DEADLINE} // 120;    # seconds that any one thing may take
my $source   = $ENV{PG_ARK_SOURCE}        // '.';
my $places   = 0;

# ---- waiting

# Calls a sub every 50 ms until it returns true; returns that, or dies naming what was waited for.
sub poll_until {
    my ($what, $sub, $seconds) = @_;
    my $end = time + ($seconds // $DEADLINE);
    for (;;) {
        my $result = $sub->();
        return $result if $result;
        croak "timed out waiting until $what" if time > $end;
        usleep(50_000);
    }
}

# ---- clusters

# A new directory for a repository, and its URL. The directory itself does not exist yet.
sub new_repository {
    my ($name) = @_;
    my $dir = PostgreSQL::Test::Utils::tempdir('repo') . '/' . ($name // 'repo');
    return wantarray ? ($dir, "file://$dir") : $dir;
}

# A place of its own below a URL that ends in options or not, for what this test process does.
sub place_below {
    my ($url, $name) = @_;
    my $place = sprintf '%s-%d-%d-%d', $name, $$, time, ++$places;
    $url =~ s{/?(?=\?|$)}{/$place};
    return $url;
}

# Where a cluster keeps its backups if its test names no place: a directory, or in the object storage that the environment names.
sub default_repository {
    my ($name) = @_;
    return new_repository() unless defined $ENV{PG_ARK_TEST_REPOSITORY};
    return place_below($ENV{PG_ARK_TEST_REPOSITORY}, $name);
}

# A cluster with checksums, archiving into a repository with pg_ark, and the extension. Options:
#   repository  directory or URL     initdb  extra arguments of initdb, as a list
#   conf        lines of postgresql.conf     database  where the extension lives (postgres)
#   start       0: leave it stopped          extension 0: do not create it
sub ark_cluster {
    my ($name, %options) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    # The locale too: 18's test modules take theirs from no environment.
    $node->init(extra => [ qw(--data-checksums --encoding=UTF8 --locale=C.UTF-8), @{ $options{initdb} // [] } ]);
    my $repository = $options{repository} // default_repository($name);
    $repository = "file://$repository" if $repository =~ m{^/};
    my $database = $options{database} // 'postgres';
    # restart_after_crash: what restarts the server must be seen, not end the test. fsync: what is lost in a
    # kill -9 of all processes is not what fsync protects.
    $node->append_conf('postgresql.conf', <<"CONF");
wal_level = replica
max_wal_senders = 4
max_worker_processes = 16
restart_after_crash = on
log_statement = none
autovacuum_naptime = 10
shared_preload_libraries = 'pg_ark'
archive_mode = on
archive_library = 'pg_ark'
pg_ark.repositories = '$repository'
pg_ark.database = '$database'
CONF
    $node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
    $node->{ark_repository} = $repository;
    $node->{ark_database}   = $database;
    return $node if defined $options{start} && !$options{start};
    $node->start;
    $node->safe_psql('postgres', "CREATE DATABASE $database") if $database ne 'postgres';
    $node->safe_psql($database, 'CREATE EXTENSION pg_ark')
      unless defined $options{extension} && !$options{extension};
    return $node;
}

# ALTER SYSTEM and reload, and wait until a new session sees it.
sub set_config {
    my ($node, %settings) = @_;
    for my $name (sort keys %settings) {
        my $value = $settings{$name};
        $node->safe_psql('postgres',
            defined $value ? "ALTER SYSTEM SET $name = '$value'" : "ALTER SYSTEM RESET $name");
    }
    my $loaded = $node->safe_psql('postgres', 'SELECT pg_conf_load_time()');
    $node->safe_psql('postgres', 'SELECT pg_reload_conf()');
    $node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$loaded'") or croak 'the reload did not happen';
}

# After a crash: waits until the server answers again.
sub wait_running {
    my ($node) = @_;
    # A psql that ends before it has read its input is a broken pipe here.
    poll_until('the server answers', sub { (eval { $node->psql('postgres', 'SELECT 1') } // 1) == 0 });
}

# ---- the executable

# Runs pg_ark; returns (exit status or -signal, standard output, standard error).
sub ark {
    my @arguments = @_;
    my ($out, $err) = ('', '');
    note 'pg_ark ' . join ' ', @arguments;
    # What the tests set for their servers must not reach a restore on "another machine".
    local %ENV = %ENV;
    delete @ENV{qw(PGHOST PGPORT PGDATA PGUSER PGDATABASE)};
    IPC::Run::run([ 'pg_ark', @arguments ], '<', '/dev/null', '>', \$out, '2>', \$err);
    my $status = $? & 127 ? -($? & 127) : $? >> 8;
    note $err if $err ne '';
    return ($status, $out, $err);
}

sub ark_ok {
    my ($arguments, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $out, $err) = ark(@$arguments);
    is($status, 0, $what) or diag($err);
    return $out;
}

# Runs pg_ark, which must fail with exit status 1..125 and a message that matches, followed by no stack of
# C++ or shell noise.
sub ark_fails {
    my ($arguments, $pattern, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $out, $err) = ark(@$arguments);
    return ok($status > 0 && $status < 126 && $err =~ $pattern && $err !~ /terminate called|what\(\)|Sanitizer/, $what)
      || diag("exit status $status\n$err");
}

# What `pg_ark list` says of a repository: a list of hashes.
sub backups {
    my ($repository) = @_;
    my ($status, $out, $err) = ark('list', '--repo', $repository, '--output', 'json');
    croak "pg_ark list failed: $err" if $status != 0;
    return @{ JSON::PP::decode_json($out) };
}

# ---- backups

# Starts a backup and returns its id.
sub start_backup_sql {
    my ($node, $reason) = @_;
    return $node->safe_psql($node->{ark_database},
        sprintf 'SELECT ark.create_manual_backup(%s)', quote($reason // 'a test'));
}

sub quote { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# Waits until a backup has ended, whichever way; returns its row as a hash.
sub wait_backup {
    my ($node, $id) = @_;
    poll_until("backup $id has ended", sub {
        my $row = eval { backup_row($node, $id) };
        $row && $row->{status} ne 'in_progress' && $row;
    });
}

sub backup_row {
    my ($node, $id) = @_;
    my $json = $node->safe_psql($node->{ark_database},
        'SELECT to_jsonb(l) FROM ark.backup_log l WHERE backup_id = ' . quote($id));
    return $json eq '' ? undef : JSON::PP::decode_json($json);
}

# Takes a backup that must succeed; returns its id.
sub backup_ok {
    my ($node, $reason) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $id  = start_backup_sql($node, $reason);
    my $row = wait_backup($node, $id);
    is($row->{status}, 'completed', 'backup ' . ($reason // '') . ' completes')
      or diag(JSON::PP::encode_json($row->{error} // {}));
    return $id;
}

# ---- WAL

# Switches the WAL segment and waits until all before the switch is archived. Returns the last segment's name.
sub archive_now {
    my ($node) = @_;
    my $segment = $node->safe_psql('postgres',
        "SELECT pg_logical_emit_message(true, 'pg_ark_test', 'switch'); SELECT pg_walfile_name(pg_switch_wal())");
    $segment = (split /\n/, $segment)[-1];
    wait_archived($node, $segment);
    return $segment;
}

sub wait_archived {
    my ($node, $segment) = @_;
    $node->poll_query_until('postgres', "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver")
      or croak "segment $segment was not archived";
}

# ---- load

# The schema of scripts/shop.
sub load_shop {
    my ($node, $database) = @_;
    $database //= 'postgres';
    PostgreSQL::Test::Utils::system_or_bail('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
        '-d', $node->connstr($database), '-f', "$source/scripts/shop/schema.sql");
}

# pgbench in the background, writing into scripts/shop's tables until stop_load. Returns a handle, once at
# least one transaction is committed.
sub start_load {
    my ($node, $database, %options) = @_;
    $database //= 'postgres';
    my $output = $node->basedir . '/pgbench.log';
    my $before = $node->safe_psql($database, 'SELECT max(order_id) FROM shop.orders');
    # To a file: a pipe that nobody reads would stop the load.
    my $run = IPC::Run::start(
        [
            'pgbench', '-n', '-c', $options{clients} // 2, '-T', 3600, '-f', "$source/scripts/shop/load.sql",
            '-h', $node->host, '-p', $node->port, $database
        ],
        '<', '/dev/null', '>', $output, '2>', "$output.err");
    poll_until('the load has begun', sub {
        $run->pump_nb;
        $node->safe_psql($database, 'SELECT max(order_id) FROM shop.orders') > $before;
    });
    return { run => $run, node => $node, database => $database };
}

# Ends the load; returns when its last transaction is over.
sub stop_load {
    my ($load) = @_;
    $load->{run}->signal('TERM');
    eval { $load->{run}->finish };
    $load->{node}->poll_query_until($load->{database},
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'");
}

# ---- restore

# Restores into the data directory of a new node (not started). Arguments after the name go to pg_ark; the
# repository is the source's unless --repo is among them. Dies where the restore fails.
sub restore_node {
    my ($source_node, $name, @arguments) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    unshift @arguments, '--repo', $source_node->{ark_repository} unless grep { $_ eq '--repo' } @arguments;
    my ($status, $out, $err) = ark('restore', '-D', $node->data_dir, @arguments);
    croak "the restore failed with exit status $status: $err" if $status != 0;
    $node->{ark_database}   = $source_node->{ark_database};
    $node->{ark_repository} = $source_node->{ark_repository};
    return $node;
}

# Starts a restored node on its own port and socket, and waits for the end of recovery unless told to
# wait for something else (until => SQL that yields t).
sub start_restored {
    my ($node, %options) = @_;
    $node->append_conf('postgresql.conf',
        sprintf "port = %d\nlisten_addresses = ''\nunix_socket_directories = '%s'\n", $node->port, $node->host);
    $node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
    $node->start;
    $node->poll_query_until('postgres', $options{until} // 'SELECT NOT pg_is_in_recovery()')
      or croak 'the restored cluster does not become ready';
    return $node;
}

# ---- proofs

# pg_dumpall of a cluster, without what may differ: the dump's own random key and the extension's tables,
# which the restored cluster's own launcher writes to. Further arguments go to pg_dumpall.
sub dump_of {
    my ($node, @arguments) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'pg_dumpall', '-d', $node->connstr('postgres'), '--no-sync', '--no-unlogged-table-data', @arguments ], '>', \$out, '2>', \$err)
      or croak "pg_dumpall failed: $err";
    $out =~ s/^\\(?:un)?restrict .*\n//mg;
    return $out;
}

# A line per user table of a database: name|rows|sum of row hashes.
sub fingerprint {
    my ($node, $database) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database // 'postgres'),
            '-f', "$source/scripts/shop/fingerprint.sql" ], '>', \$out, '2>', \$err)
      or croak "psql failed: $err";
    croak 'there are no tables to compare' if $out eq '';
    return $out;
}

# Compares two dumps (or other long texts) and shows the first difference, not all of both.
sub same_contents {
    my ($got, $expected, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return pass($what) if $got eq $expected;
    my @got      = split /\n/, $got;
    my @expected = split /\n/, $expected;
    my $line     = 0;
    $line++ while $line < @got && $line < @expected && $got[$line] eq $expected[$line];
    fail($what);
    diag(sprintf "line %d\n     got: %s\nexpected: %s", $line + 1, $got[$line] // '(end)', $expected[$line] // '(end)');
    return 0;
}

# pg_verifybackup accepts a directory that was not started yet. -n: pg_wal is filled by recovery. What restore
# adds to the backed-up files (recovery configuration, its marker) is named, nothing else is forgiven.
sub verify_backup_ok {
    my ($directory, $what, @ignore) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($out, $err) = ('', '');
    my $good = IPC::Run::run([ 'pg_verifybackup', '-n', (map { ('-i', $_) } @ignore), $directory ], '>', \$out, '2>', \$err);
    return ok($good, $what) || diag($out . $err);
}

sub amcheck_ok {
    my ($node, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    # In hexadecimal: a name may have lines, and bytes that psql leaves out.
    my @names = split /\n/, $node->safe_psql('postgres', q{SELECT encode(textsend(datname::text), 'hex') FROM pg_database WHERE datallowconn});
    for my $database (map { pack 'H*', $_ } @names) {
        $node->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS amcheck');
    }
    my ($out, $err) = ('', '');
    my $good = IPC::Run::run([ 'pg_amcheck', '--all', '--heapallindexed', '--host', $node->host, '--port', $node->port ],
        '>', \$out, '2>', \$err);
    return ok($good, $what) || diag($out . $err);
}

# The whole proof: restores, verifies before the start, starts, compares with what was noted, checks with
# pg_amcheck. Returns the running node. `expected` is { database => fingerprint }.
sub restored_ok {
    my ($source_node, $name, $expected, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $node = restore_node($source_node, $name, @arguments);
    start_restored($node);
    same_contents(fingerprint($node, $_), $expected->{$_}, "$name: database $_ is as it was") for sort keys %$expected;
    amcheck_ok($node, "$name: pg_amcheck finds nothing");
    return $node;
}

# ---- logs and processes

sub log_mark { my ($node) = @_; return -s $node->logfile // 0 }

sub log_has {
    my ($node, $pattern, $mark) = @_;
    return PostgreSQL::Test::Utils::slurp_file($node->logfile, $mark // 0) =~ $pattern;
}

sub wait_log {
    my ($node, $pattern, $mark) = @_;
    return poll_until("the log has $pattern", sub { log_has($node, $pattern, $mark) });
}

# No process of ours has taken the server down.
sub never_restarted {
    my ($node, $mark, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $mark // 0);
    my ($line) = $log =~ /^(.*(?:terminating any other active server processes|all server processes terminated|reinitializing).*)$/m;
    return ok(!defined $line, $what // 'the server never restarted') || diag($line);
}

# Process ids of this node's pg_ark executables, by their role (server-backup, server-archive, …).
sub ark_children {
    my ($node, $role) = @_;
    my ($postmaster) = $node->{ark_postmaster}
      // PostgreSQL::Test::Utils::slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    my (%parent, @found);
    for my $directory (glob '/proc/[0-9]*') {
        my ($pid) = $directory =~ /(\d+)$/;
        open my $stat, '<', "$directory/stat" or next;
        my $line = <$stat> // next;
        $parent{$pid} = $1 if $line =~ /^\d+ \(.*\) \S (\d+)/s;
        open my $cmdline, '<', "$directory/cmdline" or next;
        my @words = split /\0/, <$cmdline> // '';
        push @found, $pid if @words >= 2 && $words[0] =~ m{(?:^|/)pg_ark$} && $words[1] eq $role;
    }
    # A child of a child of the postmaster.
    return grep { ($parent{ $parent{$_} // 0 } // 0) == $postmaster } @found;
}

# ---- faults (test builds)

# The names of the fault points in the engine's sources below a folder of src: the tests walk through all that
# there are, so that a new one is covered from its first day.
sub fault_points {
    my ($folder, $pattern) = @_;
    my %names;
    for my $path (find_objects("$source/src/$folder", qr/\.[ch]pp$/)) {
        my $text = PostgreSQL::Test::Utils::slurp_file("$source/src/$folder/$path");
        $names{$1} = 1 while $text =~ /\b(?:PG_ARK_FAULT_POINT|fault_point)\("(\w+)"\)/g;
    }
    return grep { !defined $pattern || $_ =~ $pattern } sort keys %names;
}

# Calls a sub while the server's pg_ark.fault is set.
sub with_fault {
    my ($node, $fault, $sub) = @_;
    set_config($node, 'pg_ark.fault' => $fault);
    my @result = eval { $sub->() };
    my $error = $@;
    # The server may be restarting, and meet the fault again until it is gone.
    poll_until('the fault is gone', sub { eval { set_config($node, 'pg_ark.fault' => undef); 1 } });
    wait_running($node);
    die $error if $error;
    return wantarray ? @result : $result[0];
}

# Paths below a directory that match, relative, sorted.
sub find_objects {
    my ($directory, $pattern) = @_;
    my @found;
    my @queue = ('');
    while (defined(my $inside = shift @queue)) {
        opendir my $handle, "$directory/$inside" or next;
        for my $name (readdir $handle) {
            next if $name eq '.' || $name eq '..';
            my $path = $inside eq '' ? $name : "$inside/$name";
            if (-d "$directory/$path" && !-l "$directory/$path") { push @queue, $path }
            elsif (-d "$directory/$path") { next }    # a link to a directory: its files are elsewhere
            elsif (!defined $pattern || $path =~ $pattern)       { push @found, $path }
        }
    }
    my @sorted = sort @found;    # an array, so that scalar context counts
    return @sorted;
}

# { relative path => SHA-256 of the contents } of a directory.
sub tree_digest {
    my ($directory, $pattern) = @_;
    require Digest::SHA;
    return { map { $_ => Digest::SHA->new(256)->addfile("$directory/$_", 'b')->hexdigest } find_objects($directory, $pattern) };
}

1;
