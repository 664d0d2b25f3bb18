# Two data directories of servers that were shut down, page by page: what WAL decides has to be the same. What it does not (hints,
# free space, command ids) is masked as the server's own wal_consistency_checking does (src/backend/access/common/bufmask.c and
# the mask functions of each access method).
package PgArk::Pages;
use strict;
use warnings;
use Exporter 'import';
use PgArk::Test ();

our @EXPORT = qw(page_differences);

my $PAGE = 8192;

sub kind_of {
    my ($page) = @_;
    my $special = unpack 'v', substr $page, 16, 2;
    return 'heap' if $special == $PAGE;
    my $mark = unpack 'v', substr $page, $PAGE - 2, 2;
    return $mark == 0xFF80 ? 'hash' : $mark == 0xFF81 ? 'gist' : 'btree' if $special == $PAGE - 16;
    return 'sequence' if $special == $PAGE - 8 && unpack('V', substr $page, $special, 4) == 0x1717;
    return $mark == 0xFF82 ? 'spgist' : 'other';
}

sub set_zero { my ($page, $from, $to) = @_; substr($$page, $from, $to - $from) = "\0" x ($to - $from) if $to > $from; return }

sub masked {
    my ($page) = @_;
    my ($flags, $lower, $upper) = unpack 'v3', substr $page, 10, 6;
    return $page if $upper == 0;
    my $kind = kind_of($page);
    my $meta = $kind ne 'heap' && $kind ne 'sequence' && $lower > 24 && unpack('V', substr $page, 24, 4) =~ /^(?:340322|105121344|3121327086)$/;
    substr($page, 0, 10) = "\0" x 10;                          # LSN, checksum
    substr($page, 10, 2) = pack 'v', $flags & ~7;              # hints
    substr($page, 20, 4) = "\0" x 4;                           # prune_xid
    set_zero(\$page, $lower, $upper) if $lower >= 24 && $upper <= $PAGE;
    return "\0" x $PAGE if $kind eq 'spgist' && $meta;         # advice
    my $special = unpack 'v', substr $page, 16, 2;
    # GIN: a deleted page's content is left to who deleted it.
    return substr $page, $PAGE - 2 if $special == $PAGE - 8 && unpack('v', substr $page, $PAGE - 2, 2) < 0x100 && unpack('v', substr $page, $PAGE - 2, 2) & 4;
    if ($kind eq 'heap' || $kind eq 'sequence') {
        for (my $at = 24; $at < $lower; $at += 4) {
            my $item = unpack 'V', substr $page, $at, 4;
            my ($offset, $state, $length) = ($item & 0x7FFF, $item >> 15 & 3, $item >> 17);
            next if $state != 1 || $offset + $length > $PAGE;
            substr($page, $offset + 8, 4) = "\0" x 4;          # command id
            substr($page, $offset + 20, 2) = pack 'v', unpack('v', substr $page, $offset + 20, 2) & 0x000F;
            set_zero(\$page, $offset + $length, ($offset + $length + 7) & ~7);
        }
    }
    elsif ($kind eq 'btree' || $kind eq 'gist' || $kind eq 'hash') {
        my $opaque = unpack 'v', substr $page, $special + 12, 2;
        $opaque &= ~0x60                                          if $kind eq 'btree';    # garbage, end of a split
        $opaque &= ~0x18                                          if $kind eq 'gist';     # garbage, follow right
        $opaque &= ~0x80                                          if $kind eq 'hash';     # dead tuples
        substr($page, $special + 12, 2) = pack 'v', $opaque;
        substr($page, $special + 14, 2) = "\0\0"                  if $kind eq 'btree';    # cycle id of a vacuum
        set_zero(\$page, $special, $special + 8)                  if $kind eq 'gist';     # NSN
        for (my $at = 24; $at < $lower && !$meta; $at += 4) {
            my $item = unpack 'V', substr $page, $at, 4;
            substr($page, $at, 4) = pack 'V', $item & ~0x18000;
        }
    }
    return $page;
}

sub slurp { my ($path) = @_; open my $file, '<:raw', $path or die "$path: $!"; local $/; return scalar(<$file>) // '' }

# Files of relations' main forks: { relative path => 1 }, without what is unlogged.
sub relation_files {
    my ($directory) = @_;
    my (%files, %unlogged);
    my @places = ('global', map { s{^\Q$directory\E/}{}r } glob("$directory/base/*"), glob("$directory/pg_tblspc/*/PG_*/*"));
    for my $place (@places) {
        for my $path (glob "$directory/$place/*") {
            my ($name) = $path =~ m{([^/]+)$};
            $unlogged{"$place/$1"} = 1 if $name =~ /^(\d+)_init$/;
            $files{"$place/$name"} = 1 if $name =~ /^\d+(?:\.\d+)?$/;
        }
    }
    delete @files{ grep { $unlogged{ s/\.\d+$//r } } keys %files };
    return \%files;
}

# What differs, a line each; how many pages were compared.
sub page_differences {
    my ($got, $expected) = @_;
    my ($there, $wanted) = (relation_files($got), relation_files($expected));
    my @lines;
    my $pages = 0;
    for my $path (sort keys %{ { %$there, %$wanted } }) {
        if (!$there->{$path}) { push @lines, "$path is missing" if -s "$expected/$path"; next }
        next if !$wanted->{$path};    # a crash of the source has left it: nobody's
        my ($one, $two) = (slurp("$got/$path"), slurp("$expected/$path"));
        my $length = length $one > length $two ? length $one : length $two;
        $_ .= "\0" x ($length - length $_) for $one, $two;    # pages of zeros at the end are in no WAL
        for (my $at = 0; $at < $length; $at += $PAGE) {
            ++$pages;
            my ($first, $second) = (substr($one, $at, $PAGE), substr($two, $at, $PAGE));
            next if $first eq $second || masked($first) eq masked($second);
            # WAL has a sequence's value ahead of it: as the server's own is, as long as it is not logged again.
            next if kind_of($first) eq 'sequence' && kind_of($second) eq 'sequence' && substr($first, 0, 8) eq substr $second, 0, 8;
            my $say = sub { sprintf 'LSN %X/%X lower %d upper %d special %d', (unpack 'VVv6', $_[0])[ 0, 1, 4, 5, 6 ] };
            my ($a, $b) = (masked($first), masked($second));
            my $byte = 0;
            ++$byte while substr($a, $byte, 1) eq substr($b, $byte, 1);
            push @lines, sprintf '%s block %d (%s): %s instead of %s, from byte %d on', $path, $at / $PAGE, kind_of($second), $say->($first), $say->($second), $byte;
        }
    }
    return (\@lines, $pages);
}

1;
