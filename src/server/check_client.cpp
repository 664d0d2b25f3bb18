#include "server/check_client.hpp"

#include "server/check_worker.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr long kSliceMs = 200;
// Until a worker has connected.
constexpr int kStartMs = 30 * 1000;
// A query can catch the end of its time, and go on; not that of its process.
constexpr int kGraceMs = 3 * 1000;
constexpr int kLockMs = 5 * 1000;

struct Run {
    dsm_segment* segment;
    BackgroundWorkerHandle* handle;
    shm_mq_handle* queue;
    TimestampTz deadline;
    bool started;
    bool answered;
};

void fail(CheckOutcome* outcome, int sqlstate, const char* message, const char* detail,
          const char* hint) {
    outcome->sqlstate = sqlstate;
    outcome->message = message;
    outcome->detail = detail;
    outcome->hint = hint;
}

void write_order(char* bytes, const CheckQuery& query) {
    CheckOrder order = {};
    strlcpy(order.database, query.database, sizeof(order.database));
    strlcpy(order.role, query.role, sizeof(order.role));
    order.owner = query.owner;
    order.timeout_ms = query.timeout_ms;
    order.lock_timeout_ms = Min(kLockMs, query.timeout_ms);
    order.without_indexes = query.without_indexes;
    order.rows = query.rows;
    order.row_bytes = query.row_bytes;
    order.bound = query.bound;
    order.sql_length = strlen(query.sql);
    memcpy(bytes, &order, sizeof(order));
    memcpy(bytes + kSqlOffset, query.sql, order.sql_length);
}

void end_worker(const Run& run) {
    if (run.handle != nullptr)
        stop_worker(run.handle);
}

// The fields of an error's message; what is missing is empty.
void take_error_message(CheckOutcome* outcome, const char* data, size_t length) {
    const char* fields[4] = {"", "", "", ""};
    const char* end = data + length;
    for (const char*& field : fields) {
        if (data >= end)
            break;
        const size_t size = strnlen(data, end - data);
        field = pnstrdup(data, size);
        data += size + 1;
    }
    const char* state = strlen(fields[0]) == 5 ? fields[0] : "XX000";
    fail(outcome, MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]), fields[1],
         fields[2][0] != '\0' ? fields[2] : nullptr, fields[3][0] != '\0' ? fields[3] : nullptr);
}

void take_message(Run* run, CheckOutcome* outcome, const CheckQuery& query, const char* data,
                  size_t length) {
    if (length == 0)
        return;
    const char* text = pnstrdup(data + 1, length - 1);
    switch (static_cast<CheckMessage>(data[0])) {
        case CheckMessage::kStarted:
            run->started = true;
            run->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
                                                        int64{query.timeout_ms} + kGraceMs);
            break;
        case CheckMessage::kRow:
            outcome->rows = lappend(outcome->rows, const_cast<char*>(text));
            break;
        case CheckMessage::kDone:
            outcome->count = strtoull(text, nullptr, 10);
            outcome->more = length > 1 && data[length - 1] == '1';
            run->answered = true;
            break;
        case CheckMessage::kError:
            take_error_message(outcome, data + 1, length - 1);
            run->answered = true;
            break;
    }
}

void give_up(const Run& run, CheckOutcome* outcome) {
    end_worker(run);
    if (run.started)
        fail(outcome, ERRCODE_QUERY_CANCELED, "the check ran longer than it may, and was ended",
             "It did not end when its time was over.",
             "Give it a longer timeout, or look for code in it that catches query_canceled.");
    else
        fail(outcome, ERRCODE_CONNECTION_FAILURE, "the worker of the check did not start in time",
             nullptr, "The server's log may say why.");
}

void wait_for_answer(Run* run, CheckOutcome* outcome, const CheckQuery& query) {
    while (!run->answered) {
        Size length = 0;
        void* data = nullptr;
        const shm_mq_result result = shm_mq_receive(run->queue, &length, &data, true);
        if (result == SHM_MQ_SUCCESS) {
            take_message(run, outcome, query, static_cast<const char*>(data), length);
            continue;
        }
        if (result == SHM_MQ_DETACHED) {
            fail(outcome, ERRCODE_CONNECTION_FAILURE,
                 "the worker of the check ended without a result",
                 run->started ? "Something ended its process: the check itself, maybe." : nullptr,
                 "The server's log says why.");
            return;
        }
        if (GetCurrentTimestamp() > run->deadline) {
            give_up(*run, outcome);
            return;
        }
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

void run_in_worker(Run* run, CheckOutcome* outcome, const CheckQuery& query) {
    run->segment = dsm_create(kSqlOffset + strlen(query.sql), 0);
    auto* bytes = static_cast<char*>(dsm_segment_address(run->segment));
    write_order(bytes, query);
    shm_mq* mq = shm_mq_create(bytes + kQueueOffset, kQueueSize);
    shm_mq_set_receiver(mq, MyProc);
    BackgroundWorker worker;
    describe_check_worker(&worker, dsm_segment_handle(run->segment));
    if (!RegisterDynamicBackgroundWorker(&worker, &run->handle)) {
        fail(outcome, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "no background worker is free", nullptr,
             "Raise max_worker_processes and restart the server, or try again later.");
        return;
    }
    run->queue = shm_mq_attach(mq, run->segment, run->handle);
    run->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kStartMs);
    wait_for_answer(run, outcome, query);
}

}  // namespace

CheckOutcome run_check_query(const CheckQuery& query) {
    auto* run = static_cast<Run*>(palloc0(sizeof(Run)));
    auto* outcome = static_cast<CheckOutcome*>(palloc0(sizeof(CheckOutcome)));
    PG_TRY();
    { run_in_worker(run, outcome, query); }
    PG_CATCH();
    {
        end_worker(*run);
        if (run->segment != nullptr)
            dsm_detach(run->segment);
        PG_RE_THROW();
    }
    PG_END_TRY();
    dsm_detach(run->segment);
    return *outcome;
}

}  // namespace ark
