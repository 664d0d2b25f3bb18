# Recovery objectives against what is measured, never met where nothing is known; drills that start by themselves when they
# are due, once, also after the server was down; and the report of one, from the repository alone.
use strict;
use warnings;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;

my ($repository, $url) = new_repository();
my $node = ark_cluster('source', repository => $url, conf => "max_worker_processes = 24\ntimezone = 'Europe/Berlin'\n");
set_config($node, 'pg_ark.scratch_directory' => $node->basedir . '/scratch');

sub value { return $node->safe_psql('postgres', $_[0]) }
sub status { my ($tier) = @_; return JSON::PP::decode_json(value("SELECT to_jsonb(s) FROM ark.recovery_status s WHERE tier = '$tier'")) }
sub refused {
    my ($statement, $message, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($rc, $out, $err) = $node->psql('postgres', $statement);
    isnt($rc, 0, "$what: refused");
    like($err, $message, "$what: by what it says");
}

# ---- tiers

is(value('SELECT string_agg(format($$%s %s %s$$, tier, rpo, rto), $$, $$ ORDER BY position) FROM ark.recovery_objectives'),
    'critical 00:15:00 01:00:00, important 01:00:00 04:00:00, non-critical 24:00:00 48:00:00', 'the examples are there');
is(value('SELECT count(*) FROM ark.recovery_objectives WHERE is_example'), 3, 'as examples');
is(value(q{SELECT ark.tier_of('public.orders') IS NULL}), 't', 'and nothing belongs to them');
value(q{SELECT ark.set_recovery_objective('critical', p_tables => ARRAY['public.orders', '"Odd Schema"."a.b"'], p_schemas => '{billing}')});
value(q{SELECT ark.set_recovery_objective('important', p_databases => '{postgres}', p_schemas => '{shop.stock}')});
value(q{SELECT ark.set_recovery_objective('non-critical', p_tables => '{billing.log,shop.public.orders}')});
is(value(q{SELECT string_agg(COALESCE(ark.tier_of(t, d), '-'), ' ' ORDER BY n) FROM (VALUES (1, 'public.orders', 'postgres'), (2, 'orders', 'postgres'),
    (3, 'PUBLIC.Orders', 'other'), (4, '"Odd Schema"."a.b"', 'x'), (5, 'billing.invoice', 'x'), (6, 'billing.log', 'x'), (7, 'public.orders', 'shop'),
    (8, 'shop.stock.bin', 'x'), (9, 'stock.bin', 'x'), (10, 'public.other', 'postgres'), (11, NULL, 'postgres'), (12, NULL, 'x'), (13, 'not a name', 'x')) AS v (n, t, d)}),
    'critical critical critical critical critical non-critical non-critical important - important important - -', 'a table, its schema, its database, in this order');
is(value(q{SELECT ark.tier_position('{billing.log,billing.invoice}', 'x') || ' ' || ark.tier_position(NULL, 'postgres') || ' ' ||
    ark.tier_position('{a.b}', 'x') || ' ' || ark.tier_position(p_tier => 'non-critical')}), '10 20 2147483647 30', 'and the order of work');
refused(q{SELECT ark.set_recovery_objective('x', p_tables => '{orders}')}, qr/"orders" in p_tables is no such name/, 'a table without its schema');
refused(q{SELECT ark.set_recovery_objective('x', p_tables => '{a.b}')}, qr/tier "x" is new, and has no objective/, 'a tier without an objective');
refused(q{SELECT ark.set_recovery_objective('x', p_rpo => '0')}, qr/p_rpo must be more than nothing/, 'nothing at all');
refused(q{SELECT ark.set_recovery_objective('')}, qr/p_tier must not be empty/, 'a tier without a name');
value(q{SELECT ark.set_recovery_objective('impossible', '1 microsecond', '1 microsecond')});
value(q{SELECT ark.set_recovery_objective('easy', '10 days', '10 days')});
is(value(q{SELECT position FROM ark.recovery_objectives WHERE tier = 'easy'}), 50, 'a new one comes last');

# ---- nothing is known yet

my $easy = status('easy');
is("$easy->{rpo_status} $easy->{rto_status}", 'missed unknown', 'without a backup all would be lost, and nobody knows how long it takes');
like($easy->{what_to_do}, qr/There is no complete backup.*No drill has measured/, 'and what to do is said');

# ---- measured

load_shop($node);
my $id = backup_ok($node, 'first');
poll_until('WAL is safe', sub { status('easy')->{rpo_status} eq 'met' });
is(status('easy')->{rto_status}, 'unknown', 'a backup alone says nothing of its restore');
value("CALL ark.restore_test('$id')");
$easy = status('easy');
is("$easy->{rpo_status} $easy->{rto_status}", 'met met', 'objectives that are met');
ok($easy->{rto_since}, 'since when');
ok($easy->{rpo_since}, 'and of what would be lost');
ok(defined $easy->{rto_predicted}, 'a prediction for today');
is($easy->{what_to_do}, 'Nothing belongs to this tier yet: SELECT ark.set_recovery_objective(\'easy\', p_schemas => \'{...}\').', 'and little to do');
my $impossible = status('impossible');
is($impossible->{rto_status}, 'missed', 'one that is missed');
like($impossible->{what_to_do}, qr/A recovery takes longer than it may/, 'with what to do');
ok($impossible->{rto_since}, 'since when');
value(q{UPDATE ark.backup_tests SET completed_at = completed_at - interval '101 days', started_at = started_at - interval '101 days'});
$easy = status('easy');
is($easy->{rto_status}, 'unknown', 'what was measured long ago proves nothing');
like($easy->{what_to_do}, qr/The last drill is of/, 'and that is said');
value(q{INSERT INTO ark.backup_tests (backup_id, test_type, completed_at, success) VALUES ('x', 'restore_test', now(), false)});
is(status('easy')->{rto_status}, 'missed', 'a drill that found damage misses every objective');
like(status('easy')->{what_to_do}, qr/The newest drill has failed: look at errors in ark\.backup_tests, id .* repaired in the live database, .*new backup/, 'and says so');
sub partial { my ($success) = @_; value(qq{INSERT INTO ark.backup_tests (backup_id, test_type, started_at, completed_at, success, data_verified)
    VALUES ('y', 'drill', clock_timestamp(), clock_timestamp(), $success, '{"steps": {"chosen": ["sequences"], "left_out": ["rows"]}, "rto_seconds": 1}')}) }
partial('true');
is(status('easy')->{rto_status}, 'missed', 'one of a few checks that found nothing does not clear it');
value(q{INSERT INTO ark.backup_tests (backup_id, test_type, started_at, completed_at, success, data_verified)
    VALUES ('y', 'drill', clock_timestamp(), clock_timestamp(), true, '{"steps": {"chosen": ["rows"], "left_out": []}, "rto_seconds": 2}')});
is(status('easy')->{rto_status}, 'met', 'one of all checks does');
partial('true');
is(status('easy')->{rto_measured}, '00:00:01', 'and then the time of one of a few counts');
partial('false');
is(status('easy')->{rto_status}, 'missed', 'one of a few that failed has failed');
value(q{DELETE FROM ark.backup_tests WHERE backup_id = 'y'});
value(q{DELETE FROM ark.backup_tests WHERE backup_id = 'x'});
cmp_ok(value('SELECT count(*) FROM ark.unprotected_history()'), '>', 0, 'what would have been lost is kept by the hour');

# ---- the arithmetic of schedules

sub next_run { my ($first, $schedule, $after, $zone) = @_;
    return value(sprintf q{SELECT ark.next_drill_run('%s', '%s', '%s', '%s') AT TIME ZONE '%s'}, $first, $schedule, $zone // 'UTC', $after, $zone // 'UTC') }
is(next_run('2026-01-31 02:00+00', 'monthly', '2026-01-31 02:00+00'), '2026-02-28 02:00:00', 'the 31st in February');
is(next_run('2026-01-31 02:00+00', 'monthly', '2026-02-28 02:00+00'), '2026-03-31 02:00:00', 'comes back in March');
is(next_run('2016-01-31 02:00+00', 'monthly', '2026-11-01 00:00+00'), '2026-11-30 02:00:00', 'ten years later too');
is(next_run('2000-01-31 02:00+00', 'quarterly', '2026-11-01 00:00+00'), '2027-01-31 02:00:00', 'quarterly');
is(next_run('2026-03-01 01:00+00', 'daily', '2026-03-29 05:00+00', 'Europe/Berlin'), '2026-03-30 02:00:00', 'the hour stays when the clocks change');
is(next_run('2026-01-01 00:00+00', '36:00', '2026-01-04 00:00+00'), '2026-01-05 12:00:00', 'an interval');
is(next_run('2026-06-01 00:00+00', 'weekly', '2020-01-01 00:00+00'), '2026-06-01 00:00:00', 'not before the first');
is(next_run('1990-01-01 00:00+00', '1 hour', '2026-01-01 00:30+00'), '2026-01-01 01:00:00', 'many of them');
is(value(q{SELECT count(*) FROM generate_series(timestamptz '2026-01-01', '2029-01-01', '7 hours') AS t
    WHERE ark.next_drill_run('2024-08-30 02:00+00', 'monthly', 'Europe/Berlin', t) NOT BETWEEN t + interval '1 microsecond' AND t + interval '31 days 1 hour'}), 0, 'always within a month');

# ---- scheduled drills

refused(q{SELECT ark.schedule_drill('x', '5 minutes')}, qr/"5 minutes" is no schedule/, 'too often');
refused(q{SELECT ark.schedule_drill('x', 'sometimes')}, qr/invalid input syntax for type interval/, 'no interval');
refused(q{SELECT ark.schedule_drill('x', p_target => 'soon')}, qr/invalid input syntax for type timestamp/, 'no target');
refused(q{SELECT ark.schedule_drill('x', p_backup => 'best')}, qr/"best" is no way to choose a backup/, 'no rule');
refused(q{SELECT ark.schedule_drill('')}, qr/p_name must not be empty/, 'no name');
refused(q{SELECT ark.schedule_drill('x', p_options => '[]')}, qr/p_options must be a JSON object/, 'no options');
refused(q{SELECT ark.schedule_drill('x', p_options => '{"checks": "all"}')}, qr/invalid value for option "checks"/, 'an option that ark.start_drill would refuse later');
refused(q{SELECT ark.schedule_drill('x', p_options => '{"checks": ["nope"]}')}, qr/unknown check "nope"/, 'a check that there is not');
refused(q{SELECT ark.schedule_drill('x', p_options => '{"seed": 1}')}, qr/"seed" belongs to the target "random"/, 'one of another target');
is(value(q{SELECT extract(hour FROM ark.schedule_drill('nightly', 'daily', p_enabled => false))}), 2, 'the first is at two in the night');

sub runs { my ($name) = @_; return value("SELECT count(*) FROM ark.backup_tests WHERE notes LIKE '%scheduled drill \"$name\"%'") }
sub drill { my ($name) = @_; return JSON::PP::decode_json(value("SELECT to_jsonb(d) FROM ark.drills d WHERE name = '$name'")) }
my $began = time;
value(q{SELECT ark.schedule_drill('soon', 'monthly', p_first_run => clock_timestamp() + interval '3 s')});
poll_until('the drill has run', sub { (drill('soon')->{last_result} // '') eq 'passed' });
is(runs('soon'), 1, 'it ran once');
is(value(q{SELECT next_run > now() + interval '27 days' FROM ark.drills WHERE name = 'soon'}), 't', 'the next is a month away');
is(value(q{SELECT t.success FROM ark.backup_tests t JOIN ark.drills d ON d.last_test_id = t.id WHERE d.name = 'soon'}), 't', 'its test is there');
is(runs('nightly'), 0, 'one that rests does not run');
is(status('easy')->{rto_status}, 'met', 'it counts for the objectives');

value(q{SELECT ark.schedule_drill('missed', 'daily', p_first_run => clock_timestamp() + interval '4 s')});
$node->stop;
sleep 6;
is(value_after_start(q{SELECT count(*) FROM ark.drills}), 3, 'the schedule survives');
sub value_after_start { $node->start; return value(@_) }
poll_until('the missed drill has run', sub { (drill('missed')->{last_result} // '') eq 'passed' });
is(runs('missed'), 1, 'what was missed runs once');
is(runs('soon'), 1, 'and what was not does not');
$node->restart;
sleep 3;
is(runs('missed'), 1, 'not again after another restart');

# As a clock that was years ahead leaves it.
value(q{UPDATE ark.drills SET next_run = now() + interval '20 years' WHERE name = 'missed'});
value(q{SELECT ark.schedule_drill('nightly', 'daily', p_enabled => false)});
poll_until('the time is right again', sub { value(q{SELECT next_run < now() + interval '2 days' FROM ark.drills WHERE name = 'missed'}) eq 't' });
is(runs('missed'), 1, 'and nothing ran for it');

# A drill that goes on is not started again.
set_config($node, 'pg_ark.restore_test_limit' => 1);
$node->restart;
value(q{SELECT ark.schedule_drill('twice', 'daily', p_first_run => clock_timestamp() + interval '1 s')});
poll_until('it runs', sub { (drill('twice')->{last_result} // '') eq 'running' });
value(q{UPDATE ark.drills SET next_run = now() - interval '1 s' WHERE name = 'twice'});
value(q{SELECT ark.schedule_drill('nightly', 'daily', p_enabled => false)});
poll_until('the schedule was looked at', sub { value(q{SELECT next_run > now() FROM ark.drills WHERE name = 'twice'}) eq 't' });
poll_until('it has run', sub { (drill('twice')->{last_result} // '') eq 'passed' });
is(runs('twice'), 1, 'not two of one drill at once');

# What cannot be started is tried again, and says why.
value(q{SELECT ark.schedule_drill('hopeless', 'daily', p_first_run => clock_timestamp() + interval '1 day')});
value(q{UPDATE ark.drills SET target = 'the end of days', next_run = clock_timestamp() WHERE name = 'hopeless'});
value(q{SELECT ark.schedule_drill('nightly', 'daily', p_enabled => false)});
my $hopeless = poll_until('it was tried', sub { my $d = drill('hopeless'); ($d->{last_result} // '') eq 'not_started' && $d });
ok($hopeless->{last_message}, "the reason is kept: $hopeless->{last_message}");
is($hopeless->{failures}, 1, 'it is counted');
is(value(q{SELECT retry_at BETWEEN now() AND now() + interval '1 minute' FROM ark.drills WHERE name = 'hopeless'}), 't', 'and it is tried again');
is(value(q{SELECT ark.unschedule_drill('hopeless')}), 't', 'a drill is taken off the schedule');
is(value(q{SELECT ark.unschedule_drill('hopeless')}), 'f', 'once');
is(value(q{SELECT count(*) FROM ark.audit_log WHERE act IN ('schedule_drill', 'unschedule_drill', 'set_recovery_objective') AND outcome = 'accepted'}) > 5 ? 1 : 0, 1, 'who scheduled what is in the audit log');

# ---- a dump

value('CREATE DATABASE copy');
my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-t', 'ark.recovery_objectives', '-t', 'ark.drills', '-e', 'pg_ark', '--data-only', '-f', $dump ], 'a dump');
like(slurp_file($dump), qr/^impossible\t/m, 'has what is mine');
value(q{DELETE FROM ark.recovery_objectives; INSERT INTO ark.recovery_objectives (tier, rpo, is_example) VALUES ('critical', '1 h', true), ('late', '1 h', true);
        DELETE FROM ark.drills});
command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $dump ], 'comes back over the examples');
is(value(q{SELECT rpo FROM ark.recovery_objectives WHERE tier = 'critical'}), '00:15:00', 'mine takes the place of the example');
is(value(q{SELECT count(*) FROM ark.recovery_objectives WHERE tier IN ('late', 'easy')}), 2, 'and the others stay');
value(q{UPDATE ark.recovery_objectives SET description = 'x' WHERE tier = 'late'});
is(value(q{SELECT is_example FROM ark.recovery_objectives WHERE tier = 'late'}), 'f', 'a changed example is one no more');

# ---- the report

my $test = drill('soon')->{last_test_id};
my $file = $node->basedir . '/drill.html';
my ($out, $err) = run_command([ 'pg_ark', 'report', 'drill', $test, '--repo', $url, '--output', $file ]);
is($err, '', 'a report of the drill');
my $html = slurp_file($file);
like($html, qr/\A<!DOCTYPE html>.*A server came up from this backup.*<\/html>\s*\z/s, 'is a page');
like($html, qr/<strong>easy<\/strong>.*>met<.*/s, 'with the objectives that the server had');
like($html, qr/<strong>impossible<\/strong>.*>missed</s, 'also those that are missed');
unlike($html, qr/<script|https?:\/\/|<link|url\(/, 'that fetches nothing');
($out) = run_command([ 'pg_ark', 'report', 'drill', 'latest', '--repo', $url, '--format', 'json', '--objective', 'mine=1d/1d' ]);
my $json = JSON::PP::decode_json($out);
is($json->{test_id}, drill('twice')->{last_test_id}, 'the latest, as JSON');
is_deeply([ map { "$_->{tier} $_->{rto}" } @{ $json->{objectives} } ], ['mine met'], 'with objectives of my own');
is(scalar @{ $json->{history} }, 4, 'and every drill so far');
($out, $err) = run_command([ 'pg_ark', 'report', 'drill', 'ffff', '--repo', $url ]);
like($err, qr/test "ffff" is not in the repository/, 'one that is not there');
done_testing();
