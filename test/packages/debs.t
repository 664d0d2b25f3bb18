# The Debian packages: what they hold, what they need, and what lintian has to say.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $major   = $ENV{PG_MAJOR};
my $deb     = "$ENV{PG_ARK_PACKAGES}/deb";
my $program = deb('pg-ark');
my $module  = deb("postgresql-$major-pg-ark");

sub deb {
    my ($name) = @_;
    my @found = glob "$deb/${name}_*.deb";
    is(scalar @found, 1, "one package $name") or BAIL_OUT("no package $name in $deb");
    return $found[0];
}
sub field { my ($package, $name) = @_; chomp(my $value = qx(dpkg-deb -f '$package' $name)); return $value }
sub files { my ($package) = @_; return sort map { /^[^d].*? \.(\/\S+)(?: ->.*)?$/ ? $1 : () } split /\n/, qx(dpkg-deb -c '$package') }

my ($bin, $lib, $share) = map { chomp(my $path = qx($ENV{PG_CONFIG} --$_)); $path } qw(bindir pkglibdir sharedir);
my $version = field($program, 'Version');
my ($upstream) = $version =~ /^(.*)-\d+$/;

is_deeply([ grep { !m{^/usr/share/doc/} } files($program) ], [ '/usr/bin/pg_ark', '/usr/share/man/man1/pg_ark.1.gz' ], 'pg-ark: the executable and its manual page');
is_deeply([ grep { !m{^/usr/share/doc/} } files($module) ], [ sort "$lib/pg_ark.so", map { "$share/extension/$_" } 'pg_ark.control', map { s{.*/}{}r } glob 'sql/pg_ark--*.sql' ],
    'the module, and all scripts of the extension');
for my $package ($program, $module) {
    for my $document (qw(copyright changelog.gz README.md.gz restore-guide.md.gz)) {
        ok((grep { m{/\Q$document\E$} } files($package)), "$package: $document");
    }
    is(qx(dpkg-deb --ctrl-tarfile '$package' | tar -t | grep -E 'preinst|postinst|prerm|postrm|conffiles'), '', "$package runs nothing when it is installed, and has no configuration");
    unlike(join("\n", files($package)), qr{systemd|init\.d|/etc/|cron}, "$package brings no service");
}
like(field($module, 'Depends'), qr/(?:^|, )pg-ark \(>= \Q$version\E\)/,   'the module needs an executable that is not older');
like(field($module, 'Depends'), qr/(?:^|, )postgresql-$major(?:,|$)/,     'and its server');
like(field($module, 'Depends'), qr/(?:^|, )libc6 \(>= /,                  'and the libraries that dpkg-shlibdeps found');
for my $library (qw(libpq5 libcurl4 libpugixml1v5 libzstd1 libssl3 libstdc++6 libc6)) {
    like(field($program, 'Depends'), qr/(?:^|, )\Q$library\E(?:t64)? \(>= /, "the executable needs $library");
}
unlike(field($program, 'Depends'), qr/postgresql-/, 'and no server');

# The executable of the package, with the page of the package.
my $directory = tempdir('pg_ark-debs.XXXXXX', TMPDIR => 1, CLEANUP => 1);
is(system('dpkg-deb', '-x', $_, $directory), 0, "unpacks: $_") for $program, $module;
is(system('gunzip', "$directory/usr/share/man/man1/pg_ark.1.gz"), 0, 'the manual page');
like(qx($directory/usr/bin/pg_ark --version), qr/^\Q$upstream\E$/, 'the executable runs, and has the version of the package');
is(system("PG_ARK_PROGRAM='$directory/usr/bin/pg_ark' PG_ARK_MAN='$directory/usr/share/man/man1/pg_ark.1' prove -Q test/lint/man.t"), 0, 'the page has every command and option of it');
like(qx(strings '$directory$lib/pg_ark.so'), qr{^/usr/bin$}m, 'the module looks for the executable in /usr/bin');
unlike(qx(strings '$directory/usr/bin/pg_ark'), qr/archive_before_put/, 'no fault points in what is shipped');

# lintian. What is left is known, and why:
my %known = ('initial-upload-closes-no-bugs' => 'nobody asked Debian for this package');
my @tags = grep { !/^(?:E|W|I): \S+?-dbgsym:/ } split /\n/, qx(lintian --allow-root --no-cfg -q --pedantic '$deb'/*.changes 2>&1);
is_deeply([ grep { my ($tag) = /^[EWIP]: \S+(?: \S+)?: (\S+)/; !(defined $tag && $known{$tag}) && !/^[IP]:/ } @tags ], [], 'lintian finds nothing new');
note($_) for @tags;
done_testing();
