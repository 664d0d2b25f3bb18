# Scripts of the extension that were released are as they were: sql/released.sha256.
use strict;
use warnings;
use Digest::SHA ();
use File::Temp qw(tempdir);
use Test::More;
use lib 'test/lint';
use Lint qw(slurp);

# What is wrong with a list of sums, for files below a directory.
sub wrong {
    my ($text, $directory) = @_;
    my @wrong;
    for my $line (grep { !/^(?:#|$)/ } split /\n/, $text) {
        my ($sum, $path) = $line =~ /^([0-9a-f]{64})  (sql\/pg_ark--[0-9.]+(?:--[0-9.]+)?\.sql)$/;
        if    (!$path)                  { push @wrong, "no sum and script: $line" }
        elsif (!-e "$directory/$path")  { push @wrong, "$path is gone" }
        elsif (Digest::SHA->new(256)->addfile("$directory/$path", 'b')->hexdigest ne $sum) { push @wrong, "$path has changed" }
    }
    return @wrong;
}

is_deeply([ wrong(slurp('sql/released.sha256'), '.') ], [], 'what was released is as it was');

# The check has to be able to fail.
my $directory = tempdir(CLEANUP => 1);
mkdir "$directory/sql" or die $!;
my $path = 'sql/pg_ark--0.1.0--0.2.0.sql';
sub write_script { open my $handle, '>', "$directory/$path" or die $!; print $handle $_[0]; close $handle }
write_script("SELECT 1;\n");
my $sum = Digest::SHA->new(256)->addfile("$directory/$path", 'b')->hexdigest;
is_deeply([ wrong("# text\n\n$sum  $path\n", $directory) ], [], 'a script that is as it was');
write_script("SELECT 2;\n");
is_deeply([ wrong("$sum  $path\n", $directory) ], ["$path has changed"], 'a script that has changed');
unlink "$directory/$path";
is_deeply([ wrong("$sum  $path\n", $directory) ], ["$path is gone"], 'a script that is gone');
is_deeply([ wrong("$path\n", $directory) ], ["no sum and script: $path"], 'a line that is none');

# Each version is reached from the one before it, so from all.
my %to;
my @versions;
for my $file (glob 'sql/pg_ark--*.sql') {
    if    ($file =~ /--([0-9.]+)--([0-9.]+)\.sql$/) { push @{ $to{$2} }, $1 }
    elsif ($file =~ /--([0-9.]+)\.sql$/)            { push @versions, $1 }
}
@versions = sort { my @a = split /\./, $a; my @b = split /\./, $b; $a[0] <=> $b[0] || $a[1] <=> $b[1] || $a[2] <=> $b[2] } @versions;
cmp_ok(scalar @versions, '>=', 1, "versions: @versions");
for my $i (1 .. $#versions) {
    ok((grep { $_ eq $versions[ $i - 1 ] } @{ $to{ $versions[$i] } // [] }), "a script leads from $versions[$i - 1] to $versions[$i]");
}
done_testing();
