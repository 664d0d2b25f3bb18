// The checks that ask the repository, through a child of this backend.
#include "server/catalog_client.hpp"
#include "server/clone.hpp"
#include "server/preflight.hpp"
#include "server/repository_url.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"

namespace ark {
namespace {

// Somebody sits in front of it. But the command for the key may take its time.
constexpr int64 kTimeoutMs = INT64CONST(10) * 1000;
constexpr int64 kKeyCommandMs = INT64CONST(30) * 1000;

int64 timeout_ms() {
    return kTimeoutMs + (settings.encryption_key_command[0] != '\0' ? kKeyCommandMs : 0);
}

void put_versions(CheckSink* sink, const char* program) {
    sql("SELECT extversion FROM pg_catalog.pg_extension WHERE extname "
        "= 'pg_ark'");
    const char* extension = result(0, 1);
    const bool same = extension != nullptr && strcmp(extension, PG_ARK_VERSION) == 0 &&
                      strcmp(program, PG_ARK_VERSION) == 0;
    put_check(sink, {"versions", same,
                     psprintf("module %s, extension %s, executable %s", PG_ARK_VERSION,
                              extension != nullptr ? extension : "none", program),
                     "Install the same version of all: restart the server for the module, ALTER "
                     "EXTENSION pg_ark UPDATE for the extension."});
}

void put_room(CheckSink* sink, const RepositoryCheck& check) {
    if (check.free_bytes < 0)
        return put_check(sink, {"room", true, "the store does not tell its free space", nullptr});
    sql("SELECT pg_catalog.sum(pg_catalog.pg_database_size(oid)), "
        "pg_catalog.pg_size_pretty(pg_catalog.sum(pg_catalog.pg_database_size(oid))), "
        "pg_catalog.pg_size_pretty($1::pg_catalog.int8) FROM pg_catalog.pg_database",
        number_text(static_cast<uint64>(check.free_bytes)));
    const char* size = result(0, 1);
    const bool enough = size != nullptr && check.free_bytes >= strtoi64(size, nullptr, 10);
    put_check(sink, {"room", enough,
                     psprintf("%s free in the repository, the databases have %s", result(0, 3),
                              result(0, 2)),
                     "A backup that does not compress needs as much as the databases have: make "
                     "room, or name another place in pg_ark.repositories."});
}

void put_repository(CheckSink* sink, const RepositoryCheck& check) {
    const bool good = check.writable && check.create_if_absent;
    const char* found = !check.writable           ? "it cannot be written"
                        : !check.create_if_absent ? "it does not honour create-if-absent"
                                                  : "it can be read and written";
    put_check(sink, {"repository", good,
                     check.detail[0] != '\0' ? psprintf("%s: %s", found, check.detail) : found,
                     "Give the server's operating system user the right to write there."});
}

void put_findings(CheckSink* sink, const RepositoryCheck& check) {
    ListCell* cell;
    foreach (cell, check.findings) {
        const auto* finding = static_cast<const RepositoryFinding*>(lfirst(cell));
        put_check(sink, {finding->name, finding->ok, finding->detail,
                         finding->hint[0] != '\0' ? finding->hint : "See the server's log."});
    }
}

void ask(CheckSink* sink, CatalogClient* client) {
    put_versions(sink, catalog_program_version(client));
    const UrlProblem problem = check_repository_place();
    if (problem.message != nullptr)
        return put_check(sink, {"repository", false, problem.message, problem.hint});
    // Made here as the archiver's first file would make it; a copy writes nothing.
    catalog_open_repository(client, !is_clone(), true);
    const RepositoryCheck check = catalog_check(client);
    put_repository(sink, check);
    put_findings(sink, check);
    put_room(sink, check);
}

}  // namespace

void check_repository(CheckSink* sink) {
    CatalogClient* client = catalog_start(ChildWait::kLatch, timeout_ms());
    PG_TRY();
    { ask(sink, client); }
    PG_FINALLY();
    { catalog_close(client); }
    PG_END_TRY();
}

}  // namespace ark
