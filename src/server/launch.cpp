#include "server/launch.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// A worker gives up its wait for a lock after lock_timeout (5 s); the rest is for its start.
constexpr int kStartMs = 10 * 1000;
// More for a commit that is under way when the time is over.
constexpr int kCommitMs = 10 * 1000;
constexpr long kSliceMs = 50;

const char* table_of(JobKind kind) {
    return kind == JobKind::kRestoreTest    ? "ark.backup_tests"
           : kind == JobKind::kIntegrity    ? "ark.integrity_runs"
           : kind == JobKind::kVerification ? "ark.backup_verification"
                                            : "ark.backup_log";
}

void wait_a_little() {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                    wait_event());
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Whether the row is there within that time. Throws the worker's reason where there will be none.
bool row_appears(JobRef ref, JobKind kind, int timeout_ms) {
    const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
    while (GetCurrentTimestamp() < end) {
        const JobView view = job_view(ref);
        if (view.row_visible)
            return true;
        if (view.state == JobState::kEnded)
            throw_error(view.error, psprintf("could not start %s: ", one_of_kind(kind)));
        wait_a_little();
    }
    return false;
}

}  // namespace

const char* one_of_kind(JobKind kind) {
    return kind == JobKind::kRestoreTest    ? "a restore test"
           : kind == JobKind::kIntegrity    ? "a run of integrity checks"
           : kind == JobKind::kVerification ? "a verification"
                                            : "a backup";
}

void wait_for_row(JobRef ref, JobKind kind, const char* id) {
    if (row_appears(ref, kind, kStartMs))
        return;
    if (job_withdraw(ref))
        ereport(ERROR,
                (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                 errmsg("could not start %s within %d seconds", one_of_kind(kind), kStartMs / 1000),
                 errdetail("The request has been withdrawn."),
                 errhint("A transaction that holds locks on the extension's tables, or a "
                         "busy server, does this. The server's log may say more.")));
    if (!row_appears(ref, kind, kCommitMs))
        ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                        errmsg("could not see the start of %s \"%s\" in time",
                               one_of_kind(kind) + strlen("a "), id),
                        errdetail("It may have begun."),
                        errhint("Look for it in %s before you start another.", table_of(kind))));
}

}  // namespace ark
