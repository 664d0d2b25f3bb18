# META.json is what PGXN asks for, and all that carries the version carries the same.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP ();
use Test::More;
use lib 'test/lint';
use Lint qw(slurp);

my $directory = tempdir(CLEANUP => 1);

# What scripts/check-meta says of META.json after `change` was made to it.
sub complaints {
    my ($change) = @_;
    my $meta = JSON::PP::decode_json(slurp('META.json'));
    $change->($meta);
    open my $handle, '>', "$directory/META.json" or die $!;
    print $handle JSON::PP::encode_json($meta);
    close $handle;
    my $said = qx(scripts/check-meta $directory/META.json . 2>&1);
    is($? == 0 ? '' : 'refused', $said eq '' ? '' : 'refused', 'the exit status agrees');
    return $said;
}

is(complaints(sub { }), '', 'META.json is valid');

my @doctored = (
    (map { my $field = $_; ["no $field", sub { delete $_[0]{$field} }, qr/\bMETA\.\Q$field\E: is missing/] } qw(name version abstract maintainer license provides meta-spec)),
    ['a version of two numbers',       sub { $_[0]{version} = '1.0' },                                                qr/META\.version: "1\.0" is not a semantic/],
    ['a version with a leading zero',  sub { $_[0]{provides}{pg_ark}{version} = '01.0.0' },                           qr/provides\.pg_ark\.version/],
    ['another version',                sub { $_[0]{version} = '9.9.9' },                                              qr/is not pg_ark\.control's/],
    ['a license of another name',      sub { $_[0]{license} = 'PostgreSQL License' },                                 qr/META\.license/],
    ['a license without a URL',        sub { $_[0]{license} = { PostgreSQL => 'here' } },                             qr/not a URL/],
    ['no maintainer in the list',      sub { $_[0]{maintainer} = [] },                                                qr/META\.maintainer: is an empty list/],
    ['an empty abstract',              sub { $_[0]{abstract} = '' },                                                  qr/META\.abstract/],
    ['a name with a space',            sub { $_[0]{name} = 'pg ark' },                                                qr/META\.name/],
    ['nothing provided',               sub { $_[0]{provides} = {} },                                                  qr/META\.provides/],
    ['another extension provided',     sub { $_[0]{provides} = { other => $_[0]{provides}{pg_ark} } },                qr/does not name pg_ark/],
    ['no file provided',               sub { delete $_[0]{provides}{pg_ark}{file} },                                  qr/pg_ark\.file: is missing/],
    ['a file that is not there',       sub { $_[0]{provides}{pg_ark}{file} = 'sql/pg_ark.sql' },                      qr/no file of the sources/],
    ['a docfile that is not there',    sub { $_[0]{provides}{pg_ark}{docfile} = 'doc/none.md' },                      qr/no file of the sources/],
    ['an unknown phase',               sub { $_[0]{prereqs}{install} = { requires => { PostgreSQL => '15.0.0' } } },  qr/META\.prereqs\.install/],
    ['an unknown relation',            sub { $_[0]{prereqs}{runtime}{needs} = { PostgreSQL => '15.0.0' } },           qr/runtime\.needs/],
    ['an operator that is none',       sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '=> 15.0.0' },           qr/not a range/],
    ['a range with a short version',   sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '>= 15, < 20.0.0' },     qr/not a range/],
    ['a URL that is none',             sub { $_[0]{resources}{homepage} = 'example.org' },                            qr/resources\.homepage/],
    ['an address that is none',        sub { $_[0]{resources}{bugtracker} = { mailto => 'somebody' } },               qr/bugtracker\.mailto/],
    ['a type of repository in capitals', sub { $_[0]{resources}{repository} = { type => 'Git' } },                    qr/lower case/],
    ['another specification',          sub { $_[0]{'meta-spec'}{version} = '2.0.0' },                                 qr/meta-spec\.version/],
    ['an unknown status',              sub { $_[0]{release_status} = 'beta' },                                        qr/release_status/],
    ['a tag with a slash',             sub { push @{ $_[0]{tags} }, 'a/b' },                                          qr/META\.tags/],
    ['an unknown field',               sub { $_[0]{homepage} = 'https://example.org' },                               qr/META\.homepage: is no field/],
);
like(complaints($_->[1]), $_->[2], "refused: $_->[0]") for @doctored;

my @right = (
    ['a range of versions', sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '>= 15.0.0, != 15.3.0, < 20.0.0' }],
    ['any version',         sub { $_[0]{prereqs}{test}{suggests}{pgTAP} = 0 }],
    ['a list of licenses',  sub { $_[0]{license} = [ 'postgresql', 'mit' ] }],
    ['a field of ours',     sub { $_[0]{x_anything} = { a => [] } }],
    ['resources',           sub { $_[0]{resources} = { homepage => 'https://example.org/', bugtracker => { mailto => 'a@example.org' }, repository => { url => 'git://example.org/a.git', type => 'git' } } }],
);
is(complaints($_->[1]), '', "accepted: $_->[0]") for @right;

my ($control) = slurp('pg_ark.control') =~ /^default_version = '(.*)'$/m;
ok(-e "sql/pg_ark--$control.sql", 'the script of the default version is there');
like(slurp('debian/changelog'), qr/\Apg-ark \(\Q$control\E-\d+\) /, 'debian/changelog begins with it');
like(slurp('CHANGELOG.md'), qr/^## \Q$control\E\b/m, 'so does a part of CHANGELOG.md');
done_testing();
