#include "server/worker.hpp"

#include <csignal>

extern "C" {
#include "access/xact.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kEndMs = 10 * 1000;

// Ends of transactions leave us in TopMemoryContext, where nothing is ever freed.
MemoryContext context_outside_sql = nullptr;

// bgworker_die would report from inside the handler, and die() could not be caught: the job could
// not write its end.
void handle_terminate(SIGNAL_ARGS) {
    const int saved = errno;
    (void)postgres_signal_arg;
    ShutdownRequestPending = true;
    InterruptPending = true;
    QueryCancelPending = true;
    SetLatch(MyLatch);
    errno = saved;
}

void override_setting(const char* name, const char* value) {
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

}  // namespace

void install_worker_signals() {
    pqsignal(SIGTERM, handle_terminate);
    BackgroundWorkerUnblockSignals();
}

bool worker_is_ending() {
    return ShutdownRequestPending != 0;
}

void set_session_defaults() {
    override_setting("role", "none");
    override_setting("statement_timeout", "0");
    override_setting("idle_in_transaction_session_timeout", "0");
    override_setting("idle_session_timeout", "0");
    if (kHasTransactionTimeout)
        override_setting("transaction_timeout", "0");
    // Whoever holds a lock on our tables delays a job, and does not hang it.
    override_setting("lock_timeout", "5s");
    override_setting("default_transaction_read_only", "off");
    override_setting("default_transaction_isolation", "read committed");
    override_setting("default_transaction_deferrable", "off");
    // With synchronous_standby_names naming pg_ark a job could wait for itself.
    override_setting("synchronous_commit", "local");
    override_setting("search_path", "pg_catalog, pg_temp");
    override_setting("row_security", "off");
    override_setting("datestyle", "ISO");
    override_setting("timezone", "UTC");
    override_setting("session_replication_role", "origin");
}

void limit_lock_waits() {
    override_setting("lock_timeout", "2s");
}

void stop_worker(BackgroundWorkerHandle* worker) {
    pid_t pid = 0;
    if (GetBackgroundWorkerPid(worker, &pid) == BGWH_STOPPED)
        return;
    TerminateBackgroundWorker(worker);
    const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kEndMs);
    while (GetBackgroundWorkerPid(worker, &pid) != BGWH_STOPPED && GetCurrentTimestamp() < end)
        pg_usleep(10 * 1000);
}

void begin_sql(const char* activity) {
    context_outside_sql = CurrentMemoryContext;
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    SPI_connect();
    PushActiveSnapshot(GetTransactionSnapshot());
    pgstat_report_activity(STATE_RUNNING, activity);
}

void commit_sql() {
    SPI_finish();
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(true);
    pgstat_report_activity(STATE_IDLE, nullptr);
    MemoryContextSwitchTo(context_outside_sql);
}

ErrorData* take_error(MemoryContext context) {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    HOLD_INTERRUPTS();
    LWLockReleaseAll();
    AbortOutOfAnyTransaction();
    RESUME_INTERRUPTS();
    pgstat_report_activity(STATE_IDLE, nullptr);
    MemoryContextSwitchTo(context);
    return error;
}

bool extension_is_here() {
    return OidIsValid(get_extension_oid("pg_ark", true));
}

}  // namespace ark
