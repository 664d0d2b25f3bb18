#include "server/jobs.hpp"

#include <csignal>

#include "server/settings.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

bool is_active(const Job& job) {
    return job.state != JobState::kFree && job.state != JobState::kEnded;
}

// The slot, or NULL where it serves another job by now. Under the lock.
Job* slot_of(JobRef ref) {
    Job* job = &shared->jobs[ref.slot];
    return job->generation == ref.generation ? job : nullptr;
}

bool may_be_taken(const Job& job) {
    return job.state == JobState::kFree ||
           (job.state == JobState::kEnded &&
            (job.caller_pid == 0 || BackendPidGetProc(job.caller_pid) == nullptr));
}

// Sets the state and tells a waiting caller. Under the lock.
void move_to(Job* job, JobState state) {
    if (job->kind == JobKind::kBackup) {
        shared->backups_begun += state == JobState::kVisible ? 1 : 0;
        shared->backups_ended += state == JobState::kEnded ? 1 : 0;
    }
    job->state = state;
    if (job->caller_pid != 0)
        SetLatch(job->caller_latch);
}

JobView view_of(const Job& job, int slot) {
    return {true,           {slot, job.generation}, job.kind,
            job.state,      job.cancel_requested,   job.row_visible,
            job.worker_pid, job.progress,           job.verdict,
            job.error};
}

// Under the lock, which the caller's process has.
int active_jobs(JobKind kind) {
    int count = 0;
    for (const Job& job : shared->jobs)
        count += is_active(job) && job.kind == kind ? 1 : 0;
    return count;
}

// NULL: there is none. Under the lock.
const Job* find_active(JobKind kind) {
    for (const Job& job : shared->jobs) {
        if (is_active(job) && job.kind == kind)
            return &job;
    }
    return nullptr;
}

int free_slot(int reserved) {
    int first = -1;
    int count = 0;
    for (int i = 0; i < kJobSlots; i++) {
        if (!may_be_taken(shared->jobs[i]))
            continue;
        count++;
        if (first < 0)
            first = i;
    }
    return count > reserved ? first : -1;
}

[[noreturn]] void refuse_second(JobKind kind, const char* running) {
    if (kind == JobKind::kSweep)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("a sweep is under way")));
    if (kind == JobKind::kAudit)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("the audit log is being written")));
    if (kind == JobKind::kIntegrity)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("run \"%s\" of integrity checks is under way", running),
                        errdetail("One runs at a time."),
                        errhint("Wait until it is gone from ark.test_progress, or stop it with "
                                "SELECT ark.cancel_integrity_run('%s').",
                                running)));
    if (kind == JobKind::kSchedule)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("the schedule of drills is being looked at")));
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_IN_USE), errmsg("backup \"%s\" is under way", running),
             errdetail("One backup of a cluster runs at a time."),
             errhint("Wait for it with CALL ark.wait_for_backup('%s'), or stop it with SELECT "
                     "ark.cancel_backup('%s').",
                     running, running)));
    pg_unreachable();
}

[[noreturn]] void refuse_test(int running) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_IN_USE),
             errmsg_plural("%d restore test is under way", "%d restore tests are under way",
                           static_cast<unsigned long>(running), running),
             errdetail("pg_ark.restore_test_limit is %d, and pg_ark.restore_test_when_busy is "
                       "refuse.",
                       settings.restore_test_limit),
             errhint("Try again when one has ended (ark.test_progress shows them), or raise "
                     "pg_ark.restore_test_limit.")));
    pg_unreachable();
}

// Throws where no other job of that kind may be. Under the lock, which an error releases first.
void require_alone(JobKind kind) {
    if (is_test(kind) && kind != JobKind::kIntegrity) {
        const int running = active_jobs(JobKind::kRestoreTest);
        if (kind == JobKind::kRestoreTest && running >= settings.restore_test_limit &&
            settings.restore_test_when_busy == kRefuseWhenBusy) {
            unlock_shared();
            refuse_test(running);
        }
        return;
    }
    if (const Job* job = find_active(kind)) {
        char running[kBackupIdSize];
        strlcpy(running, is_test(kind) ? job->request.test_id : job->request.backup_id,
                sizeof(running));
        unlock_shared();
        refuse_second(kind, running);
    }
}

}  // namespace

JobRef job_request(JobKind kind, const JobRequest* request, bool caller) {
    lock_shared(LW_EXCLUSIVE);
    require_alone(kind);
    const int slot = free_slot(is_test(kind) ? kReservedSlots : 0);
    if (slot < 0) {
        unlock_shared();
        ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                        errmsg("the table of pg_ark jobs is full"),
                        errhint("Try again when a job has ended.")));
    }
    Job* job = &shared->jobs[slot];
    memset(static_cast<void*>(job), 0, sizeof(*job));
    job->generation = ++shared->last_generation;
    job->kind = kind;
    job->state = JobState::kRequested;
    job->requested_at = GetCurrentTimestamp();
    if (caller) {
        job->caller_pid = MyProcPid;
        job->caller_latch = MyLatch;
    }
    if (request != nullptr)
        job->request = *request;
    strlcpy(job->progress.phase, "starting", sizeof(job->progress.phase));
    const JobRef ref = {slot, job->generation};
    unlock_shared();
    wake_launcher();
    return ref;
}

JobView job_view(JobRef ref) {
    lock_shared(LW_SHARED);
    const Job* job = slot_of(ref);
    const JobView view = job != nullptr ? view_of(*job, ref.slot) : JobView{};
    unlock_shared();
    return view;
}

JobView job_of_backup(const char* backup_id) {
    JobView view = {};
    lock_shared(LW_SHARED);
    for (int i = 0; i < kJobSlots; i++) {
        const Job& job = shared->jobs[i];
        if (is_active(job) && job.kind == JobKind::kBackup &&
            strcmp(job.request.backup_id, backup_id) == 0)
            view = view_of(job, i);
    }
    unlock_shared();
    return view;
}

bool job_is_active(const char* backup_id) {
    return job_of_backup(backup_id).found;
}

JobView job_of_test(const char* test_id) {
    JobView view = {};
    lock_shared(LW_SHARED);
    for (int i = 0; i < kJobSlots; i++) {
        const Job& job = shared->jobs[i];
        if (is_active(job) && is_test(job.kind) && strcmp(job.request.test_id, test_id) == 0)
            view = view_of(job, i);
    }
    unlock_shared();
    return view;
}

const Job* copy_of_jobs() {
    auto* jobs = static_cast<Job*>(palloc(sizeof(shared->jobs)));
    lock_shared(LW_SHARED);
    memcpy(static_cast<void*>(jobs), shared->jobs, sizeof(shared->jobs));
    unlock_shared();
    return jobs;
}

bool job_withdraw(JobRef ref) {
    lock_shared(LW_EXCLUSIVE);
    Job* job = slot_of(ref);
    const bool early = job != nullptr && is_active(*job) && job->state < JobState::kCommitting;
    if (job != nullptr)
        job->caller_pid = 0;
    if (early) {
        job->withdrawn = true;
        if (job->state == JobState::kRequested)
            job->state = JobState::kEnded;
        if (job->worker_pid != 0)
            kill(job->worker_pid, SIGINT);
    }
    unlock_shared();
    return early;
}

void job_release(JobRef ref) {
    lock_shared(LW_EXCLUSIVE);
    if (Job* job = slot_of(ref))
        job->caller_pid = 0;
    unlock_shared();
}

bool job_cancel(JobRef ref) {
    lock_shared(LW_EXCLUSIVE);
    Job* job = slot_of(ref);
    const bool found = job != nullptr && is_active(*job);
    if (found) {
        job->cancel_requested = true;
        if (job->worker_pid != 0)
            kill(job->worker_pid, SIGINT);
    }
    unlock_shared();
    return found;
}

bool job_attach(JobRef ref) {
    lock_shared(LW_EXCLUSIVE);
    Job* job = slot_of(ref);
    const bool ours = job != nullptr && job->state == JobState::kStarting && !job->withdrawn;
    if (ours) {
        job->worker_pid = MyProcPid;
        job->state = JobState::kAttached;
    }
    unlock_shared();
    return ours;
}

bool job_begin_commit(JobRef ref) {
    lock_shared(LW_EXCLUSIVE);
    Job* job = slot_of(ref);
    const bool go_on = job != nullptr && !job->withdrawn;
    if (go_on)
        job->state = JobState::kCommitting;
    unlock_shared();
    return go_on;
}

void job_visible(JobRef ref) {
    lock_shared(LW_EXCLUSIVE);
    if (Job* job = slot_of(ref)) {
        job->row_visible = true;
        move_to(job, JobState::kVisible);
    }
    unlock_shared();
}

void job_set_progress(JobRef ref, const JobProgress& progress) {
    lock_shared(LW_EXCLUSIVE);
    if (Job* job = slot_of(ref)) {
        job->progress = progress;
        job->progress.updated_at = GetCurrentTimestamp();
    }
    unlock_shared();
}

bool job_admit(JobRef ref, int limit) {
    lock_shared(LW_EXCLUSIVE);
    Job* job = slot_of(ref);
    int before = 0;
    for (const Job& other : shared->jobs) {
        if (is_active(other) && other.kind == JobKind::kRestoreTest && &other != job &&
            (other.admitted || other.generation < ref.generation))
            before++;
    }
    if (job != nullptr && before < limit)
        job->admitted = true;
    const bool admitted = job != nullptr && job->admitted;
    unlock_shared();
    return admitted;
}

void job_set_verdict(JobRef ref, Verdict verdict) {
    lock_shared(LW_EXCLUSIVE);
    if (Job* job = slot_of(ref))
        job->verdict = verdict;
    unlock_shared();
}

void job_end(JobRef ref, const JobError* error) {
    lock_shared(LW_EXCLUSIVE);
    Job* job = slot_of(ref);
    if (job != nullptr && is_active(*job)) {
        if (error != nullptr)
            job->error = *error;
        job->worker_pid = 0;
        move_to(job, JobState::kEnded);
        // Of a drill the schedule keeps the result; a sweep may have found that one has none.
        shared->schedule.requested |=
            job->kind == JobKind::kRestoreTest || job->kind == JobKind::kSweep;
    }
    unlock_shared();
}

JobRequest* job_request_of(JobRef ref) {
    auto* copy = static_cast<JobRequest*>(palloc(sizeof(JobRequest)));
    lock_shared(LW_SHARED);
    *copy = shared->jobs[ref.slot].request;
    unlock_shared();
    return copy;
}

JobKind job_kind(JobRef ref) {
    lock_shared(LW_SHARED);
    const JobKind kind = shared->jobs[ref.slot].kind;
    unlock_shared();
    return kind;
}

}  // namespace ark
