# Which blocks WAL changed: what the engine reads of a server's WAL is what pg_waldump reads, record by record; no page
# of a data file is newer than the tables say; and a cluster is rebuilt, byte by byte, from an old copy and the blocks
# that the tables name, as an incremental backup will have it.
use strict;
use warnings;
use File::Path qw(make_path);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $PAGE    = 8192;
my $SEGMENT = 131072;                 # blocks
my $WAL     = 1024 * 1024;            # bytes in a segment: many boundaries

my $node = PostgreSQL::Test::Cluster->new('source');
$node->init(extra => [qw(--data-checksums --encoding=UTF8 --locale=C.UTF-8 --wal-segsize=1)]);
$node->append_conf('postgresql.conf', <<'CONF');
wal_level = replica
archive_mode = off
wal_keep_size = 4GB
max_wal_size = 48MB
checkpoint_timeout = 30s
max_prepared_transactions = 10
restart_after_crash = on
autovacuum_naptime = 1s
fsync = off
CONF
my $space = PostgreSQL::Test::Utils::tempdir('space');
my $data  = $node->data_dir;
my $pg_wal = "$data/pg_wal";

# ---- what two programs say of the same WAL

sub number_of { my ($lsn) = @_; my ($high, $low) = $lsn =~ m{^([0-9A-F]+)/([0-9A-F]+)$}i or die "no LSN: $lsn"; return hex($high) * 2**32 + hex($low) }

sub run_ok {
    my ($input, @command) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run(\@command, '<', \$input, '>', \$out, '2>', \$err) or die "@command: $err";
    note $err if $err ne '';
    return $out;
}

# The engine's word: mode events, table or pieces.
sub engine { my ($mode, $range, $input) = @_; return run_ok($input // '', 'pg_ark', 'test-changes', $pg_wal, $range->{timeline}, $range->{from}, $range->{to}, $WAL, $SEGMENT, $mode) }

# base/5/16384_init: relation and fork.
sub relation_of {
    my ($path) = @_;
    my $fork = $path =~ s/_(fsm|vm|init)$// ? $1 : 'main';
    return ("1664/0/$1",   $fork) if $path =~ m{^global/(\d+)$};
    return ("1663/$1/$2",  $fork) if $path =~ m{^base/(\d+)/(\d+)$};
    return ("$1/$2/$3",    $fork) if $path =~ m{^pg_tblspc/(\d+)/PG_[^/]+/(\d+)/(\d+)$};
    die "no relation: $path";
}

# pg_waldump's, in the same words.
sub witness {
    my (@parts) = @_;    # [timeline, from, to]…
    my (@events, %kinds);
    for my $part (@parts) {
        my ($timeline, $from, $to) = @$part;
        open my $dump, '-|', 'pg_waldump', '-p', $pg_wal, '-t', $timeline, '-s', $from, '-e', $to or die "pg_waldump: $!";
        while (my $line = <$dump>) {
            my ($rmgr, $lsn, $desc) = $line =~ m{^rmgr: (\S+)\s+len.*?, lsn: ([0-9A-F/]+), prev [0-9A-F/]+, desc: (.*)} or die "cannot read: $line";
            my $at = number_of($lsn);
            $kinds{"$rmgr $1"}++ if $desc =~ /^([A-Z_+]+)/;
            if ($rmgr eq 'Database') {
                if    ($desc =~ m{^CREATE_FILE_COPY copy dir \S+ to (\d+)/(\d+)}) { push @events, "$at database $1/$2" }
                elsif ($desc =~ m{^CREATE_WAL_LOG create dir (\d+)/(\d+)})        { push @events, "$at database $1/$2" }
                elsif ($desc =~ m{^DROP dir((?: \d+/\d+)+)})                      { push @events, map { "$at database $_" } split ' ', $1 }
                else                                                              { die "cannot read: $line" }
            }
            elsif ($rmgr eq 'Storage') {
                if ($desc =~ m{^CREATE (\S+)}) { my ($relation, $fork) = relation_of($1); push @events, "$at limit $relation $fork 0" }
                elsif ($desc =~ m{^TRUNCATE (\S+) to (\d+) blocks flags (\d+)}) {
                    my ($path, $blocks, $flags) = ($1, $2, $3);
                    my ($relation) = relation_of($path);
                    push @events, "$at limit $relation main $blocks" if $flags & 1;
                    push @events, "$at limit $relation fsm 0"        if $flags & 4;
                    push @events, "$at limit $relation vm 0"         if $flags & 2;
                }
                else { die "cannot read: $line" }
            }
            elsif ($rmgr eq 'Transaction' && $desc =~ /^(?:COMMIT|ABORT)/ && $desc =~ m{; rels:((?: [\w/]+)+)}) {
                for my $path (split ' ', $1) {
                    my ($relation) = relation_of($path);
                    push @events, map { "$at limit $relation $_ 0" } qw(main fsm vm init);
                }
            }
            while ($desc =~ m{blkref #\d+: rel (\d+/\d+/\d+)(?: fork (\w+))? blk (\d+)}g) { push @events, sprintf '%d block %s %s %d', $at, $1, $2 // 'main', $3 }
        }
        close $dump or die "pg_waldump failed: $?";
    }
    return (\@events, \%kinds);
}

# A table, made of events the simple way: relation => { limit, blocks }; databases.
sub table_of {
    my ($events) = @_;
    my (%relations, %databases);
    for (@$events) {
        my (undef, $what, $relation, $fork, $block) = split ' ';
        if ($what eq 'database') { $databases{$relation} = 1; next }
        next if $fork ne 'main';
        my $entry = $relations{$relation} //= { blocks => {} };
        if ($what eq 'block') { $entry->{blocks}{$block} = 1; next }
        $entry->{limit} = $block if !defined $entry->{limit} || $block < $entry->{limit};
        delete @{ $entry->{blocks} }{ grep { $_ >= $block } keys %{ $entry->{blocks} } };
    }
    return (\%relations, \%databases);
}

sub text_of_table {
    my ($relations, $databases) = @_;
    my @lines = map { "database $_" } keys %$databases;
    for my $relation (keys %$relations) {
        my $entry = $relations->{$relation};
        push @lines, join ' ', 'relation', $relation, $entry->{limit} // '-', sort { $a <=> $b } keys %{ $entry->{blocks} };
    }
    return join '', map { "$_\n" } sort @lines;
}

sub blocks_of_runs { return map { my ($first, $length) = split /\+/; $first .. $first + $length - 1 } @_ }

sub text_of_engine_table {
    my ($out) = @_;
    my @lines;
    for (split /\n/, $out) {
        push @lines, $1 if /^table (database .*)/;
        my ($relation, $limit, $runs) = /^table relation (\S+) (\S+) ?(.*)/ or next;
        push @lines, join ' ', 'relation', $relation, $limit, blocks_of_runs(split ' ', $runs);
    }
    return join '', map { "$_\n" } sort @lines;
}

# ---- data files

sub slurp { my ($path) = @_; open my $fh, '<:raw', $path or die "$path: $!"; local $/; my $content = <$fh>; return $content // '' }

# SP-GiST notes in its metapage which pages have room, without WAL: a crash loses it, too (SpGistUpdateMetaPage).
sub without_notes {
    my ($content) = @_;
    return $content if length $content < $PAGE || unpack('V', substr $content, 24, 4) != 0xBA0BABEE;
    substr($content, 8, 2) = "\0" x 2;      # the checksum
    substr($content, 28, 64) = "\0" x 64;
    return $content;
}

# path => content of every file in directories of relations.
sub copy_of_files {
    my %files;
    my @directories = ('global', map({ "base/$_" } grep { /^\d+$/ } slurp_dir("$data/base")));
    for my $tablespace (grep { /^\d+$/ } slurp_dir("$data/pg_tblspc")) {
        for my $version (grep { /^PG_/ } slurp_dir("$data/pg_tblspc/$tablespace")) {
            push @directories, map { "pg_tblspc/$tablespace/$version/$_" } grep { /^\d+$/ } slurp_dir("$data/pg_tblspc/$tablespace/$version");
        }
    }
    for my $directory (@directories) {
        $files{"$directory/$_"} = without_notes(slurp("$data/$directory/$_")) for grep { -f "$data/$directory/$_" && !/^pg_internal\.init/ } slurp_dir("$data/$directory");
    }
    for my $init (grep { /_init$/ } keys %files) {    # unlogged: a backup has the init fork alone
        my $main = $init =~ s/_init$//r;
        delete @files{ grep { /^\Q$main\E(?:_fsm|_vm)?(?:\.\d+)?$/ } keys %files };
    }
    return \%files;
}

sub control { my ($name) = @_; my ($value) = run_ok('', 'pg_controldata', $data) =~ /^\Q$name\E:\s+(\S+)/m; return $value }

# The server is down, cleanly: where replay would begin, and its files.
sub state_now {
    return { lsn => control("Latest checkpoint's REDO location"), timeline => control("Latest checkpoint's TimeLineID"), files => copy_of_files() };
}

# What an incremental backup would hold: path => whole content, or [length, { block => page }].
sub incremental {
    my ($before, $after, $range) = @_;
    my $input = join '', map { sprintf "%s %d %s\n", $_, length $after->{files}{$_}, defined $before->{files}{$_} ? length $before->{files}{$_} : '-' } sort keys %{ $after->{files} };
    my %held;
    my ($whole, $blocks, $all) = (0, 0, 0);
    for (split /\n/, engine('table', $range, $input)) {
        my ($path, $how, $rest) = /^file (\S+) (\w+) ?(.*)/ or next;
        my $content = $after->{files}{$path};
        if ($how eq 'whole') { $held{$path} = $content; ++$whole; next }
        my @blocks = blocks_of_runs(split ' ', $rest);
        $held{$path} = [ length($content) / $PAGE, { map { $_ => substr($content, $_ * $PAGE, $PAGE) } @blocks } ];
        $blocks += @blocks;
        $all += length($content) / $PAGE;
    }
    is_deeply([ sort keys %held ], [ sort keys %{ $after->{files} } ], 'every file was answered for');
    note "$whole files whole, of the others $blocks of $all blocks";
    return \%held;
}

# A file from a chain, as pg_combinebackup makes it: each block from the newest that has it, up to the first that has all.
sub rebuilt {
    my ($path, @chain) = @_;    # newest first
    my $newest = $chain[0]{$path};
    return $newest unless ref $newest;
    my ($length, $pages) = ($newest->[0], {});
    for my $held (map { $_->{$path} } @chain) {
        return "\0no older backup has $path" unless defined $held;
        if (!ref $held) {
            $pages->{$_} //= substr $held, $_ * $PAGE, $PAGE for grep { ($_ + 1) * $PAGE <= length $held } 0 .. $length - 1;
            last;
        }
        $pages->{$_} //= $held->[1]{$_} for keys %{ $held->[1] };
    }
    return join '', map { $pages->{$_} // "\0" x $PAGE } 0 .. $length - 1;
}

# For a failure's sake: where two versions of a file differ.
sub difference {
    my ($path, $got, $expected) = @_;
    my $page  = sub { sprintf 'LSN %X/%X checksum %04X flags %04X lower %d upper %d', (unpack 'VVvvvv', $_[0])[ 0 .. 5 ] };
    my @lines = (sprintf '%s: %d bytes instead of %d', $path, length $got, length $expected);
    $got .= "\0" x length $expected;
    for my $block (0 .. length($expected) / $PAGE - 1) {
        my ($one, $two) = (substr($got, $block * $PAGE, $PAGE), substr $expected, $block * $PAGE, $PAGE);
        push @lines, "block $block: " . $page->($one) . ' instead of ' . $page->($two) if $one ne $two;
        last if @lines > 5;
    }
    return @lines;
}

# ---- rounds: something happens between two clean stops

my @chain = ();
my $before;
my %kinds;

sub check_round {
    my ($what, $parts) = @_;
    my $after = state_now();
    my $range = { timeline => $after->{timeline}, from => $before->{lsn}, to => $after->{lsn} };
    my @parts = $parts ? $parts->($range) : [ $range->{timeline}, $range->{from}, $range->{to} ];
    note "$what: $range->{from} to $range->{to}";
    my ($events, $seen) = witness(@parts);
    $kinds{$_} += $seen->{$_} for keys %$seen;
    my $said = join '', map { my ($lsn, $rest) = /^(\S+) (.*)/; number_of($lsn) . " $rest\n" } split /\n/, engine('events', $range);
    cmp_ok(scalar @$events, '>', 50, "$what: pg_waldump names " . @$events . ' changes');
    same_contents($said, join('', map { "$_\n" } @$events), "$what: the engine names the same");
    my ($relations, $databases) = table_of($events);
    my $expected = text_of_table($relations, $databases);
    same_contents(text_of_engine_table(engine('table',  $range)), $expected, "$what: the table is what comes of them");
    same_contents(text_of_engine_table(engine('pieces', $range)), $expected, "$what: also where it is put together of segments");

    my ($from, $to) = (number_of($range->{from}), number_of($range->{to}));
    my ($newer, $later, $missed) = (0, 0, 0);
    for my $path (sort grep { m{/\d+(?:\.\d+)?$} } keys %{ $after->{files} }) {
        my ($main, $segment) = $path =~ m{^(.*/\d+)(?:\.(\d+))?$};
        my ($relation) = relation_of($main);
        my $content = $after->{files}{$path};
        for my $block (0 .. length($content) / $PAGE - 1) {
            my ($high, $low, $upper) = unpack 'VVx6v', substr $content, $block * $PAGE, 16;
            my $lsn = $high * 2**32 + $low;
            next if $upper == 0;
            ++$later if $lsn > $to;
            next if $lsn <= $from || $lsn > $to;
            ++$newer;
            my $database = join '/', (split m{/}, $relation)[ 0, 1 ];
            next if $databases->{$database} || $relations->{$relation}{blocks}{ $block + ($segment // 0) * $SEGMENT };
            diag(sprintf '%s block %d has LSN %X/%X', $path, $block, $high, $low) if ++$missed < 5;
        }
    }
    cmp_ok($newer, '>', 0, "$what: $newer pages are newer than its begin");
    is($missed, 0, "$what: each of them is in the table");
    is($later, 0, "$what: none is newer than its end");

    unshift @chain, incremental($before, $after, $range);
    my @wrong = grep { rebuilt($_, @chain) ne $after->{files}{$_} } sort keys %{ $after->{files} };
    is(scalar @wrong, 0, "$what: every file can be rebuilt from the chain of " . @chain) or diag(join "\n", map { difference($_, rebuilt($_, @chain), $after->{files}{$_}) } @wrong);
    $before = $after;
}

# Every statement by itself.
sub sql { my ($database, $statements) = @_; $node->safe_psql($database, $_) for grep { /\S/ } split /;\n/, $statements }

$node->start;
sql('postgres', <<SQL);
CREATE TABLESPACE space LOCATION '$space';
CREATE TABLE plain (id serial PRIMARY KEY, n int, t text, a int[], p point, r int4range) WITH (fillfactor = 70);
INSERT INTO plain (n, t, a, p, r) SELECT g % 100, md5(g::text), ARRAY[g % 17, g % 5], point(g % 100, g % 37), int4range(g, g + 10) FROM generate_series(1, 6000) g;
CREATE INDEX plain_hash ON plain USING hash (n);
CREATE INDEX plain_gin ON plain USING gin (a);
CREATE INDEX plain_gist ON plain USING gist (p);
CREATE INDEX plain_spgist ON plain USING spgist (r);
CREATE INDEX plain_brin ON plain USING brin (id) WITH (pages_per_range = 4, autosummarize = on);
CREATE TABLE tail (id int, t text) WITH (autovacuum_enabled = off);
INSERT INTO tail SELECT g, repeat('x', 700) FROM generate_series(1, 1200) g;
CREATE TABLE cut (LIKE tail) WITH (autovacuum_enabled = off);
INSERT INTO cut SELECT * FROM tail;
CREATE TABLE still AS SELECT g AS id, repeat('y', 500) AS t FROM generate_series(1, 2000) g;
CREATE INDEX still_id ON still (id);
CREATE TABLE toasted (id int, t text);
ALTER TABLE toasted ALTER t SET STORAGE external;
INSERT INTO toasted SELECT g, repeat(md5(g::text), 300) FROM generate_series(1, 60) g;
CREATE UNLOGGED TABLE loose AS SELECT g FROM generate_series(1, 3000) g;
CREATE MATERIALIZED VIEW seen AS SELECT n, count(*) AS c FROM plain GROUP BY n;
CREATE UNIQUE INDEX ON seen (n);
CREATE SEQUENCE numbers CACHE 1;
CREATE TABLE moving AS SELECT g AS id FROM generate_series(1, 4000) g;
CREATE INDEX moving_id ON moving (id);
CREATE TABLE parted (id int, t text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000);
CREATE DATABASE going;
CREATE DATABASE staying;
VACUUM ANALYZE;
SQL
run_ok('', 'pgbench', '-q', '-i', '-s', '2', '-h', $node->host, '-p', $node->port, 'postgres');
$node->stop;
$before = state_now();
@chain = ($before->{files});

# ---- round 1: rows and indexes; nothing that makes a file new but what the server does by itself

$node->start;
run_ok('', 'pgbench', '-n', '-c', '4', '-t', '250', '-h', $node->host, '-p', $node->port, 'postgres');
sql('postgres', <<'SQL');
UPDATE plain SET n = n + 1, t = t || 'a' WHERE id % 7 = 0;
DELETE FROM plain WHERE id BETWEEN 1000 AND 1500;
INSERT INTO plain (n, t, a, p, r) SELECT g % 50, 'new', ARRAY[g % 300, 4], point(g, -g), int4range(-g, g) FROM generate_series(1, 2000) g;
VACUUM plain;
SELECT id FROM plain WHERE n = 5 FOR UPDATE;
SELECT nextval('numbers') FROM generate_series(1, 100);
SELECT setval('numbers', 5);
UPDATE toasted SET t = repeat(md5(id::text || 'x'), 300) WHERE id % 3 = 0;
SELECT lo_from_bytea(0, convert_to(repeat('large object ', 20000), 'UTF8'));
SELECT lo_put((SELECT min(loid) FROM pg_largeobject), 5000, 'changed');
DELETE FROM tail WHERE id > 600;
VACUUM tail;
DELETE FROM cut WHERE id > 500;
VACUUM cut;
INSERT INTO cut SELECT g, 'short' FROM generate_series(1, 100) g;
INSERT INTO loose SELECT g FROM generate_series(1, 3000) g;
REFRESH MATERIALIZED VIEW CONCURRENTLY seen;
SELECT gin_clean_pending_list('plain_gin');
SELECT brin_summarize_new_values('plain_brin');
SELECT brin_desummarize_range('plain_brin', 0);
INSERT INTO parted SELECT g, 'p' FROM generate_series(1, 1999) g;
COMMENT ON TABLE plain IS 'a comment';
ANALYZE;
CHECKPOINT;
UPDATE still SET t = 'changed' WHERE id = 1000;
SELECT count(*) FROM still WHERE t = 'y';
SQL
$node->stop;
check_round('rows');

# ---- round 2: files come and go

# As a crash in the middle of an extension leaves it: pages of zeros behind the end, of which no WAL tells. The table was cut there before.
sub add_zero_pages {
    my ($path, $pages) = @_;
    open my $fh, '>>:raw', "$data/$path" or die "$path: $!";
    print $fh "\0" x ($PAGE * $pages);
    close $fh or die "$path: $!";
}
$node->start;
my $tail = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('tail')});
my $cut  = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('cut')});
$node->stop;
my $tail_pages = (-s "$data/$tail") / $PAGE;
add_zero_pages($tail, 9);
$node->start;
sql('postgres', <<'SQL');
TRUNCATE parted_1;
BEGIN; CREATE TABLE fresh (id int); INSERT INTO fresh SELECT generate_series(1, 500); TRUNCATE fresh; INSERT INTO fresh VALUES (1); COMMIT;
BEGIN; CREATE TABLE never AS SELECT g FROM generate_series(1, 500) g; ROLLBACK;
BEGIN; SAVEPOINT a; CREATE TABLE half AS SELECT 1; ROLLBACK TO a; CREATE TABLE kept AS SELECT 2; COMMIT;
VACUUM FULL plain;
CLUSTER still USING still_id;
REINDEX TABLE plain;
REINDEX INDEX CONCURRENTLY plain_gist;
ALTER TABLE moving SET TABLESPACE space;
ALTER INDEX moving_id SET TABLESPACE space;
ALTER TABLE loose SET LOGGED;
ALTER TABLE seen RENAME TO looked_at;
REFRESH MATERIALIZED VIEW looked_at;
ALTER TABLE toasted ALTER id TYPE bigint;
VACUUM FULL pg_class;
VACUUM FULL pg_database;
DROP TABLE parted_2;
DROP DATABASE going;
CREATE DATABASE copied TEMPLATE staying STRATEGY file_copy;
CREATE DATABASE logged TEMPLATE staying STRATEGY wal_log;
CREATE DATABASE elsewhere TEMPLATE staying TABLESPACE space STRATEGY wal_log;
ALTER DATABASE copied SET TABLESPACE space;
BEGIN; DROP TABLE kept; CREATE TABLE prepared AS SELECT g FROM generate_series(1, 100) g; PREPARE TRANSACTION 'commits';
BEGIN; CREATE TABLE gone AS SELECT g FROM generate_series(1, 100) g; PREPARE TRANSACTION 'aborts';
CHECKPOINT;
COMMIT PREPARED 'commits';
ROLLBACK PREPARED 'aborts';
SELECT lo_unlink(min(loid)) FROM pg_largeobject;
VACUUM pg_largeobject;
DELETE FROM cut WHERE id > 200 OR t = 'short';
VACUUM cut;
SQL
sql('logged', <<'SQL');
CREATE TABLE here AS SELECT g FROM generate_series(1, 1000) g;
SQL
$node->stop;
my $cut_pages = (-s "$data/$cut") / $PAGE;
cmp_ok($cut_pages + 12, '<', length($before->{files}{$cut}) / $PAGE, 'what was cut off is more than the zeros that come in its place');
add_zero_pages($cut, 12);
check_round('files');
is((-s "$data/$tail") / $PAGE, $tail_pages + 9, 'the pages of zeros are still there');

# ---- round 3: crashes; what was cut grows again

for my $try (1 .. 3) {
    $node->start;
    sql('postgres', <<'SQL');
INSERT INTO plain (n, t, a, p, r) SELECT g, 'crash', ARRAY[g], point(g, g), int4range(g, g + 1) FROM generate_series(1, 1500) g;
CREATE TABLE IF NOT EXISTS between AS SELECT g FROM generate_series(1, 2000) g;
INSERT INTO tail SELECT g, repeat('z', 600) FROM generate_series(1, 100) g;
TRUNCATE between;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 1000 = 0;
SQL
    my $load = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-T', '60', '-h', $node->host, '-p', $node->port, 'postgres' ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
    select undef, undef, undef, 1.5;
    $node->stop('immediate');
    eval { $load->finish };
}
$node->start;
$node->stop;
check_round('crashes');

# ---- round 4: a new timeline

append_to_file("$data/postgresql.conf", "restore_command = 'false'\n");
append_to_file("$data/recovery.signal", '');
$node->start;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
sql('postgres', <<'SQL');
INSERT INTO still SELECT g, 'new timeline' FROM generate_series(1, 500) g;
CREATE TABLE second AS SELECT g FROM generate_series(1, 500) g;
DROP TABLE second;
SQL
$node->stop;
is(control("Latest checkpoint's TimeLineID"), 2, 'the server is on timeline 2');
check_round('a new timeline', sub {
    my ($range) = @_;
    my ($switch) = slurp("$pg_wal/00000002.history") =~ m{^1\t(\S+)\t}m;
    return [ 1, $range->{from}, $switch ], [ 2, $switch, $range->{to} ];
});

# All of it was about something.
my @wanted = ('Heap INSERT', 'Heap HOT_UPDATE', 'Heap2 VISIBLE', 'Btree SPLIT_R', 'Hash INSERT', 'Gin INSERT', 'Gist PAGE_UPDATE', 'SPGist ADD_LEAF', 'BRIN INSERT', 'BRIN DESUMMARIZE',
    'Sequence LOG', 'Storage CREATE', 'Storage TRUNCATE', 'Database CREATE_FILE_COPY', 'Database CREATE_WAL_LOG', 'Database DROP', 'Transaction COMMIT_PREPARED', 'Transaction ABORT_PREPARED',
    'Transaction ABORT', 'RelMap UPDATE', 'XLOG FPI', 'XLOG FPI_FOR_HINT', 'XLOG CHECKPOINT_ONLINE');
is_deeply([ grep { !$kinds{$_} } @wanted ], [], 'the kinds of records that matter were there');
note join ', ', map { "$_ $kinds{$_}" } sort keys %kinds;
done_testing();
