#include "server/answers_worker.hpp"

#include <csignal>

#include "server/answers_queries.hpp"
#include "server/query_text.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// Of a recorded value; the child takes no longer line.
constexpr uint64 kMostValueRows = 100;
constexpr int kMostValueBytes = 64 * 1024;
constexpr uint64 kMostObjects = 10000;

/// Why something has no answer.
enum Reason {
    kLocked,
    kWritten,
    kLimit,
    kTime,
    kGone,
    kError,
    kCatalogs,
    kOther,
    kUnsafe,
    kReasons
};
const char* const kReasonTexts[kReasons] = {
    "locked",
    "being changed",
    "more than pg_ark.census_limit",
    "out of time",
    "dropped or made anew meanwhile",
    "could not be read",
    "made of catalogs",
    "made of sequences, foreign, temporary or unlogged tables",
    "without data checksums (pg_ark.census = auto)",
};

struct AskedTable {
    Oid oid;
    Oid filenode;
    const char* name;
    const char* files;  ///< JSON
    const char* query;
    const char* shape;
};

struct Asking {
    MemoryContext context;  ///< of one answer, but what has to last
    AnswersOrder* order;
    shm_mq_handle* queue;
    TimestampTz deadline;
    List* tables;  ///< of AskedTable*
    uint64 left_out[kReasons];
};

void override_setting(const char* name, const char* value) {
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void set_settings() {
    set_session_defaults();
    for (int i = 0; i < kAnswersSettingCount; i++)
        override_setting(kAnswersSettings[i].name, kAnswersSettings[i].value);
    override_setting("default_transaction_read_only", "on");
    override_setting("lock_timeout", "1s");
    override_setting("search_path", "pg_catalog");
    // What a damaged page gives to whoever is told to read it, or makes of itself in memory, is not
    // for us to bring about.
    override_setting("ignore_checksum_failure", "off");
    override_setting("zero_damaged_pages", "off");
    // Why something was left out is in the answers.
    override_setting("log_min_messages", "fatal");
}

// One that nobody listens to any more has no use.
void send_line(const Asking& asking, const StringInfoData& line) {
    if (shm_mq_send(asking.queue, line.len, line.data, false, true) != SHM_MQ_SUCCESS)
        proc_exit(0);
}

// Inside a transaction.
const char* to_utf8(const char* text) {
    return pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
}

void add_json(StringInfo line, const char* key, const char* json) {
    appendStringInfo(line, ", \"%s\": %s", key, json == nullptr ? "null" : json);
}

void add_text(StringInfo line, const char* key, const char* text) {
    appendStringInfo(line, ", \"%s\": ", key);
    if (text == nullptr)
        appendStringInfoString(line, "null");
    else
        escape_json(line, to_utf8(text));
}

const char* file_json(const char* tablespace, const char* filenode) {
    const bool shared = strcmp(tablespace, "1664") == 0;
    return psprintf("[%s, %u, %s]", tablespace, shared ? InvalidOid : MyDatabaseId, filenode);
}

// What has a place in WAL from here on comes after all that the next snapshot sees.
void add_lsn(StringInfo line, XLogRecPtr lsn) {
    appendStringInfo(line, ", \"lsn\": \"%s\"", lsn_text(lsn));
}

long ms_left(const Asking& asking) {
    return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), asking.deadline);
}

bool is_over(const Asking& asking) {
    return asking.order->hurry || ms_left(asking) <= 0;
}

// With a snapshot of its own, against the clock.
uint64 ask(const Asking& asking, const char* query, long most_ms = LONG_MAX) {
    enable_timeout_after(STATEMENT_TIMEOUT,
                         static_cast<int>(Max(Min(ms_left(asking), most_ms), 1)));
    const int code = SPI_execute(query, false, 0);
    disable_timeout(STATEMENT_TIMEOUT, false);
    if (code != SPI_OK_SELECT)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("not a query")));
    return SPI_processed;
}

// Runs it in a transaction of its own, whose work is undone where it fails. Its line, to which it
// has added, or NULL where it failed; good until the next.
// `undo`: it runs code of the users', of which nothing is to stay, settings neither.
template <typename Step>
StringInfo attempt(Asking* asking, const char* kind, const Step& step, bool undo = false) {
    StringInfo volatile line = nullptr;
    MemoryContextReset(asking->context);
    MemoryContextSwitchTo(asking->context);
    PG_TRY();
    {
        StringInfo text = makeStringInfo();
        appendStringInfo(text, "{\"kind\": \"%s\"", kind);
        begin_sql("pg_ark: answers for drills");
        step(text);
        if (undo) {
            AbortOutOfAnyTransaction();
            MemoryContextSwitchTo(asking->context);
        } else {
            commit_sql();
        }
        appendStringInfoChar(text, '}');
        line = text;
    }
    PG_CATCH();
    {
        const ErrorData* error = take_error(asking->context);
        disable_timeout(STATEMENT_TIMEOUT, false);
        const bool late = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
        asking->left_out[late ? kTime : kError]++;
        QueryCancelPending = false;
    }
    PG_END_TRY();
    return line;
}

void tell_database(Asking* asking) {
    StringInfo told = attempt(asking, "database", [&](StringInfo line) {
        add_text(line, "name", asking->order->database);
        appendStringInfo(line, ", \"oid\": %u, \"settings\": {", MyDatabaseId);
        for (int i = 0; i < kAnswersSettingCount; i++)
            appendStringInfo(line, "%s\"%s\": \"%s\"", i == 0 ? "" : ", ", kAnswersSettings[i].name,
                             kAnswersSettings[i].value);
        appendStringInfoChar(line, '}');
        if (asking->order->rows)
            add_text(line, "tables_query", kTablesQuery);
    });
    if (told == nullptr)
        proc_exit(0);  // its name cannot be told: an encoding that nobody knows
    send_line(*asking, *told);
}

struct AskedCatalog {
    const char* name;
    const char* file;
    const char* before;
    const char* behind;
    const char* count;
};

// All that is running now or later is at least as new as this.
List* list_catalogs(Asking* asking) {
    List* volatile catalogs = NIL;
    (void)attempt(asking, "catalogs", [&](StringInfo) {
        sql("SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::"
            "pg_catalog.xid::pg_catalog.text");
        const char* oldest = result(0, 1);
        const uint64 count = sql(kCatalogsQuery, asking->order->shared ? "true" : "false", oldest);
        MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
        List* found = NIL;
        for (uint64 i = 0; i < count; i++) {
            auto* one = static_cast<AskedCatalog*>(palloc(sizeof(AskedCatalog)));
            one->name = pstrdup(result(i, 1));
            one->file = pstrdup(file_json(result(i, 2), result(i, 3)));
            one->before = pstrdup(result(i, 4));
            one->behind = pstrdup(result(i, 5));
            const char* many = result(i, 6);
            one->count = many == nullptr ? nullptr : pstrdup(many);
            found = lappend(found, one);
        }
        MemoryContextSwitchTo(old);
        catalogs = found;
    });
    return catalogs;
}

StringInfo object_line(uint64 row) {
    StringInfo line = makeStringInfo();
    appendStringInfo(line, "{\"kind\": \"object\", \"row\": [\"%s\", %s, %s, \"%s\", %s, ",
                     result(row, 1), result(row, 2), result(row, 3), result(row, 4),
                     result(row, 5)[0] == 't' ? "true" : "false");
    const char* name = result(row, 7);
    if (name == nullptr)
        appendStringInfoString(line, "null");
    else
        escape_json(line, to_utf8(name));
    appendStringInfoString(line, "]}");
    return line;
}

void answer_catalog(Asking* asking, const AskedCatalog& catalog) {
    List* volatile lines = NIL;
    StringInfo head = attempt(asking, "catalog", [&](StringInfo line) {
        const bool own =
            catalog.count == nullptr || (ask(*asking, catalog.count) == 1 &&
                                         strtou64(result(0, 1), nullptr, 10) <= kMostObjects);
        const char* query =
            psprintf("%s%s%s", catalog.before, own ? "true" : "false", catalog.behind);
        add_text(line, "name", catalog.name);
        add_json(line, "file", catalog.file);
        add_lsn(line, GetXLogInsertRecPtr());
        add_text(line, "query", query);
        const uint64 count = ask(*asking, query);
        MemoryContext old = MemoryContextSwitchTo(asking->context);
        List* found = NIL;
        for (uint64 i = 0; i < count; i++)
            found = lappend(found, object_line(i));
        MemoryContextSwitchTo(old);
        lines = found;
    });
    if (head == nullptr)
        return;
    send_line(*asking, *head);
    ListCell* cell;
    foreach (cell, lines)
        send_line(*asking, *static_cast<const StringInfoData*>(lfirst(cell)));
}

void answer_catalogs(Asking* asking) {
    ListCell* cell;
    foreach (cell, list_catalogs(asking)) {
        if (is_over(*asking))
            asking->left_out[kTime]++;
        else
            answer_catalog(asking, *static_cast<const AskedCatalog*>(lfirst(cell)));
    }
}

void list_tables(Asking* asking) {
    (void)attempt(asking, "tables", [&](StringInfo) {
        const uint64 count = ask(*asking, kTablesQuery);
        MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
        for (uint64 i = 0; i < count; i++) {
            auto* table = static_cast<AskedTable*>(palloc(sizeof(AskedTable)));
            table->oid = static_cast<Oid>(strtou64(result(i, 1), nullptr, 10));
            table->name = pstrdup(result(i, 2));
            table->filenode = static_cast<Oid>(strtou64(result(i, 4), nullptr, 10));
            const char* toast = result(i, 6);
            table->files = toast == nullptr
                               ? psprintf("[%s]", file_json(result(i, 3), result(i, 4)))
                               : psprintf("[%s, %s]", file_json(result(i, 3), result(i, 4)),
                                          file_json(result(i, 5), toast));
            table->query = pstrdup(result(i, 7));
            table->shape = pstrdup(result(i, 8));
            asking->tables = lappend(asking->tables, table);
        }
        MemoryContextSwitchTo(old);
    });
}

// Its size, without waiting for anybody; or why it is not to be read.
Reason open_table(const AskedTable& table, uint64* bytes) {
    *bytes = 0;
    if (!ConditionalLockRelationOid(table.oid, AccessShareLock))
        return kLocked;
    Relation relation = try_relation_open(table.oid, NoLock);
    if (relation == nullptr)
        return kGone;
    const bool same = relation->rd_rel->relfilenode == table.filenode;
    const Oid toast = relation->rd_rel->reltoastrelid;
    if (same)
        *bytes = uint64{RelationGetNumberOfBlocks(relation)} * BLCKSZ;
    relation_close(relation, NoLock);
    if (!same)
        return kGone;
    if (!OidIsValid(toast))
        return kReasons;
    if (!ConditionalLockRelationOid(toast, AccessShareLock))
        return kLocked;
    relation = try_relation_open(toast, NoLock);
    if (relation == nullptr)
        return kGone;
    *bytes += uint64{RelationGetNumberOfBlocks(relation)} * BLCKSZ;
    relation_close(relation, NoLock);
    return kReasons;
}

// The order is what makes it exact: the place in WAL, then who is changing the table, then the
// snapshot. Whoever changed it before that place and has not ended by the snapshot still holds the
// lock when it is looked for; whoever changes it later is in WAL behind that place.
Reason read_table(Asking* asking, const AskedTable& table, StringInfo line) {
    uint64 bytes = 0;
    const Reason why = open_table(table, &bytes);
    if (why != kReasons)
        return why;
    if (asking->order->read + bytes > asking->order->most_bytes)
        return kLimit;
    const XLogRecPtr lsn = GetXLogInsertRecPtr();
    if (sql(kWritersQuery, number_text(table.oid)) > 0)
        return kWritten;
    asking->order->read = asking->order->read + bytes;
    if (ask(*asking, table.query) != 1)
        return kError;
    appendStringInfo(line, ", \"oid\": %u", table.oid);
    add_text(line, "name", table.name);
    add_json(line, "files", table.files);
    add_lsn(line, lsn);
    add_text(line, "shape", table.shape);
    add_json(line, "rows", result(0, 1));
    add_text(line, "sum", result(0, 2));
    return kReasons;
}

void send_or_count(Asking* asking, const StringInfoData* line, Reason why) {
    if (why != kReasons)
        asking->left_out[why]++;
    else if (line != nullptr)
        send_line(*asking, *line);
}

void answer_table(Asking* asking, const AskedTable& table) {
    volatile Reason why = kReasons;
    const StringInfo line =
        attempt(asking, "table", [&](StringInfo text) { why = read_table(asking, table, text); });
    send_or_count(asking, line, line == nullptr ? kReasons : why);
}

void answer_tables(Asking* asking) {
    if (!asking->order->reads_tables) {
        asking->left_out[kUnsafe] += static_cast<uint64>(list_length(asking->tables));
        return;
    }
    ListCell* cell;
    foreach (cell, asking->tables) {
        if (is_over(*asking))
            asking->left_out[kTime]++;
        else
            answer_table(asking, *static_cast<const AskedTable*>(lfirst(cell)));
    }
}

const AskedTable* find_table(const Asking& asking, Oid oid) {
    ListCell* cell;
    foreach (cell, asking.tables) {
        const auto* table = static_cast<const AskedTable*>(lfirst(cell));
        if (table->oid == oid)
            return table;
    }
    return nullptr;
}

List* relations_of(uint64 count) {
    List* relations = NIL;
    for (uint64 i = 0; i < count; i++)
        relations = lappend_oid(relations, static_cast<Oid>(strtou64(result(i, 1), nullptr, 10)));
    return relations;
}

// Of each relation that the value was made of, by the locks that the transaction has: whatever a
// function or a view has read is among them.
Reason add_sources(const Asking& asking, const List* written, StringInfo line) {
    List* used = relations_of(
        sql("SELECT DISTINCT l.relation FROM pg_catalog.pg_lock_status() AS l WHERE l.locktype = "
            "'relation' AND l.pid = pg_catalog.pg_backend_pid()"));
    StringInfoData files;
    StringInfoData shapes;
    initStringInfo(&files);
    initStringInfo(&shapes);
    ListCell* cell;
    foreach (cell, used) {
        const Oid oid = lfirst_oid(cell);
        if (list_member_oid(written, oid))
            return kWritten;
        if (const AskedTable* table = find_table(asking, oid)) {
            // Without its brackets.
            appendStringInfo(&files, "%s%.*s", files.len > 0 ? ", " : "",
                             static_cast<int>(strlen(table->files)) - 2, table->files + 1);
            appendStringInfo(&shapes, "%s[%u, \"%s\"]", shapes.len > 0 ? ", " : "", oid,
                             table->shape);
            continue;
        }
        sql("SELECT c.relkind::pg_catalog.text FROM pg_catalog.pg_class AS c WHERE c.oid = "
            "$1::pg_catalog.oid",
            number_text(oid));
        const char* kind = result(0, 1);
        if (kind != nullptr && strchr("vpiIc", kind[0]) != nullptr)
            continue;
        return oid < FirstNormalObjectId ? kCatalogs : kOther;
    }
    // A function or a view may be another one by then.
    const uint64 count =
        sql("SELECT COALESCE(NULLIF(c.reltablespace, 0), d.dattablespace), "
            "pg_catalog.pg_relation_filenode(c.oid) FROM pg_catalog.pg_class AS c JOIN "
            "pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database() WHERE c.oid "
            "IN ('pg_catalog.pg_proc'::pg_catalog.regclass, "
            "'pg_catalog.pg_rewrite'::pg_catalog.regclass, "
            "'pg_catalog.pg_enum'::pg_catalog.regclass)");
    for (uint64 i = 0; i < count; i++)
        appendStringInfo(&files, "%s%s", files.len > 0 ? ", " : "",
                         file_json(result(i, 1), result(i, 2)));
    add_json(line, "files", psprintf("[%s]", files.data));
    add_json(line, "shapes", psprintf("[%s]", shapes.data));
    return kReasons;
}

Reason read_value(Asking* asking, const char* query, long timeout_ms, StringInfo line) {
    const XLogRecPtr lsn = GetXLogInsertRecPtr();
    List* written = relations_of(
        sql("SELECT DISTINCT l.relation FROM pg_catalog.pg_lock_status() AS l WHERE l.locktype = "
            "'relation' AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', "
            "'ExclusiveLock', 'AccessExclusiveLock')"));
    override_setting("search_path", "\"$user\", public");
    const char* whole = psprintf(
        "SELECT pg_catalog.row_to_json(answer)::pg_catalog.text FROM (%s\n) AS answer LIMIT %lu",
        one_query(pg_any_to_server(query, static_cast<int>(strlen(query)), PG_UTF8)),
        static_cast<unsigned long>(kMostValueRows));
    const uint64 count = ask(*asking, whole, timeout_ms);
    StringInfoData rows;
    initStringInfo(&rows);
    for (uint64 i = 0; i < count; i++) {
        const char* row = result(i, 1);
        if (i > 0)
            appendStringInfoString(&rows, ", ");
        escape_json(&rows, to_utf8(row == nullptr ? "null" : row));
    }
    if (rows.len > kMostValueBytes)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the value is too long")));
    override_setting("search_path", "pg_catalog");
    add_text(line, "query", whole);
    appendStringInfo(line, ", \"timeout_ms\": %ld", timeout_ms);
    add_lsn(line, lsn);
    add_json(line, "rows", psprintf("[%s]", rows.data));
    return add_sources(*asking, written, line);
}

void answer_value(Asking* asking, const char* name, const char* query, long timeout_ms) {
    volatile Reason why = kReasons;
    const StringInfo line = attempt(
        asking, "value",
        [&](StringInfo text) {
            appendStringInfoString(text, ", \"name\": ");
            escape_json(text, name);
            why = read_value(asking, query, timeout_ms, text);
        },
        /* undo */ true);
    override_setting("search_path", "pg_catalog");
    send_or_count(asking, line, line == nullptr ? kReasons : why);
}

void answer_values(Asking* asking, const char* texts) {
    for (int i = 0; i < asking->order->values; i++) {
        const char* name = texts;
        const char* query = name + strlen(name) + 1;
        const char* timeout = query + strlen(query) + 1;
        texts = timeout + strlen(timeout) + 1;
        if (is_over(*asking))
            asking->left_out[kTime]++;
        else
            answer_value(asking, name, query, strtol(timeout, nullptr, 10));
    }
}

void tell_left_out(const Asking& asking) {
    for (int i = 0; i < kReasons; i++) {
        if (asking.left_out[i] == 0)
            continue;
        StringInfoData line;
        initStringInfo(&line);
        appendStringInfo(&line,
                         "{\"kind\": \"left_out\", \"why\": \"%s\", \"count\": " UINT64_FORMAT "}",
                         kReasonTexts[i], asking.left_out[i]);
        send_line(asking, line);
    }
}

}  // namespace

void describe_answers_worker(BackgroundWorker* worker, dsm_handle order) {
    *worker = {};
    worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker->bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker->bgw_library_name, "pg_ark", sizeof(worker->bgw_library_name));
    strlcpy(worker->bgw_function_name, "pg_ark_answers_main", sizeof(worker->bgw_function_name));
    strlcpy(worker->bgw_name, "pg_ark answers", sizeof(worker->bgw_name));
    strlcpy(worker->bgw_type, "pg_ark answers", sizeof(worker->bgw_type));
    worker->bgw_main_arg = UInt32GetDatum(order);
    worker->bgw_notify_pid = MyProcPid;
}

}  // namespace ark

void pg_ark_answers_main(Datum handle) {
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    dsm_segment* segment = dsm_attach(DatumGetUInt32(handle));
    if (segment == nullptr)
        proc_exit(0);
    auto* bytes = static_cast<char*>(dsm_segment_address(segment));
    auto* order = reinterpret_cast<ark::AnswersOrder*>(bytes);
    auto* mq = reinterpret_cast<shm_mq*>(bytes + ark::kAnswersQueueOffset);
    shm_mq_set_sender(mq, MyProc);
    shm_mq_handle* queue = shm_mq_attach(mq, segment, nullptr);
    ark::limit_lock_waits();
    BackgroundWorkerInitializeConnection(order->database, order->role, 0);
    ark::set_settings();
    auto* asking =
        static_cast<ark::Asking*>(MemoryContextAllocZero(TopMemoryContext, sizeof(ark::Asking)));
    asking->context =
        AllocSetContextCreate(TopMemoryContext, "pg_ark answer", ALLOCSET_DEFAULT_SIZES);
    asking->order = order;
    asking->queue = queue;
    asking->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), order->timeout_ms);
    ark::tell_database(asking);
    ark::answer_catalogs(asking);
    if (order->rows) {
        ark::list_tables(asking);
        ark::answer_values(asking, bytes + ark::kAnswersTextOffset);
        ark::answer_tables(asking);
    }
    ark::tell_left_out(*asking);
    proc_exit(0);
}
