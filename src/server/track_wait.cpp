#include "server/track_wait.hpp"

#include <poll.h>

#include <csignal>

#include "server/control_file.hpp"
#include "server/settings.hpp"
#include "server/shared.hpp"
#include "server/sql_call.hpp"
#include "server/throttle.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "storage/procsignal.h"
}

namespace ark {
namespace {

constexpr long kLongestWaitMs = 5000;
constexpr long kLongestPauseMs = 20;
// pg_control says that a shutdown checkpoint is done before it removes WAL; and what tells the
// archiver to finish may have come before it waits here.
constexpr long kRemovalMs = 1000;
// An archiver that is so far behind has to free pg_wal: that comes first.
constexpr uint64 kFarBehind = UINT64CONST(1) << 30;

enum class Tables { kMade, kAwaited, kNone };

bool makes_tables_from_pg_wal() {
    return shared != nullptr && settings.change_tracking && host_only_writes();
}

// A state in which nobody will make tables. A child that has ended is started again; and the worker
// itself, which has no state, is about to start, or was ended by the server's shutdown.
bool is_idle(const char* state) {
    return strcmp(state, "off") == 0 || strcmp(state, "not_archiving") == 0 ||
           strcmp(state, "clone") == 0 || strcmp(state, "no_repository") == 0;
}

Tables tables_up_to(XLogRecPtr end) {
    lock_shared(LW_SHARED);
    const bool made = shared->changes.stored >= end;
    const bool idle = is_idle(shared->changes.state);
    unlock_shared();
    return made ? Tables::kMade : idle ? Tables::kNone : Tables::kAwaited;
}

XLogRecPtr stored_tables() {
    lock_shared(LW_SHARED);
    const XLogRecPtr stored = shared->changes.stored;
    unlock_shared();
    return stored;
}

// The worker's tick would be too late.
void hurry_tracking() {
    lock_shared(LW_EXCLUSIVE);
    shared->changes.hurry = true;
    Latch* latch = shared->wal_worker_latch;
    unlock_shared();
    if (latch != nullptr)
        SetLatch(latch);
}

bool worker_runs() {
    lock_shared(LW_SHARED);
    const bool runs = shared->wal.worker_pid != 0;
    unlock_shared();
    return runs;
}

// As the archiver's waits for its child: its latch is left alone.
void pause_archiver(long ms) {
    pgstat_report_wait_start(wait_event());
    (void)poll(nullptr, 0, static_cast<int>(ms));
    pgstat_report_wait_end();
    if (ProcSignalBarrierPending)
        ProcessProcSignalBarrier();
    CHECK_FOR_INTERRUPTS();
}

// The server tells the archiver to finish when the shutdown checkpoint has ended, and with it the
// removal of WAL.
bool is_told_to_finish() {
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 1;
}

// Under a blocked SIGUSR2. False: in vain.
bool wait_for(XLogRecPtr end) {
    static bool removal_is_over = false;
    long pause_ms = 1;
    long shut_down_ms = 0;
    for (long waited = 0; waited < kLongestWaitMs; waited += pause_ms) {
        if (removal_is_over || tables_up_to(end) != Tables::kAwaited || !PostmasterIsAlive())
            return true;
        if (!worker_runs()) {
            const DBState state = read_control_data().state;
            if (state == DB_SHUTDOWNING)
                waited = 0;
            shut_down_ms = state == DB_SHUTDOWNED ? shut_down_ms + pause_ms : 0;
            removal_is_over = is_told_to_finish() || shut_down_ms > kRemovalMs;
        }
        hurry_tracking();
        pause_archiver(pause_ms);
        pause_ms = Min(pause_ms * 2, kLongestPauseMs);
    }
    return false;
}

bool wait_unsignalled(XLogRecPtr end) {
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    volatile bool made = false;
    sigprocmask(SIG_BLOCK, &signals, &before);
    PG_TRY();
    { made = wait_for(end); }
    PG_FINALLY();
    { sigprocmask(SIG_SETMASK, &before, nullptr); }
    PG_END_TRY();
    return made;
}

void tell_of_giving_up(const char* name) {
    static Throttle throttle;
    if (!throttle_passes(&throttle, ""))
        return;
    ereport(LOG, (errmsg("archiving does not wait any more for the tracking of changed blocks"),
                  errdetail("File \"%s\" is stored, and tables go up to %s.", name,
                            lsn_text(stored_tables())),
                  errhint("If WAL is removed before it was read, the next incremental backup is a "
                          "full one. SELECT * FROM ark.change_tracking says what tracking waits "
                          "for.")));
}

}  // namespace

void archiver_wait_for_tables(const char* name) {
    static XLogRecPtr in_vain_for = InvalidXLogRecPtr;
    if (!makes_tables_from_pg_wal() || !IsXLogFileName(name))
        return;
    TimeLineID timeline = 0;
    XLogSegNo number = 0;
    XLogRecPtr end = InvalidXLogRecPtr;
    XLogFromFileName(name, &timeline, &number, wal_segment_size);
    XLogSegNoOffsetToRecPtr(number + 1, 0, wal_segment_size, end);
    if (stored_tables() < in_vain_for || GetFlushRecPtr(nullptr) > end + kFarBehind)
        return;
    if (wait_unsignalled(end))
        return;
    in_vain_for = end;
    tell_of_giving_up(name);
}

void backup_wait_for_tables(XLogRecPtr end) {
    if (!makes_tables_from_pg_wal())
        return;
    long pause_ms = 1;
    for (long waited = 0; waited < kLongestWaitMs && tables_up_to(end) == Tables::kAwaited;
         waited += pause_ms) {
        hurry_tracking();
        pause_ms = Min(pause_ms * 2, kLongestPauseMs);
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause_ms,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace ark
