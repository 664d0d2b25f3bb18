# make ships (this file, by PGXS); CMake develops (CMakeLists.txt). Both read sources.mk.
#
#   make                 build build/pg_ark (the executable) and pg_ark.so (the module)
#   make install         into the directories of the server that pg_config names
#   make quickstart      install what is needed, build, install, and show a loss and a recovery
#   make check           build and run every test, in a work directory of its own
#   make check-versions  the same on every supported PostgreSQL that Debian has
#   make soak            hours of backups of hard data (PG_ARK_ROUNDS, default 20), of restore tests and drills
#                        under changing load, which have to find nothing (PG_ARK_DRILLS, default 100 of each),
#                        and of a cluster of many relations (PG_ARK_RELATIONS, default 100000); random chains of
#                        incremental backups, held against a standby (PG_ARK_CHAINS, default 200 backups); what a
#                        bucket of many objects (PG_ARK_OBJECTS, default 100000) costs in requests; a thousand
#                        kill -9 under synchronous commits (PG_ARK_KILLS), WAL segments of up to 1 GB; each
#                        fuzz target for minutes (PG_ARK_FUZZ_SECONDS, default 600)
#   make installcheck    the regression tests against a running server that has pg_ark preloaded
#   make dist            the PGXN archive: build/pg_ark-VERSION.zip
#   make deb             Debian packages for the server that pg_config names: build/deb/
#   make check-packages  both, and the packages in a clean root; needs root or sudo, and a Debian mirror
#   make check-upgrade   pg_upgrade from 15 to 17 to 18 with pg_ark; needs what check-versions needs
#   make deps            install what building and testing needs (Debian)
#   make format          clang-format, in place
#
# PG_CONFIG=…  the server to build for        PG_ARK_TEST_FAULTS=1  a test build, with fault points
# DESTDIR=…    where packages are staged      BUILD=…               where the executable is built
# PROGRAMDIR=… where the executable goes (the server's own directory); the module looks there too

PG_CONFIG ?= pg_config
# CMake reads this line too. One that is not among them can be tried: make SUPPORTED_MAJORS=19
SUPPORTED_MAJORS = 15 16 17 18
BUILD ?= build

# These goals work where nothing is installed yet.
STANDALONE = quickstart check check-versions soak dist deb check-packages check-upgrade deps format help
GOALS = $(or $(MAKECMDGOALS),all)

ifneq ($(filter $(STANDALONE),$(GOALS)),)

quickstart: ; @scripts/quickstart
check:      ; @scripts/check
check-versions: ; @scripts/check-versions
soak:       ; @PG_ARK_ROUNDS=$${PG_ARK_ROUNDS:-20} PG_ARK_RELATIONS=$${PG_ARK_RELATIONS:-100000} PG_ARK_TEST_DEADLINE=3600 \
              PG_ARK_SEGMENT_SIZES='256 1024' TESTS='test/tap/004_segment_sizes.pl test/tap/024_hard_dataset.pl test/tap/069_incremental_many_relations.pl test/tap/071_incremental_known_defects.pl' scripts/check tap
	@PG_ARK_ROUNDS=$${PG_ARK_DRILLS:-100} PG_ARK_TEST_DEADLINE=36000 TESTS=test/tap/022_no_false_alarms.pl scripts/check tap
	@PG_ARK_ROUNDS=$${PG_ARK_CHAINS:-200} PG_ARK_TEST_DEADLINE=3600 TESTS=test/tap/063_incremental_random.pl scripts/check tap
	@PG_ARK_ROUNDS=$${PG_ARK_KILLS:-1000} PG_ARK_TEST_DEADLINE=36000 TESTS=test/tap/032_wal_streaming.pl scripts/check tap
	@PG_ARK_OBJECTS=$${PG_ARK_OBJECTS:-100000} STORE_TESTS=test/stores/s3_requests.pl scripts/check stores
	@PG_ARK_FUZZ_SECONDS=$${PG_ARK_FUZZ_SECONDS:-600} scripts/check fuzz
dist:       ; @scripts/dist
deb:        ; @scripts/deb
check-packages: ; @scripts/check-packages
check-upgrade: ; @scripts/check-upgrade
deps:       ; @scripts/install-deps build test lint
format:     ; @clang-format -i $$(git ls-files -co --exclude-standard '*.cpp' '*.hpp')
help:       ; @sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile
.PHONY: $(STANDALONE)

else

include sources.mk
include cmake/prerequisites.mk

ARK_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" pg_ark.control)
DEFINES = -DPG_ARK_VERSION='"$(ARK_VERSION)"' $(if $(PG_ARK_TEST_FAULTS),-DPG_ARK_TEST_FAULTS)
WARNINGS = -Wall -Wextra -Werror

# The module: PostgreSQL's flags, no exceptions, no RTTI, no symbol but those it exports by name.
EXTENSION = pg_ark
MODULE_big = pg_ark
OBJS = $(SERVER_SOURCES:.cpp=.o)
DATA = $(wildcard sql/pg_ark--*.sql)
REGRESS = $(patsubst sql/%.sql,%,$(filter-out $(DATA),$(sort $(wildcard sql/*.sql))))
# The regression database is the one that pg_ark.database names on the server under test.
REGRESS_OPTS = --dbname=$(or $(REGRESS_DATABASE),contrib_regression)
PG_CPPFLAGS = -Isrc $(DEFINES) -DPG_ARK_BINDIR='"$(PROGRAMDIR)"'
PG_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -fvisibility=hidden -fno-threadsafe-statics \
              $(WARNINGS) -Wno-unused-parameter -Wno-missing-field-initializers -Wno-register -MMD -MP
SHLIB_LINK = -lstdc++ -Wl,--no-undefined-version
EXTRA_CLEAN = $(BUILD) $(SERVER_SOURCES:.cpp=.d)
override with_llvm := no
# Where the executable goes, and its manual page.
PROGRAMDIR ?= $(bindir)
MAN1DIR ?= $(mandir)/man1

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
CXX := $(shell command -v ccache) g++

# The executable: the engine and the command line, with none of PostgreSQL's flags, and no header of
# its but libpq's.
PROGRAM_OBJS = $(patsubst %.cpp,$(BUILD)/%.o,$(ENGINE_SOURCES) $(CLI_SOURCES))
PROGRAM_CXXFLAGS = -std=c++20 -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -pthread -Isrc \
                   -isystem $(includedir) $(WARNINGS) $(DEFINES) -MMD -MP
# libcurl and libpq are loaded when they are needed (core/base/library.hpp).
PROGRAM_LIBS = -pthread -lzstd -lpugixml -lcrypto -ldl

all: $(BUILD)/pg_ark $(BUILD)/pg_ark.1
install: install-program install-man
uninstall: uninstall-program uninstall-man

$(BUILD)/pg_ark: $(PROGRAM_OBJS)
	$(CXX) -pthread -Wl,-z,relro -Wl,-z,now -o $@ $^ $(PROGRAM_LIBS)

# What bench/run measures against.
$(BUILD)/ark_floor: $(BUILD)/bench/floor.o $(patsubst %.cpp,$(BUILD)/%.o,$(ENGINE_SOURCES))
	$(CXX) -pthread -o $@ $^ $(PROGRAM_LIBS)

$(PROGRAM_OBJS) $(BUILD)/bench/floor.o: $(BUILD)/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(CXX) $(PROGRAM_CXXFLAGS) -c -o $@ $<

$(OBJS): $(BUILD)/flags

# The engine has no header of PostgreSQL's: here the compiler compares what it knows with what they say.
check-layout: $(VERSION_TEST_SOURCES)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -fsyntax-only $^

# What was compiled with other flags (another version, with or without faults) is compiled again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(PG_CONFIG) $(PROGRAMDIR) $(DEFINES) $(PROGRAM_CXXFLAGS) $(PG_CXXFLAGS))' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/pg_ark.1: $(BUILD)/pg_ark scripts/man-page
	scripts/man-page $(BUILD)/pg_ark > $@.new && mv $@.new $@

install-program: $(BUILD)/pg_ark
	$(MKDIR_P) '$(DESTDIR)$(PROGRAMDIR)'
	$(INSTALL_PROGRAM) $(BUILD)/pg_ark '$(DESTDIR)$(PROGRAMDIR)/pg_ark'

install-man: $(BUILD)/pg_ark.1
	$(MKDIR_P) '$(DESTDIR)$(MAN1DIR)'
	$(INSTALL_DATA) $(BUILD)/pg_ark.1 '$(DESTDIR)$(MAN1DIR)/pg_ark.1'

uninstall-program:
	rm -f '$(DESTDIR)$(PROGRAMDIR)/pg_ark'

uninstall-man:
	rm -f '$(DESTDIR)$(MAN1DIR)/pg_ark.1'

.PHONY: install-program install-man uninstall-program uninstall-man check-layout FORCE
-include $(PROGRAM_OBJS:.o=.d) $(OBJS:.o=.d)

endif
