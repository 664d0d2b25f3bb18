# A build for a PostgreSQL that is not supported ends with a sentence, by make and by CMake.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use lib 'test/lint';
use Lint qw(slurp);

my ($supported) = slurp('Makefile') =~ /^SUPPORTED_MAJORS = ([\d ]+)$/m;
ok(defined $supported, 'the Makefile says which majors are supported');
my ($real) = grep { -x } map { "/usr/lib/postgresql/$_/bin/pg_config" } split / /, $supported;
BAIL_OUT('no supported pg_config') unless defined $real;

# A pg_config of another version, and otherwise the real one's.
sub pg_config_of {
    my ($version) = @_;
    my $path = tempdir(CLEANUP => 1) . '/pg_config';
    open my $file, '>', $path or die "$path: $!";
    print $file qq(#!/bin/sh\n[ "\$1" = --version ] && { echo "PostgreSQL $version"; exit; }\nexec $real "\$@"\n);
    close $file or die "$path: $!";
    chmod 0755, $path;
    return $path;
}

sub make_for  { my ($config) = @_; return scalar qx(make -n PG_CONFIG=$config pg_ark.so 2>&1) }
sub cmake_for { my ($config) = @_; my $dir = tempdir(CLEANUP => 1); return scalar qx(cmake -S . -B $dir -DPG_CONFIG=$config 2>&1) }

my %build = (make => \&make_for, cmake => \&cmake_for);
for my $tool (sort keys %build) {
    for my $version ('14.23 (Debian 14.23-1)', '19rc1', '9.6.24') {
        my ($major) = $version =~ /^(\d+)/;
        my $output = $build{$tool}->(pg_config_of($version));
        isnt($?, 0, "$tool: no build for $version");
        $output =~ s/\s+/ /g;
        like($output, qr/belongs to PostgreSQL $major, and this version of pg_ark supports \Q$supported\E\. Name a supported one with/,
            "$tool: and a sentence says so");
    }
    my $output = $build{$tool}->(pg_config_of((split / /, $supported)[0] . '.99'));
    is($?, 0, "$tool: a build for the first that is supported") or diag($output);
}
done_testing();
