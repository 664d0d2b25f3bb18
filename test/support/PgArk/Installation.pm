# A copy of the server's installation whose files of extensions a test may change. The server finds them, and its modules,
# from where its own executable lies; so the executable is copied, and all else is linked.
package PgArk::Installation;
use strict;
use warnings;
use Exporter 'import';
use File::Copy qw(copy);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(copied_installation write_text);

sub directory { my ($name) = @_; chomp(my $path = qx(pg_config --$name)); return $path }

sub link_all {
    my ($from, $to, $except) = @_;
    make_path($to);
    opendir my $handle, $from or die "$from: $!";
    for my $name (grep { !/^\.{1,2}$/ } readdir $handle) {
        symlink "$from/$name", "$to/$name" or die "$to/$name: $!" unless $except->{$name};
    }
}

# Returns the directory above bin, for PostgreSQL::Test::Cluster's install_path, and the directory of the extensions.
sub copied_installation {
    my $top = PostgreSQL::Test::Utils::tempdir('installation');
    my ($bin, $share, $lib) = map { directory($_) } qw(bindir sharedir pkglibdir);
    # What the three have in common is replaced by our directory.
    my @common = split m{/}, $bin, -1;
    for my $path ($share, $lib) {
        my @words = split m{/}, $path, -1;
        my $same = 0;
        $same++ while $same < @common && $same < @words && $common[$same] eq $words[$same];
        $#common = $same - 1;
    }
    my $common = join '/', @common;
    my ($new_bin, $new_share, $new_lib) = map { $top . substr $_, length $common } $bin, $share, $lib;
    link_all($bin, $new_bin, { map { $_ => 1 } qw(postgres pg_ctl) });
    for my $program (qw(postgres pg_ctl)) {
        copy("$bin/$program", "$new_bin/$program") or die "$program: $!";
        chmod 0755, "$new_bin/$program";
    }
    link_all($share, $new_share, { extension => 1 });
    link_all("$share/extension", "$new_share/extension", {});
    make_path($new_lib =~ s{/[^/]+$}{}r);
    symlink $lib, $new_lib or die "$new_lib: $!" unless -e $new_lib;
    return ($new_bin =~ s{/bin$}{}r, "$new_share/extension");
}

# Writes a file anew; where it was a link, what it led to stays.
sub write_text {
    my ($path, $text) = @_;
    unlink $path;
    open my $handle, '>', $path or die "$path: $!";
    print $handle $text;
    close $handle or die "$path: $!";
}

1;
