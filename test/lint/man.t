# pg_ark(1) has every command and every option that the program's help has, under its command, and formats without a
# warning. PG_ARK_PROGRAM names the built executable, PG_ARK_MAN the page.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(slurp);

my $program = $ENV{PG_ARK_PROGRAM} // 'build/pg_ark';
my $page    = $ENV{PG_ARK_MAN}     // 'build/pg_ark.1';
-e or BAIL_OUT("$_ does not exist (make)") for $program, $page;

# The options and positional arguments in a text of help, as a set. The lines that wrap a description begin further right.
sub named_in {
    my ($text) = @_;
    my %names;
    for my $line (split /\n/, $text) {
        my ($short, $long) = $line =~ /^ {2,12}(?:(-\w),\s*)?(--[\w-]+)/ or next;
        $names{$_} = 1 for grep { defined } $short, $long;
    }
    if ($text =~ /^positionals:\n((?:  .*\n)+)/mi) {
        $names{$_} = 1 for $1 =~ /^  (\S+)/mg;
    }
    return %names;
}

# What is missing in the page, for the program's texts of help: { command => text }, '' the program's own.
sub missing {
    my ($page, $help) = @_;
    $page =~ s/\\-/-/g;
    $page =~ s/\\f[BIR]//g;
    my %section = ('' => $page =~ /^\.SH OPTIONS\n(.*?)^\.SH /ms);
    my ($commands) = $page =~ /^\.SH COMMANDS\n(.*?)^\.SH /ms;
    for my $part (split /^\.SS /m, $commands // '') {
        $section{$1} = $part if $part =~ /\A(\S+)/;
    }
    my @missing;
    for my $command (sort keys %$help) {
        if (!defined $section{$command}) { push @missing, $command; next }
        my %names = named_in($help->{$command});
        push @missing, grep { $section{$command} !~ /^\.TP\n(?:\S+, )?\Q$_\E(?:[ ,]|$)/m } map { $_ } sort keys %names;
    }
    return @missing;
}

my %help = ('' => scalar qx($program --help));
my ($list) = $help{''} =~ /^subcommands:\n((?:  .*\n)+)/mi;
for my $command (($list // '') =~ /^  (\S+)/mg) {
    $help{$command} = qx($program $command --help);
    is($?, 0, "$command has help");
    my %names = named_in($help{$command});
    cmp_ok(scalar keys %names, '>=', 3, "$command: its options were read: " . join ' ', sort keys %names);
}
cmp_ok(scalar keys %help, '>=', 8, 'the commands were read');

my $text = slurp($page);
is_deeply([ missing($text, \%help) ], [], 'every command and option is in the page');

# The comparison has to be able to fail.
is_deeply([ missing($text, { %help, list => $help{list} . "  --new-option N              something\n" }) ], ['--new-option'], 'an option that is not there is seen');
is_deeply([ missing($text, { %help, lost => $help{list} }) ], ['lost'], 'a command that is not there is seen');
is_deeply([ missing($text =~ s/^\\fB\\-\\-dry\\-run.*\n//mr, \%help) ], ['--dry-run'], 'an option that was left out is seen');

SKIP: {
    skip 'man is not installed', 1 if system('command -v man >/dev/null 2>&1') != 0;
    is(qx(LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z '$page' 2>&1 >/dev/null), '', 'it formats without a warning');
}
done_testing();
