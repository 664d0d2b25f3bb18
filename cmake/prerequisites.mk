# Stops the build with a sentence where something that it needs is not there. Included by Makefile.

INSTALL_HINT = $(if $(wildcard /etc/debian_version),Install it with "make deps" or) install

ifeq ($(shell command -v $(PG_CONFIG)),)
$(error "$(PG_CONFIG)" was not found. It comes with the server's development files (Debian: \
postgresql-server-dev-15). $(INSTALL_HINT) them, or name another with PG_CONFIG=/path/to/pg_config)
endif

PG_MAJOR := $(shell $(PG_CONFIG) --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
ifeq ($(filter $(PG_MAJOR),$(SUPPORTED_MAJORS)),)
$(error $(PG_CONFIG) belongs to PostgreSQL $(PG_MAJOR), and this version of pg_ark supports \
$(SUPPORTED_MAJORS). Name a supported one with PG_CONFIG=/path/to/pg_config)
endif

ifeq ($(wildcard $(shell $(PG_CONFIG) --pgxs)),)
$(error the server's development files for PostgreSQL $(PG_MAJOR) are missing (Debian: \
postgresql-server-dev-$(PG_MAJOR)). $(INSTALL_HINT) them)
endif

ifeq ($(shell command -v g++),)
$(error g++ was not found (Debian: g++). $(INSTALL_HINT) it)
endif

# A header and, in the same place of the second list, the Debian package that holds it.
NEEDED_HEADERS = zstd.h xxhash.h curl/curl.h pugixml.hpp openssl/evp.h nlohmann/json.hpp CLI/CLI.hpp postgresql/libpq-fe.h
NEEDED_PACKAGES = libzstd-dev libxxhash-dev libcurl4-openssl-dev libpugixml-dev libssl-dev nlohmann-json3-dev libcli11-dev libpq-dev
have_header = $(shell echo '\#include <$(1)>' | g++ -x c++ -std=c++20 -M - >/dev/null 2>&1 && echo yes)
index_of = $(words $(shell echo '$(NEEDED_HEADERS)' | sed 's@\($(1)\).*@\1@'))

# One compiler call for all; only where it fails is each tried, to name the one that is missing.
ifneq ($(shell printf '\#include <%s>\n' $(NEEDED_HEADERS) | g++ -x c++ -std=c++20 -M - >/dev/null 2>&1 && echo yes),yes)
$(foreach header,$(NEEDED_HEADERS),$(if $(call have_header,$(header)),,$(error the header \
<$(header)> was not found (Debian: $(word $(call index_of,$(header)),$(NEEDED_PACKAGES))). $(INSTALL_HINT) it)))
endif

$(foreach file,$(ENGINE_SOURCES) $(CLI_SOURCES) $(SERVER_SOURCES) pg_ark.control,$(if \
$(wildcard $(file)),,$(error $(file) does not exist$(if $(filter %.cpp,$(file)), but is listed in sources.mk))))
