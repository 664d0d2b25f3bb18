#include "server/audit_job.hpp"

#include "server/audit_mirror.hpp"
#include "server/audit_rows.hpp"
#include "server/audit_spool.hpp"
#include "server/settings.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// Between two writers: what comes in meanwhile is one batch.
constexpr int kPauseMs = 1000;
// After a failure the next comes 5 s later, then 10, at most 320.
constexpr int kRetryMs = 5 * 1000;
constexpr int kMostDoublings = 6;

struct AuditJob {
    MemoryContext context;
    ErrorData* error;  ///< NULL: all went well
    CatalogClient* catalog;
};

using Step = void (*)(AuditJob* job, char* value);

// Whether it went well.
bool try_step(AuditJob* job, Step step, char* value) {
    volatile bool done = false;
    PG_TRY();
    {
        step(job, value);
        done = true;
    }
    PG_CATCH();
    { job->error = take_error(job->context); }
    PG_END_TRY();
    return done;
}

// Whether trying the same again later may help.
bool may_pass(const ErrorData& error) {
    return worker_is_ending() || error.sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
           error.sqlerrcode == ERRCODE_QUERY_CANCELED ||
           ERRCODE_TO_CATEGORY(error.sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES ||
           error.sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
           error.sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

void insert_lines(AuditJob*, char* lines) {
    begin_sql("pg_ark: entries of the audit log");
    insert_audit_lines(lines);
    commit_sql();
}

// One entry that cannot be stored must not keep the others for ever.
void insert_one_by_one(AuditJob* job, char* lines) {
    uint64 lost = 0;
    char* rest = lines;
    while (char* line = strsep(&rest, "\n")) {
        if (line[0] == '{' && !try_step(job, insert_lines, line))
            lost++;
    }
    ereport(LOG,
            (errmsg("pg_ark: " UINT64_FORMAT " entries of the audit log could not be stored: %s",
                    lost, job->error != nullptr ? job->error->message : "")));
    job->error = nullptr;
    count_lost(lost);
}

void write_spooled(AuditJob* job, char*) {
    // What a crash left taken comes first, then what came since.
    for (int i = 0; i < 2; i++) {
        char* lines = take_spooled();
        if (lines == nullptr)
            return;
        fault_point("module_audit_taken");
        if (!try_step(job, insert_lines, lines)) {
            if (may_pass(*job->error))
                return;
            insert_one_by_one(job, lines);
        }
        fault_point("module_audit_written");
        forget_taken();
    }
}

void write_loss(AuditJob*, char*) {
    LWLockAcquire(shared->audit_lock, LW_SHARED);
    const uint64 lost = shared->audit.lost;
    LWLockRelease(shared->audit_lock);
    if (lost == 0)
        return;
    begin_sql("pg_ark: entries of the audit log");
    insert_audit_loss(lost);
    commit_sql();
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    shared->audit.lost -= lost;
    LWLockRelease(shared->audit_lock);
    ereport(WARNING, (errmsg(UINT64_FORMAT " entries of ark.audit_log are lost", lost),
                      errdetail("There was no room to keep them, or they could not be read.")));
}

void expire(AuditJob*, char*) {
    begin_sql("pg_ark: expired entries of the audit log");
    expire_audit_rows(audit_has_mirror());
    commit_sql();
}

// Every failure of it comes here, and keeps nobody from anything.
void note_mirror(const ErrorData* error) {
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    AuditStatus* status = &shared->audit;
    status->mirror_wanted = error != nullptr;
    status->mirror_error = {};
    if (error == nullptr) {
        status->mirror_failures = 0;
        status->mirror_not_before = 0;
        status->last_mirrored_at = GetCurrentTimestamp();
    } else {
        copy_error(&status->mirror_error, *error);
        status->mirror_not_before = TimestampTzPlusMilliseconds(
            GetCurrentTimestamp(), kRetryMs << Min(status->mirror_failures, kMostDoublings));
        status->mirror_failures++;
    }
    LWLockRelease(shared->audit_lock);
    if (error != nullptr)
        ereport(LOG, (errmsg("could not put entries of ark.audit_log into the repository: %s",
                             error->message),
                      error->detail != nullptr ? errdetail_internal("%s", error->detail) : 0,
                      errhint("They stay in the table, and it is tried again.")));
}

bool mirror_is_due() {
    LWLockAcquire(shared->audit_lock, LW_SHARED);
    const bool due = pause_is_over(shared->audit.mirror_not_before);
    LWLockRelease(shared->audit_lock);
    return due && audit_has_mirror();
}

void mirror(AuditJob* job, char*) {
    mirror_audit_rows(&job->catalog);
}

void mirror_all(AuditJob* job) {
    if (worker_is_ending() || !mirror_is_due())
        return;
    const bool done = try_step(job, mirror, nullptr);
    if (job->catalog != nullptr)
        catalog_close(job->catalog);
    job->catalog = nullptr;
    note_mirror(done ? nullptr : job->error);
}

void write_all(AuditJob* job, char*) {
    begin_sql("pg_ark: audit log");
    const bool here = extension_is_here();
    commit_sql();
    if (!here)
        return;
    (void)try_step(job, write_spooled, nullptr);
    if (job->error == nullptr)
        (void)try_step(job, write_loss, nullptr);
    ErrorData* error = job->error;
    mirror_all(job);
    job->error = error;
    if (job->error == nullptr)
        (void)try_step(job, expire, nullptr);
}

void note_result(const AuditJob& job) {
    LWLockAcquire(shared->audit_lock, LW_EXCLUSIVE);
    AuditStatus* status = &shared->audit;
    int pause = kPauseMs;
    if (job.error == nullptr) {
        status->failures = 0;
        status->error = {};
        status->last_written_at = GetCurrentTimestamp();
    } else {
        pause = kRetryMs << Min(status->failures, kMostDoublings);
        status->failures++;
        status->requested = true;
        copy_error(&status->error, *job.error);
    }
    status->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause);
    LWLockRelease(shared->audit_lock);
}

}  // namespace

void run_audit(JobRef ref) {
    auto* job = static_cast<AuditJob*>(palloc0(sizeof(AuditJob)));
    job->context = CurrentMemoryContext;
    (void)try_step(job, write_all, nullptr);
    if (job->error != nullptr)
        ereport(LOG, (errmsg("could not write ark.audit_log: %s", job->error->message),
                      errdetail("It is tried again; what waits is kept.")));
    note_result(*job);
    job_end(ref, nullptr);
}

}  // namespace ark
