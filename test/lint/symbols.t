# The module exports what PostgreSQL looks up by name, and no more: another extension in the same process
# must never meet one of our symbols. PG_ARK_MODULE names the built module.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files slurp);

my $module = $ENV{PG_ARK_MODULE} // 'pg_ark.so';
BAIL_OUT("$module does not exist (make)") unless -e $module;

my @exported = sort map { (split)[-1] } split /\n/, qx(nm -D --defined-only '$module');

# One pair for each C function that the extension's scripts name.
my %allowed = map { $_ => 1 } qw(_PG_init Pg_magic_func _PG_archive_module_init);
my $wrong = 0;
for my $script (files(qr{/pg_ark--[^/]*\.sql$}, 'sql')) {
    my $text = slurp($script);
    $allowed{$1} = $allowed{"pg_finfo_$1"} = 1 while $text =~ /AS\s+'MODULE_PATHNAME'\s*,\s*'(\w+)'/gi;
    while ($text =~ /FUNCTION\s+(?:ark\.)?(\w+)\s*\([^;]*?AS\s+'MODULE_PATHNAME'\s*(?!,)\W/gi) {
        $allowed{$1} = $allowed{"pg_finfo_$1"} = 1;
    }
}
# Entry points of background workers are looked up by name too.
for my $path (files(qr/\.cpp$/, 'src/server')) {
    my $text = slurp($path);
    $allowed{$1} = 1 while $text =~ /\b(pg_ark_\w+_main)\b/g;
}

cmp_ok(scalar @exported, '>', 4, 'the module exports something');
is_deeply([ grep { !$allowed{$_} } @exported ], [], 'nothing but entry points is exported');
my %is_exported = map { $_ => 1 } @exported;
is_deeply([ grep { !$is_exported{$_} && !/_main$/ } sort keys %allowed ], [], 'every function that SQL names is exported');

# No thread, no C++ run-time type, no heavy library in a server process.
my @needed = map { /NEEDED.*\[(.*)\]/ ? $1 : () } split /\n/, qx(readelf -d '$module');
is_deeply([ grep { !/^(?:libc|libstdc\+\+|libgcc_s|libm|ld-linux[^.]*)[.-]/ } @needed ], [], 'the module links nothing but the C and C++ libraries');
my @undefined = map { (split)[-1] } split /\n/, qx(nm -D --undefined-only '$module');
is_deeply([ grep { /^(?:pthread_create|_Unwind_RaiseException|__cxa_throw)/ } @undefined ], [], 'the module starts no thread and throws nothing');

done_testing();
