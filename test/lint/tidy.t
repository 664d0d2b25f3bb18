# clang-tidy finds nothing in the engine, the executable and the module (their headers included).
# PG_ARK_BUILD names a CMake build directory with compile_commands.json. JOBS run side by side.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(listed);

my ($program) = grep { system("command -v $_ >/dev/null 2>&1") == 0 } qw(clang-tidy-14 clang-tidy);
BAIL_OUT('clang-tidy is not installed (scripts/install-deps test)') unless $program;
my $build = $ENV{PG_ARK_BUILD} // 'build/dev';
BAIL_OUT("$build/compile_commands.json does not exist (cmake -S . -B $build)") unless -e "$build/compile_commands.json";

my @sources = map { listed($_) } qw(ENGINE_SOURCES CLI_SOURCES SERVER_SOURCES);
my %running;
my @todo = @sources;
while (@todo || %running) {
    while (@todo && keys %running < ($ENV{JOBS} // 2)) {
        my $path = shift @todo;
        # GCC's own flags and attributes are not clang's business, PostgreSQL's macros not ours.
        my @command = ($program, '-p', $build, '--quiet', (map { "--extra-arg=-Wno-$_" } qw(unknown-warning-option unknown-attributes register deprecated-volatile)), $path);
        pipe(my $reader, my $writer) or die $!;
        my $pid = fork() // die $!;
        if (!$pid) {
            open STDOUT, '>&', $writer;
            open STDERR, '>', '/dev/null';
            exec @command;
            die $!;
        }
        close $writer;
        # A child that fills its pipe waits until it is read below: outputs are read in order of start.
        $running{$pid} = { path => $path, reader => $reader, order => scalar(@sources) - @todo };
    }
    my ($pid) = sort { $running{$a}{order} <=> $running{$b}{order} } keys %running;
    my $job    = delete $running{$pid};
    my $reader = $job->{reader};
    my $output = do { local $/; <$reader> } // '';
    waitpid $pid, 0;
    is($?, 0, $job->{path}) or diag($output);
}
done_testing();
