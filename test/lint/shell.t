# shellcheck finds nothing in the scripts.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files slurp);

BAIL_OUT('shellcheck is not installed (scripts/install-deps test)') if system('command -v shellcheck >/dev/null 2>&1') != 0;
my @scripts = grep { /\.sh$/ || slurp($_) =~ m{\A#!.*\b(?:ba)?sh\b} } files(qr/./, 'scripts', '.ci');
cmp_ok(scalar @scripts, '>=', 5, 'there are scripts to look at');
for my $script (@scripts) {
    my $output = qx(shellcheck -x '$script' 2>&1);
    is($?, 0, $script) or diag($output);
}
done_testing();
