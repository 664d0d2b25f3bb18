#include "server/launch_backup.hpp"

#include "server/preconditions.hpp"

extern "C" {
#include "miscadmin.h"
#include "pgtime.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A worker gives up its wait for a lock after lock_timeout (5 s); the rest is for its start.
constexpr int kStartMs = 10 * 1000;
// More for a commit that is under way when the time is over.
constexpr int kCommitMs = 10 * 1000;
constexpr long kSliceMs = 200;

void wait_a_little() {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                    wait_event());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Whether the row is there within that time. Throws the worker's reason where there will be none.
bool row_appears(JobRef ref, int timeout_ms) {
    const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
    while (GetCurrentTimestamp() < end) {
        const JobView view = job_view(ref);
        if (view.row_visible)
            return true;
        if (view.state == JobState::kEnded)
            throw_error(view.error, "could not start a backup: ");
        wait_a_little();
    }
    return false;
}

void wait_for_row(JobRef ref, const char* backup_id) {
    if (row_appears(ref, kStartMs))
        return;
    if (job_withdraw(ref))
        ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                        errmsg("could not start a backup within %d seconds", kStartMs / 1000),
                        errdetail("The request has been withdrawn."),
                        errhint("A transaction that holds locks on the extension's tables, or a "
                                "busy server, does this. The server's log may say more.")));
    if (!row_appears(ref, kCommitMs))
        ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                        errmsg("could not see the start of backup \"%s\" in time", backup_id),
                        errdetail("It may have begun."),
                        errhint("Look for it in ark.backup_log before you start another.")));
}

}  // namespace

void make_backup_id(char* id, size_t size, const char* prefix) {
    uint32 random = 0;
    if (!pg_strong_random(&random, sizeof(random)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random id")));
    const pg_time_t now = timestamptz_to_time_t(GetCurrentTimestamp());
    char time[32];
    pg_strftime(time, sizeof(time), "%Y%m%d_%H%M%S", pg_gmtime(&now));
    snprintf(id, size, "%s_%s_%08x", prefix, time, random);
}

JobRequest* new_request(const char* backup_type, const char* reason) {
    if (reason == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("p_reason must not be null"),
                 errhint("Say in a few words what the backup is for.")));
    auto* request = static_cast<JobRequest*>(palloc0(sizeof(JobRequest)));
    if (strlen(reason) >= sizeof(request->reason))
        ereport(ERROR,
                (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION), errmsg("p_reason is too long"),
                 errdetail("It has %zu bytes, and at most %zu are kept.", strlen(reason),
                           sizeof(request->reason) - 1)));
    strlcpy(request->reason, reason, sizeof(request->reason));
    strlcpy(request->backup_type, backup_type, sizeof(request->backup_type));
    strlcpy(request->role, GetUserNameFromId(GetUserId(), false), sizeof(request->role));
    make_backup_id(request->backup_id, sizeof(request->backup_id), backup_type);
    return request;
}

char* launch_backup(JobRequest* request, bool adopting) {
    require_preconditions(adopting);
    const JobRef ref = job_request(JobKind::kBackup, request, true);
    PG_TRY();
    { wait_for_row(ref, request->backup_id); }
    PG_CATCH();
    {
        (void)job_withdraw(ref);
        PG_RE_THROW();
    }
    PG_END_TRY();
    job_release(ref);
    return pstrdup(request->backup_id);
}

}  // namespace ark
