# Shared by the lints: run from the top of the sources, speak TAP.
package Lint;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(files slurp listed);

# Every source file under the given directories whose name matches, sorted.
sub files {
    my ($pattern, @dirs) = @_;
    my @found;
    my @queue = grep { -d } @dirs;
    while (defined(my $dir = shift @queue)) {
        opendir my $handle, $dir or die "$dir: $!";
        for my $name (sort grep { !/^\.{1,2}$/ } readdir $handle) {
            my $path = "$dir/$name";
            if (-d $path && !-l $path) { push @queue, $path }
            elsif ($path =~ $pattern)  { push @found, $path }
        }
    }
    return sort @found;
}

sub slurp {
    my ($path) = @_;
    open my $handle, '<', $path or die "$path: $!";
    local $/;
    return scalar <$handle>;
}

# The paths that sources.mk lists under a variable (any, when none is given).
sub listed {
    my ($variable) = @_;
    $variable //= '[A-Z_]+';
    return map { /^$variable \+= (\S+)$/ ? $1 : () } split /\n/, slurp('sources.mk');
}

1;
