#include "server/launcher.hpp"

#include "server/audit_settings.hpp"
#include "server/audit_spool.hpp"
#include "server/clone.hpp"
#include "server/job_worker.hpp"
#include "server/jobs.hpp"
#include "server/settings.hpp"
#include "server/worker.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kRestartSeconds = 5;
constexpr long kIdleMs = 60L * 1000;
// While a worker starts or runs its end is noticed by a signal; this is for a lost one.
constexpr long kBusyMs = 1000;
// Without any cause; what is left by others is dead after a day (core/backup/cleanup.hpp).
constexpr int kSweepEveryMs = 6 * 3600 * 1000;
// A worker that has not attached by then never will.
constexpr int kAttachMs = 30 * 1000;

// Of the jobs that this launcher started; a restarted launcher goes by the process table instead.
BackgroundWorkerHandle* handles[kJobSlots];

void on_launcher_exit(int, Datum) {
    lock_shared(LW_EXCLUSIVE);
    if (shared->launcher_pid == MyProcPid) {
        shared->launcher_pid = 0;
        shared->launcher_latch = nullptr;
    }
    unlock_shared();
}

void announce() {
    lock_shared(LW_EXCLUSIVE);
    shared->launcher_pid = MyProcPid;
    shared->launcher_latch = MyLatch;
    shared->sweep_requested = true;
    shared->sweep_not_before = 0;
    unlock_shared();
    before_shmem_exit(on_launcher_exit, 0);
}

JobError make_error(int sqlstate, const char* message, const char* hint) {
    JobError error = {};
    error.sqlstate = sqlstate;
    strlcpy(error.message, message, sizeof(error.message));
    strlcpy(error.hint, hint, sizeof(error.hint));
    return error;
}

// Our connection is to no database, so that DROP DATABASE never waits for the launcher. pg_database
// can be scanned without one, but no index can be relied on (as in the autovacuum launcher).
bool database_exists() {
    MemoryContext old = CurrentMemoryContext;
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    Relation relation = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
    bool exists = false;
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        auto* row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        exists |= strcmp(NameStr(row->datname), settings.database) == 0;
    }
    table_endscan(scan);
    table_close(relation, AccessShareLock);
    CommitTransactionCommand();
    MemoryContextSwitchTo(old);
    return exists;
}

// Of a job that has a worker, or should have one: whether it has gone.
bool worker_is_gone(int slot, const Job& job) {
    if (handles[slot] != nullptr) {
        pid_t pid = 0;
        return GetBackgroundWorkerPid(handles[slot], &pid) == BGWH_STOPPED;
    }
    if (job.worker_pid != 0)
        return BackendPidGetProc(job.worker_pid) == nullptr;
    return TimestampDifferenceExceeds(job.requested_at, GetCurrentTimestamp(), kAttachMs);
}

// Notices workers that ended, also without a word. Returns the number of those still at work.
int watch_workers() {
    int working = 0;
    for (int i = 0; i < kJobSlots; i++) {
        lock_shared(LW_SHARED);
        const JobState state = shared->jobs[i].state;
        const JobRef ref = {i, shared->jobs[i].generation};
        const bool started = state >= JobState::kStarting && state <= JobState::kVisible;
        const bool gone = started && worker_is_gone(i, shared->jobs[i]);
        const JobKind kind = shared->jobs[i].kind;
        unlock_shared();
        if (gone) {
            const JobError error =
                make_error(ERRCODE_CONNECTION_FAILURE, "the worker ended without a result",
                           "The server's log says why.");
            job_end(ref, &error);
            if (kind != JobKind::kSweep && kind != JobKind::kAudit && kind != JobKind::kSchedule)
                request_sweep();
            // What it had taken is still there.
            if (kind == JobKind::kAudit)
                request_audit();
        }
        if (gone || !started) {
            if (handles[i] != nullptr)
                pfree(handles[i]);
            handles[i] = nullptr;
        }
        working += started && !gone ? 1 : 0;
    }
    return working;
}

void start_job(JobRef ref) {
    if (!database_exists()) {
        const JobError error =
            make_error(ERRCODE_UNDEFINED_DATABASE,
                       psprintf("database \"%s\" does not exist", settings.database),
                       "Name the database that holds the extension in pg_ark.database.");
        job_end(ref, &error);
        return;
    }
    lock_shared(LW_EXCLUSIVE);
    Job* job = &shared->jobs[ref.slot];
    const bool wanted = job->generation == ref.generation && job->state == JobState::kRequested;
    if (wanted)
        job->state = JobState::kStarting;
    unlock_shared();
    MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
    if (wanted && !start_job_worker(ref, &handles[ref.slot])) {
        const JobError error =
            make_error(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "no background worker is free",
                       "Raise max_worker_processes and restart the server, or try again later.");
        job_end(ref, &error);
    }
    MemoryContextSwitchTo(old);
}

void start_requested_jobs() {
    for (int i = 0; i < kJobSlots; i++) {
        lock_shared(LW_SHARED);
        const bool requested = shared->jobs[i].state == JobState::kRequested;
        const JobRef ref = {i, shared->jobs[i].generation};
        unlock_shared();
        if (requested)
            start_job(ref);
    }
}

bool is_running(JobKind kind) {
    bool running = false;
    lock_shared(LW_SHARED);
    for (const Job& job : shared->jobs)
        running |=
            job.kind == kind && job.state != JobState::kFree && job.state != JobState::kEnded;
    unlock_shared();
    return running;
}

// A sweep needs the database; where that does not exist yet the request stays for later.
bool sweep_is_due() {
    lock_shared(LW_SHARED);
    const TimestampTz now = GetCurrentTimestamp();
    const bool asked = shared->sweep_requested && pause_is_over(shared->sweep_not_before);
    const bool old = shared->last_sweep_at != 0 &&
                     TimestampDifferenceExceeds(shared->last_sweep_at, now, kSweepEveryMs);
    unlock_shared();
    return (asked || old) && settings.repositories[0] != '\0' && !is_running(JobKind::kSweep) &&
           database_exists();
}

void start_sweep() {
    lock_shared(LW_EXCLUSIVE);
    shared->sweep_requested = false;
    unlock_shared();
    (void)job_request(JobKind::kSweep, nullptr, false);
}

bool audit_is_wanted() {
    LWLockAcquire(shared->audit_lock, LW_SHARED);
    const bool wanted = shared->audit.requested || shared->audit.mirror_wanted;
    LWLockRelease(shared->audit_lock);
    return wanted;
}

// A writer needs the database; where that does not exist yet what waits stays for later.
bool audit_is_due() {
    LWLockAcquire(shared->audit_lock, LW_SHARED);
    const AuditStatus& status = shared->audit;
    const bool due = (status.requested && pause_is_over(status.not_before)) ||
                     (status.mirror_wanted && pause_is_over(status.mirror_not_before));
    LWLockRelease(shared->audit_lock);
    return due && !is_running(JobKind::kAudit) && database_exists();
}

void start_audit() {
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    shared->audit.requested = false;
    LWLockRelease(shared->audit_lock);
    (void)job_request(JobKind::kAudit, nullptr, false);
}

// Without any cause: the clock may have been set, and rows changed by hand.
constexpr int kScheduleEveryMs = 3600 * 1000;
constexpr int kScheduleRetryMs = 60 * 1000;

// A clone starts no drills, and a standby has no launcher.
bool schedule_is_due() {
    lock_shared(LW_SHARED);
    const ScheduleStatus& status = shared->schedule;
    const TimestampTz now = GetCurrentTimestamp();
    const bool due = status.requested || (status.next_at != 0 && status.next_at <= now) ||
                     status.last_at > now ||
                     TimestampDifferenceExceeds(status.last_at, now, kScheduleEveryMs);
    unlock_shared();
    return due && settings.repositories[0] != '\0' && !is_clone() &&
           !is_running(JobKind::kSchedule) && database_exists();
}

void start_schedule() {
    lock_shared(LW_EXCLUSIVE);
    shared->schedule.requested = false;
    shared->schedule.last_at = GetCurrentTimestamp();
    // Unless the look at the table ends well, and says otherwise.
    shared->schedule.next_at =
        TimestampTzPlusMilliseconds(shared->schedule.last_at, kScheduleRetryMs);
    unlock_shared();
    (void)job_request(JobKind::kSchedule, nullptr, false);
}

// A drill begins within the second that it is due in.
long idle_ms() {
    lock_shared(LW_SHARED);
    const TimestampTz next = shared->schedule.next_at;
    unlock_shared();
    if (next == 0)
        return kIdleMs;
    return Min(kIdleMs, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next) + 1);
}

// What is in the repository, and what of it this server can read.
char* what_is_swept() {
    return psprintf("%s|%s|%s", settings.repositories, settings.encryption_key_file,
                    settings.encryption_key_command);
}

void reload() {
    char* before = what_is_swept();
    const SettingValues* values = remember_settings();
    ProcessConfigFile(PGC_SIGHUP);
    record_changed_settings(values);
    char* now = what_is_swept();
    if (strcmp(before, now) != 0)
        request_sweep();
    pfree(before);
    pfree(now);
}

void run_once() {
    if (ConfigReloadPending) {
        ConfigReloadPending = false;
        reload();
    }
    if (is_clone())
        warn_about_clone("WAL is acknowledged without being stored, and backups are refused.");
    int working = watch_workers();
    if (sweep_is_due())
        start_sweep();
    if (audit_is_due())
        start_audit();
    if (schedule_is_due())
        start_schedule();
    start_requested_jobs();
    working += is_running(JobKind::kSweep) || audit_is_wanted() ? 1 : 0;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                    working > 0 ? kBusyMs : idle_ms(), wait_event());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

}  // namespace

void register_launcher() {
    // pg_upgrade drops and makes databases in the new cluster, and wants both left alone.
    if (IsBinaryUpgrade)
        return;
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = kRestartSeconds;
    strlcpy(worker.bgw_library_name, "pg_ark", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "pg_ark_launcher_main", sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, "pg_ark launcher", sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, "pg_ark launcher", sizeof(worker.bgw_type));
    RegisterBackgroundWorker(&worker);
}

}  // namespace ark

// An error ends the launcher with exit code 1: the postmaster starts it again.
void pg_ark_launcher_main(Datum) {
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    ark::announce();
    MemoryContext loop_context =
        AllocSetContextCreate(TopMemoryContext, "pg_ark launcher", ALLOCSET_DEFAULT_SIZES);
    while (!ShutdownRequestPending) {
        MemoryContextSwitchTo(loop_context);
        MemoryContextReset(loop_context);
        ark::run_once();
    }
    // Not 0: the postmaster would never start it again.
    proc_exit(1);
}
