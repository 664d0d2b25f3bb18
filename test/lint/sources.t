# Every source is listed once in sources.mk, and every listed source exists.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files slurp listed);

my %times;
$times{$_}++ for listed();
cmp_ok(scalar keys %times, '>', 10, 'sources.mk lists the sources');
is_deeply([ grep { $times{$_} > 1 } sort keys %times ], [], 'none is listed twice');
is_deeply([ grep { !-e } sort keys %times ], [], 'each listed file exists');
is_deeply([ grep { !$times{$_} } files(qr/\.cpp$/, 'src', 'test') ], [], 'each .cpp is listed');
is_deeply([ grep { !/^(#.*|[A-Z_]+ \+= \S+)?$/ } split /\n/, slurp('sources.mk') ],
    [], 'sources.mk has no other form of line');

# A header that nobody includes is dead, or its includer is missing from the list.
my %included;
for my $path (files(qr/\.[ch]pp$/, 'src', 'test')) {
    my $text = slurp($path);
    $included{$1} = 1 while $text =~ /^#include "([^"]+)"/mg;
}
is_deeply([ grep { (my $name = $_) =~ s{^src/}{}; !$included{$name} } files(qr/\.hpp$/, 'src', 'test') ],
    [], 'each header is included somewhere');

done_testing();
