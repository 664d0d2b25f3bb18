// What shared memory knows, as rows: the functions under the views ark.backup_progress and
// ark.archiver_status.
#include "server/jobs.hpp"
#include "server/preconditions.hpp"
#include "server/sql_rows.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace ark {
namespace {

void emit_job(FunctionCallInfo fcinfo, const Job& job) {
    const JobProgress& p = job.progress;
    RowBuilder row = {};
    add_text(&row, job.request.backup_id);
    add_text(&row, p.phase);
    add_time(&row, job.requested_at);
    add_time(&row, p.copy_started_at);
    add_time(&row, p.updated_at);
    add_number(&row, p.files);
    add_number(&row, p.files_total);
    add_number(&row, p.bytes);
    add_number(&row, p.bytes_total);
    add_number(&row, p.stored);
    add_number(&row, p.corrupt_pages);
    add_text(&row, p.segment);
    add_datum(&row, BoolGetDatum(job.cancel_requested));
    if (job.worker_pid != 0)
        add_datum(&row, Int32GetDatum(job.worker_pid));
    else
        add_null(&row);
    emit(fcinfo, row);
}

void emit_archiver(FunctionCallInfo fcinfo, const ArchiverStatus& status) {
    RowBuilder row = {};
    add_text(&row, status.last_name);
    add_time(&row, status.last_stored_at);
    add_number(&row, status.stored_count);
    add_number(&row, status.ahead);
    add_text(&row, status.failing_name);
    add_time(&row, status.failing_since);
    add_number(&row, status.tries);
    add_number(&row, status.failed_count);
    add_time(&row, status.last_failed_at);
    add_text(&row, status.error.sqlstate != 0 ? unpack_sql_state(status.error.sqlstate) : nullptr);
    add_text(&row, status.error.message);
    add_text(&row, status.error.detail);
    add_text(&row, status.error.hint);
    emit(fcinfo, row);
}

}  // namespace
}  // namespace ark

/// ark.running_backups() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_running_backups) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    // Copied first: storing rows may throw, and takes memory.
    const ark::Job* jobs = ark::copy_of_jobs();
    for (int i = 0; i < ark::kJobSlots; i++) {
        const ark::Job& job = jobs[i];
        if (job.kind == ark::JobKind::kBackup && job.state != ark::JobState::kFree &&
            job.state != ark::JobState::kEnded)
            ark::emit_job(fcinfo, job);
    }
    return Datum(0);
}

/// ark.archiver_state() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_archiver_state) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    ark::lock_shared(LW_SHARED);
    const ark::ArchiverStatus status = ark::shared->archiver;
    ark::unlock_shared();
    ark::emit_archiver(fcinfo, status);
    return Datum(0);
}
