// A backup as the server sees it: a row, a conversation with the child, an end. The conversation is
// in backup_conversation.cpp; here is what happens when it ends, in whatever way.
#include "server/backup_job.hpp"

#include <sys/wait.h>

#include "server/backup_conversation.hpp"
#include "server/catalog_client.hpp"
#include "server/conversation.hpp"
#include "server/job_row.hpp"
#include "server/settings.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A cancelled child removes what it wrote; on a shutdown of the server it gets less time.
constexpr int kPoliteMs = 2 * 1000;
constexpr int kGraceMs = 10 * 1000;
constexpr int kShutdownGraceMs = 3 * 1000;

void report_end(const BackupJob& job, TimestampTz started_at) {
    const long ms = TimestampDifferenceMilliseconds(started_at, GetCurrentTimestamp());
    const char* requests = job.result.requests != nullptr ? job.result.requests : "";
    if (job.result.full_because != nullptr)
        ereport(LOG, (errmsg("backup \"%s\" is a full one: %s", job.request->backup_id,
                             job.result.full_because)));
    ereport(LOG,
            (errmsg("backup \"%s\" completed", job.request->backup_id),
             errdetail(UINT64_FORMAT " files of " UINT64_FORMAT " bytes, " UINT64_FORMAT
                                     " bytes stored, %ld.%03ld s%s%s.",
                       job.result.files, job.result.database_bytes, job.result.stored_bytes,
                       ms / 1000, ms % 1000, requests[0] != '\0' ? "; requests: " : "", requests)));
}

JobRow row_of(const BackupJob& job) {
    return {job.context, "backup", job.request->backup_id, "ark.backup_log"};
}

void insert_row(const void* pointer) {
    const auto* job = static_cast<const BackupJob*>(pointer);
    insert_backup_row(*job->request, job->started_at);
}

enum class Settled { kNoBackup, kLeftovers, kCompleted };

// Asks the repository what the child left. Everything may fail here: then the sweep asks again
// later.
Settled settle_with_repository(BackupJob* job) {
    volatile Settled settled = Settled::kLeftovers;
    CatalogClient* volatile catalog = nullptr;
    PG_TRY();
    {
        catalog = catalog_open(ChildWait::kLatch, kCatalogTimeoutMs);
        const char* json = catalog_find(catalog, job->request->backup_id);
        if (json != nullptr) {
            begin_sql("pg_ark: end of a backup");
            (void)adopt_marker(job->request->backup_id, json, catalog_repository_id(catalog));
            commit_sql();
            settled = Settled::kCompleted;
        } else {
            const char* kept = catalog_cleanup(catalog, job->request->backup_id);
            settled = kept[0] == '\0' ? Settled::kNoBackup : Settled::kLeftovers;
        }
    }
    PG_CATCH();
    {
        const ErrorData* error = take_error(job->context);
        ereport(LOG, (errmsg("could not look after backup \"%s\" in the repository: %s",
                             job->request->backup_id, error->message)));
    }
    PG_END_TRY();
    if (catalog != nullptr)
        catalog_close(catalog);
    return settled;
}

// Ends the child and finds out what is left. One that has not begun to write leaves nothing. Else
// the repository is asked: the marker may be durable, or the child had no time to remove what it
// wrote, or could not, for the same reason that made it fail.
Settled settle(BackupJob* job) {
    if (job->child == nullptr)
        return Settled::kNoBackup;
    const bool ending = worker_is_ending();
    (void)child_stop(job->child, ending ? 0 : kPoliteMs, ending ? kShutdownGraceMs : kGraceMs);
    job->child = nullptr;
    if (!job->ready)
        return Settled::kNoBackup;
    return ending ? Settled::kLeftovers : settle_with_repository(job);
}

BackupFailure describe_failure(const BackupJob& job, const ErrorData& error, bool leftovers) {
    BackupFailure failure = {};
    failure.status = "failed";
    failure.sqlstate = error.sqlerrcode;
    failure.message = error.message;
    failure.detail = error.detail;
    failure.hint = error.hint;
    failure.phase = job.progress.phase;
    failure.leftovers = leftovers;
    if (worker_is_ending()) {
        failure.sqlstate = ERRCODE_ADMIN_SHUTDOWN;
        failure.message = "the backup was ended by a shutdown of the server or of its worker";
        failure.hint = "Take it again.";
    } else if (error.sqlerrcode == ERRCODE_QUERY_CANCELED) {
        failure.status = "cancelled";
        failure.message = job_view(job.ref).cancel_requested ? "ark.cancel_backup was called"
                                                             : "its worker got a cancel signal";
    }
    return failure;
}

/// `failure` NULL: the backup is complete.
struct BackupEnd {
    const BackupJob* job;
    const BackupFailure* failure;
};

void write_row(const void* pointer) {
    const auto* end = static_cast<const BackupEnd*>(pointer);
    const char* id = end->job->request->backup_id;
    if (end->failure == nullptr)
        complete_backup_row(id, end->job->result);
    else
        fail_backup_row(id, *end->failure);
}

void write_end(const BackupJob& job, const BackupFailure* failure) {
    const BackupEnd end = {&job, failure};
    write_job_end(row_of(job), write_row, &end);
}

void end_badly(BackupJob* job, ErrorData* error) {
    const Settled settled = settle(job);
    if (settled == Settled::kCompleted) {
        ereport(LOG, (errmsg("backup \"%s\" is complete, though its end was not seen",
                             job->request->backup_id)));
        job_end(job->ref, nullptr);
        return;
    }
    const bool leftovers = settled == Settled::kLeftovers;
    const BackupFailure failure = describe_failure(*job, *error, leftovers);
    write_end(*job, &failure);
    if (leftovers)
        request_sweep();
    JobError kept = {};
    copy_error(&kept, *error);
    kept.sqlstate = failure.sqlstate;
    strlcpy(kept.message, failure.message, sizeof(kept.message));
    job_end(job->ref, &kept);
    ereport(WARNING, (errcode(failure.sqlstate),
                      errmsg("backup \"%s\" %s: %s", job->request->backup_id, failure.status,
                             failure.message),
                      failure.detail != nullptr ? errdetail_internal("%s", failure.detail) : 0,
                      failure.hint != nullptr ? errhint("%s", failure.hint) : 0));
}

void end_well(BackupJob* job, TimestampTz started_at) {
    const int status = child_stop(job->child, kPoliteMs, kGraceMs);
    job->child = nullptr;
    if (status != 0)
        ereport(LOG, (errmsg("pg_ark %s after backup \"%s\" was complete", describe_exit(status),
                             job->request->backup_id)));
    name_relations(job->result.corrupt);
    write_end(*job, nullptr);
    fault_point("module_finished");
    job_end(job->ref, nullptr);
    if (job->result.corrupt_pages > 0)
        warn_about_corruption(job->request->backup_id, job->result.corrupt,
                              job->result.corrupt_pages);
    report_end(*job, started_at);
}

}  // namespace

void run_backup(JobRef ref) {
    auto* job = static_cast<BackupJob*>(palloc0(sizeof(BackupJob)));
    job->context = CurrentMemoryContext;
    job->message_context =
        AllocSetContextCreate(job->context, "pg_ark message", ALLOCSET_DEFAULT_SIZES);
    job->ref = ref;
    job->request = job_request_of(ref);
    job->started_at = GetCurrentTimestamp();
    strlcpy(job->progress.phase, "starting", sizeof(job->progress.phase));
    if (!make_job_row(ref, row_of(*job), insert_row, job))
        return;
    fault_point("module_row_visible");
    ErrorData* volatile error = nullptr;
    PG_TRY();
    { converse_about_backup(job); }
    PG_CATCH();
    { error = take_error(job->context); }
    PG_END_TRY();
    if (error != nullptr)
        end_badly(job, error);
    else
        end_well(job, job->started_at);
}

}  // namespace ark
