# The grants that docs/rights.md tells to make are those that test/pgtap/rights.sql makes before it looks at every right.
use strict;
use warnings;
use Test::More;
use lib 'test/lint';
use Lint qw(slurp);

# The statements of the SQL in a document that are not in a test.
sub untested {
    my ($document, $test) = @_;
    my %tested = map { $_ => 1 } split /\n/, $test;
    return grep { /\S/ && !$tested{$_} } map { split /\n/ } $document =~ /^```sql\n(.*?)^```/msg;
}
sub granted { my ($text) = @_; return grep { /^(?:CREATE ROLE backup_operator|GRANT) / } split /\n/, $text }

my ($document, $test) = (slurp('docs/rights.md'), slurp('test/pgtap/rights.sql'));
is_deeply([ untested("```sql\nGRANT a TO b;\nGRANT a TO c;\n```\n", "GRANT a TO b;\n") ], ['GRANT a TO c;'], 'a grant that no test makes');
is_deeply([ untested($document, $test) ], [], 'every grant of docs/rights.md is tested');
# And none that the document does not have: a test that grants more proves nothing. The last one is its own.
my %told = map { $_ => 1 } split /\n/, $document;
is_deeply([ grep { !$told{$_} } granted($test) ], ['GRANT EXECUTE ON FUNCTION ark.adopt TO backup_operator;'], 'and the test grants no more');
done_testing();
