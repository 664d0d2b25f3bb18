// The function under the view ark.change_tracking.
#include "server/change_status.hpp"
#include "server/preconditions.hpp"
#include "server/sql_rows.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
}

namespace ark {
namespace {

constexpr double kMicros = 1000000;

const char* state_of(const ChangeStatus& status) {
    if (RecoveryInProgress())
        return "standby";
    return status.state[0] == '\0' ? "not_running" : status.state;
}

void add_seconds(RowBuilder* row, uint64 micros, uint64 divisor) {
    if (divisor == 0)
        return add_null(row);
    add_datum(row,
              Float8GetDatum(static_cast<double>(micros) / kMicros / static_cast<double>(divisor)));
}

void add_number_if(RowBuilder* row, bool known, uint64 value) {
    if (known)
        add_number(row, value);
    else
        add_null(row);
}

void add_error(RowBuilder* row, const JobError& error, TimestampTz at) {
    add_text(row, error.sqlstate != 0 ? unpack_sql_state(error.sqlstate) : nullptr);
    add_text(row, error.message);
    add_text(row, error.detail);
    add_text(row, error.hint);
    add_time(row, at);
}

void emit_change_status(FunctionCallInfo fcinfo, const ChangeStatus& status) {
    const bool primary = !RecoveryInProgress();
    const bool began = primary && status.position != InvalidXLogRecPtr;
    const XLogRecPtr flushed = primary ? GetFlushRecPtr(nullptr) : InvalidXLogRecPtr;
    const bool counted = status.since != InvalidXLogRecPtr;
    RowBuilder row = {};
    add_text(&row, state_of(status));
    add_number_if(&row, began, status.timeline);
    add_lsn(&row, began ? status.position : InvalidXLogRecPtr);
    add_number_if(&row, began, flushed > status.position ? flushed - status.position : 0);
    add_time(&row, status.behind_since);
    add_number(&row, status.tables);
    add_number(&row, status.segments);
    add_number(&row, status.bytes);
    add_number(&row, status.gaps);
    add_text(&row, status.last_gap);
    add_lsn(&row, status.since);
    add_number_if(&row, counted, status.relations);
    add_number_if(&row, counted, status.blocks);
    add_number_if(&row, counted, status.blocks * BLCKSZ);
    add_seconds(&row, status.cpu_micros, 1);
    add_seconds(&row, status.reading_micros, status.segments);
    add_number(&row, status.audit_misses);
    add_error(&row, status.error, status.error_at);
    if (status.child_pid != 0)
        add_datum(&row, Int32GetDatum(status.child_pid));
    else
        add_null(&row);
    emit(fcinfo, row);
}

}  // namespace
}  // namespace ark

/// ark.change_state() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_change_state) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    ark::emit_change_status(fcinfo, *ark::copy_of_change_status());
    return Datum(0);
}
