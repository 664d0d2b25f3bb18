# The tracker of changed blocks: tables appear as WAL goes on and follow each other without a gap, whatever is killed, away
# or switched off meanwhile; what they say is what WAL says, and no page of a data file is newer than that; across a
# promotion too. Where WAL is lost it says so and goes on.
use strict;
use warnings;
use File::Path qw(remove_tree);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $WAL  = 1024 * 1024;    # bytes in a segment; tables span 16
my $PAGE = 8192;
my ($directory, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, initdb => ['--wal-segsize=1'], conf => "max_wal_size = 8MB\nmin_wal_size = 4MB\ncheckpoint_timeout = 30s\n");
my $data = $node->data_dir;

sub number_of { my ($lsn) = @_; my ($high, $low) = $lsn =~ m{^([0-9A-F]+)/([0-9A-F]+)$}i or die "no LSN: $lsn"; return hex($high) * 2**32 + hex($low) }
sub text_of   { my ($number) = @_; return sprintf '%X/%X', $number >> 32, $number & 0xFFFFFFFF }
sub sql       { my ($statement, $on) = @_; return ($on // $node)->safe_psql('postgres', $statement) }
sub tracking  { my ($columns, $on) = @_; return sql("SELECT $columns FROM ark.change_tracking", $on) }
sub preflight { return sql(q{SELECT ok, detail, hint FROM ark.preflight() WHERE name = 'change_tracking'}) }
my $cluster = sql('SELECT system_identifier FROM pg_control_system()');

# The tables of a timeline, as [from, to].
sub tables {
    my ($timeline) = @_;
    return map { m{/([0-9A-F]{16})-([0-9A-F]{16})\.zst$} ? [ hex $1, hex $2 ] : () } find_objects($directory, sprintf('^%s/blocks/%08X/', $cluster, $timeline // 1));
}

sub follow_each_other {
    my ($what, @tables) = @_;
    my @breaks = map { $tables[ $_ - 1 ][1] == $tables[$_][0] ? () : text_of($tables[ $_ - 1 ][1]) . ' then ' . text_of($tables[$_][0]) } 1 .. $#tables;
    is(join(', ', @breaks), '', "$what: " . @tables . ' tables follow each other');
}

# So many segments of WAL, with changes all over; returns where WAL is then.
sub write_wal {
    my ($segments) = @_;
    my $end = number_of(sql('SELECT pg_current_wal_lsn()')) + $segments * $WAL;
    for (1 .. 10000) {
        sql(q{INSERT INTO grows SELECT g, md5(random()::text) FROM generate_series(1, 2000) g; UPDATE changes SET n = n + 1 WHERE id % 97 = (random() * 96)::int;});
        return if number_of(sql('SELECT pg_current_wal_lsn()')) > $end;
    }
    die 'WAL does not grow';
}

# Waits until all whole segments are read.
sub wait_tracked {
    my $lsn = sql('SELECT pg_current_wal_flush_lsn()');
    my $begin = text_of(int(number_of($lsn) / $WAL) * $WAL);
    poll_until("WAL up to $begin is tracked", sub { tracking("coalesce(lsn >= '$begin', false) AND state = 'tracking'") eq 't' });
}

# Segments before the last checkpoint go from pg_wal once they are archived.
sub recycle {
    archive_now($node);
    sql('CHECKPOINT');
    archive_now($node);
    sql('CHECKPOINT');
}

sub child { my @children = ark_children($node, 'server-track'); return $children[0] }

# What a backup that begins at `start` would be told: cost, and a hash of lines.
sub between {
    my ($parent, $start, %options) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'pg_ark', 'test-changes-between', $url =~ m{^/} ? "file://$url" : $url, $cluster, $data, $cluster, $WAL, $options{timeline} // 1,
            $parent->{timeline}, $parent->{start_lsn}, $parent->{stop_lsn}, $start, $options{most} // 20, $options{mode} // 'tables' ], '>', \$out, '2>', \$err) or die $err;
    my %lines = map { $_ => 1 } split /\n/, $out;
    my ($cost)    = grep { /^cost / } keys %lines;
    my ($why_not) = grep { /^why_not / } keys %lines;
    delete $lines{$cost};
    return { cost => $cost, why_not => $why_not, lines => \%lines };
}

sub parent_of {
    my ($id) = @_;
    my %parent;
    @parent{qw(timeline start_lsn stop_lsn)} = split /\|/, sql("SELECT timeline, start_lsn, stop_lsn FROM ark.backup_log WHERE backup_id = '$id'");
    return \%parent;
}

# The tables have all that WAL has; and no page is newer than the parent that they do not name.
sub tables_are_right {
    my ($what, $parent, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    sql('CHECKPOINT');
    my $start = sql('SELECT redo_lsn FROM pg_control_checkpoint()');
    my $told  = between($parent, $start, %options);
    is($told->{why_not}, undef, "$what: there is an answer") or return;
    my $scan = between($parent, $start, %options, mode => 'scan', most => 100000);
    is($scan->{why_not}, undef, "$what: WAL can be read too");
    cmp_ok(scalar(keys %{ $scan->{lines} }), '>', 20, "$what: WAL says " . keys(%{ $scan->{lines} }) . ' things');
    my @missing = grep { /^(?:block|database)/ && !$told->{lines}{$_} } sort keys %{ $scan->{lines} };
    is(join("\n", @missing[ 0 .. ($#missing > 5 ? 5 : $#missing) ]), '', "$what: the tables ($told->{cost}) say all that WAL ($scan->{cost}) says");
    my ($newer, @unknown) = (0);
    my ($from, $to) = (number_of($parent->{start_lsn}), number_of($start));
    for my $path (find_objects("$data/base", qr{/\d+$})) {
        my ($database, $filenode) = $path =~ m{^(\d+)/(\d+)$} or next;
        my $content = slurp_file("$data/base/$path");
        for my $block (0 .. length($content) / $PAGE - 1) {
            my ($high, $low, $upper) = unpack 'VVx6v', substr $content, $block * $PAGE, 16;
            my $lsn = $high * 2**32 + $low;
            next if $upper == 0 || $lsn <= $from || $lsn > $to;
            ++$newer;
            push @unknown, "$path $block" unless $told->{lines}{"block 1663/$database/$filenode $block"} || $told->{lines}{"database 1663/$database"};
        }
    }
    cmp_ok($newer, '>', 0, "$what: $newer pages are newer than the parent");
    is("@unknown[0 .. ($#unknown > 5 ? 5 : $#unknown)]", '', "$what: the tables name each of them");
    return $told;
}

# ---- tables appear under load, from the newest backup on

is(tracking('state'), 'no_repository', 'nothing is tracked before there is a repository');
sql('CREATE TABLE grows (n int, t text); CREATE TABLE changes AS SELECT g AS id, 0 AS n, md5(g::text) AS filler FROM generate_series(1, 20000) g; CREATE INDEX ON changes (id)');
my $parent = parent_of(backup_ok($node, 'the parent'));
wait_tracked();
like(preflight(), qr/^t\|tracking, up to /, 'preflight() says that it tracks');
write_wal(40);
wait_tracked();
my @tables = tables();
cmp_ok(scalar(@tables), '>=', 2, 'tables are in the repository');
follow_each_other('under load', @tables);
# Those of one segment are made where tracking had begun before the backup did: WAL may have made the repository.
is(scalar(grep { $_->[1] % (16 * $WAL) != 0 && $_->[1] - $_->[0] != $WAL } @tables[ 1 .. $#tables ]), 0, 'each ends where tables end');
my $told = tables_are_right('under load', $parent);
my ($read) = eval join '+', $told->{cost} =~ /live (\d+) archived (\d+)/;
cmp_ok($read, '<=', 18, 'a backup reads less WAL than a table has');
poll_until('it is near the end of WAL', sub { tracking("behind_bytes < 3 * $WAL") eq 't' });
is(tracking(q{timeline || ' ' || gaps || ' ' || (behind_since IS NULL) || ' ' || (last_gap IS NULL) || ' ' || audit_misses}), '1 0 true true 0', 'ark.change_tracking: it keeps up, without a gap');
# Not those of before: the checkpoint above may have finished another, which is counted a moment later.
poll_until('it counts the tables', sub { tracking('tables') == (() = tables()) }, 30);
is(tracking(q{wal_bytes = segments * 1048576 AND segments >= 35}), 't', 'and what was read');
is(tracking('cpu_per_segment > 0 AND cpu_per_segment < 0.5 AND cpu_seconds > 0'), 't', 'and what that took: ' . tracking('cpu_per_segment') . ' s a segment');
poll_until('it tells what an incremental would hold', sub { tracking(q{coalesce(changed_blocks > 100 AND changed_relations > 2 AND changed_bytes = changed_blocks * 8192, false)}) eq 't' }, 30);
is(tracking('since_lsn'), $parent->{start_lsn}, 'since the newest backup');
my ($nice) = (split ' ', slurp_file('/proc/' . child() . '/stat'))[18];
cmp_ok($nice, '>', 0, 'it yields to the server');
is(tracking('child_pid'), child(), 'the process is named');

# A new backup: only what changed since counts.
my $before = tracking('changed_blocks');
$parent = parent_of(backup_ok($node, 'a newer parent'));
poll_until('it counts anew', sub { tracking(q{coalesce(since_lsn::text, '')}) eq $parent->{start_lsn} }, 60);
cmp_ok(tracking('changed_blocks'), '<', $before / 2, 'what changed before it does not count any more');
@tables = tables();
follow_each_other('at a backup', @tables);

# ---- killed

write_wal(20);
my $killed = child();
kill 'KILL', $killed;
write_wal(20);
poll_until('it is started again', sub { my $child = child(); defined $child && $child != $killed });
wait_tracked();
follow_each_other('killed', tables());
is(tracking('gaps'), 0, 'no gap');
tables_are_right('killed', $parent);
is(tracking(q{error_message LIKE 'pg_ark ended%' AND error_at IS NOT NULL}), 't', 'the end is in ark.change_tracking');
write_wal(10);
$node->stop('immediate');
$node->start;
write_wal(10);
wait_tracked();
follow_each_other('the server was killed', tables());
is(tracking('gaps'), 0, 'no gap');
tables_are_right('the server was killed', $parent);

# ---- the repository is away

write_wal(17);
wait_tracked();
my $count = () = tables();
rename $directory, "$directory.away" or die $!;
write_wal(20);
poll_until('it says so', sub { tracking('state') =~ /retrying|stopped/ });
like(preflight(), qr/^f\|(?:retrying|stopped)/, 'preflight() too');
is(tracking('behind_since IS NOT NULL OR behind_bytes > 0'), 't', 'it is behind');
rename "$directory.away", $directory or die $!;
poll_until('it goes on', sub { tracking('state') eq 'tracking' });
wait_tracked();
follow_each_other('the repository was away', tables());
cmp_ok(scalar(() = tables()), '>', $count, 'the tables are there');
is(tracking('gaps'), 0, 'no gap');

# ---- switched off while segments go from pg_wal

set_config($node, 'pg_ark.change_tracking' => 'off');
poll_until('it is off', sub { tracking('state') eq 'off' && !defined child() });
like(preflight(), qr/^t\|off/, 'off is no fault');
my $off_at = (tables())[-1][1];
write_wal(40);
recycle();
my ($oldest) = sort grep { /^0000000100000000[0-9A-F]{8}$/ } slurp_dir("$data/pg_wal");
cmp_ok(hex(substr $oldest, 16) * $WAL, '>', $off_at + 8 * $WAL, 'what was not tracked has gone from pg_wal');
sql('CHECKPOINT');
my $start = sql('SELECT redo_lsn FROM pg_control_checkpoint()');
like(between($parent, $start)->{why_not}, qr/not tracked for WAL from .* segments would have to be read in the repository/, 'a backup that may not read the repository says why not');
is(between($parent, $start, most => 100)->{why_not}, undef, 'one that may is answered');
set_config($node, 'pg_ark.change_tracking' => undef);
wait_tracked();
follow_each_other('switched off and on', tables());
is(tracking('gaps'), 0, 'no gap');
tables_are_right('switched off and on', $parent);

# ---- WAL that nobody has any more

set_config($node, 'pg_ark.change_tracking' => 'off');
poll_until('it is off', sub { tracking('state') eq 'off' });
my $lost = int(number_of(sql('SELECT pg_current_wal_lsn()')) / $WAL) + 20;
write_wal(45);
recycle();
my ($object) = find_objects($directory, sprintf('/wal/00000001/[0-9A-F]{8}/00000001%08X%08X\.zst$', $lost * $WAL >> 32, $lost % 4096));
unlink "$directory/$object" or die "$object: $!";
ok(!-e sprintf('%s/pg_wal/00000001%08X%08X', $data, $lost * $WAL >> 32, $lost % 4096), 'a segment is lost');
set_config($node, 'pg_ark.change_tracking' => undef);
wait_tracked();
is(tracking('gaps'), 1, 'that is a gap');
my $behind_lost = text_of(($lost + 1) * $WAL);
like(tracking('last_gap'), qr{ to \Q$behind_lost\E on timeline 1: the segment is not there}, 'it is named');
like(preflight(), qr/^t\|tracking.*; 1 gaps, the last: /, 'preflight() shows it');
is(tracking('changed_blocks IS NULL'), 't', 'what an incremental would hold is not known: there would be none');
sql('CHECKPOINT');
like(between($parent, sql('SELECT redo_lsn FROM pg_control_checkpoint()'), most => 1000)->{why_not}, qr/cannot be read now/, 'a backup of the old parent is told so');
$parent = parent_of(backup_ok($node, 'a full one'));
poll_until('it is known again', sub { tracking('coalesce(changed_blocks >= 0, false)') eq 't' }, 60);
write_wal(20);
wait_tracked();
tables_are_right('behind the gap', $parent);

# ---- a copy of the cluster rests

archive_now($node);
my @before = find_objects($directory, qr{/blocks/});
my $clone = restore_node($node, 'clone');
start_restored($clone);
poll_until('it rests', sub { tracking('state', $clone) eq 'clone' });
is(scalar(ark_children($clone, 'server-track')), 0, 'without a process');
$clone->stop;

# ---- promotion

write_wal(5);
$node->stop;
append_to_file("$data/postgresql.conf", "restore_command = 'false'\n");
append_to_file("$data/recovery.signal", '');
$node->start;
$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
write_wal(20);
wait_tracked();
is(tracking('timeline'), 2, 'the server is on timeline 2');
my ($switch) = slurp_file("$data/pg_wal/00000002.history") =~ m{^1\t(\S+)\t}m;
my @second = tables(2);
is(text_of((tables(1))[-1][1]), $switch, 'the old timeline\'s last table ends where it was left');
is(text_of($second[0][0]), $switch, 'and the new one\'s first begins there');
follow_each_other('timeline 2', @second);
is(tracking('gaps'), 0, 'no gap');
tables_are_right('across the promotion', $parent, timeline => 2);

# ---- it does not hold up the server

my $began = time;
$node->stop;
cmp_ok(time - $began, '<', 20, 'the server stops at once');
done_testing();
