# clang-format finds nothing to change.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files);

my ($program) = grep { system("command -v $_ >/dev/null 2>&1") == 0 } qw(clang-format-14 clang-format);
BAIL_OUT('clang-format is not installed (scripts/install-deps test)') unless $program;

for my $path (files(qr/\.[ch]pp$/, 'src', 'test')) {
    my $output = qx($program --dry-run --Werror --ferror-limit=1 '$path' 2>&1);
    is($?, 0, $path) or diag((split /\n/, $output)[0], '  (make format)');
}
done_testing();
