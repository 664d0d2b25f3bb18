# CRC-32C, as fast as Perl can: strings are folded onto themselves by xor of whole pieces. The polynomial's power by 2^n has the
# same few terms, 2^n times as far apart, so that what stands far from the end is congruent to a sum of copies of it nearer there.
package PgArk::FakeGoogle::Crc32c;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(crc32c);

my @terms = grep { (0x1EDC6F41 >> $_) & 1 } 0 .. 31;
my @table = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82F63B78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub crc32c {
    my ($text) = @_;
    my $crc = 0xFFFFFFFF;
    if (length $text > 64) {
        substr($text, 0, 4) ^= "\xFF" x 4;
        $crc = 0;
        my $unit = 1;
        $unit *= 2 while 64 * $unit < length $text;
        for (; $unit >= 1; $unit /= 2) {
            while ((my $excess = length($text) - 32 * $unit) > 0) {
                my $n = $excess < 4 * $unit ? $excess : 4 * $unit;
                my $head = substr $text, 0, $n, '';
                substr($text, (32 - $_) * $unit - $n, $n) ^= $head for @terms;
            }
            last if $unit == 1;
        }
    }
    $crc = $table[ ($crc ^ $_) & 255 ] ^ ($crc >> 8) for unpack 'C*', $text;
    return $crc ^ 0xFFFFFFFF;
}

1;
