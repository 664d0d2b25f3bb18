#include "server/check_worker.hpp"

#include <csignal>

#include "server/query_text.hpp"
#include "server/worker.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
}

namespace ark {
namespace {

constexpr long kBatch = 500;
// What is shown of a row that is too long.
constexpr int kShownBytes = 1000;

void override_setting(const char* name, const char* value) {
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void set_check_settings(const CheckOrder& order) {
    set_session_defaults();
    override_setting("default_transaction_read_only", "on");
    override_setting("lock_timeout", psprintf("%d", order.lock_timeout_ms));
    // As on a scratch server: what a database sets for its users is not there.
    // What the catalogs showed to the role of checks means the same to a table's owner.
    override_setting("search_path", OidIsValid(order.owner) ? "public" : "\"$user\", public");
    // A constraint is what is in doubt: nothing is to be concluded from it.
    override_setting("constraint_exclusion", "off");
    // Rows of damaged pages are not for us to read, nor the pages to be made empty.
    override_setting("ignore_checksum_failure", "off");
    override_setting("zero_damaged_pages", "off");
    // Whatever it says goes into its result, and not into the server's log.
    override_setting("log_min_messages", "fatal");
    if (order.without_indexes) {
        override_setting("enable_seqscan", "on");
        override_setting("enable_indexscan", "off");
        override_setting("enable_indexonlyscan", "off");
        override_setting("enable_bitmapscan", "off");
    }
}

// One that nobody listens to any more has no use: the process ends.
void send(shm_mq_handle* queue, CheckMessage kind, const char* text, size_t length) {
    StringInfoData message;
    initStringInfo(&message);
    appendStringInfoChar(&message, static_cast<char>(kind));
    appendBinaryStringInfo(&message, text, static_cast<int>(length));
    if (shm_mq_send(queue, message.len, message.data, false, true) != SHM_MQ_SUCCESS)
        proc_exit(0);
    pfree(message.data);
}

// Inside a transaction.
const char* to_utf8(const char* text) {
    return pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
}

char* shortened(const char* json) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfoString(&text, "{\"shortened\": ");
    escape_json(&text,
                pnstrdup(json, pg_mbcliplen(json, static_cast<int>(strlen(json)), kShownBytes)));
    appendStringInfoChar(&text, '}');
    return text.data;
}

// The SPI table is of the query's type, which may be a record without a name.
void send_row(shm_mq_handle* queue, const CheckOrder& order, HeapTuple row, TupleDesc type) {
    const Datum whole = heap_copy_tuple_as_datum(row, BlessTupleDesc(type));
    const char* json = text_to_cstring(DatumGetTextPP(DirectFunctionCall1(row_to_json, whole)));
    if (order.row_bytes > 0 && strlen(json) > static_cast<size_t>(order.row_bytes))
        json = shortened(json);
    const char* told = to_utf8(json);
    send(queue, CheckMessage::kRow, told, strlen(told));
}

Portal open_query(const char* sql) {
    SPIPlanPtr plan = SPI_prepare(one_query(sql), 0, nullptr);
    if (plan == nullptr || !SPI_is_cursor_plan(plan))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a check must be a query"),
                        errhint("Write a SELECT that returns a row for each violation.")));
    return SPI_cursor_open(nullptr, plan, nullptr, nullptr, /* read_only */ true);
}

// How many rows there are, as far as they are counted.
uint64 read_rows(shm_mq_handle* queue, const CheckOrder& order, Portal portal) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "pg_ark rows of a check",
                                                  ALLOCSET_DEFAULT_SIZES);
    uint64 count = 0;
    for (;;) {
        SPI_cursor_fetch(portal, true, kBatch);
        MemoryContext old = MemoryContextSwitchTo(context);
        for (uint64 i = 0; i < SPI_processed && count + i < static_cast<uint64>(order.rows); i++)
            send_row(queue, order, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
        MemoryContextSwitchTo(old);
        MemoryContextReset(context);
        const uint64 fetched = SPI_processed;
        SPI_freetuptable(SPI_tuptable);
        count += fetched;
        if (fetched == 0 || count > order.bound)
            return count;
    }
}

// What a table's owner has written into its constraints and indexes runs with his rights, as it
// does in VACUUM and REINDEX, and not with those of a role that may read everything. His policies
// bind others.
void become_owner(Oid owner) {
    if (!OidIsValid(owner) || superuser_arg(owner))
        return;
    Oid user = InvalidOid;
    int context = 0;
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(owner, context | SECURITY_RESTRICTED_OPERATION |
                                      SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

// The snapshot comes first: from then on nothing can make the transaction READ WRITE.
void answer(shm_mq_handle* queue, const CheckOrder& order, const char* utf8) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    SPI_connect();
    PushActiveSnapshot(GetTransactionSnapshot());
    const char* sql = pg_any_to_server(utf8, static_cast<int>(strlen(utf8)), PG_UTF8);
    pgstat_report_activity(STATE_RUNNING, sql);
    send(queue, CheckMessage::kStarted, "", 0);
    enable_timeout_after(STATEMENT_TIMEOUT, order.timeout_ms);
    become_owner(order.owner);
    const uint64 count = read_rows(queue, order, open_query(sql));
    disable_timeout(STATEMENT_TIMEOUT, false);
    const bool more = count > order.bound;
    // Nothing that it did stays, whatever READ ONLY lets through, nor does its memory.
    AbortOutOfAnyTransaction();
    QueryCancelPending = false;
    const char* done = psprintf(UINT64_FORMAT " %d", more ? order.bound : count, more ? 1 : 0);
    send(queue, CheckMessage::kDone, done, strlen(done));
}

void append_text(StringInfo message, const char* text) {
    if (text != nullptr)
        appendStringInfoString(message, to_utf8(text));
    appendStringInfoChar(message, '\0');
}

void send_error(shm_mq_handle* queue, const ErrorData& error) {
    StartTransactionCommand();
    StringInfoData message;
    initStringInfo(&message);
    append_text(&message, unpack_sql_state(error.sqlerrcode));
    append_text(&message, error.message);
    append_text(&message, error.detail);
    append_text(&message, error.hint);
    send(queue, CheckMessage::kError, message.data, message.len);
    AbortOutOfAnyTransaction();
}

void run_order(shm_mq_handle* queue, const CheckOrder& order, const char* sql) {
    MemoryContext context = CurrentMemoryContext;
    const ErrorData* volatile error = nullptr;
    PG_TRY();
    { answer(queue, order, sql); }
    PG_CATCH();
    {
        error = take_error(context);
        disable_timeout(STATEMENT_TIMEOUT, false);
        QueryCancelPending = false;
    }
    PG_END_TRY();
    if (error != nullptr)
        send_error(queue, *error);
}

}  // namespace

void describe_check_worker(BackgroundWorker* worker, dsm_handle order) {
    *worker = {};
    worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker->bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker->bgw_library_name, "pg_ark", sizeof(worker->bgw_library_name));
    strlcpy(worker->bgw_function_name, "pg_ark_check_main", sizeof(worker->bgw_function_name));
    strlcpy(worker->bgw_name, "pg_ark check", sizeof(worker->bgw_name));
    strlcpy(worker->bgw_type, "pg_ark check", sizeof(worker->bgw_type));
    worker->bgw_main_arg = UInt32GetDatum(order);
    worker->bgw_notify_pid = MyProcPid;
}

}  // namespace ark

// An error before the query, and FATAL, end the process: whoever waits sees the queue without a
// sender.
void pg_ark_check_main(Datum handle) {
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    dsm_segment* segment = dsm_attach(DatumGetUInt32(handle));
    if (segment == nullptr)
        proc_exit(0);
    auto* bytes = static_cast<char*>(dsm_segment_address(segment));
    auto* mq = reinterpret_cast<shm_mq*>(bytes + ark::kQueueOffset);
    shm_mq_set_sender(mq, MyProc);
    shm_mq_handle* queue = shm_mq_attach(mq, segment, nullptr);
    ark::CheckOrder order;
    memcpy(&order, bytes, sizeof(order));
    MemoryContextSwitchTo(TopMemoryContext);
    const char* sql = pnstrdup(bytes + ark::kSqlOffset, order.sql_length);
    BackgroundWorkerInitializeConnection(order.database, order.role, 0);
    ark::set_check_settings(order);
    MemoryContextSwitchTo(
        AllocSetContextCreate(TopMemoryContext, "pg_ark check", ALLOCSET_DEFAULT_SIZES));
    ark::run_order(queue, order, sql);
    proc_exit(0);
}
