// The procedures that wait. They commit between their looks, so that a wait of hours holds no
// snapshot back.
#include "server/audit_call.hpp"
#include "server/launch_backup.hpp"
#include "server/log_lookup.hpp"
#include "server/preconditions.hpp"
#include "server/sql_backup.hpp"
#include "server/wait_notice.hpp"

extern "C" {
#include "access/htup_details.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr long kSliceMs = 100;
constexpr TimestampTz kForever = PG_INT64_MAX;

double megabytes(uint64 bytes) {
    return static_cast<double>(bytes) / (1024 * 1024);
}

char* describe_progress(const JobProgress& p) {
    if (p.segment[0] != '\0')
        return psprintf("%s (%s)", p.phase, p.segment);
    if (p.bytes_total == 0 || p.copy_started_at == 0)
        return pstrdup(p.phase);
    const double seconds =
        TimestampDifferenceMilliseconds(p.copy_started_at, p.updated_at) / 1000.0;
    const double rate = seconds > 0 ? megabytes(p.bytes) / seconds : 0;
    const uint64 left = p.bytes_total > p.bytes ? p.bytes_total - p.bytes : 0;
    return psprintf("%s, %.0f of %.0f MB, %.0f MB/s, about %.0f s left", p.phase,
                    megabytes(p.bytes), megabytes(p.bytes_total), rate,
                    rate > 0 ? megabytes(left) / rate : 0);
}

// Whether it has ended well; throws where it has ended otherwise. Called when there is no job any
// more.
bool has_completed(const char* backup_id) {
    const LoggedBackup row = look_up_backup(backup_id);
    if (strcmp(row.status, "in_progress") == 0)
        return false;
    if (strcmp(row.status, "completed") == 0 || strcmp(row.status, "expired") == 0)
        return true;
    const char* state = row.sqlstate;
    const bool known = state != nullptr && strlen(state) == 5;
    ereport(ERROR, (errcode(known ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])
                                  : ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                    errmsg("backup \"%s\" %s: %s", backup_id,
                           strcmp(row.status, "cancelled") == 0 ? "was cancelled" : "failed",
                           row.message != nullptr ? row.message : "no reason is known"),
                    row.detail != nullptr ? errdetail_internal("%s", row.detail) : 0,
                    row.hint != nullptr ? errhint("%s", row.hint) : 0));
    pg_unreachable();
}

void give_up_at(TimestampTz deadline, const char* backup_id) {
    if (GetCurrentTimestamp() < deadline)
        return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("backup \"%s\" has not ended in time", backup_id),
                    errdetail("p_timeout has passed; the backup goes on."),
                    errhint("Wait again with CALL ark.wait_for_backup('%s').", backup_id)));
}

// Inside a non-atomic SPI connection.
void wait_loop(const char* backup_id, TimestampTz deadline) {
    Told told = {GetCurrentTimestamp(), nullptr};
    bool sweep_asked = false;
    for (;;) {
        const JobView job = job_of_backup(backup_id);
        if (!job.found) {
            if (has_completed(backup_id))
                return;
            // No job, and no end in the row: after a crash only a sweep writes it.
            if (!sweep_asked && !job_is_active(backup_id))
                request_sweep();
            sweep_asked = true;
        }
        SPI_commit();
        give_up_at(deadline, backup_id);
        if (job.found)
            tell("backup", backup_id, describe_progress(job.progress), &told);
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kSliceMs,
                        wait_event());
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

void wait_for(const char* backup_id, TimestampTz deadline) {
    MemoryContext context = CurrentMemoryContext;
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    PG_TRY();
    { wait_loop(backup_id, deadline); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        FlushErrorState();
        if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && job_is_active(backup_id))
            error->hint = psprintf(
                "Only the wait has ended: backup \"%s\" goes on. Stop it with "
                "SELECT ark.cancel_backup('%s').",
                backup_id, backup_id);
        ReThrowError(error);
    }
    PG_END_TRY();
    SPI_finish();
    ereport(NOTICE, (errmsg("backup %s: completed", backup_id)));
}

void require_no_block(FunctionCallInfo fcinfo, const char* procedure) {
    require_own_transactions(fcinfo, procedure, "backup", "ark.start_backup", "ark.backup_log");
}

TimestampTz deadline_of(Interval* timeout) {
    if (timeout == nullptr)
        return kForever;
    return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
                                                   TimestampTzGetDatum(GetCurrentTimestamp()),
                                                   IntervalPGetDatum(timeout)));
}

Datum one_text_row(FunctionCallInfo fcinfo, const char* value) {
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "ark.backup returns a row");
    Datum values[1] = {CStringGetTextDatum(value)};
    bool nulls[1] = {false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

}  // namespace
}  // namespace ark

/// ark.wait_for_backup(p_backup_id text, p_timeout interval)
ARK_SQL_FUNCTION(pg_ark_wait_for_backup) {
    ark::require_loaded_here();
    const char* id = PG_ARGISNULL(0) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(0));
    ark::require_backup_id(id);
    ark::require_no_block(fcinfo, "ark.wait_for_backup");
    ark::wait_for(id, ark::deadline_of(PG_ARGISNULL(1) ? nullptr : PG_GETARG_INTERVAL_P(1)));
    PG_RETURN_NULL();
}

/// ark.backup(p_type text, p_reason text, p_options jsonb, INOUT p_backup_id text)
ARK_AUDITED_FUNCTION(pg_ark_backup, "backup") {
    ark::require_loaded_here();
    ark::require_no_block(fcinfo, "ark.backup");
    ark::JobRequest* request = ark::request_from_arguments(fcinfo);
    const char* id = ark::launch_backup(request, false);
    ereport(NOTICE, (errmsg("backup %s: started", id)));
    ark::wait_for(id, ark::kForever);
    return ark::one_text_row(fcinfo, id);
}
