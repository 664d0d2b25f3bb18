// archive_library = 'pg_ark'. The archiver has no database and sits at the bottom of the exception
// stack: every error is caught here, told once a minute, and answered with "try again".
#include "server/archive_child.hpp"
#include "server/clone.hpp"
#include "server/control_file.hpp"
#include "server/repository_url.hpp"
#include "server/settings.hpp"
#include "server/shared.hpp"
#include "server/throttle.hpp"
#include "server/track_wait.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/pmsignal.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

Throttle failure_throttle;
// Since the last success, for the message of recovery; the shared copy is for everybody else.
TimestampTz failing_since = 0;
uint64 failed_tries = 0;

MemoryContext call_context() {
    static MemoryContext context = nullptr;
    if (context == nullptr)
        context = AllocSetContextCreate(TopMemoryContext, "pg_ark archive", ALLOCSET_DEFAULT_SIZES);
    return context;
}

void publish_success(const char* name, uint64 ahead) {
    if (shared == nullptr)
        return;
    lock_shared(LW_EXCLUSIVE);
    ArchiverStatus* status = &shared->archiver;
    status->pid = MyProcPid;
    status->stored_count++;
    status->ahead = ahead;
    strlcpy(status->last_name, name, sizeof(status->last_name));
    status->last_stored_at = GetCurrentTimestamp();
    status->failing_since = 0;
    status->tries = 0;
    status->conflict = false;
    status->failing_name[0] = '\0';
    status->error = {};
    unlock_shared();
}

void publish_failure(const char* name, const ErrorData& error, bool conflict) {
    if (shared == nullptr)
        return;
    lock_shared(LW_EXCLUSIVE);
    ArchiverStatus* status = &shared->archiver;
    status->pid = MyProcPid;
    status->failed_count++;
    status->last_failed_at = GetCurrentTimestamp();
    status->failing_since = failing_since;
    status->tries = failed_tries;
    status->conflict = conflict;
    strlcpy(status->failing_name, name, sizeof(status->failing_name));
    copy_error(&status->error, error);
    unlock_shared();
}

void note_success(const char* name, uint64 ahead) {
    if (failing_since != 0) {
        const long seconds =
            TimestampDifferenceMilliseconds(failing_since, GetCurrentTimestamp()) / 1000;
        ereport(LOG, (errmsg("archiving has recovered"),
                      errdetail("File \"%s\" is stored after " UINT64_FORMAT
                                " failed tries in %ld seconds.",
                                name, failed_tries, seconds)));
    }
    failing_since = 0;
    failed_tries = 0;
    failure_throttle = {};
    publish_success(name, ahead);
}

void note_failure(const char* name, const ErrorData& error, bool conflict) {
    if (failing_since == 0)
        failing_since = GetCurrentTimestamp();
    failed_tries++;
    publish_failure(name, error, conflict);
    // By kind, not by wording: a message may name a temporary file that is another at each try.
    if (!throttle_passes(&failure_throttle,
                         psprintf("%s %s", unpack_sql_state(error.sqlerrcode), name)))
        return;
    ereport(WARNING, (errcode(error.sqlerrcode),
                      errmsg_internal("could not archive \"%s\": %s", name, error.message),
                      error.detail != nullptr ? errdetail_internal("%s", error.detail) : 0,
                      error.hint != nullptr ? errhint("%s", error.hint) : 0));
}

// When the archiver has to have ended. Once the shutdown checkpoint is done the server waits for
// the archiver alone: then all tries together have shutdown_timeout, counted from that checkpoint.
// Asked for again while a push is under way, since the shutdown may begin in the middle of it.
TimestampTz end_of_archiving() {
    if (!PostmasterIsAlive())
        return 0;
    const ControlFileData control = read_control_data();
    if (control.state != DB_SHUTDOWNED)
        return PG_INT64_MAX;
    return TimestampTzPlusMilliseconds(time_t_to_timestamptz(control.time),
                                       settings.shutdown_timeout_s * INT64CONST(1000));
}

void require_time_left() {
    if (end_of_archiving() <= GetCurrentTimestamp())
        ereport(ERROR,
                (errcode(ERRCODE_ADMIN_SHUTDOWN),
                 errmsg("the server is shutting down and pg_ark.shutdown_timeout has passed"),
                 errdetail("What is not archived yet is archived after the next start."),
                 errhint("Raise pg_ark.shutdown_timeout (now %d s) to wait longer.",
                         settings.shutdown_timeout_s)));
}

// Two servers that write one timeline: whichever of our processes has found that, none goes on. The
// next push is made by a new child, which compares what it pushes with what was streamed.
void require_no_conflict(const char* name) {
    if (shared == nullptr)
        return;
    lock_shared(LW_SHARED);
    const bool conflict = shared->wal.conflict;
    const JobError error = shared->wal.error;
    const uint32 timeline = shared->wal.timeline;
    unlock_shared();
    constexpr size_t kTimelineDigits = 8;
    if (!conflict || strncmp(name, psprintf("%08X", timeline), kTimelineDigits) != 0)
        return;
    archive_child_stop();
    throw_error(error, "");
}

bool push(const char* name, const char* path) {
    if (is_clone()) {
        warn_about_clone("WAL is acknowledged without being stored.");
        return true;
    }
    if (!archive_child_is_due())
        return false;
    require_time_left();
    require_no_conflict(name);
    fault_point("module_before_push");
    const TimestampTz deadline = TimestampTzPlusMilliseconds(
        GetCurrentTimestamp(), settings.push_timeout_s * INT64CONST(1000));
    const Pushed pushed = archive_child_push(name, path, deadline, end_of_archiving);
    fault_point("module_after_push");
    note_success(name, pushed.ahead);
    archiver_wait_for_tables(name);
    return true;
}

bool archive_file(const char* name, const char* path) {
    MemoryContext context = call_context();
    MemoryContext old = MemoryContextSwitchTo(context);
    volatile bool stored = false;
    PG_TRY();
    { stored = push(name, path); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        const ErrorData* error = CopyErrorData();
        FlushErrorState();
        HOLD_INTERRUPTS();
        LWLockReleaseAll();
        RESUME_INTERRUPTS();
        const bool conflict = archive_child_found_conflict();
        archive_child_after_error();
        note_failure(name, *error, conflict);
    }
    PG_END_TRY();
    MemoryContextSwitchTo(old);
    MemoryContextReset(context);
    return stored;
}

// Only the form is looked at: the repository itself may hang.
bool archive_configured() {
    static Throttle throttle;
    // What pg_upgrade does to a cluster that is not one yet is nobody's history; the old cluster
    // offers its segments again if it is ever started by itself.
    if (IsBinaryUpgrade)
        return false;
    UrlProblem problem = check_repository_url(settings.repositories);
    if (XLogArchiveMode == ARCHIVE_MODE_ALWAYS)
        problem = {"pg_ark does not archive with archive_mode = always",
                   "A standby would archive restored files under the names of real ones.",
                   "Set archive_mode to on and restart the server."};
    else if (settings.repositories[0] == '\0')
        problem = {"pg_ark does not archive: no repository is configured", nullptr,
                   "Set pg_ark.repositories to a URL such as file:///var/lib/pg_ark and reload."};
    if (problem.message != nullptr && throttle_passes(&throttle, problem.message))
        ereport(WARNING,
                (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg_internal("%s", problem.message),
                 problem.detail != nullptr ? errdetail_internal("%s", problem.detail) : 0,
                 errhint("%s", problem.hint)));
    return problem.message == nullptr;
}

void archive_shutdown() {
    archive_child_stop();
}

}  // namespace
}  // namespace ark

ARK_ARCHIVE_MODULE(ark::archive_configured, ark::archive_file, ark::archive_shutdown);
