# Integrity checks on the live server: the way from a definition to its results, and every check that would harm the server.
# Each of these is an error in its row: nothing is written, nobody is ended, nothing stays.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PgArk::Test;

my $node = ark_cluster('source');
my $has_dblink = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'});

# ---- what the tests below ask

sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }

# The SQLSTATE and message of a statement that fails, or ''.
sub refused {
    my ($statement, @options) = @_;
    my (undef, undef, $err) = $node->psql('postgres', $statement, extra_params => ['-v', 'VERBOSITY=verbose'], @options);
    return $err =~ /ERROR:  (.*)/s ? $1 : '';
}

# Runs the checks named (all: undef); the id and whether nothing was found.
sub run_checks {
    my (@names) = @_;
    my $options = @names ? JSON::PP::encode_json({ checks => \@names }) : '{}';
    my $out = sql(sprintf 'CALL ark.check_integrity(p_options => %s)', quoted($options));
    return split /\|/, $out;
}

# Rows of a run, by the name of their check.
sub results {
    my ($run) = @_;
    my $json = sql("SELECT jsonb_agg(to_jsonb(r) ORDER BY id) FROM ark.integrity_results r WHERE run_id = '$run'");
    return { map { $_->{check_name} => $_ } @{ JSON::PP::decode_json($json eq '' ? '[]' : $json) } };
}

sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

# Adds a check, past the function where that would refuse it.
sub plant {
    my ($name, $query, %options) = @_;
    sql(sprintf q{INSERT INTO ark.integrity_checks (name, category, sql, timeout, database) VALUES (%s, 'custom', %s, %s, %s)},
        quoted($name), quoted($query), quoted($options{timeout} // '10 s'), $options{database} ? quoted($options{database}) : 'NULL');
}

# ---- from a definition to its results

sql(q{CREATE TABLE orders (id int PRIMARY KEY, amount int); INSERT INTO orders SELECT g, CASE WHEN g % 10 = 0 THEN -g ELSE g END FROM generate_series(1, 200) g});
sql(q{SELECT ark.add_integrity_check('negative amounts', 'validation', 'SELECT id, amount FROM orders WHERE amount < 0 ORDER BY id;  ',
    p_tables => '{public.orders}', p_options => '{"description": "nobody is paid for buying"}')});
is(sql(q{SELECT sql, tables, created_by, runs_on FROM ark.integrity_checks}), 'SELECT id, amount FROM orders WHERE amount < 0 ORDER BY id|{public.orders}|'
    . sql('SELECT session_user') . '|both', 'a check is kept as one query, without what ends it');
sql(q{SELECT ark.add_integrity_check('tolerated', 'custom', 'SELECT FROM orders WHERE amount < 0', 'warning', 20)});
sql(q{SELECT ark.add_integrity_check('only for drills', 'custom', 'SELECT 1', p_options => '{"runs_on": "drill"}')});
sql(q{SELECT ark.add_integrity_check('resting', 'custom', 'SELECT 1', p_options => '{"enabled": false}')});

my ($run, $success) = run_checks();
is($success, 'f', 'CALL check_integrity: something was found');
my $rows = results($run);
is_deeply([ sort keys %$rows ], [ 'negative amounts', 'tolerated' ], 'what is enabled and runs live was run');
my $row = $rows->{'negative amounts'};
is_deeply([ @$row{qw(status violations category severity environment database)} ], [ 'failed', 20, 'validation', 'error', 'live', 'postgres' ], 'its violations are counted');
ok(!$row->{violations_is_lower_bound}, 'all of them');
is(scalar @{ $row->{samples} }, 10, 'ten are shown');
is_deeply($row->{samples}[0], { id => 10, amount => -10 }, 'as rows');
is_deeply([ @{ $rows->{tolerated} }{qw(status violations)} ], [ 'passed', 20 ], 'as many violations as the threshold are tolerated');
is(sql("SELECT status, success, checks, passed, failed, errors, skipped, requested_by = session_user FROM ark.integrity_runs WHERE id = '$run'"),
    'completed|f|2|1|1|0|0|t', 'the run has its row');
poll_until('the audit log has it', sub {
    sql("SELECT string_agg(act || ' ' || outcome, ', ' ORDER BY at) FROM ark.audit_log WHERE target = '$run'") eq 'check_integrity accepted, check_integrity completed' });
ok(log_has($node, qr/1 integrity check failed or could not run/), 'and the server\'s log says so');

($run) = (sql(q{SELECT ark.run_integrity_checks('custom')}));
poll_until('the run has ended', sub { sql("SELECT status FROM ark.integrity_runs WHERE id = '$run'") eq 'completed' });
is_deeply([ keys %{ results($run) } ], ['tolerated'], 'run_integrity_checks(category) starts those of a category');
is(sql("SELECT success FROM ark.integrity_runs WHERE id = '$run'"), 't', 'nothing of severity error or critical was found');

# ---- what is refused when it is asked for, and how that reads

my @refusals = (
    [ q{SELECT ark.add_integrity_check(NULL, 'custom', 'SELECT 1')},                     qr/^22004: p_name must not be null/ ],
    [ q{SELECT ark.add_integrity_check('', 'custom', 'SELECT 1')},                       qr/^22023: p_name must have 1 to 200 bytes/ ],
    [ q{SELECT ark.add_integrity_check('a', 'other', 'SELECT 1')},                       qr/^22023: unknown category "other".*HINT:.*referential/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', 'fatal')},             qr/^22023: unknown severity "fatal".*HINT/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', 'error', -1)},         qr/^22023: p_threshold must not be negative.*HINT/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', p_tables => '{a,NULL}')}, qr/^22023: p_tables must be a list/ ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', p_options => '{"x": 1}')}, qr/^22023: unknown option "x".*HINT:  The options are description/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', p_options => '{"runs_on": "moon"}')}, qr/^22023: unknown place.*HINT:  It is live/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', p_options => '{"timeout": "2 days"}')}, qr/^22023: invalid value for option "timeout".*HINT/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1', p_options => '{"database": "nowhere"}')}, qr/^3D000: database "nowhere" does not exist.*HINT/s ],
    [ q{SELECT ark.add_integrity_check('tolerated', 'custom', 'SELECT 1')},              qr/^42710: integrity check "tolerated" exists already.*HINT:.*replace/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELEC 1')},                       qr/^42601: syntax error.*QUERY:  SELEC 1/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', ' -- nothing ')},                  qr/^42601: a check must be one query.*0 statements.*HINT/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1; SELECT 2')},            qr/^42601: a check must be one query.*2 statements.*HINT/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT 1) x; DROP TABLE orders; SELECT (1')}, qr/^42601: syntax error/ ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'DELETE FROM orders')},            qr/^0A000: a check must be a query.*HINT/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d')}, qr/^0A000: a check must be a query.*writes/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT * INTO t FROM orders')},   qr/^0A000: a check must be a query.*SELECT INTO/s ],
    [ q{SELECT ark.add_integrity_check('a', 'custom', 'SELECT * FROM orders FOR UPDATE')}, qr/^0A000: a check must be a query.*lock rows/s ],
    [ q{SELECT ark.remove_integrity_check('never was')},                                 qr/^42704: integrity check "never was" does not exist.*HINT/s ],
    [ q{SELECT ark.run_integrity_checks('other')},                                       qr/^22023: unknown category "other".*HINT/s ],
    [ q{SELECT ark.run_integrity_checks(p_options => '{"checks": ["never was"]}')},      qr/^42704: integrity check "never was" does not exist.*HINT/s ],
    [ q{SELECT ark.run_integrity_checks(p_options => '{"checks": "tolerated"}')},        qr/^22023: invalid value for option "checks".*HINT:  It is an array of texts/s ],
    [ q{CALL ark.check_integrity('isolation')},                                          qr/^55000: there is no integrity check to run.*HINT:.*add_ready_made_checks/s ],
    [ q{BEGIN; CALL ark.check_integrity()},                                              qr/^2D000: ark.check_integrity cannot wait inside a transaction block.*run_integrity_checks/s ],
    [ q{SELECT ark.cancel_integrity_run(NULL)},                                          qr/^22004: p_run_id must not be null/ ],
    [ q{SELECT ark.cancel_integrity_run(gen_random_uuid())},                             qr/^42704: run .* does not exist.*HINT/s ],
    [ q{SELECT ark.add_critical_function('f', 'UPDATE orders SET id = 1')},              qr/^0A000: a check must be a query/ ],
    [ q{SELECT ark.add_critical_function('f', 'SELECT 1', p_options => '{"predicate": "1 +"}')}, qr/^42601: syntax error/ ],
    [ q{SELECT ark.remove_critical_function('f')},                                       qr/^42704: critical function "f" does not exist/ ],
    [ q{SELECT ark.add_ready_made_checks(p_options => '{"kinds": ["taste"]}')},          qr/^22023: unknown kind "taste" of ready-made checks.*HINT:  The kinds are foreign_keys, .* and wraparound/s ],
    [ q{SELECT ark.add_ready_made_checks(p_options => '{"database": "nowhere"}')},       qr/^3D000: database "nowhere" does not exist/ ],
);
like(refused($_->[0]), $_->[1], $_->[0]) for @refusals;
is(sql('SELECT count(*) FROM ark.integrity_checks'), 4, 'nothing of these was added');
is(sql('SELECT count(*) FROM orders'), 200, 'or done');
poll_until('refusals are in the audit log', sub { sql(q{SELECT sum(times) FROM ark.audit_log WHERE act = 'add_integrity_check' AND outcome = 'refused'}) eq '19' });

# ---- checks that would do harm

sql(q{CREATE TABLE victim (what text); INSERT INTO victim VALUES ('whole'); GRANT ALL ON victim TO PUBLIC; CREATE SEQUENCE numbers; GRANT ALL ON SEQUENCE numbers TO PUBLIC;
    GRANT CREATE ON SCHEMA public TO PUBLIC;
    CREATE TABLE secret (owner text, what text); INSERT INTO secret VALUES ('a', 'x'), ('b', 'y'); ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY;
    CREATE FUNCTION do_it(command text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; RETURN current_user || ' ' || session_user; END $$;
    CREATE FUNCTION do_it_as_superuser(command text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE command; RETURN current_user; END $$;
    CREATE FUNCTION never_ends() RETURNS int LANGUAGE plpgsql AS $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;
    CREATE FUNCTION deeper(n int) RETURNS int LANGUAGE sql AS 'SELECT deeper(n + 1) + 1' ;
    CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'a flood of words'; RAISE WARNING 'a flood of words'; RETURN 1; END $$;
    CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
    CREATE TABLE seen (what text); GRANT ALL ON seen TO PUBLIC;
    CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.seen VALUES (tg_tag); END $$;
    });
sql(q{CREATE EXTENSION dblink}) if $has_dblink;
sql(q{CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION on_ddl()});
my $file = PostgreSQL::Test::Utils::tempdir() . '/written';
my $superuser = sql('SELECT session_user');
sub does { my ($command, $as) = @_; return sprintf 'SELECT %s(%s)', $as // 'do_it', quoted($command) }

# [ what it tries, the query, the SQLSTATE that its row must have ]
my @hostile = (
    [ 'writes by a function',            does(q{INSERT INTO victim VALUES ('written')}), '25006' ],
    [ 'writes as a superuser',           does(q{INSERT INTO victim VALUES ('written')}, 'do_it_as_superuser'), '25006' ],
    [ 'writes in WITH',                  q{WITH w AS (INSERT INTO victim VALUES ('written') RETURNING 1) SELECT * FROM w}, '0A000' ],
    [ 'is a DELETE',                     'DELETE FROM victim', '0A000' ],
    [ 'is DDL',                          'DROP TABLE victim', '0A000' ],
    [ 'is DO',                           q{DO $$ BEGIN DELETE FROM victim; END $$}, '0A000' ],
    [ 'locks rows',                      'SELECT * FROM victim FOR UPDATE', '0A000' ],
    [ 'has two statements',              'SELECT 1; DELETE FROM victim', '42601' ],
    [ 'breaks out of brackets',          'SELECT 1) AS x; DELETE FROM victim; SELECT (1', '42601' ],
    [ 'does not parse',                  'SELEC 1', '42601' ],
    [ 'asks for what is not there',      'SELECT * FROM nowhere', '42P01' ],
    [ 'divides by zero',                 'SELECT 1 / (g - g) FROM generate_series(1, 1) g', '22012' ],
    [ 'calls nextval',                   q{SELECT nextval('numbers')}, '25006' ],
    [ 'calls setval',                    q{SELECT setval('numbers', 77)}, '25006' ],
    [ 'makes a table',                   does('CREATE TABLE made (a int)'), '25006' ],
    [ 'makes a temporary table',         does('CREATE TEMP TABLE made (a int)'), '25006' ],
    [ 'truncates',                       does('TRUNCATE victim'), '25006' ],
    [ 'makes itself READ WRITE',         does(q{SET TRANSACTION READ WRITE}), '25001' ],
    [ 'makes itself READ WRITE by set_config', q{SELECT set_config('transaction_read_only', 'off', true)}, '25001' ],
    [ 'makes later ones READ WRITE',     does(q{SET default_transaction_read_only = off; INSERT INTO victim VALUES ('written')}), '25006' ],
    [ 'takes the role of a superuser',   does("SET ROLE $superuser"), '42501' ],
    [ 'takes a superuser\'s session',    does("SET SESSION AUTHORIZATION $superuser"), '42501' ],
    [ 'takes its role back and writes',  does(q{RESET ROLE; RESET SESSION AUTHORIZATION; INSERT INTO victim VALUES ('written')}), '25006' ],
    [ 'takes its role back and alters one', does('RESET ROLE; ALTER ROLE ark_checker SUPERUSER'), '25006' ],
    [ 'ends its transaction',            does('COMMIT'), '0A000' ],
    [ 'begins one',                      does('BEGIN'), '0A000' ],
    [ 'calls a procedure that commits',  does('CALL commits()'), '2D000' ],
    [ 'prepares one',                    does(q{PREPARE TRANSACTION 'x'}), '0A000' ],
    [ 'runs a program',                  does(q{COPY (SELECT 1) TO PROGRAM 'touch }. $file . q{'}), '42501' ],
    [ 'writes a file',                   does("COPY (SELECT 1) TO '$file'"), '42501' ],
    [ 'reads a file',                    q{SELECT pg_read_file('PG_VERSION')}, '42501' ],
    [ 'lists files',                     q{SELECT pg_ls_dir('.')}, '42501' ],
    [ 'exports a large object',          "SELECT lo_export(1, '$file')", '42501' ],
    [ 'imports a file',                  q{SELECT lo_import('/etc/hostname')}, '42501' ],
    [ 'reloads the configuration',       'SELECT pg_reload_conf()', '42501' ],
    [ 'switches WAL',                    'SELECT pg_switch_wal()', '42501' ],
    [ 'alters the system',               does(q{ALTER SYSTEM SET work_mem = '1GB'}), '(?:25001|42501)' ],
    [ 'sets what only superusers may',   q{SELECT set_config('log_min_messages', 'debug5', false)}, '42501' ],
    [ 'starts a backup',                 q{SELECT ark.create_manual_backup('x')}, '42501' ],
    [ 'adds a check',                    q{SELECT ark.add_integrity_check('x', 'custom', 'SELECT 1')}, '42501' ],
    [ 'ends others',                     q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY pid}, '42501' ],
    [ 'cancels others',                  q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY pid}, '42501' ],
    [ 'ends itself',                     'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)', '08006' ],
    [ 'cancels itself',                  'SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10)', '57014' ],
    [ 'runs long',                       'SELECT pg_sleep(60)', '57014', '500 ms' ],
    [ 'takes its time limit away',       q{SELECT set_config('statement_timeout', '0', false), pg_sleep(60)}, '57014', '500 ms' ],
    [ 'catches the end of its time',     'SELECT never_ends()', '57014', '500 ms' ],
    [ 'calls itself without end',        'SELECT deeper(1)', '54001' ],
    [ 'waits for a lock',                'SELECT * FROM locked', '55P03', '30 s' ],
);
push @hostile, [ 'connects to this server again', sprintf(q{SELECT dblink_exec('dbname=postgres host=%s port=%s user=%s', 'DELETE FROM victim')}, $node->host, $node->port, $superuser), '2F003' ]
  if $has_dblink;
# What is let through, and leaves nothing behind.
my @harmless = (
    [ 'who it is',                   'SELECT current_user AS now, session_user AS login' ],
    [ 'who it is after RESET ROLE',  does('RESET ROLE') ],
    [ 'keeps an advisory lock',      'SELECT pg_advisory_lock(4711)' ],
    [ 'notifies',                    q{SELECT pg_notify('channel', 'words')} ],
    [ 'changes its settings',        q{SELECT set_config('search_path', 'nowhere', false), set_config('work_mem', '1MB', false)} ],
    [ 'is noisy',                    'SELECT noisy()' ],
    [ 'sees its settings',           q{SELECT current_setting('search_path') AS path, current_setting('transaction_read_only') AS read_only} ],
    [ 'reads behind row security',   'SELECT * FROM secret' ],
    [ 'returns too many rows',       'SELECT * FROM generate_series(1, 300000)' ],
    [ 'returns a long row',          q{SELECT repeat('long ', 1000000) AS words} ],
    [ 'returns what jsonb does not take', q{SELECT '{"a": "\u0000"}'::json AS odd FROM generate_series(1, 3)} ],
    [ 'returns nothing at all',      'SELECT FROM victim' ],
    [ 'has quotes "and" \'such\'; --', q{SELECT 'it''s' AS "a ""b"""} ],
);
plant($_->[0], $_->[1], timeout => $_->[3]) for @hostile, @harmless;
plant('makes a large object', 'SELECT lo_create(4711)');
sql('CREATE TABLE locked (a int)');
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE locked');

my $mark = log_mark($node);
sub servers { return sql(q{SELECT string_agg(backend_type || ' ' || pid, ', ' ORDER BY pid) FROM pg_stat_activity WHERE backend_type ~ 'launcher|checkpointer|writer'}) }
my $servers = servers();
($run, $success) = run_checks((map { $_->[0] } @hostile, @harmless), 'makes a large object');
$rows = results($run);
is(scalar keys %$rows, @hostile + @harmless + 1, 'every check has its row, whatever those before it did');
is($success, 'f', 'the run says that something is wrong');
for (@hostile) {
    my ($what, undef, $state) = @$_;
    my $row = $rows->{$what};
    is($row->{status}, 'error', "$what: an error in its row");
    like($row->{error}{sqlstate}, qr/^$state$/, "$what: $row->{error}{sqlstate}: $row->{error}{message}");
    ok(!defined $row->{violations} && !defined $row->{samples}, "$what: no count and no samples");
}
cmp_ok(sql(qq{SELECT extract(epoch FROM duration) FROM ark.integrity_results WHERE run_id = '$run' AND check_name = 'catches the end of its time'}), '<', 9,
    'who catches the end of his time is ended a little later');
$locker->query_safe('ROLLBACK');
$locker->quit;

my %found = map { $_->[0] => $rows->{ $_->[0] } } @harmless;
isnt($found{$_}{status}, 'error', "$_: runs") for sort keys %found;
is_deeply($found{'who it is'}{samples}, [ { now => 'ark_checker', login => 'ark_checker' } ], 'a check logs in as the role of checks');
is_deeply($found{'who it is after RESET ROLE'}{samples}, [ { do_it => 'ark_checker ark_checker' } ], 'RESET ROLE has nowhere to go back to');
is_deeply($found{'sees its settings'}{samples}, [ { path => '"$user", public', read_only => 'on' } ], 'no check sees what another has set');
is($found{'reads behind row security'}{violations}, 2, 'all rows are seen, whatever row security hides from users');
is_deeply([ @{ $found{'returns too many rows'} }{qw(violations violations_is_lower_bound)} ], [ 100000, JSON::PP::true ], 'no more than 100000 are counted');
cmp_ok(length $found{'returns a long row'}{samples}[0]{shortened}, '<', 1100, 'a long row is shown in part');
is($found{'returns what jsonb does not take'}{violations}, 3, 'what cannot be shown is counted all the same');
is($found{'returns nothing at all'}{violations}, 1, 'a row needs no column');
is_deeply($found{'has quotes "and" \'such\'; --'}{samples}, [ { 'a "b"' => q{it's} } ], 'names and values are quoted');

# Nothing of it happened, and nothing stays.
is(sql('SELECT what FROM victim'), 'whole', 'nothing was written');
is(sql('SELECT count(*) FROM pg_largeobject_metadata'), 0, 'no large object stays, though 15 lets a READ ONLY transaction make one');
is(sql('SELECT last_value, is_called FROM numbers'), '1|f', 'no sequence has moved');
is(sql(q{SELECT count(*) FROM seen WHERE what <> 'CREATE TABLE'}), 0, 'no event trigger was fired');
is(sql(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 0, 'no lock stays');
ok(!-e $file, 'no file was written');
is(sql(q{SELECT rolsuper, rolcanlogin, rolconnlimit, rolbypassrls, rolcreaterole, rolcreatedb, rolpassword FROM pg_authid WHERE rolname = 'ark_checker'}), 'f|t|0|t|f|f|', 'the role is what it was');
ok(!log_has($node, qr/a flood of words/, $mark), 'and the server\'s log has none of its words');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_ark check'}), 0, 'no process stays');
is(servers(), $servers, 'nobody was ended');
never_restarted($node);
sql('DROP EVENT TRIGGER watch; DELETE FROM ark.integrity_checks');

# ---- the role

my (undef, undef, $err) = $node->psql('postgres', 'SELECT 1', connstr => $node->connstr('postgres') . ' user=ark_checker');
like($err, qr/too many connections for role "ark_checker"/, 'nobody logs in as the role of checks');
plant('any', 'SELECT 1 WHERE false');
for ([ 'GRANT pg_write_all_data TO ark_checker', 'REVOKE pg_write_all_data FROM ark_checker', qr/member of pg_write_all_data/ ],
    [ 'CREATE ROLE between IN ROLE pg_execute_server_program; GRANT between TO ark_checker', 'DROP ROLE between', qr/member of pg_execute_server_program/ ],
    [ "GRANT $superuser TO ark_checker", "REVOKE $superuser FROM ark_checker", qr/member of .*\Q$superuser\E/ ],
    [ 'ALTER ROLE ark_checker SUPERUSER', 'ALTER ROLE ark_checker NOSUPERUSER', qr/SUPERUSER/ ],
    [ 'ALTER ROLE ark_checker NOLOGIN', 'ALTER ROLE ark_checker LOGIN', qr/may not log in/ ],
    [ 'ALTER ROLE ark_checker RENAME TO elsewhere', 'ALTER ROLE elsewhere RENAME TO ark_checker', qr/does not exist.*HINT:.*CREATE ROLE ark_checker LOGIN CONNECTION LIMIT 0/s ]) {
    my ($before, $after, $expected) = @$_;
    sql($before);
    my $message = refused('CALL ark.check_integrity()');
    like($message, qr/^55000: role "ark_checker" cannot run integrity checks/, "$before: no check is run");
    like($message, $expected, 'the reason is told');
    sql($after);
}
is(sql(q{SELECT count(*) FROM ark.integrity_runs WHERE status = 'failed' AND error ->> 'sqlstate' = '55000'}), 7, 'and kept');
is((run_checks())[1], 't', 'the role is as it should be again');

# ---- other databases

sql(q{CREATE DATABASE other ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
sql(q{CREATE DATABASE closed}); sql(q{REVOKE CONNECT ON DATABASE closed FROM PUBLIC});
sql(q{CREATE DATABASE gone});
$node->safe_psql('other', q{CREATE TABLE here (a text); INSERT INTO here VALUES (convert_from('\xfc', 'LATIN1'))});
sql(q{SELECT ark.add_integrity_check('in other', 'custom', 'SELECT current_database() AS place, a FROM here WHERE a = ''}. "\xc3\xbc" . q{''', p_options => '{"database": "other"}')});
sql(sprintf q{SELECT ark.add_integrity_check('in %s', 'custom', 'SELECT 1', p_options => '{"database": "%s"}')}, $_, $_) for qw(closed gone);
sql('DROP DATABASE gone');
($run) = run_checks();
$rows = results($run);
is_deeply($rows->{'in other'}{samples}, [ { place => 'other', a => "\x{fc}" } ], 'a check of another database runs there, in its encoding');
is($rows->{'in other'}{database}, 'other', 'and says so');
like($rows->{'in closed'}{error}{message}, qr/role "ark_checker" may not connect to database "closed"/, 'one that the role may not enter is an error in the row');
is($rows->{'in closed'}{error}{hint}, 'GRANT CONNECT ON DATABASE closed TO ark_checker.', 'which says what to do');
like($rows->{'in gone'}{error}{message}, qr/database "gone" does not exist/, 'and one that is gone');
is($rows->{any}{status}, 'passed', 'the others run');
sql('DELETE FROM ark.integrity_checks');

# ---- roles that were granted the functions

sql(q{CREATE ROLE operator; GRANT USAGE ON SCHEMA ark TO operator; GRANT EXECUTE ON PROCEDURE ark.check_integrity TO operator; GRANT SELECT ON ark.integrity_status TO operator;
    CREATE ROLE author; GRANT USAGE ON SCHEMA ark TO author; GRANT EXECUTE ON FUNCTION ark.add_integrity_check, ark.remove_integrity_check TO author});
sql(q{SET ROLE author; SELECT ark.add_integrity_check('granted', 'custom', 'SELECT what FROM secret')});
like(sql('SET ROLE operator; CALL ark.check_integrity()'), qr/^[-0-9a-f]{36}\|f$/, 'a grant is enough to add a check, and to run it');
is(sql('SET ROLE operator; SELECT check_name, status, violations FROM ark.integrity_status WHERE started_at = (SELECT max(started_at) FROM ark.integrity_status)'), 'granted|failed|2', 'and to see what came of it');
like(refused('SET ROLE operator; SELECT samples FROM ark.integrity_results'), qr/^42501/, 'but not the rows that it found');
sql(q{SET ROLE author; SELECT ark.remove_integrity_check('granted')});
is(sql('SELECT count(*) FROM ark.integrity_checks'), 0, 'and to remove it');

# ---- cancelling

plant('sleeps', 'SELECT pg_sleep(100)', timeout => '100 s');
plant('before', 'SELECT 1');
sql(q{UPDATE ark.integrity_checks SET severity = 'critical' WHERE name = 'before'});
sub running { return sql(q{SELECT test_id FROM ark.test_progress WHERE kind = 'integrity' AND phase = 'running' AND doing = 'sleeps'}) }
$run = sql('SELECT ark.run_integrity_checks()');
poll_until('it sleeps', sub { running() eq $run });
is(sql('SELECT backup_id IS NULL, done, total, cancel_requested FROM ark.test_progress'), 't|1|2|f', 'ark.test_progress shows how far it is');
is(sql(q{SELECT usename FROM pg_stat_activity WHERE backend_type = 'pg_ark check'}), 'ark_checker', 'and pg_stat_activity who does it');
like(refused('SELECT ark.run_integrity_checks()'), qr/^55006: run "\Q$run\E" of integrity checks is under way.*HINT:.*cancel_integrity_run/s, 'one runs at a time');
like(refused("SELECT ark.cancel_restore_test('$run')"), qr/^42704/, 'it is no restore test');
my $begun = time;
is(sql("SELECT ark.cancel_integrity_run('$run')"), 't', 'cancel_integrity_run');
poll_until('it has ended', sub { sql("SELECT status FROM ark.integrity_runs WHERE id = '$run'") eq 'cancelled' });
cmp_ok(time - $begun, '<', 10, 'it ends within seconds');
poll_until('its process has gone', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_ark check'}) eq '0' });
is_deeply([ keys %{ results($run) } ], ['before'], 'what was found until then is kept');
is(sql("SELECT ark.cancel_integrity_run('$run')"), 'f', 'what has ended cannot be cancelled');

like(refused(q{SET statement_timeout = '2s'; CALL ark.check_integrity()}), qr/^57014/, 'a CALL that is cancelled');
is(sql('SELECT status FROM ark.integrity_runs ORDER BY started_at DESC LIMIT 1'), 'cancelled', 'ends its run');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('pg_ark check', 'pg_ark integrity')}), 0, 'and its processes');

# ---- how long results stay; what drills bring

sql(q{UPDATE ark.integrity_results SET started_at = started_at - interval '91 days'});
sql(q{UPDATE ark.integrity_runs SET started_at = started_at - interval '89 days'});
sql(q{DELETE FROM ark.integrity_checks WHERE name = 'sleeps'});
($run) = run_checks();
is(sql('SELECT count(*) FROM ark.integrity_results'), 1, 'results older than pg_ark.integrity_retention are removed');
cmp_ok(sql('SELECT count(*) FROM ark.integrity_runs'), '>', 5, 'younger runs are not');
set_config($node, 'pg_ark.integrity_retention' => '0');
sql(q{UPDATE ark.integrity_results SET started_at = started_at - interval '1000 days'});
run_checks();
is(sql('SELECT count(*) FROM ark.integrity_results'), 2, '0: they stay');

sql(q{SELECT ark.add_critical_function('log in', 'SELECT count(*) FROM orders', '200', '{"tier": "important", "timeout": "3 s"}')});
sql(q{SELECT ark.add_critical_function('pay', 'SELECT 1', p_options => '{"tier": "critical", "predicate": "\"?column?\" = 1", "database": "other"}')});
sql(q{SELECT ark.add_integrity_check('late', 'custom', 'SELECT 1', 'info', 7, p_options => '{"runs_on": "drill"}')});
sql(q{SELECT ark.add_ready_made_checks()});
is(sql(q{SELECT kind, name, category, severity, threshold, database, sql, expected, predicate, timeout_ms, row_number() OVER (ORDER BY position) FROM ark.drill_checks() WHERE ready_made IS NULL}), <<'END' =~ s/\n\z//r, 'what a drill runs, in its order');
critical|pay||critical|0|other|SELECT 1||"?column?" = 1|300000|1
critical|log in||critical|0||SELECT count(*) FROM orders|200||3000|2
integrity|before|custom|critical|0||SELECT 1|||10000|3
integrity|late|custom|info|7||SELECT 1|||300000|4
END
is(sql(q{SELECT string_agg(ready_made, ' ' ORDER BY position) FROM ark.drill_checks() WHERE kind = 'integrity' AND sql IS NULL AND name = ready_made AND options = '{}'}),
    'tenant_isolation check_constraints duplicate_keys foreign_keys not_null required_columns sequences_behind wraparound email_shape invalid_indexes sequences_near_end', 'the ready-made ones by their kinds');
my $evidence = q{[{"kind": "integrity", "name": "before", "category": "custom", "severity": "critical", "object": "o", "database": "postgres", "status": "failed", "violations": 3, "violations_is_lower_bound": true,
    "samples": [{"a": 1}], "seconds": 1.5, "error": null}, {"kind": "critical", "name": "pay", "category": null, "severity": "critical", "database": null, "status": "error", "violations": null,
    "samples": [], "seconds": 0.25, "error": {"sqlstate": "42P01", "message": "no"}}]};
my $test = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
is(sql("SELECT ark.keep_check_results('$test', 'full_x', '$evidence')"), 2, 'the results of a drill are kept');
is(sql("SELECT ark.keep_check_results('$test', 'full_x', '$evidence')"), 0, 'once');
is(sql("SELECT ark.keep_check_results('$test', 'full_x', NULL)"), 0, 'where there are any');
is(sql("SELECT check_name, category, object, environment, backup_id, database, duration, status, violations, violations_is_lower_bound, samples, error ->> 'sqlstate' FROM ark.integrity_results WHERE test_id = '$test' ORDER BY id"),
    qq{before|custom|o|drill|full_x|postgres|00:00:01.5|failed|3|t|[{"a": 1}]|\npay|critical_function||drill|full_x||00:00:00.25|error||f||42P01}, 'as rows');
is(sql(q{SELECT status FROM ark.integrity_status WHERE check_name = 'before' AND environment = 'drill'}), 'failed', 'ark.integrity_status has the newest');

# ---- pg_dump keeps what somebody wrote, and not what came of it

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
my $definitions = sql('SELECT jsonb_agg(to_jsonb(c) ORDER BY name) FROM ark.integrity_checks c') . sql('SELECT jsonb_agg(to_jsonb(f) ORDER BY name) FROM ark.critical_functions f');
sql('DROP EXTENSION pg_ark; DROP TABLE orders, victim, locked, secret, seen; DROP SEQUENCE numbers; DROP FUNCTION do_it, do_it_as_superuser, never_ends, deeper, noisy, on_ddl; DROP PROCEDURE commits');
sql('DROP EXTENSION dblink') if $has_dblink;
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $dump ], 'the dump is restored');
is(sql('SELECT jsonb_agg(to_jsonb(c) ORDER BY name) FROM ark.integrity_checks c') . sql('SELECT jsonb_agg(to_jsonb(f) ORDER BY name) FROM ark.critical_functions f'),
    $definitions, 'the definitions are there again');
is(sql('SELECT count(*) FROM ark.integrity_results'), 0, 'the results are not');
never_restarted($node);

# ---- the end of the worker

sql('DELETE FROM ark.integrity_checks');
plant('sleeps', 'SELECT pg_sleep(100)', timeout => '100 s');
$run = sql('SELECT ark.run_integrity_checks()');
poll_until('it sleeps', sub { running() eq $run });
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_ark integrity'});
poll_until('it has ended', sub { sql("SELECT status FROM ark.integrity_runs WHERE id = '$run'") eq 'failed' });
is(sql("SELECT error ->> 'sqlstate' FROM ark.integrity_runs WHERE id = '$run'"), '57P01', 'pg_terminate_backend of the worker ends the run');
$run = sql('SELECT ark.run_integrity_checks()');
poll_until('it sleeps', sub { running() eq $run });
$begun = time;
$node->stop('fast');
cmp_ok(time - $begun, '<', 15, 'a shutdown does not wait for a check');
$node->start;
is(sql("SELECT status, error ->> 'sqlstate' FROM ark.integrity_runs WHERE id = '$run'"), 'failed|57P01', 'and the run has its end');
$run = sql('SELECT ark.run_integrity_checks()');
poll_until('it sleeps', sub { running() eq $run });
$node->stop('immediate');
$node->start;
poll_until('the sweep writes its end', sub { sql("SELECT status FROM ark.integrity_runs WHERE id = '$run'") eq 'failed' });
is(sql("SELECT error ->> 'sqlstate' FROM ark.integrity_runs WHERE id = '$run'"), '57P02', 'a run that a crash ended gets its end');
$node->stop;
done_testing();
