#pragma once
/// The life of a job in the table of shared memory: asked for by a backend (or the launcher),
/// started by the launcher, done by a worker. Every function takes the lock itself.
#include "server/shared.hpp"

namespace ark {

/// One use of one slot.
struct JobRef {
    int slot;
    uint64 generation;
};

/// A copy of a slot's state that needs no lock.
struct JobView {
    bool found;
    JobRef ref;
    JobKind kind;
    JobState state;
    bool cancel_requested;
    bool row_visible;
    pid_t worker_pid;
    JobProgress progress;
    Verdict verdict;
    JobError error;
};

/// Asks for a job and wakes the launcher. `caller`: whether this process will wait for the row, or
/// the end. Throws ERRCODE_OBJECT_IN_USE where a backup is under way already (a sweep is then not
/// asked for twice either), or as many restore tests as may be at once and pg_ark.
/// restore_test_when_busy says to refuse; ERRCODE_CONFIGURATION_LIMIT_EXCEEDED where the table is
/// full.
JobRef job_request(JobKind kind, const JobRequest* request, bool caller);

/// Whether a job of this kind tests something, a backup or the live data: it has a test_id.
inline bool is_test(JobKind kind) {
    return kind == JobKind::kRestoreTest || kind == JobKind::kVerification ||
           kind == JobKind::kIntegrity;
}

/// The job of that use of the slot; found is false when the slot has been given to another.
JobView job_view(JobRef ref);
/// The running (not ended) job of that backup id.
JobView job_of_backup(const char* backup_id);
/// Whether a job that has not ended takes that backup: its row is nobody else's business.
bool job_is_active(const char* backup_id);
/// The running (not ended) test, verification or run of integrity checks of that id.
JobView job_of_test(const char* test_id);

/// All kJobSlots slots as they are now, palloc'd.
const Job* copy_of_jobs();

/// The caller's side: no longer waits. Withdraws the job where its row is not being committed yet;
/// whether it could.
bool job_withdraw(JobRef ref);
/// The caller has its answer.
void job_release(JobRef ref);
/// Asks the worker of a job to cancel it; whether it has not ended yet.
bool job_cancel(JobRef ref);

/// The worker's side. False: the job has been withdrawn, or the slot is another's; the worker then
/// leaves.
bool job_attach(JobRef ref);
/// False: withdrawn. After true the caller waits for job_visible.
bool job_begin_commit(JobRef ref);
void job_visible(JobRef ref);
void job_set_progress(JobRef ref, const JobProgress& progress);
/// Whether this restore test may begin: fewer than `limit` have, and none that waits is older.
/// Stays true.
bool job_admit(JobRef ref, int limit);
void job_set_verdict(JobRef ref, Verdict verdict);
/// `error` NULL: it ended well.
void job_end(JobRef ref, const JobError* error);
/// A copy of what the worker is to do, palloc'd.
JobRequest* job_request_of(JobRef ref);
JobKind job_kind(JobRef ref);

}  // namespace ark
