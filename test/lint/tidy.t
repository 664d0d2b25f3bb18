# clang-tidy finds nothing in the engine, the executable and the module (their headers included).
# PG_ARK_BUILD names a CMake build directory with compile_commands.json. JOBS run side by side. What was found clean is
# remembered in a cache, by all that the finding hangs on: minutes of a processor where little has changed.
use strict;
use warnings;
use Cwd qw(getcwd);
use Digest::SHA qw(sha256_hex);
use File::Path qw(make_path);
use Test::More;
use lib 'test/lint';
use Lint qw(listed slurp);

my ($program) = grep { system("command -v $_ >/dev/null 2>&1") == 0 } qw(clang-tidy-14 clang-tidy);
BAIL_OUT('clang-tidy is not installed (scripts/install-deps test)') unless $program;
my $build = $ENV{PG_ARK_BUILD} // 'build/dev';
BAIL_OUT("$build/compile_commands.json does not exist (cmake -S . -B $build)") unless -e "$build/compile_commands.json";

my $cache = ($ENV{PG_ARK_CACHE} // ($ENV{XDG_CACHE_HOME} // "$ENV{HOME}/.cache") . '/pg_ark') . '/tidy';
make_path($cache);
# The libraries' headers go by their packages' versions; flags by the build's own file, without the directories' names.
my $common = join "\0", slurp('.clang-tidy'), slurp($0), `$program --version`, `dpkg-query -W '*-dev' '*-dev-*' 'clang*' 2>/dev/null`;
my $top = getcwd();
my %commands;
for (split /\n\s*\},?/, slurp("$build/compile_commands.json")) {
    my ($command) = /"command": "(.*)"/ or next;
    my ($file)    = /"file": "(.*)"/    or next;
    s{\Q$top\E/?}{}g for $command, $file;
    s{\Q$build\E/?}{}g for $command;
    $commands{$file} = $command;
}
my %read;
sub read_by { # the file and all of ours that it includes
    my ($path, $seen) = @_;
    return if $seen->{$path}++;
    $read{$path} //= do {
        my $text = slurp($path);
        { text => $text, includes => [ $text =~ /^\s*#\s*include\s+"([^"]+)"/mg ] };
    };
    my ($directory) = $path =~ m{^(.*)/};
    for my $name (@{ $read{$path}{includes} }) {
        read_by($_, $seen) for grep { -f } "src/$name", $name, "$directory/$name";
    }
    return;
}
sub remembered {
    my ($path) = @_;
    my %seen;
    read_by($path, \%seen);
    return "$cache/" . sha256_hex(join "\0", $common, $commands{$path} // '', map { ($_, $read{$_}{text}) } sort keys %seen);
}

my @sources = map { listed($_) } qw(ENGINE_SOURCES CLI_SOURCES SERVER_SOURCES);
my %running;
my @todo = @sources;
while (@todo || %running) {
    while (@todo && keys %running < ($ENV{JOBS} // 2)) {
        my $path = shift @todo;
        my $mark = remembered($path);
        if (-e $mark) {
            utime undef, undef, $mark;
            pass("$path, as before");
            next;
        }
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
        $running{$pid} = { path => $path, mark => $mark, reader => $reader, order => scalar(@sources) - @todo };
    }
    last unless %running;
    my ($pid) = sort { $running{$a}{order} <=> $running{$b}{order} } keys %running;
    my $job    = delete $running{$pid};
    my $reader = $job->{reader};
    my $output = do { local $/; <$reader> } // '';
    waitpid $pid, 0;
    is($?, 0, $job->{path}) or diag($output) or next;
    open my $mark, '>', $job->{mark} or die "$job->{mark}: $!";
}
unlink grep { -M > 60 } glob "$cache/*";
done_testing();
