# The PGXN archive: what is in it, and that the module builds from it where there is no git.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my ($archive, @more) = glob "$ENV{PG_ARK_PACKAGES}/pg_ark-*.zip";
is(scalar @more, 0, 'one archive');
my ($name) = $archive =~ m{/(pg_ark-\d+\.\d+\.\d+)\.zip$};
ok($name, "it is named by its version: $archive");

my @files = split /\n/, qx(unzip -Z1 '$archive');
is_deeply([ grep { !m{^\Q$name\E/} } @files ], [], "all of it is below $name");
is_deeply([ grep { m{/\.git/|/build/|\.(?:o|d|so|zip|deb)$} } @files ], [], 'nothing that was built, nothing of git');
for my $needed (qw(META.json README.md LICENSE CHANGELOG.md Makefile sources.mk pg_ark.control scripts/man-page cmake/prerequisites.mk)) {
    ok((grep { $_ eq "$name/$needed" } @files), "$needed is in it");
}

my $directory = tempdir('pg_ark-archive.XXXXXX', TMPDIR => 1, CLEANUP => 1);
is(system('unzip', '-q', '-d', $directory, $archive), 0, 'it unpacks');
my $source = "$directory/$name";
is(qx(cd '$source' && scripts/check-meta 2>&1), '', 'its META.json is valid');
ok(-x "$source/scripts/dist", 'scripts can be executed');

# As on a machine without git: not even this directory's own can be found from there.
local $ENV{GIT_CEILING_DIRECTORIES} = $directory;
local $ENV{CCACHE_BASEDIR}          = $directory;
is(system("make -s -C '$source' PG_CONFIG='$ENV{PG_CONFIG}' pg_ark.so >'$directory/log' 2>&1"), 0, 'the module builds from it') or diag(qx(tail -n 20 '$directory/log'));
ok(-s "$source/pg_ark.so", 'it is there');

# The archive of what was unpacked is the same archive, but for the times.
is(system("cd '$source' && rm -f pg_ark.so && find . -name '*.o' -delete && find . -name '*.d' -delete && rm -rf build && OUT='$directory/again' scripts/dist >/dev/null"), 0, 'an archive is made of it again');
is_deeply([ sort split /\n/, qx(unzip -Z1 '$directory/again/$name.zip') ], [ sort @files ], 'with the same files');
done_testing();
