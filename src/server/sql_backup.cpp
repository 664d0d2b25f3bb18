// The functions that start and cancel backups. Those that wait are in sql_wait.cpp.
#include "server/sql_backup.hpp"

#include "server/audit_call.hpp"
#include "server/backup_options.hpp"
#include "server/clone.hpp"
#include "server/launch_backup.hpp"
#include "server/log_lookup.hpp"
#include "server/preconditions.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"
}

namespace ark {
namespace {

char* text_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

// The marker is gone and does not come back: an error here must not look as if nothing had
// happened.
char* first_backup_after_adoption() {
    MemoryContext context = CurrentMemoryContext;
    char* volatile id = nullptr;
    PG_TRY();
    { id = launch_backup(new_request("full", "first backup of an adopted cluster"), false); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        FlushErrorState();
        error->detail = psprintf("The cluster is adopted, but its first backup did not start.%s%s",
                                 error->detail != nullptr ? " " : "",
                                 error->detail != nullptr ? error->detail : "");
        error->hint = pstrdup("Take one soon with SELECT ark.create_manual_backup(...).");
        ReThrowError(error);
    }
    PG_END_TRY();
    return id;
}

void require_compactable(const char* backup_id) {
    const LoggedBackup row = look_up_backup(backup_id);
    if (strcmp(row.status, "completed") != 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("backup \"%s\" is not complete", backup_id),
                        errdetail("Its status is %s.", row.status)));
    if (row.parent == nullptr)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("backup \"%s\" is a full one already", backup_id),
                        errhint("Incremental and differential ones have a parent in "
                                "ark.backup_log.")));
}

// "full_20261120_021500_9f3a01bc": the time is that of the data, so that the newest backup is the
// one with the newest data.
void take_time_of(char* id, const char* source) {
    constexpr size_t kTimeLength = sizeof("_20261120_021500") - 1;
    const char* time = strchr(source, '_');
    char* own = strchr(id, '_');
    if (time != nullptr && strlen(time) >= kTimeLength)
        memcpy(own, time, kTimeLength);
}

}  // namespace

JobRequest* request_from_arguments(FunctionCallInfo fcinfo) {
    const char* type = text_argument(fcinfo, 0);
    check_backup_type(type);
    JobRequest* request = new_request(type, text_argument(fcinfo, 1));
    apply_options(request, PG_ARGISNULL(2) ? nullptr : PG_GETARG_JSONB_P(2));
    return request;
}

}  // namespace ark

/// ark.create_manual_backup(p_reason text, p_created_by uuid) RETURNS text
ARK_AUDITED_FUNCTION(pg_ark_create_manual_backup, "create_manual_backup") {
    ark::require_loaded_here();
    ark::JobRequest* request = ark::new_request("manual", ark::text_argument(fcinfo, 0));
    if (!PG_ARGISNULL(1)) {
        const char* uuid = DatumGetCString(DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(1)));
        strlcpy(request->created_by, uuid, sizeof(request->created_by));
    }
    PG_RETURN_TEXT_P(cstring_to_text(ark::launch_backup(request, false)));
}

/// ark.start_backup(p_type text, p_reason text, p_options jsonb) RETURNS text
ARK_AUDITED_FUNCTION(pg_ark_start_backup, "start_backup") {
    ark::require_loaded_here();
    PG_RETURN_TEXT_P(
        cstring_to_text(ark::launch_backup(ark::request_from_arguments(fcinfo), false)));
}

/// ark.compact_backup(p_backup_id text, p_options jsonb) RETURNS text
ARK_AUDITED_FUNCTION(pg_ark_compact_backup, "compact_backup") {
    ark::require_loaded_here();
    const char* source = ark::text_argument(fcinfo, 0);
    ark::require_backup_id(source);
    ark::require_compactable(source);
    ark::JobRequest* request = ark::new_request("full", psprintf("made of %s", source));
    ark::apply_options(request, PG_ARGISNULL(1) ? nullptr : PG_GETARG_JSONB_P(1));
    strlcpy(request->compacts, source, sizeof(request->compacts));
    ark::take_time_of(request->backup_id, source);
    PG_RETURN_TEXT_P(cstring_to_text(ark::launch_backup(request, false)));
}

/// ark.cancel_backup(p_backup_id text) RETURNS boolean
ARK_AUDITED_FUNCTION(pg_ark_cancel_backup, "cancel_backup") {
    ark::require_loaded_here();
    const char* id = ark::text_argument(fcinfo, 0);
    ark::require_backup_id(id);
    const ark::JobView job = ark::job_of_backup(id);
    if (job.found) {
        ark::audit_accepted(id, nullptr);
        if (ark::job_cancel(job.ref))
            PG_RETURN_BOOL(true);
    }
    // It may have ended; an id that never was is an error.
    (void)ark::look_up_backup(id);
    if (!job.found)
        ark::audit_accepted(id, "it had ended");
    PG_RETURN_BOOL(false);
}

/// ark.adopt() RETURNS text
ARK_AUDITED_FUNCTION(pg_ark_adopt, "adopt") {
    ark::require_loaded_here();
    if (!superuser())
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("only a superuser can adopt a restored cluster")));
    ark::require_preconditions(true);
    if (!ark::is_clone())
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("this cluster is not a restored copy"),
                 errdetail("There is no file \"%s\" in its data directory.", ark::kCloneMarker),
                 errhint("There is nothing to adopt. A backup is taken with SELECT "
                         "ark.create_manual_backup(...).")));
    ark::audit_accepted(nullptr, nullptr);
    ark::remove_clone_marker();
    ereport(LOG, (errmsg("the restored cluster has been adopted: archiving goes on from here")));
    ark::request_sweep();
    PG_RETURN_TEXT_P(cstring_to_text(ark::first_backup_after_adoption()));
}

/// ark.known_backup(p_backup_id text) RETURNS text
ARK_SQL_FUNCTION(pg_ark_known_backup) {
    ark::require_loaded_here();
    char* id = ark::text_argument(fcinfo, 0);
    ark::require_backup_id(id);
    (void)ark::look_up_backup(id);
    PG_RETURN_TEXT_P(cstring_to_text(id));
}
