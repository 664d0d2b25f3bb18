#include "server/launch_backup.hpp"

#include "server/audit_call.hpp"
#include "server/launch.hpp"
#include "server/preconditions.hpp"

extern "C" {
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace ark {

void make_backup_id(char* id, size_t size, const char* prefix) {
    uint32 random = 0;
    if (!pg_strong_random(&random, sizeof(random)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random id")));
    const pg_time_t now = timestamptz_to_time_t(GetCurrentTimestamp());
    char time[32];
    pg_strftime(time, sizeof(time), "%Y%m%d_%H%M%S", pg_gmtime(&now));
    snprintf(id, size, "%s_%s_%08x", prefix, time, random);
}

namespace {

// A function of its own: in a longer one the compiler can't see that nothing of it is changed
// between sigsetjmp and a return by it.
void wait_or_withdraw(const JobRef& ref, const char* backup_id) {
    PG_TRY();
    { wait_for_row(ref, JobKind::kBackup, backup_id); }
    PG_CATCH();
    {
        (void)job_withdraw(ref);
        PG_RE_THROW();
    }
    PG_END_TRY();
}

}  // namespace

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
    strlcpy(request->act, audited_act(), sizeof(request->act));
    fill_actor(&request->actor, true);
    request->audit_fraction = -1;
    make_backup_id(request->backup_id, sizeof(request->backup_id), backup_type);
    return request;
}

char* launch_backup(JobRequest* request, bool adopting) {
    require_preconditions(adopting);
    const JobRef ref = job_request(JobKind::kBackup, request, true);
    wait_or_withdraw(ref, request->backup_id);
    audit_started();
    job_release(ref);
    return pstrdup(request->backup_id);
}

}  // namespace ark
