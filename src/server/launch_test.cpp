#include "server/launch_test.hpp"

#include "server/audit_call.hpp"
#include "server/launch.hpp"
#include "server/log_lookup.hpp"
#include "server/preconditions.hpp"
#include "server/wait_notice.hpp"

extern "C" {
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/procsignal.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace ark {
namespace {

constexpr long kSliceMs = 500;
// A cancelled test ends its scratch server and removes its files first.
constexpr int kEndMs = 20 * 1000;
constexpr long kEndSliceMs = 50;

/// A call that has asked for a test. palloc'd: it is read after a longjmp.
struct TestCall {
    JobRef ref;
    bool asked;
};

// Of a job whose caller is being thrown out: interrupts wait, barriers and a shutdown do not.
void wait_until_ended(JobRef ref) {
    const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kEndMs);
    while (GetCurrentTimestamp() < end && !ProcDiePending) {
        const JobView view = job_view(ref);
        if (!view.found || view.state == JobState::kEnded)
            return;
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kEndSliceMs,
                        wait_event());
        ResetLatch(MyLatch);
        if (ProcSignalBarrierPending)
            ProcessProcSignalBarrier();
    }
}

// Called with 0 for an error, else at the exit of this process, which a shutdown may wait for.
void abandon(int code, Datum argument) {
    const auto* call = reinterpret_cast<const TestCall*>(DatumGetPointer(argument));
    if (!call->asked)
        return;
    if (!job_withdraw(call->ref))
        (void)job_cancel(call->ref);
    if (code == 0)
        wait_until_ended(call->ref);
}

// The server notices that a client has gone when it next talks to it, unless it is told to look.
void notice_lost_client() {
    if (MyProcPort == nullptr || pq_check_connection())
        return;
    ClientConnectionLost = true;
    InterruptPending = true;
}

Verdict wait_for_end(JobRef ref, const JobRequest& request, bool open) {
    Told told = {GetCurrentTimestamp(), nullptr};
    for (;;) {
        const JobView view = job_view(ref);
        if (view.state == JobState::kEnded || !view.found) {
            if (view.error.sqlstate != 0)
                throw_error(view.error,
                            request.backup_id[0] != '\0'
                                ? psprintf("backup \"%s\" could not be tested: ", request.backup_id)
                            : request.drill ? "the drill has no result: "
                                            : "");
            if (view.verdict == Verdict::kUnknown)
                ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                                errmsg("the result of test \"%s\" is lost", request.test_id)));
            return view.verdict;
        }
        if (open) {
            SPI_commit();
            tell_test_progress(view.kind, request.test_id, view.progress, &told);
        }
        notice_lost_client();
        CHECK_FOR_INTERRUPTS();
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

[[noreturn]] void throw_problem(const Problem& problem) {
    ereport(ERROR, (errcode(problem.sqlstate), errmsg_internal("%s", problem.message),
                    problem.detail != nullptr ? errdetail_internal("%s", problem.detail) : 0,
                    problem.hint != nullptr ? errhint("%s", problem.hint) : 0));
    pg_unreachable();
}

// Those of a backup's preconditions that hold for a test: it takes nothing from this server.
void require_test_preconditions() {
    if (RecoveryInProgress())
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                        errmsg("a standby cannot test backups"),
                        errdetail("The server is in recovery, and could not keep the result."),
                        errhint("Connect to the primary server, or run pg_ark drill here.")));
    for (int i = 0; i < kPreconditionCount; i++) {
        const Precondition& precondition = kPreconditions[i];
        if (strcmp(precondition.name, "repository_setting") != 0 &&
            strcmp(precondition.name, "launcher") != 0)
            continue;
        const Problem problem = precondition.check();
        if (problem.message != nullptr)
            throw_problem(problem);
    }
}

}  // namespace

void require_drills() {
    require_test_preconditions();
}

void require_testable(const char* backup_id) {
    require_backup_id(backup_id);
    require_test_preconditions();
    const LoggedBackup row = look_up_backup(backup_id);
    if (strcmp(row.status, "completed") == 0)
        return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("backup \"%s\" is not complete", backup_id),
                    errdetail("Its status is %s.", row.status),
                    strcmp(row.status, "in_progress") == 0
                        ? errhint("Wait for it with CALL ark.wait_for_backup('%s').", backup_id)
                        : errhint("Choose one whose status in ark.backup_log is completed.")));
}

JobRequest* new_test_request(const char* backup_id) {
    auto* request = static_cast<JobRequest*>(palloc0(sizeof(JobRequest)));
    const Datum id = DirectFunctionCall1(gen_random_uuid, Datum(0));
    strlcpy(request->test_id, DatumGetCString(DirectFunctionCall1(uuid_out, id)),
            sizeof(request->test_id));
    strlcpy(request->backup_id, backup_id, sizeof(request->backup_id));
    strlcpy(request->role, GetUserNameFromId(GetUserId(), false), sizeof(request->role));
    strlcpy(request->act, audited_act(), sizeof(request->act));
    fill_actor(&request->actor, true);
    return request;
}

Verdict launch_test(JobKind kind, const JobRequest& request, TestWait wait) {
    auto* call = static_cast<TestCall*>(palloc0(sizeof(TestCall)));
    volatile Verdict verdict = Verdict::kUnknown;
    PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(call));
    {
        call->ref = job_request(kind, &request, true);
        call->asked = true;
        wait_for_row(call->ref, kind, request.test_id);
        audit_started();
        if (wait != TestWait::kForRow)
            verdict = wait_for_end(call->ref, request, wait == TestWait::kForEndOpen);
    }
    PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(call));
    job_release(call->ref);
    return verdict;
}

}  // namespace ark
