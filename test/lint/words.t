# What must not be in the repository: paths of one machine, registries, left-over marks, secrets.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files slurp);

my %forbidden = (
    'a path of a workplace'    => qr{(?<![\w./\$])/(?:work|home/\w+|root)/},
    'a home directory'         => qr{/Users/\w+},
    'a leftover conflict mark' => qr/^(?:<{7}|>{7}) /m,
    'a private key'            => qr/-----BEGIN [A-Z ]*PRIVATE KEY-----/,
    'an address of a registry' => qr{https?://(?!127\.0\.0\.1|localhost)[^/\s]*\b(?:artifactory|nexus|jfrog|proxy\.golang)\b}i,
    'a mark of work not done'  => qr/\b(?:FIXME|XXX|TODO|HACK)\b/,
);

my @paths = grep { !m{^\./(?:\.git|build|results|tmp_check)/|\.(?:o|d|so|png)$|^\./build/} && $_ ne './test/lint/words.t' }
  files(qr/./, '.');
cmp_ok(scalar @paths, '>', 20, 'there are files to look at');
for my $what (sort keys %forbidden) {
    my @hits;
    for my $path (@paths) {
        my $text = slurp($path);
        next if substr($text, 0, 8000) =~ /\0/;
        push @hits, sprintf '%s: %s', $path, $& if $text =~ $forbidden{$what};
    }
    is_deeply(\@hits, [], "no $what");
}

# Tests and scripts end what they started, by its id.
is_deeply([ grep { slurp($_) =~ /\b(?:p[k]ill|k[i]llall)\b/ } @paths ], [], 'nothing is ended by name');

done_testing();
