#include "server/audit_mirror.hpp"

#include "server/clone.hpp"
#include "server/conversation.hpp"
#include "server/known_repository.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "miscadmin.h"
}

namespace ark {
namespace {

/// What one object takes; entries NULL: nothing waits. palloc'd.
struct Batch {
    char* entries;  ///< JSON, UTF-8
    char* ids;      ///< of the rows: an array
    char* id;       ///< of the object
    uint64 at;      ///< of the newest row, Unix microseconds
};

// Texts are cut: what a superuser wrote into the table must not keep the rest out of the
// repository. 400,000 bytes fit a message of the child.
constexpr char kWaiting[] =
    "WITH waiting AS (SELECT id, at, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
    "'id', id, 'at', pg_catalog.to_char(at AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'act', pg_catalog.left(act, 1000), 'outcome', outcome, "
    "'target', pg_catalog.left(target, 1000), 'backup_id', pg_catalog.left(backup_id, 1000), "
    "'session_role', pg_catalog.left(session_role, 1000), "
    "'acting_role', pg_catalog.left(acting_role, 1000), 'client', pg_catalog.left(client, 1000), "
    "'application', pg_catalog.left(application, 1000), "
    "'backend', pg_catalog.left(backend, 1000), 'pid', pid, "
    "'sqlstate', pg_catalog.left(sqlstate, 1000), 'message', pg_catalog.left(message, 1000), "
    "'times', times)) AS entry FROM ark.audit_log WHERE mirrored_at IS NULL ORDER BY at LIMIT "
    "500), sized AS (SELECT *, pg_catalog.sum(pg_catalog.octet_length(entry::text) + 2) OVER "
    "(ORDER BY at, id) AS total FROM waiting) "
    "SELECT pg_catalog.jsonb_agg(entry ORDER BY at, id), pg_catalog.array_agg(id), "
    "pg_catalog.gen_random_uuid(), "
    "(EXTRACT(epoch FROM pg_catalog.max(at)) * 1000000)::pg_catalog.int8 "
    "FROM sized WHERE total <= 400000";

// A database without an encoding has bytes that are no text in any; the child makes one of them,
// where an error here would keep all that follows from the repository.
const char* in_utf8(const char* text) {
    if (GetDatabaseEncoding() == PG_SQL_ASCII)
        return text;
    return pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
}

Batch next_batch() {
    MemoryContext context = CurrentMemoryContext;
    Batch batch = {};
    begin_sql("pg_ark: audit log");
    sql(kWaiting);
    if (const char* entries = result(0, 1)) {
        batch.entries = MemoryContextStrdup(context, in_utf8(entries));
        batch.ids = MemoryContextStrdup(context, result(0, 2));
        batch.id = MemoryContextStrdup(context, result(0, 3));
        batch.at = strtou64(result(0, 4), nullptr, 10);
    }
    commit_sql();
    return batch;
}

void store(CatalogClient* catalog, const Batch& batch) {
    StringInfoData out;
    initStringInfo(&out);
    message_begin(&out, "audit");
    message_number(&out, "at", batch.at);
    message_token(&out, "id", batch.id);
    message_text(&out, "entries", batch.entries);
    message_end(&out);
    child_send(catalog_child(catalog), out);
    (void)receive_verb(catalog_child(catalog), "stored", deadline_in_ms(kCatalogTimeoutMs));
}

void mark(const Batch& batch) {
    begin_sql("pg_ark: audit log");
    // "= ANY ($1)" would read the array's text again for each row of the table.
    sql("UPDATE ark.audit_log AS log SET mirrored_at = pg_catalog.clock_timestamp() "
        "FROM pg_catalog.unnest($1::pg_catalog.uuid[]) AS batch (id) WHERE log.id = batch.id",
        batch.ids);
    commit_sql();
}

}  // namespace

bool audit_has_mirror() {
    return settings.repositories[0] != '\0' && !is_clone() && known_repository_id() != nullptr;
}

void mirror_audit_rows(CatalogClient** catalog) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const Batch batch = next_batch();
        if (batch.entries == nullptr)
            return;
        if (*catalog == nullptr)
            *catalog = catalog_open(ChildWait::kLatch, kCatalogTimeoutMs);
        require_known_repository(catalog_repository_id(*catalog));
        store(*catalog, batch);
        fault_point("module_audit_stored");
        mark(batch);
    }
}

}  // namespace ark
