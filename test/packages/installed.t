# The packages in a clean Debian: the steps of README.md's "Install" and of its 3 a.m.
use strict;
use warnings;

# The rest runs inside, where the root is this Debian and everything ends with it.
exec 'scripts/clean-root', 'run', "$ENV{PG_ARK_PACKAGES}/deb:/mnt", "$ENV{PWD}/test/packages:/srv", '--', 'perl', '/srv/inside.pl', $ENV{PG_MAJOR};
