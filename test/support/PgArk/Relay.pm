# An executable that stands between the server's module and the real pg_ark and changes what they say to each other, as
# another version of either would say it. pg_ark.program names it.
package PgArk::Relay;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(write_relay text_value);

# A text as the protocol writes it.
sub text_value { return unpack 'H*', $_[0] }

# Writes the relay to `path`. `to_child` and `to_module` are Perl code that changes $_, a line without its newline; where
# `to_child` sets it to undef, nothing is passed on, and what it left in @answer goes back instead.
sub write_relay {
    my ($path, %code) = @_;
    chomp(my $program = qx(sh -c 'command -v pg_ark'));
    my ($to_child, $to_module) = map { $code{$_} // '' } qw(to_child to_module);
    open my $handle, '>', "$path.new" or die "$path: $!";
    print $handle <<"RELAY";
#!/usr/bin/perl
use strict;
use warnings;
\$SIG{PIPE} = 'IGNORE';
\$| = 1;
sub text { return unpack 'H*', \$_[0] }
pipe(my \$child_reads, my \$we_write) or die;
pipe(my \$we_read, my \$child_writes) or die;
my \$pid = fork() // die;
if (!\$pid) {
    open STDIN, '<&', \$child_reads or die;
    open STDOUT, '>&', \$child_writes or die;
    close \$_ for \$child_reads, \$we_write, \$we_read, \$child_writes;
    exec '$program', \@ARGV or die;
}
close \$_ for \$child_reads, \$child_writes;
my \$feeder = fork() // die;
if (!\$feeder) {    # from the module to the executable
    close \$we_read;
    select((select(\$we_write), \$| = 1)[0]);
    while (defined(\$_ = <STDIN>)) {
        chomp;
        my \@answer;
        $to_child
        print {\$we_write} "\$_\\n" if defined;
        print "\$_\\n" for \@answer;
    }
    exit 0;
}
close \$we_write;
\$SIG{TERM} = \$SIG{INT} = sub { kill 'TERM', \$pid };
while (defined(\$_ = <\$we_read>)) {
    chomp;
    $to_module
    print "\$_\\n";
}
waitpid \$pid, 0;
my \$status = \$?;
kill 'KILL', \$feeder;
waitpid \$feeder, 0;
exit(\$status == 0 ? 0 : 1);
RELAY
    close $handle or die "$path: $!";
    chmod 0755, "$path.new";
    rename "$path.new", $path or die "$path: $!";
}

1;
