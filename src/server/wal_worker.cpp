#include "server/wal_worker.hpp"

#include "server/clone.hpp"
#include "server/known_repository.hpp"
#include "server/preconditions.hpp"
#include "server/repository_url.hpp"
#include "server/segment_pieces.hpp"
#include "server/settings.hpp"
#include "server/stream_child.hpp"
#include "server/throttle.hpp"
#include "server/track_child.hpp"
#include "server/wal_child.hpp"
#include "server/wal_directory.hpp"
#include "server/wal_position.hpp"
#include "server/wal_status.hpp"
#include "server/walsender.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "postmaster/pgarch.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kRestartSeconds = 10;
constexpr int kTickMs = 1000;
constexpr int kMinuteMs = 60 * 1000;
constexpr int kWakeArchiverMs = 5 * 1000;
constexpr int kStandstillMs = kMinuteMs;
constexpr int kStandstillIntervalMs = 10 * kMinuteMs;

TimestampTz next_tick = 0;
TimestampTz next_rates = 0;
TimestampTz next_wakeup = 0;
TimestampTz started_at = 0;  // the child

void on_worker_exit(int, Datum) {
    lock_shared(LW_EXCLUSIVE);
    WalStatus* status = &shared->wal;
    shared->wal_worker_latch = nullptr;
    status->worker_pid = status->child_pid = status->walsender_pid = 0;
    status->sync = false;
    status->state[0] = '\0';
    shared->changes.child_pid = 0;
    shared->changes.state[0] = '\0';
    unlock_shared();
}

void announce() {
    lock_shared(LW_EXCLUSIVE);
    shared->wal_worker_latch = MyLatch;
    shared->wal.worker_pid = MyProcPid;
    shared->wal.timeline = GetWALInsertionTimeLine();
    unlock_shared();
    before_shmem_exit(on_worker_exit, 0);
}

void set_state(const char* state) {
    lock_shared(LW_EXCLUSIVE);
    strlcpy(shared->wal.state, state, sizeof(shared->wal.state));
    unlock_shared();
}

void set_conflict(bool conflict) {
    lock_shared(LW_EXCLUSIVE);
    shared->wal.conflict = conflict;
    unlock_shared();
}

// A reload may be what the trouble waited for.
bool is_wanted_elsewhere() {
    return ShutdownRequestPending != 0 || ConfigReloadPending != 0;
}

bool stream_child_runs() {
    return stream_child()->child != nullptr;
}

// The state to show where a child has nothing to do, or NULL: it is `wanted` by its setting. While
// it runs the repository is known.
const char* why_not(bool wanted, bool runs) {
    if (!wanted)
        return "off";
    if (!archives_with_pg_ark())
        return "not_archiving";
    if (is_clone())
        return "clone";
    // It is made by what has something to put into it: the archiver, a backup.
    if (settings.repositories[0] == '\0' || (!runs && known_repository_id() == nullptr))
        return "no_repository";
    return nullptr;
}

// A second server that writes this timeline must not go on, whoever of us has found it.
bool archiver_has_conflict(JobError* error) {
    lock_shared(LW_SHARED);
    const bool conflict = shared->archiver.failing_since != 0 && shared->archiver.conflict;
    *error = shared->archiver.error;
    unlock_shared();
    return conflict;
}

void pause_longer() {
    wal_child_pause_longer(stream_child());
    set_state("stopped");
}

void check_place() {
    const UrlProblem problem = check_repository_place();
    if (problem.message != nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", problem.message),
                 problem.detail != nullptr ? errdetail_internal("%s", problem.detail) : 0,
                 errhint("%s", problem.hint)));
}

void start() {
    check_place();
    set_state("starting");
    stream_child_start(is_wanted_elsewhere);
    started_at = GetCurrentTimestamp();
}

void take_outcome(StreamChild outcome) {
    if (outcome == StreamChild::kRuns)
        return;
    stream_child_stop(false);
    if (outcome == StreamChild::kFailed)
        return pause_longer();
    set_conflict(true);
    wal_child_pause_for(stream_child(), kMinuteMs);
    set_state("stopped");
}

// Whoever set synchronous_standby_names meant this process, which has nothing to do here.
void warn_of_waiting_commits(const char* state) {
    static Throttle throttle;
    if (SyncRepStandbyNames == nullptr || strstr(SyncRepStandbyNames, "pg_ark") == nullptr ||
        any_walsender_is_synchronous() || !throttle_passes(&throttle, state, kStandstillIntervalMs))
        return;
    ereport(WARNING, (errmsg("commits may wait for ever: synchronous_standby_names names pg_ark, "
                             "which does not stream"),
                      errdetail("Its state is \"%s\".", state),
                      errhint("Set synchronous_standby_names to '' and reload until it streams; "
                              "ark.preflight() says what it lacks.")));
}

void supervise() {
    JobError conflict;
    const char* idle = why_not(settings.wal_streaming, stream_child_runs());
    if (idle == nullptr && archiver_has_conflict(&conflict)) {
        stream_child_stop(false);
        note_stream_error(conflict, kMinuteMs);
        return set_state("stopped");
    }
    if (idle != nullptr) {
        if (stream_child_runs())
            stream_child_stop(false);
        stream_child()->pause_ms = 0;
        set_conflict(false);
        warn_of_waiting_commits(idle);
        return set_state(idle);
    }
    if (stream_child_is_outdated()) {
        stream_child_stop(false);
        stream_child()->pause_ms = 0;
    }
    if (wal_child_may_start(*stream_child()))
        start();
    stream_child_tell_mode();
}

bool track_child_runs() {
    return track_child()->child != nullptr;
}

// What another server writes on this timeline is not this one's changes.
void supervise_tracking() {
    const char* idle = why_not(settings.change_tracking, track_child_runs());
    JobError conflict;
    lock_shared(LW_SHARED);
    const bool streaming_has_conflict = shared->wal.conflict;
    unlock_shared();
    if (idle == nullptr && (streaming_has_conflict || archiver_has_conflict(&conflict)))
        idle = "stopped";
    track_child_supervise(idle);
}

// The end of what is known to be in the repository, for forgetting when older WAL was written.
XLogRecPtr durable_end() {
    char name[kWalNameSize];
    lock_shared(LW_SHARED);
    const XLogRecPtr streamed = shared->wal.durable;
    const TimeLineID timeline = shared->wal.timeline;
    strlcpy(name, shared->archiver.last_name, sizeof(name));
    unlock_shared();
    if (streamed != InvalidXLogRecPtr || !IsXLogFileName(name))
        return streamed;
    TimeLineID its_timeline = 0;
    XLogSegNo number = 0;
    XLogRecPtr end = InvalidXLogRecPtr;
    XLogFromFileName(name, &its_timeline, &number, wal_segment_size);
    XLogSegNoOffsetToRecPtr(number + 1, 0, wal_segment_size, end);
    return its_timeline == timeline ? end : InvalidXLogRecPtr;
}

// After three failures the archiver rests for a minute. Streaming goes on behind it, and commits
// may wait for that.
void wake_failing_archiver(TimestampTz now) {
    if (now < next_wakeup)
        return;
    next_wakeup = TimestampTzPlusMilliseconds(now, kWakeArchiverMs);
    lock_shared(LW_SHARED);
    const bool waits = (strcmp(shared->wal.state, "catching_up") == 0 || shared->wal.waiting > 0) &&
                       shared->archiver.failing_since != 0;
    unlock_shared();
    if (waits)
        PgArchWakeup();
}

// Streaming may have told of no error: what a file system holds up says nothing.
void warn_of_standstill(TimestampTz now) {
    static Throttle throttle;
    if (!stream_child_runs())
        return;
    const XLogRecPtr durable = durable_end();
    lock_shared(LW_SHARED);
    // What it has not had time for is not its fault.
    const TimestampTz since = Max(unprotected_since(shared->wal, durable), started_at);
    const bool sync = shared->wal.sync;
    const bool gap = shared->wal.missing[0] != '\0';  // which was told
    unlock_shared();
    const int64 ms =
        durable == InvalidXLogRecPtr || gap ? 0 : TimestampDifferenceMilliseconds(since, now);
    if (ms < kStandstillMs + settings.wal_stream_interval_ms ||
        !throttle_passes(&throttle, "", kStandstillIntervalMs))
        return;
    ereport(WARNING, (errmsg("what was written in the last %ld seconds is not in the repository",
                             static_cast<long>(ms / 1000)),
                      sync ? errdetail("Commits wait for it.") : 0,
                      errhint("SELECT * FROM ark.wal_status says what streaming waits for.")));
}

void tick() {
    const TimestampTz now = GetCurrentTimestamp();
    if (now < next_tick)
        return;
    next_tick = TimestampTzPlusMilliseconds(now, kTickMs);
    note_flushed(GetFlushRecPtr(nullptr), durable_end());
    if (now >= next_rates) {
        next_rates = TimestampTzPlusMilliseconds(now, kRateSampleMs);
        note_rates(wal_directory_bytes());
        note_unprotected();
    }
    supervise_tracking();
    supervise();
    bound_pieces();
    wake_failing_archiver(now);
    warn_of_standstill(now);
}

void forget_pause_once_it_streams() {
    lock_shared(LW_SHARED);
    const bool streams = strcmp(shared->wal.state, "streaming") == 0;
    unlock_shared();
    if (streams)
        stream_child()->pause_ms = 0;
}

void run_once() {
    if (ConfigReloadPending) {
        ConfigReloadPending = false;
        ProcessConfigFile(PGC_SIGHUP);
        stream_child()->not_before = track_child()->not_before = next_tick = 0;
    }
    tick();
    if (track_child_runs())
        track_child_look(0);
    if (stream_child_runs()) {
        take_outcome(stream_child_look(kTickMs));
        return forget_pause_once_it_streams();
    }
    if (track_child_runs())
        return track_child_look(kTickMs);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kTickMs,
                    wait_event());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Trouble with the child is no reason to end: the worker would only be started again.
void run_and_catch(MemoryContext context) {
    PG_TRY();
    { run_once(); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        const ErrorData* caught = CopyErrorData();
        FlushErrorState();
        HOLD_INTERRUPTS();
        LWLockReleaseAll();
        RESUME_INTERRUPTS();
        stream_child_stop(ShutdownRequestPending != 0);
        if (!is_wanted_elsewhere()) {
            JobError error = {};
            copy_error(&error, *caught);
            note_stream_error(error, kMinuteMs);
            pause_longer();
        }
    }
    PG_END_TRY();
}

}  // namespace

void register_wal_worker() {
    if (IsBinaryUpgrade)
        return;
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = kRestartSeconds;
    strlcpy(worker.bgw_library_name, "pg_ark", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "pg_ark_wal_main", sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, "pg_ark wal", sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, "pg_ark wal", sizeof(worker.bgw_type));
    RegisterBackgroundWorker(&worker);
}

}  // namespace ark

void pg_ark_wal_main(Datum) {
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    ark::announce();
    MemoryContext loop_context =
        AllocSetContextCreate(TopMemoryContext, "pg_ark wal", ALLOCSET_DEFAULT_SIZES);
    while (!ShutdownRequestPending) {
        MemoryContextSwitchTo(loop_context);
        MemoryContextReset(loop_context);
        ark::run_and_catch(loop_context);
    }
    // The server waits for nothing but this, and the child holds one of its connections.
    ark::stream_child_stop(true);
    ark::track_child_stop(true);
    // Not 0: the postmaster would never start it again.
    proc_exit(1);
}
