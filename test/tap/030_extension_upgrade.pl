# ALTER EXTENSION pg_ark UPDATE makes of every released version what a fresh installation of the newest has, and keeps the
# rows. Released scripts stay in sql/ (pg_ark--X.Y.Z.sql, and pg_ark--X--Y.sql for each step): all that are there are tried.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PgArk::Test;
use PgArk::Installation;

my $source = $ENV{PG_ARK_SOURCE} // '.';
my $catalog = slurp_file("$source/test/support/extension_catalog.sql");
my ($newest) = slurp_file("$source/pg_ark.control") =~ /^default_version = '(.*)'$/m;

sub version_key { return sprintf '%05d%05d%05d', split /\./, $_[0] }
sub lines { my ($node) = @_; return split /\n/, $node->safe_psql('postgres', $catalog) }

# The lines that one list has and the other has not.
sub difference {
    my ($ours, $theirs) = @_;
    my %there = map { $_ => 1 } @$theirs;
    return grep { !$there{$_} } @$ours;
}

# Installs a version, puts a row into it, updates it; returns what differs from a fresh installation then:
# "- line" is missing after the update, "+ line" is too much.
my @fresh;
sub after_update {
    my ($node, $version) = @_;
    $node->safe_psql('postgres', "DROP EXTENSION pg_ark; CREATE EXTENSION pg_ark VERSION '$version'");
    $node->safe_psql('postgres', q{INSERT INTO ark.backup_log (backup_id, backup_type, started_at, completed_at, status, error)
        VALUES ('manual_20200101_000000_00000000', 'manual', '2020-01-01Z', '2020-01-01Z', 'failed', '{}')});
    $node->safe_psql('postgres', 'ALTER EXTENSION pg_ark UPDATE');
    is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'pg_ark'}), $newest, "$version is updated to $newest");
    is($node->safe_psql('postgres', q{SELECT count(*) FROM ark.backup_log WHERE backup_id LIKE 'manual_2020%'}), 1, "$version: its row is kept");
    my @lines = lines($node);
    return ((map { "- $_" } difference(\@fresh, \@lines)), (map { "+ $_" } difference(\@lines, \@fresh)));
}

# ---- the versions that were released

my $node = ark_cluster('released');
@fresh = lines($node);
cmp_ok(scalar @fresh, '>', 300, 'the catalog of a fresh installation: ' . @fresh . ' lines');
is_deeply([ grep { /\| member \|/ && !/ \| (?:table|view|index|sequence|function|procedure|type|schema|toast table) / } @fresh ], [],
    'the extension has no object of a kind that is not described in full');

my @versions = sort { version_key($a) <=> version_key($b) } split /\n/,
  $node->safe_psql('postgres', q{SELECT version FROM pg_available_extension_versions WHERE name = 'pg_ark'});
is_deeply(\@versions, [ sort { version_key($a) <=> version_key($b) } map { /pg_ark--(\d+\.\d+\.\d+)\.sql$/ ? $1 : () } glob "$source/sql/pg_ark--*.sql" ],
    'every version of the sources is installed: ' . join ' ', @versions);
is($versions[-1], $newest, 'the newest is the default');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_extension_update_paths('pg_ark') WHERE target = '$newest' AND source <> target AND path IS NULL}), 0,
    'there is a way from each to the newest');
is_deeply([ after_update($node, $_) ], [], "$_: the same catalog as a fresh installation") for grep { $_ ne $newest } @versions;
$node->safe_psql('postgres', 'DROP EXTENSION pg_ark; CREATE EXTENSION pg_ark');
is_deeply([ lines($node) ], \@fresh, 'a second fresh installation is the same');
$node->stop;

# ---- versions that never were: the comparison sees what an update leaves out, and nothing where it leaves out nothing

my ($installation, $extensions) = copied_installation();
my $script = slurp_file("$source/sql/pg_ark--$newest.sql");

# What an older version had otherwise: how, what an update does about it, and how it shows where none does.
my ($body) = $script =~ /^(CREATE FUNCTION ark\.cancel_backup\(.*?;\nCOMMENT ON FUNCTION ark\.cancel_backup[^\n]*;\n)/ms;
my ($comment) = $script =~ /^(COMMENT ON COLUMN ark\.backup_log\.reason IS [^\n]*;)$/m;
my ($notes)   = $script =~ /^(COMMENT ON COLUMN ark\.backup_tests\.notes IS [^\n]*;)$/m;
my @changes = (
    ['a comment',    'COMMENT ON COLUMN ark.backup_log.reason IS NULL;', $comment, qr/^- ark\.backup_log\.reason \| comment/m],
    ['a function',   'DROP FUNCTION ark.cancel_backup(text);', "$body REVOKE ALL ON FUNCTION ark.cancel_backup(text) FROM PUBLIC;", qr/^- ark\.cancel_backup\(text\) \| routine/m],
    ['a column',     'ALTER TABLE ark.backup_tests DROP COLUMN notes;', "ALTER TABLE ark.backup_tests ADD COLUMN notes text; $notes", qr/^- ark\.backup_tests\.notes \| column/m],
    ['NOT NULL',     'ALTER TABLE ark.backup_log ALTER reason DROP NOT NULL;', 'ALTER TABLE ark.backup_log ALTER reason SET NOT NULL;', qr/^- ark\.backup_log\.reason \| column \| \d+ text NOT NULL/m],
    ['a type',       'ALTER TABLE ark.backup_tests ALTER test_environment TYPE varchar(99);', 'ALTER TABLE ark.backup_tests ALTER test_environment TYPE text;', qr/^- ark\.backup_tests\.test_environment \| column/m],
    ['a default',    'ALTER TABLE ark.backup_verification ALTER verification_date SET DEFAULT now();', 'ALTER TABLE ark.backup_verification ALTER verification_date SET DEFAULT pg_catalog.clock_timestamp();', qr/^- ark\.backup_verification\.verification_date \| column/m],
    ['a constraint', 'ALTER TABLE ark.backup_tests DROP CONSTRAINT backup_tests_type_check;',
        q{ALTER TABLE ark.backup_tests ADD CONSTRAINT backup_tests_type_check CHECK (test_type IN ('restore_test', 'drill', 'integrity_check', 'spot_check'));}, qr/^- ark\.backup_tests \| constraint backup_tests_type_check/m],
    ['an index',     'DROP INDEX ark.backup_log_started_at;', q{CREATE INDEX backup_log_started_at ON ark.backup_log (started_at); COMMENT ON INDEX ark.backup_log_started_at IS 'For the newest backups';}, qr/^- ark\.backup_log \| index/m],
    ['a privilege',  'REVOKE EXECUTE ON FUNCTION ark.running_backups() FROM pg_monitor;', 'GRANT EXECUTE ON FUNCTION ark.running_backups() TO pg_monitor;', qr/^- ark\.running_backups\(\) \| owner, privileges/m],
    ['a view',       'CREATE OR REPLACE VIEW ark.archiver_status AS SELECT s.* FROM ark.archiver_state() s WHERE true;', 'CREATE OR REPLACE VIEW ark.archiver_status AS SELECT * FROM ark.archiver_state();', qr/^- ark\.archiver_status \| view/m],
    ['a setting of a function', 'ALTER FUNCTION ark.adopt() RESET search_path;', 'ALTER FUNCTION ark.adopt() SET search_path = pg_catalog, pg_temp;', qr/^- ark\.adopt\(\) \| routine/m],
    ['the source of a function', "CREATE OR REPLACE FUNCTION ark.marker_text(p_value jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL';",
        $script =~ /^(CREATE FUNCTION ark\.marker_text.*?;\n)(?=COMMENT|CREATE|\n)/ms ? $1 =~ s/CREATE/CREATE OR REPLACE/r : '', qr/^- ark\.marker_text\(jsonb\) \| routine/m],
    ['something too much', 'CREATE TYPE ark.mood AS ENUM (\'good\'); ', 'DROP TYPE ark.mood;', qr/^\+ ark\.mood \| labels/m],
    ['membership',   'ALTER EXTENSION pg_ark DROP VIEW ark.backup_progress;', 'ALTER EXTENSION pg_ark ADD VIEW ark.backup_progress;', qr/^- view ark\.backup_progress \| member/m],
);
my $old    = join "\n", $script, map { $_->[1] } @changes;
my $update = join "\n", map { $_->[2] } @changes;
write_text("$extensions/pg_ark--0.8.0.sql", $old);
write_text("$extensions/pg_ark--0.8.0--$newest.sql", $update);
write_text("$extensions/pg_ark--0.9.0.sql", $old);
write_text("$extensions/pg_ark--0.9.0--$newest.sql", "-- Nothing of what it takes.\n");

my $doctored = PostgreSQL::Test::Cluster->new('doctored', install_path => $installation);
$doctored->init;
$doctored->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_ark'\nmax_worker_processes = 16\n");
$doctored->start;
$doctored->safe_psql('postgres', 'CREATE EXTENSION pg_ark');
is_deeply([ lines($doctored) ], \@fresh, 'the copied installation gives the same catalog');
is_deeply([ after_update($doctored, '0.8.0') ], [], 'an update that leaves out nothing: the same catalog');
my $found = join "\n", after_update($doctored, '0.9.0');
note($found);
like($found, $_->[3], "an update that leaves out something is seen: $_->[0]") for @changes;
$doctored->stop;
done_testing();
