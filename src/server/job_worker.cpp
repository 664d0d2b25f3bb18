#include "server/job_worker.hpp"

#include "server/audit_job.hpp"
#include "server/backup_job.hpp"
#include "server/drill_schedule.hpp"
#include "server/integrity_job.hpp"
#include "server/settings.hpp"
#include "server/sweep.hpp"
#include "server/test_job.hpp"
#include "server/worker.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
}

namespace ark {
namespace {

JobRef own_job;

const char* name_of(JobKind kind) {
    switch (kind) {
        case JobKind::kSweep:
            return "pg_ark sweep";
        case JobKind::kRestoreTest:
            return "pg_ark restore test";
        case JobKind::kVerification:
            return "pg_ark verification";
        case JobKind::kAudit:
            return "pg_ark audit";
        case JobKind::kIntegrity:
            return "pg_ark integrity";
        case JobKind::kSchedule:
            return "pg_ark schedule";
        case JobKind::kBackup:
            break;
    }
    return "pg_ark backup";
}

// Also where the connection to the database fails: nobody is to wait for us then.
void end_own_job(int code, Datum) {
    if (code == 0)
        return;
    JobError error = {};
    error.sqlstate = ERRCODE_CONNECTION_FAILURE;
    strlcpy(error.message, "the worker ended without a result", sizeof(error.message));
    strlcpy(error.hint, "The server's log says why.", sizeof(error.hint));
    job_end(own_job, &error);
}

}  // namespace

bool start_job_worker(JobRef ref, BackgroundWorkerHandle** handle) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "pg_ark", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "pg_ark_job_main", sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, name_of(job_kind(ref)), sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, worker.bgw_name, sizeof(worker.bgw_type));
    worker.bgw_main_arg = Int32GetDatum(ref.slot);
    static_assert(sizeof(ref.generation) <= BGW_EXTRALEN);
    memcpy(worker.bgw_extra, &ref.generation, sizeof(ref.generation));
    worker.bgw_notify_pid = MyProcPid;
    return RegisterDynamicBackgroundWorker(&worker, handle);
}

}  // namespace ark

// A job catches its own errors and ends with 0; anything that escapes is exit code 1. The
// postmaster takes any other code for a crash of the server.
void pg_ark_job_main(Datum slot) {
    ark::own_job.slot = DatumGetInt32(slot);
    memcpy(&ark::own_job.generation, MyBgworkerEntry->bgw_extra, sizeof(ark::own_job.generation));
    ark::install_worker_signals();
    if (!ark::job_attach(ark::own_job))
        proc_exit(0);
    before_shmem_exit(ark::end_own_job, 0);
    BackgroundWorkerInitializeConnection(ark::settings.database, nullptr, 0);
    ark::set_session_defaults();
    MemoryContextSwitchTo(
        AllocSetContextCreate(TopMemoryContext, "pg_ark job", ALLOCSET_DEFAULT_SIZES));
    const ark::JobKind kind = ark::job_kind(ark::own_job);
    if (kind == ark::JobKind::kSweep)
        ark::run_sweep(ark::own_job);
    else if (kind == ark::JobKind::kAudit)
        ark::run_audit(ark::own_job);
    else if (kind == ark::JobKind::kIntegrity)
        ark::run_integrity(ark::own_job);
    else if (kind == ark::JobKind::kSchedule)
        ark::run_schedule(ark::own_job);
    else if (ark::is_test(kind))
        ark::run_test(ark::own_job);
    else
        ark::run_backup(ark::own_job);
    proc_exit(0);
}
