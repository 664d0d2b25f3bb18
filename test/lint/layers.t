# Includes point down. What a layer may include, and nothing else:
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files slurp);

my @jobs  = qw(backup archive restore retention);
my @under = qw(changes repo store pipeline pgdata base);
my %below = (
    base      => [],
    pgdata    => ['base'],
    pipeline  => ['base'],
    crypto    => ['base'],
    http      => [ 'crypto', 'base' ],
    pq        => ['base'],
    store     => [ 'http', 'base' ],
    repo      => [ 'store', 'pipeline', 'pgdata', 'crypto', 'base' ],
    # Which blocks WAL changed: what incremental backups, and those who bring them back, ask.
    changes => [ 'repo', 'store', 'pipeline', 'pgdata', 'base' ],
    (map { $_ => [@under] } @jobs),
    stream => [ 'archive', 'pq', @under ],
    # Takes apart what backups have, as a restore does, and puts it together as a backup does.
    compact => [ @jobs, @under ],
    # What proves a backup uses what takes one and brings one back.
    verify => [ @jobs, @under ],
    # What can be recovered: archive's WAL and restore's decisions together.
    recoverability => [ @jobs, @under ],
    drill  => [ 'verify', 'recoverability', 'pq', @jobs, @under ],
    # What people read of a drill: of what it left in the repository, and nothing else.
    report => [ 'repo', 'store', 'pgdata', 'base' ],
);

# The layer of a path below src/.
sub layer {
    my ($path) = @_;
    return $1 if $path =~ m{^core/([^/]+)/};
    return $1 if $path =~ m{^(cli|server)/};
    return "unknown ($path)";
}

# Violations in one file, as text.
sub violations {
    my ($path, $text) = @_;
    (my $inside = $path) =~ s{^src/}{};
    my $from = layer($inside);
    my @found;
    while ($text =~ /^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]/mg) {
        my ($quote, $target) = ($1, $2);
        if ($from eq 'server') {
            push @found, "$path includes $target: the module talks to the engine over the pipe alone"
              if $target =~ m{^(core|cli)/|^(zstd|curl|openssl|nlohmann|CLI|thread|pthread)\b};
            next;
        }
        push @found, "$path includes $target: no PostgreSQL header outside src/server"
          if $target =~ m{^(postgres|postgres_fe|fmgr|c)\.h$|^(access|catalog|storage|utils|common|port|executor|nodes|miscadmin)(/|\.h)};
        next if $quote eq '<';
        my $to = layer($target);
        next if $to eq $from;
        next if $from eq 'cli' && $target =~ m{^core/};
        push @found, "$path includes $target: $from may not see $to"
          unless grep { $_ eq $to } @{ $below{$from} // [] };
    }
    return @found;
}

# The lint itself has to be able to fail.
is(violations('src/core/store/a.cpp', qq(#include "core/pipeline/zstd.hpp"\n)), 1, 'store may not see pipeline');
is(violations('src/core/base/a.cpp', qq(#include "postgres.h"\n)), 2, 'the engine may not see PostgreSQL');
is(violations('src/server/a.cpp', qq(#include "core/base/error.hpp"\n)), 1, 'the module may not see the engine');
is(violations('src/cli/a.cpp', qq(#include "core/restore/plan.hpp"\n)), 0, 'the executable sees the engine');

my @sources = files(qr/\.[ch]pp$/, 'src');
cmp_ok(scalar @sources, '>', 10, 'there are sources to look at');
is_deeply([ map { violations($_, slurp($_)) } @sources ], [], 'includes point down');

# Where versions of PostgreSQL differ is in one file.
sub versions { my ($path, $text) = @_; return $path =~ m{/pg_version\.hpp$} ? 0 : scalar(() = $text =~ /^[ \t]*#[ \t]*(?:el)?if.*PG_VERSION_NUM/mg) }
is(versions('src/server/a.cpp', "#if PG_VERSION_NUM >= 160000\n"), 1, 'a version is asked for elsewhere');
is_deeply([ grep { versions($_, slurp($_)) } @sources ], [], 'versions of PostgreSQL are told apart in pg_version.hpp alone');

# Unknown folders of the engine would be outside the rule.
is_deeply([ grep { m{^src/core/([^/]+)/} && !$below{$1} } @sources ], [], 'every folder of the engine is a known layer');

done_testing();
