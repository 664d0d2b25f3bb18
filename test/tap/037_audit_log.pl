# ark.audit_log: who did what, from where, with which outcome; refused calls too. No rollback and no kill -9 takes an entry away.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my $node = ark_cluster('source', conf => "listen_addresses = '127.0.0.1'\n");
my $port = $node->port;
$node->safe_psql('postgres', q{
    CREATE ROLE app LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE boss LOGIN SUPERUSER; CREATE ROLE keeper LOGIN;
    GRANT USAGE ON SCHEMA ark TO app; GRANT EXECUTE ON FUNCTION ark.create_manual_backup TO app;
    GRANT USAGE ON SCHEMA ark TO keeper;
    CREATE TABLE done (what text); GRANT ALL ON done TO app});

# The one column of the rows for a condition, joined by commas, in the order of time.
sub entries {
    my ($where, $what) = @_;
    return $node->safe_psql('postgres', "SELECT coalesce(string_agg(($what)::text, ',' ORDER BY at), '') FROM ark.audit_log WHERE $where");
}
sub wait_entry {
    my ($where, $what, $expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $found = '';
    # A server that starts again after a crash answers a moment later.
    eval { poll_until($where, sub { $found = eval { entries($where, "concat_ws('|', act, outcome, session_role, acting_role, client, sqlstate, message, times)") } // ''; $found eq $expected }, 30) };
    is($found, $expected, $what);
    return;
}
sub call_as {
    my ($role, $sql, %more) = @_;
    return $node->psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$role" . ($more{connstr} // ''));
}

# ---- refused

call_as('stranger', 'SELECT ark.create_manual_backup($$x$$)');
wait_entry(q{session_role = 'stranger'}, 'no right to the schema',
    'create_manual_backup|refused|stranger|stranger|[local]|42501|permission denied for schema ark|1');
call_as('stranger', 'SELECT * FROM ark.audit_log', connstr => " host=127.0.0.1 application_name=nosy");
wait_entry(q{application = 'nosy'}, 'nor to look, over TCP', 'access|refused|stranger|stranger|127.0.0.1|42501|permission denied for schema ark|1');
call_as('app', 'SELECT ark.cancel_backup($$x$$)');
wait_entry(q{act = 'cancel_backup'}, 'no right to the function', 'cancel_backup|refused|app|app|[local]|42501|permission denied for function cancel_backup|1');
call_as('app', 'CALL ark.backup()');
wait_entry(q{act = 'backup'}, 'nor to the procedure', 'backup|refused|app|app|[local]|42501|permission denied for procedure backup|1');
# A function of that name in another schema is none of ours.
$node->safe_psql('postgres', q{CREATE PROCEDURE public.backup() LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON PROCEDURE public.backup() FROM PUBLIC; GRANT EXECUTE ON PROCEDURE ark.backup TO app});
call_as('app', 'CALL public.backup()');
call_as('app', q{SET application_name = 'after'; SELECT ark.create_manual_backup(NULL)});
wait_entry(q{application = 'after'}, 'what came after it is there', 'create_manual_backup|refused|app|app|[local]|22004|p_reason must not be null|1');
$node->safe_psql('postgres', 'REVOKE ALL ON PROCEDURE ark.backup FROM app');
is(entries(q{act = 'backup'}, 'times'), '1', 'another schema\'s procedure of that name is not recorded');

# A rollback takes nothing away; who acts for whom is told.
call_as('boss', 'SET ROLE app; BEGIN; INSERT INTO done VALUES ($$a$$); SELECT ark.create_manual_backup(NULL); ROLLBACK');
wait_entry(q{session_role = 'boss'}, 'a refusal outlives its transaction',
    'create_manual_backup|refused|boss|app|[local]|22004|p_reason must not be null|1');
is($node->safe_psql('postgres', 'SELECT count(*) FROM done'), '0', 'that was rolled back');
call_as('app', q{DO $$ BEGIN PERFORM ark.create_manual_backup(repeat('x', 5000)); EXCEPTION WHEN OTHERS THEN NULL; END $$});
wait_entry(q{sqlstate = '22001'}, 'also where the caller catches it', 'create_manual_backup|refused|app|app|[local]|22001|p_reason is too long|1');
$node->safe_psql('postgres', q{CREATE FUNCTION public.for_everybody() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS $$ SELECT ark.cancel_restore_test('6ba7b810-9dad-11d1-80b4-00c04fd430c8') $$});
call_as('stranger', 'SELECT public.for_everybody()');
wait_entry(q{act = 'cancel_restore_test'}, 'by another\'s function: both roles',
    'cancel_restore_test|refused|stranger|' . $node->safe_psql('postgres', 'SELECT current_user') . '|[local]|42704|test "6ba7b810-9dad-11d1-80b4-00c04fd430c8" does not exist|1');
call_as('boss', 'SELECT ark.adopt()');
wait_entry(q{act = 'adopt'}, 'a precondition', 'adopt|refused|boss|boss|[local]|55000|this cluster is not a restored copy|1');

# A loop of refusals fills no disk.
call_as('app', q{DO $$ BEGIN FOR i IN 1..300 LOOP BEGIN PERFORM ark.create_manual_backup(NULL); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$});
my $loop = q{session_role = 'app' AND sqlstate = '22004' AND application <> 'after'};
poll_until('all are counted', sub { $node->safe_psql('postgres', "SELECT sum(times) FROM ark.audit_log WHERE $loop") eq '300' });
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM ark.audit_log WHERE $loop"), '<', 10, '300 refusals are a few rows');

# ---- accepted

my $psql = $node->background_psql('postgres', extra_params => [ '-U', 'app' ]);
$psql->query_safe('BEGIN');
my $id = $psql->query_safe(q{SELECT ark.create_manual_backup('rolled back')});
my $seen = "concat_ws('|', act, outcome, session_role, acting_role, client, backend, backup_id = target)";
is(entries("target = '$id' AND outcome = 'accepted'", $seen), 'create_manual_backup|accepted|app|app|[local]|client backend|t', 'a backup is recorded when its call returns');
$psql->query_safe('ROLLBACK');
$psql->quit;
wait_backup($node, $id);
is(entries("target = '$id'", $seen), 'create_manual_backup|accepted|app|app|[local]|client backend|t,create_manual_backup|completed|app|app|[local]|client backend|t',
    'and so is its end, whatever became of the caller');

my $cancelled = with_fault($node, 'backup_copy_piece=sleep@2', sub {
    my $id = start_backup_sql($node, 'slow');
    call_as('app', q{SELECT ark.create_manual_backup('a second one')});
    wait_entry(q{sqlstate = '55006'}, 'a second backup is refused', "create_manual_backup|refused|app|app|[local]|55006|backup \"$id\" is under way|1");
    call_as('boss', "BEGIN; SELECT ark.cancel_backup('$id'); ROLLBACK");
    wait_backup($node, $id);
    $id });
poll_until('all of it is there', sub { entries("target = '$cancelled'", 'outcome') =~ /cancelled/ && entries("target = '$cancelled'", 'act') =~ /cancel_backup/ });
is(join(',', sort split /,/, entries("target = '$cancelled'", "act || ':' || outcome")), 'cancel_backup:accepted,create_manual_backup:accepted,create_manual_backup:cancelled',
    'a cancelled backup: who began it, who ended it, how it ended');

my $test = $node->safe_psql('postgres', "SELECT ark.verify_backup('$id')");
is(entries("target = '$test'", "concat_ws('|', act, outcome, message, backup_id = '$id')"), 'verify_backup|accepted|t,verify_backup|completed|nothing wrong was found|t', 'a verification');

# ---- settings

set_config($node, 'pg_ark.backup_jobs' => 3, 'pg_ark.wal_conninfo' => 'password=planted-secret');
wait_entry(q{target = 'pg_ark.backup_jobs'}, 'a setting that a reload changed', 'setting|accepted|from "2" to "3"|1');
wait_entry(q{target = 'pg_ark.wal_conninfo'}, 'what only superusers may see is not told', 'setting|accepted|changed|1');
set_config($node, 'pg_ark.wal_conninfo' => undef);
poll_until('and its end', sub { entries(q{target = 'pg_ark.wal_conninfo'}, 'times') eq '1,1' });

# ---- append-only

my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM ark.audit_log');
$node->safe_psql('postgres', 'ALTER TABLE ark.audit_log OWNER TO keeper');
for my $sql (q{INSERT INTO ark.audit_log (act, outcome) VALUES ('x', 'accepted')}, q{UPDATE ark.audit_log SET act = 'x'}, 'DELETE FROM ark.audit_log', 'TRUNCATE ark.audit_log') {
    my (undef, undef, $denied) = call_as('keeper', $sql);
    like($denied, qr/permission denied for table audit_log/, "the owner may not: $sql");
    my (undef, undef, $err) = call_as('keeper', "GRANT ALL ON ark.audit_log TO keeper; $sql");
    like($err, qr/ark\.audit_log can be written by superusers alone/, 'nor where he grants it to himself');
    call_as('keeper', 'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ark.audit_log FROM keeper');
}
poll_until('the tries are recorded', sub { $node->safe_psql('postgres', q{SELECT sum(times) FROM ark.audit_log WHERE session_role = 'keeper' AND target = 'audit_log'}) eq '8' });
pass('every try is recorded');
is($node->safe_psql('postgres', q{SELECT count(*) FROM ark.audit_log WHERE session_role IS DISTINCT FROM 'keeper'}), $count, 'nothing is gone and nothing was forged');
$node->safe_psql('postgres', 'ALTER TABLE ark.audit_log OWNER TO CURRENT_USER');

# ---- the end of processes

# The writer is killed before, and after, it has written: the server starts again, and each entry is there once.
for my $moment (qw(taken written)) {
    set_config($node, 'pg_ark.fault' => "module_audit_$moment=sleep");
    my $mark = log_mark($node);
    call_as('app', "SET application_name = 'killed_$moment'; SELECT ark.create_manual_backup(NULL)");
    wait_log($node, qr/fault point "module_audit_$moment" in process (\d+)/, $mark);
    my ($pid) = PostgreSQL::Test::Utils::slurp_file($node->logfile, $mark) =~ /fault point "module_audit_$moment" in process (\d+)/;
    is(entries("application = 'killed_$moment'", 'times'), $moment eq 'taken' ? '' : '1', "$moment: before the kill");
    set_config($node, 'pg_ark.fault' => undef);
    kill 'KILL', $pid;
    wait_running($node);
    wait_entry("application = 'killed_$moment'", "$moment: it is there once", 'create_manual_backup|refused|app|app|[local]|22004|p_reason must not be null|1');
}
# And a backup's worker between its row and its work.
my $killed = with_fault($node, 'module_row_visible=kill', sub { my (undef, $out) = $node->psql('postgres', q{SELECT ark.create_manual_backup('killed')}); wait_running($node); $out });
my $failed = poll_until('its end is written', sub { entries(q{sqlstate = '57P02'}, 'target') });
is(entries("target = '$failed'", "act || ':' || outcome"), 'create_manual_backup:accepted,create_manual_backup:failed', 'a killed backup: its beginning and its end');

# ---- what cannot be written

my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE ark.audit_log IN SHARE MODE');
call_as('app', q{SET application_name = 'waits'; SELECT ark.create_manual_backup(NULL)});
poll_until('audit_status says so', sub { $node->safe_psql('postgres', q{SELECT failures > 0 AND waiting_bytes > 0 AND error_sqlstate = '55P03' FROM ark.audit_status}) eq 't' });
pass('audit_status tells that entries wait, and why');
# The spool is full, of what cannot be read besides.
PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/pg_wal/pg_ark.audit', ("{\"act\": \"no uuid\", \"outcome\": \"accepted\", \"id\": \"1\"}\n" x 3) . ("half a line\n" x 87_400));
call_as('app', q{SET application_name = 'no_room'; SELECT ark.create_manual_backup(NULL)});
is($node->safe_psql('postgres', 'SELECT lost FROM ark.audit_status'), '1', 'an entry without room is counted');
$locker->query_safe('ROLLBACK');
$locker->quit;
wait_entry(q{application = 'waits'}, 'what waited is written', 'create_manual_backup|refused|app|app|[local]|22004|p_reason must not be null|1');
poll_until('the loss is in the log', sub { $node->safe_psql('postgres', q{SELECT coalesce(sum(times), 0) FROM ark.audit_log WHERE outcome = 'lost'}) eq '4' });
pass('so is that entries were lost: the one without room and those that cannot be read');
# The writer notes its end after it has been to the repository.
poll_until('then all is well', sub { $node->safe_psql('postgres', q{SELECT concat_ws('|', waiting_bytes, lost, failures, error_message) FROM ark.audit_status}) eq '0|0|0' });
pass('then all is well');

# A stop takes nothing away.
call_as('app', q{SET application_name = 'stop'; SELECT ark.create_manual_backup(NULL); });
$node->restart;
wait_entry(q{application = 'stop'}, 'an entry of the last moment before a stop', 'create_manual_backup|refused|app|app|[local]|22004|p_reason must not be null|1');

# ---- retention

$node->safe_psql('postgres', q{INSERT INTO ark.audit_log (at, act, outcome) VALUES (now() - interval '31 days', 'old', 'accepted'), (now() - interval '29 days', 'young', 'accepted')});
set_config($node, 'pg_ark.audit_retention' => 30);
poll_until('the old one is gone', sub { entries(q{act = 'old'}, 'act') eq '' });
is(entries(q{act = 'young'}, 'act'), 'young', 'retention');

unlike($node->safe_psql('postgres', 'SELECT string_agg(l::text, $$ $$) FROM ark.audit_log l'), qr/planted-secret/, 'no secret is in the log');
done_testing();
