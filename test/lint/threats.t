# docs/threat-model.md names a test for what it claims. Each of them exists: `tap/039: text` is text in test/tap/039_….pl, `unit/vault: Name`
# a test of that name in vault_test.cpp, `stores/…`, `support/…` and `pgtap/…` text in the file of that name. No text: the file is the test.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(files slurp);

my @files = files(qr/\.(?:pl|pm|sql|cpp)$/, 'test');

sub pattern_of {
    my ($kind, $name) = @_;
    return $kind eq 'unit' ? qr{^test/unit/.*\b\Q$name\E_test\.cpp$} : $kind eq 'tap' ? qr{^test/tap/\Q$name\E_\w+\.pl$} : $kind eq 'support' ? qr{^test/support/.*\b\Q$name\E\.pm$} : qr{^test/\Q$kind\E/\Q$name\E\.};
}
sub is_there {
    my ($kind, $name, $text) = @_;
    my $pattern = pattern_of($kind, $name);
    for my $path (grep { $_ =~ $pattern } @files) {
        my $content = slurp($path) =~ s/\\'/'/gr;
        return 1 if $kind eq 'unit' ? $content =~ /^TEST\w*\(\w+,\s+\Q$text\E\)/m : index($content, $text) >= 0;
    }
    return 0;
}
sub missing { my ($document) = @_; my @named = $document =~ m{`((tap|unit|stores|support|pgtap)/(\w+): ([^`]*))`}g; my @missing;
    while (my ($all, $kind, $name, $text) = splice @named, 0, 4) { push @missing, $all if !is_there($kind, $name, $text) }
    return @missing }

my $document = slurp('docs/threat-model.md');
my $count = () = $document =~ m{`(?:tap|unit|stores|support|pgtap)/\w+: [^`]*`}g;
cmp_ok($count, '>', 40, 'the document names tests');
is_deeply([ missing($document) ], [], 'each of them exists');
# Every test that is named in another way would not be looked at.
is_deeply([ grep { !m{^(?:tap|unit|stores|support|pgtap)/\w+: } && m{^(?:tap|unit|stores|support|pgtap)/} } $document =~ /`([^`\n]+)`/g ], [], 'and is named in this way');
# The comparison has to be able to fail.
is_deeply([ missing('`tap/039: no such test` `unit/vault: NoSuchTest` `unit/no_such: ThereAndBack` `unit/vault: ThereAndBack`') ],
    [ 'tap/039: no such test', 'unit/vault: NoSuchTest', 'unit/no_such: ThereAndBack' ], 'one that does not exist is seen');
done_testing();
