// The names of damaged relations. A file is known by its number, and a number means something only
// in its own database: for another database than this worker's a short worker is connected to that
// one, and answers through a piece of dynamic shared memory.
#include "server/corrupt_pages.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
}

namespace ark {
namespace {

// schema.relation, each quoted.
constexpr int kNameSize = 4 * NAMEDATALEN + 8;

struct NameEntry {
    Oid tablespace;
    Oid filenode;
    char relation[kNameSize];
};

struct NameTable {
    Oid database;
    int count;
    NameEntry entries[FLEXIBLE_ARRAY_MEMBER];
};

char* name_of(Oid tablespace, Oid filenode) {
    sql("SELECT pg_catalog.pg_filenode_relation($1::pg_catalog.oid, "
        "$2::pg_catalog.oid)::pg_catalog.text",
        number_text(tablespace), number_text(filenode));
    return result(0, 1);
}

void name_here(List* pages) {
    MemoryContext keep = CurrentMemoryContext;
    begin_sql("pg_ark: naming damaged relations");
    ListCell* cell;
    foreach (cell, pages) {
        auto* page = static_cast<CorruptPage*>(lfirst(cell));
        if (page->filenode == 0 || (page->database != MyDatabaseId && page->database != 0))
            continue;
        if (const char* name = name_of(page->tablespace, page->filenode))
            page->relation = MemoryContextStrdup(keep, name);
    }
    foreach (cell, pages) {
        auto* page = static_cast<CorruptPage*>(lfirst(cell));
        if (page->database == 0)
            continue;
        if (const char* name = get_database_name(page->database))
            page->database_name = MemoryContextStrdup(keep, name);
    }
    commit_sql();
}

// Whether the worker ran; it leaves empty names where it could not.
bool run_names_worker(dsm_handle table) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "pg_ark", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "pg_ark_names_main", sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, "pg_ark relation names", sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, "pg_ark relation names", sizeof(worker.bgw_type));
    worker.bgw_main_arg = UInt32GetDatum(table);
    worker.bgw_notify_pid = MyProcPid;
    BackgroundWorkerHandle* handle = nullptr;
    if (!RegisterDynamicBackgroundWorker(&worker, &handle))
        return false;
    return WaitForBackgroundWorkerShutdown(handle) == BGWH_STOPPED;
}

void name_elsewhere(List* pages, Oid database) {
    const Size size =
        offsetof(NameTable, entries) + sizeof(NameEntry) * static_cast<Size>(list_length(pages));
    dsm_segment* segment = dsm_create(size, 0);
    auto* table = static_cast<NameTable*>(dsm_segment_address(segment));
    memset(static_cast<void*>(table), 0, size);
    table->database = database;
    ListCell* cell;
    foreach (cell, pages) {
        const auto* page = static_cast<const CorruptPage*>(lfirst(cell));
        table->entries[table->count].tablespace = page->tablespace;
        if (page->database == database)
            table->entries[table->count].filenode = page->filenode;
        table->count++;
    }
    if (run_names_worker(dsm_segment_handle(segment))) {
        foreach (cell, pages) {
            auto* page = static_cast<CorruptPage*>(lfirst(cell));
            const NameEntry& entry = table->entries[foreach_current_index(cell)];
            if (entry.relation[0] != '\0')
                page->relation = pstrdup(entry.relation);
        }
    }
    dsm_detach(segment);
}

}  // namespace

void name_relations(List* pages) {
    if (pages == NIL)
        return;
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    {
        name_here(pages);
        List* done = list_make2_oid(MyDatabaseId, InvalidOid);
        ListCell* cell;
        foreach (cell, pages) {
            const Oid database = static_cast<CorruptPage*>(lfirst(cell))->database;
            if (list_member_oid(done, database))
                continue;
            done = lappend_oid(done, database);
            name_elsewhere(pages, database);
        }
    }
    PG_CATCH();
    {
        // Without its names the backup is as good. A cancel comes too late to matter.
        const ErrorData* error = take_error(context);
        ereport(LOG, (errmsg("could not name all damaged relations: %s", error->message)));
    }
    PG_END_TRY();
}

}  // namespace ark

void pg_ark_names_main(Datum handle) {
    ark::install_worker_signals();
    dsm_segment* segment = dsm_attach(DatumGetUInt32(handle));
    if (segment == nullptr)
        proc_exit(0);
    auto* table = static_cast<ark::NameTable*>(dsm_segment_address(segment));
    ark::limit_lock_waits();
    BackgroundWorkerInitializeConnectionByOid(table->database, InvalidOid,
                                              BGWORKER_BYPASS_ALLOWCONN);
    ark::set_session_defaults();
    ark::limit_lock_waits();
    ark::begin_sql("pg_ark: naming damaged relations");
    for (int i = 0; i < table->count; i++) {
        ark::NameEntry* entry = &table->entries[i];
        if (entry->filenode == 0)
            continue;
        if (const char* name = ark::name_of(entry->tablespace, entry->filenode))
            strlcpy(entry->relation, name, sizeof(entry->relation));
    }
    ark::commit_sql();
    dsm_detach(segment);
    proc_exit(0);
}
