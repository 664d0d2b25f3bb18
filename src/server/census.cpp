#include "server/census.hpp"

#include <sys/stat.h>

#include <csignal>

#include "server/protocol.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "common/relpath.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr Size kQueueBytes = 256 * 1024;
constexpr int kBatchBytes = 32 * 1024;
constexpr int kMostUnsent = 1024 * 1024;
constexpr long kRowsAtOnce = 1000;
// A cluster of thousands of databases must not wait for its census.
constexpr int kMostBudgetMs = 60 * 1000;
// Nor the backup for whoever holds up the worker: by a lock on its database, or on a catalog.
constexpr int kSilenceMs = 10 * 1000;
constexpr long kSliceMs = 100;

/// What the worker is told; the queue follows.
struct CensusTask {
    Oid database;
    volatile bool complete;  ///< set by the worker: it has told all
};

struct CountedDatabase {
    Oid oid;
    char* name;
};

/// The worker of one database.
struct Counting {
    dsm_segment* segment;
    BackgroundWorkerHandle* worker;
    shm_mq_handle* queue;
};

CensusTask* task_of(dsm_segment* segment) {
    return static_cast<CensusTask*>(dsm_segment_address(segment));
}

shm_mq* queue_of(dsm_segment* segment) {
    return reinterpret_cast<shm_mq*>(static_cast<char*>(dsm_segment_address(segment)) +
                                     MAXALIGN(sizeof(CensusTask)));
}

// What is seen so often in a row is so.
constexpr int kLooks = 3;

// No relation is opened: an ALTER TABLE that waits elsewhere must not hold up the backup. The
// census is of tables; of every relation it is seen that it has its file. Only the few whose file
// the catalog does not name are asked after with pg_relation_filenode: each call leaves a row in
// the session's cache (SearchSysCache in dbsize.c), 1.5 kB for each of 100,000 relations.
constexpr char kTables[] =
    "SELECT c.oid, f.filenode, "
    "       CASE f.tablespace WHEN 1663 THEN 'base/' || d.oid || '/' || f.filenode "
    "         WHEN 1664 THEN 'global/' || f.filenode "
    "         ELSE 'pg_tblspc/' || f.tablespace || '/" TABLESPACE_VERSION_DIRECTORY
    "/' || d.oid || '/' || f.filenode END, n.nspname, c.relname, "
    "       pg_catalog.pg_stat_get_live_tuples(c.oid), "
    "       pg_catalog.pg_stat_get_tuples_inserted(c.oid) + "
    "       pg_catalog.pg_stat_get_tuples_updated(c.oid) + "
    "       pg_catalog.pg_stat_get_tuples_deleted(c.oid), c.relkind IN ('r', 'm') "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database(), "
    "LATERAL (SELECT CASE c.relfilenode WHEN 0 THEN pg_catalog.pg_relation_filenode(c.oid) "
    "           ELSE c.relfilenode END AS filenode, "
    "         CASE c.reltablespace WHEN 0 THEN d.dattablespace ELSE c.reltablespace END "
    "           AS tablespace) f "
    "WHERE c.relkind IN ('r', 'm', 'i', 't', 'S') AND c.relpersistence = 'p' AND NOT c.relisshared";

/// A relation without its file, as one look saw it.
struct Missing {
    Oid relation;
    char* path;
};

// All segment files; false where there is none.
bool size_on_disk(const char* path, uint64* bytes) {
    struct stat st;
    *bytes = 0;
    if (stat(path, &st) != 0)
        return false;
    for (int segment = 1;; segment++) {
        *bytes += static_cast<uint64>(st.st_size);
        if (stat(psprintf("%s.%d", path, segment), &st) != 0)
            return true;
    }
}

void add_text(StringInfo out, const char* key, const char* text) {
    const bool known = GetDatabaseEncoding() != PG_SQL_ASCII;
    message_text(out, key,
                 known ? pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8) : text);
}

// False: its file is missing.
bool add_table(StringInfo out, const char* database, uint64 row) {
    const char* filenode = result(row, 2);
    const char* path = result(row, 3);
    uint64 bytes = 0;
    if (filenode == nullptr || path == nullptr)
        return true;
    if (!size_on_disk(path, &bytes))
        return false;
    if (result(row, 8)[0] != 't')
        return true;
    const uint64 rows = strtou64(result(row, 6), nullptr, 10);
    message_begin(out, "table");
    add_text(out, "database", database);
    add_text(out, "schema", result(row, 4));
    add_text(out, "name", result(row, 5));
    message_number(out, "database_oid", MyDatabaseId);
    message_number(out, "oid", strtou64(result(row, 1), nullptr, 10));
    message_number(out, "filenode", strtou64(filenode, nullptr, 10));
    message_number(out, "bytes", bytes);
    // Statistics that were lost say 0 as well.
    if (rows > 0 || bytes == 0)
        message_number(out, "rows", rows);
    message_number(out, "changes", strtou64(result(row, 7), nullptr, 10));
    message_end(out);
    return true;
}

List* add_missing(List* missing, MemoryContext context, uint64 row) {
    MemoryContext old = MemoryContextSwitchTo(context);
    auto* one = static_cast<Missing*>(palloc(sizeof(Missing)));
    one->relation = static_cast<Oid>(strtou64(result(row, 1), nullptr, 10));
    one->path = pstrdup(result(row, 3));
    missing = lappend(missing, one);
    MemoryContextSwitchTo(old);
    return missing;
}

// A relation that was dropped or rewritten meanwhile has no such file any more: another transaction
// sees that.
bool is_still_missing(const Missing& one) {
    uint64 bytes = 0;
    begin_sql("pg_ark: missing files");
    const bool same = sql("SELECT 1 FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.oid AND "
                          "pg_catalog.pg_relation_filepath(oid) = $2::pg_catalog.text",
                          number_text(one.relation), one.path) == 1 &&
                      !size_on_disk(one.path, &bytes);
    commit_sql();
    return same;
}

// False: nobody listens any more.
bool send_batch(shm_mq_handle* queue, StringInfo batch) {
    if (batch->len == 0)
        return true;
    const shm_mq_result sent =
        shm_mq_send(queue, static_cast<Size>(batch->len), batch->data, false, true);
    resetStringInfo(batch);
    return sent == SHM_MQ_SUCCESS;
}

// False as well. Each is told at once: many looks would be a long silence.
bool report_missing(shm_mq_handle* queue, StringInfo out, List* missing) {
    ListCell* cell;
    foreach (cell, missing) {
        const auto* one = static_cast<const Missing*>(lfirst(cell));
        int looks = 1;
        while (looks < kLooks && is_still_missing(*one))
            looks++;
        if (looks < kLooks)
            continue;
        message_begin(out, "table");
        message_text(out, "missing", one->path);
        message_end(out);
        if (!send_batch(queue, out))
            return false;
    }
    return true;
}

// Whether all has been told.
bool count_tables(shm_mq_handle* queue) {
    MemoryContext context = CurrentMemoryContext;
    List* missing = NIL;
    StringInfoData batch;
    initStringInfo(&batch);
    begin_sql("pg_ark: census of the tables");
    const char* database = get_database_name(MyDatabaseId);
    SPIParseOpenOptions options = {};
    options.read_only = true;
    Portal cursor = SPI_cursor_parse_open("pg_ark_census", kTables, &options);
    MemoryContext rows =
        AllocSetContextCreate(CurrentMemoryContext, "pg_ark census rows", ALLOCSET_DEFAULT_SIZES);
    bool heard = database != nullptr;
    while (heard) {
        SPI_cursor_fetch(cursor, true, kRowsAtOnce);
        const uint64 count = SPI_processed;
        for (uint64 i = 0; i < count && heard; i++) {
            MemoryContext old = MemoryContextSwitchTo(rows);
            if (!add_table(&batch, database, i))
                missing = add_missing(missing, context, i);
            MemoryContextSwitchTo(old);
            MemoryContextReset(rows);
            if (batch.len >= kBatchBytes)
                heard = send_batch(queue, &batch);
        }
        SPI_freetuptable(SPI_tuptable);
        if (count == 0)
            break;
    }
    if (heard)
        heard = send_batch(queue, &batch);
    SPI_cursor_close(cursor);
    commit_sql();
    MemoryContextSwitchTo(context);
    return heard && report_missing(queue, &batch, missing);
}

BackgroundWorkerHandle* start_worker(dsm_handle segment) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "pg_ark", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "pg_ark_census_main", sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, "pg_ark census", sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, "pg_ark census", sizeof(worker.bgw_type));
    worker.bgw_main_arg = UInt32GetDatum(segment);
    worker.bgw_notify_pid = MyProcPid;
    BackgroundWorkerHandle* handle = nullptr;
    if (!RegisterDynamicBackgroundWorker(&worker, &handle))
        ereport(ERROR,
                (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                 errmsg("no background worker is free"), errhint("Raise max_worker_processes.")));
    return handle;
}

void pass_on(Child* child, const void* data, Size size) {
    StringInfoData bytes;
    bytes.data = static_cast<char*>(const_cast<void*>(data));
    bytes.len = static_cast<int>(size);
    bytes.maxlen = bytes.len;
    bytes.cursor = 0;
    child_send(child, bytes);
    while (child->unsent.len - child->unsent_used > kMostUnsent && !child->ended)
        child_wait(child, 100);
}

Counting begin_counting(Oid database) {
    Counting counting = {};
    counting.segment = dsm_create(MAXALIGN(sizeof(CensusTask)) + kQueueBytes, 0);
    *task_of(counting.segment) = {database, false};
    shm_mq* queue = shm_mq_create(queue_of(counting.segment), kQueueBytes);
    shm_mq_set_receiver(queue, MyProc);
    counting.worker = start_worker(dsm_segment_handle(counting.segment));
    counting.queue = shm_mq_attach(queue, counting.segment, counting.worker);
    return counting;
}

// NULL, or why not all of it came.
const char* take_counts(Child* child, const Counting& counting, TimestampTz end) {
    TimestampTz patience = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kSilenceMs);
    while (!child->ended) {
        Size size = 0;
        void* data = nullptr;
        const shm_mq_result got = shm_mq_receive(counting.queue, &size, &data, true);
        if (got == SHM_MQ_DETACHED)
            return task_of(counting.segment)->complete
                       ? nullptr
                       : "Its worker ended early; the log says why before this.";
        if (GetCurrentTimestamp() >= end)
            return "The time for all databases was over.";
        if (got == SHM_MQ_SUCCESS) {
            pass_on(child, data, size);
            patience = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kSilenceMs);
            continue;
        }
        if (GetCurrentTimestamp() >= patience)
            return psprintf("Its worker told nothing for %d s.", kSilenceMs / 1000);
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
    return nullptr;
}

void end_counting(const Counting& counting) {
    stop_worker(counting.worker);
    dsm_detach(counting.segment);
}

void census_of(Child* child, const CountedDatabase& database, TimestampTz end) {
    const Counting counting = begin_counting(database.oid);
    PG_TRY();
    {
        const char* why = take_counts(child, counting, end);
        if (why != nullptr)
            ereport(LOG, (errmsg("the backup's census of tables leaves out database \"%s\"",
                                 database.name),
                          errdetail_internal("%s", why)));
        else if (!child->ended)
            (void)WaitForBackgroundWorkerShutdown(counting.worker);
    }
    PG_FINALLY();
    { end_counting(counting); }
    PG_END_TRY();
}

List* databases() {
    MemoryContext context = CurrentMemoryContext;
    List* found = NIL;
    begin_sql("pg_ark: census of the tables");
    // -2: a DROP DATABASE that did not come to its end has left it unusable.
    const uint64 count = sql(
        "SELECT oid, datname FROM pg_catalog.pg_database WHERE datconnlimit <> -2 ORDER BY oid");
    MemoryContext old = MemoryContextSwitchTo(context);
    for (uint64 i = 0; i < count; i++) {
        auto* one = static_cast<CountedDatabase*>(palloc(sizeof(CountedDatabase)));
        one->oid = static_cast<Oid>(strtou64(result(i, 1), nullptr, 10));
        one->name = pstrdup(result(i, 2));
        found = lappend(found, one);
    }
    MemoryContextSwitchTo(old);
    commit_sql();
    return found;
}

void send_all(Child* child) {
    const int64 budget = Min(settings.census_timeout_s * INT64CONST(1000), kMostBudgetMs);
    const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), budget);
    ListCell* cell;
    foreach (cell, databases()) {
        if (GetCurrentTimestamp() >= end) {
            ereport(LOG, (errmsg("the backup's census of tables is incomplete: it took longer "
                                 "than %d s",
                                 static_cast<int>(budget / 1000))));
            return;
        }
        census_of(child, *static_cast<const CountedDatabase*>(lfirst(cell)), end);
    }
}

}  // namespace

void send_census(Child* child) {
    MemoryContext context = CurrentMemoryContext;
    MemoryContext own = AllocSetContextCreate(context, "pg_ark census", ALLOCSET_DEFAULT_SIZES);
    PG_TRY();
    {
        MemoryContextSwitchTo(own);
        send_all(child);
    }
    PG_CATCH();
    {
        ErrorData* error = take_error(context);
        if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || worker_is_ending())
            ReThrowError(error);
        ereport(LOG, (errmsg("the backup's census of tables is incomplete: %s", error->message)));
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    MemoryContextDelete(own);
}

}  // namespace ark

void pg_ark_census_main(Datum handle) {
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    dsm_segment* segment = dsm_attach(DatumGetUInt32(handle));
    if (segment == nullptr)
        proc_exit(0);
    ark::CensusTask* task = ark::task_of(segment);
    shm_mq* queue = ark::queue_of(segment);
    shm_mq_set_sender(queue, MyProc);
    shm_mq_handle* sender = shm_mq_attach(queue, segment, nullptr);
    ark::limit_lock_waits();
    BackgroundWorkerInitializeConnectionByOid(task->database, InvalidOid,
                                              BGWORKER_BYPASS_ALLOWCONN);
    ark::set_session_defaults();
    ark::limit_lock_waits();
    // Each is asked for once: a copy of it would be kept until the end.
    SetConfigOption("stats_fetch_consistency", "none", PGC_SUSET, PGC_S_OVERRIDE);
    task->complete = ark::count_tables(sender);
    shm_mq_detach(sender);
    dsm_detach(segment);
    proc_exit(0);
}
