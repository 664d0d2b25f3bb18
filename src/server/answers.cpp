#include "server/answers.hpp"

#include "server/answers_worker.hpp"
#include "server/integrity_plan.hpp"
#include "server/protocol.hpp"
#include "server/settings.hpp"
#include "server/sql_call.hpp"
#include "server/worker.hpp"

extern "C" {
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {

struct Answers {
    MemoryContext context;
    List* databases;  ///< of AnsweringDatabase*
    int next;         ///< of them
    TimestampTz deadline;
    uint64 bytes_left;     ///< of tables to read
    bool shared_asked;     ///< the catalogs that all databases share
    StringInfoData lines;  ///< each with its newline
    bool truncated;
    dsm_segment* segment;  ///< NULL: nobody is asking
    BackgroundWorkerHandle* worker;
    shm_mq_handle* queue;
    bool heard;  ///< the worker has said something
};

namespace {

// After the copying.
constexpr int kMostWaitMs = 10 * 1000;
constexpr long kSliceMs = 100;
// They wait in memory until the backup's stop.
constexpr int kMostAnswers = 64 * 1024 * 1024;
constexpr int kMostUnsent = 1024 * 1024;
constexpr long kSendMs = 100;

struct AnsweringDatabase {
    char* name;
    char* unreachable;  ///< NULL: it can be asked
    bool is_template;
    StringInfoData values;  ///< as the worker wants them
    int value_count;
};

void add_value(AnsweringDatabase* database, uint64 row) {
    for (int column = 2; column <= 4; column++) {
        const char* text = result(row, column);
        const char* utf8 = pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8);
        appendBinaryStringInfo(&database->values, utf8, static_cast<int>(strlen(utf8)) + 1);
    }
    database->value_count++;
}

void load_values(Answers* answers) {
    const uint64 count = sql(
        "SELECT COALESCE(v.database, pg_catalog.current_database()), v.name, v.sql, "
        "COALESCE(pg_catalog.round(EXTRACT(epoch FROM v.timeout) * 1000), 10000)::pg_catalog.text "
        "FROM ark.recorded_values AS v WHERE v.enabled ORDER BY v.name");
    for (uint64 i = 0; i < count; i++) {
        ListCell* cell;
        foreach (cell, answers->databases) {
            auto* database = static_cast<AnsweringDatabase*>(lfirst(cell));
            if (strcmp(database->name, result(i, 1)) == 0)
                add_value(database, i);
        }
    }
}

void load_databases(Answers* answers) {
    const uint64 count =
        sql("SELECT d.datname, CASE WHEN NOT d.datallowconn THEN 'takes no connections' "
            "WHEN NOT pg_catalog.has_database_privilege($1, d.oid, 'CONNECT') THEN "
            "'pg_ark.check_role may not connect' END, d.datistemplate "
            "FROM pg_catalog.pg_database AS d WHERE d.datconnlimit <> -2 "
            "ORDER BY d.datname <> pg_catalog.current_database(), d.datname",
            settings.check_role);
    MemoryContext old = MemoryContextSwitchTo(answers->context);
    for (uint64 i = 0; i < count; i++) {
        auto* database = static_cast<AnsweringDatabase*>(palloc0(sizeof(AnsweringDatabase)));
        database->name = pstrdup(result(i, 1));
        const char* why = result(i, 2);
        database->unreachable = why == nullptr ? nullptr : pstrdup(why);
        database->is_template = result(i, 3)[0] == 't';
        initStringInfo(&database->values);
        answers->databases = lappend(answers->databases, database);
    }
    MemoryContextSwitchTo(old);
}

void add_line(Answers* answers, const char* line, Size length) {
    if (answers->lines.len + static_cast<int64>(length) > kMostAnswers) {
        answers->truncated = true;
        return;
    }
    appendBinaryStringInfo(&answers->lines, line, static_cast<int>(length));
    appendStringInfoChar(&answers->lines, '\n');
}

void leave_out(Answers* answers, const char* why) {
    StringInfoData line;
    initStringInfo(&line);
    appendStringInfo(&line, "{\"kind\": \"left_out\", \"why\": \"a database: %s\", \"count\": 1}",
                     why);
    add_line(answers, line.data, line.len);
    pfree(line.data);
}

void write_order(Answers* answers, const AnsweringDatabase& database, char* bytes) {
    AnswersOrder order = {};
    strlcpy(order.database, database.name, sizeof(order.database));
    strlcpy(order.role, settings.check_role, sizeof(order.role));
    order.shared = !answers->shared_asked;
    order.rows = settings.census >= kCensusOfSafeRows && !database.is_template;
    // A damaged row may bring down whoever reads it, and the server with him. With checksums it is
    // an error; without them it may be us alone who would read it.
    order.reads_tables = settings.census == kCensusOfRows || DataChecksumsEnabled();
    // One large database leaves something to the others.
    const int others = list_length(answers->databases) - answers->next;
    order.most_bytes = answers->bytes_left / Max(others + 1, 1);
    order.timeout_ms =
        static_cast<int>(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), answers->deadline));
    order.values = database.value_count;
    memcpy(bytes, &order, sizeof(order));
    memcpy(bytes + kAnswersTextOffset, database.values.data, database.values.len);
}

AnswersOrder* order_of(const Answers& answers) {
    return static_cast<AnswersOrder*>(dsm_segment_address(answers.segment));
}

bool start_worker(Answers* answers, const AnsweringDatabase& database) {
    answers->segment = dsm_create(kAnswersTextOffset + database.values.len, 0);
    auto* bytes = static_cast<char*>(dsm_segment_address(answers->segment));
    write_order(answers, database, bytes);
    shm_mq* mq = shm_mq_create(bytes + kAnswersQueueOffset, kAnswersQueueSize);
    shm_mq_set_receiver(mq, MyProc);
    BackgroundWorker worker;
    describe_answers_worker(&worker, dsm_segment_handle(answers->segment));
    if (!RegisterDynamicBackgroundWorker(&worker, &answers->worker)) {
        dsm_detach(answers->segment);
        answers->segment = nullptr;
        return false;
    }
    answers->shared_asked = true;
    answers->heard = false;
    answers->queue = shm_mq_attach(mq, answers->segment, answers->worker);
    return true;
}

bool is_over(const Answers& answers) {
    return GetCurrentTimestamp() >= answers.deadline;
}

// False: all have been asked.
bool ask_next(Answers* answers) {
    while (answers->next < list_length(answers->databases)) {
        const auto* database =
            static_cast<const AnsweringDatabase*>(list_nth(answers->databases, answers->next++));
        if (database->unreachable != nullptr)
            leave_out(answers, database->unreachable);
        else if (is_over(*answers))
            leave_out(answers, "out of time");
        else if (start_worker(answers, *database))
            return true;
        else
            leave_out(answers, "no background worker was free");
    }
    return false;
}

void end_of_worker(Answers* answers) {
    // It cannot have connected: somebody is about to rename the database, say.
    if (!answers->heard)
        leave_out(answers, "did not answer");
    answers->bytes_left -= Min(answers->bytes_left, order_of(*answers)->read);
    dsm_detach(answers->segment);
    answers->segment = nullptr;
}

void load(Answers* answers) {
    begin_sql("pg_ark: answers for drills");
    require_check_role(settings.check_role);
    load_databases(answers);
    load_values(answers);
    commit_sql();
}

void send_answers(const Answers& answers, Child* child) {
    const char* begin = answers.lines.data;
    while (*begin != '\0') {
        const char* end = strchr(begin, '\n');
        StringInfoData out;
        initStringInfo(&out);
        message_begin(&out, "answer");
        char* line = pnstrdup(begin, end - begin);
        message_text(&out, "line", line);
        message_end(&out);
        child_send(child, out);
        pfree(out.data);
        pfree(line);
        begin = end + 1;
        while (child->unsent.len - child->unsent_used > kMostUnsent && !child->ended)
            child_wait(child, kSendMs);
    }
}

}  // namespace

Answers* begin_answers() {
    if (settings.census == kNoCensus)
        return nullptr;
    MemoryContext outside = CurrentMemoryContext;
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "pg_ark answers", ALLOCSET_DEFAULT_SIZES);
    auto* answers = static_cast<Answers*>(MemoryContextAllocZero(context, sizeof(Answers)));
    answers->context = context;
    MemoryContextSwitchTo(context);
    initStringInfo(&answers->lines);
    answers->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
                                                    settings.census_timeout_s * INT64CONST(1000));
    answers->bytes_left = static_cast<uint64>(settings.census_limit_mb) * 1024 * 1024;
    volatile bool good = false;
    PG_TRY();
    {
        load(answers);
        (void)ask_next(answers);
        good = true;
    }
    PG_CATCH();
    {
        ErrorData* error = take_error(context);
        if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || worker_is_ending())
            ReThrowError(error);
        ereport(LOG,
                (errmsg("the backup does not record what databases answer: %s", error->message),
                 error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
                 error->hint != nullptr ? errhint("%s", error->hint) : 0));
    }
    PG_END_TRY();
    MemoryContextSwitchTo(outside);
    return good ? answers : nullptr;
}

void take_answers(Answers* answers) {
    if (answers == nullptr)
        return;
    while (answers->segment != nullptr) {
        Size length = 0;
        void* data = nullptr;
        const shm_mq_result got = shm_mq_receive(answers->queue, &length, &data, true);
        if (got == SHM_MQ_WOULD_BLOCK)
            return;
        if (got == SHM_MQ_SUCCESS) {
            answers->heard = true;
            add_line(answers, static_cast<const char*>(data), length);
            continue;
        }
        end_of_worker(answers);
        MemoryContext old = MemoryContextSwitchTo(answers->context);
        (void)ask_next(answers);
        MemoryContextSwitchTo(old);
    }
}

void finish_answers(Answers* answers, Child* child) {
    if (answers == nullptr)
        return;
    const TimestampTz patience = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kMostWaitMs);
    answers->deadline = Min(answers->deadline, patience);
    take_answers(answers);
    while (answers->segment != nullptr && !child->ended) {
        if (is_over(*answers)) {
            order_of(*answers)->hurry = true;
            if (GetCurrentTimestamp() >= TimestampTzPlusMilliseconds(answers->deadline, 1000)) {
                abandon_answers(answers);
                leave_out(answers, "out of time");
                (void)ask_next(answers);  // only counts them: the time is over
                break;
            }
        }
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        take_answers(answers);
    }
    if (answers->truncated)
        ereport(LOG, (errmsg("the backup records only a part of what databases answer"),
                      errdetail("There is more than %d MB of it.", kMostAnswers / 1024 / 1024)));
    send_answers(*answers, child);
    MemoryContextDelete(answers->context);
}

void abandon_answers(Answers* answers) {
    if (answers == nullptr || answers->segment == nullptr)
        return;
    stop_worker(answers->worker);
    dsm_detach(answers->segment);
    answers->segment = nullptr;
}

}  // namespace ark
