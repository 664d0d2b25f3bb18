// The function under the view ark.wal_status.
#include <cmath>

#include "server/preconditions.hpp"
#include "server/sql_rows.hpp"
#include "server/wal_directory.hpp"
#include "server/wal_position.hpp"
#include "server/wal_status.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
}

namespace ark {
namespace {

const char* state_of(const WalStatus& status) {
    if (RecoveryInProgress())
        return "standby";
    return status.worker_pid == 0 || status.state[0] == '\0' ? "not_running" : status.state;
}

void add_unprotected(RowBuilder* row, const WalStatus& status, const WalPosition& position) {
    if (position.durable == InvalidXLogRecPtr) {
        add_null(row);
        return add_null(row);
    }
    if (position.flushed <= position.durable) {
        add_number(row, 0);
        return add_interval(row, 0);
    }
    add_number(row, position.flushed - position.durable);
    const TimestampTz since = unprotected_since(status, position.durable);
    if (since == 0)
        add_null(row);
    else
        add_interval(row, Max(GetCurrentTimestamp() - since, 0));
}

void add_rate(RowBuilder* row, bool known, double value) {
    if (known)
        add_datum(row, Float8GetDatum(std::round(value * 10) / 10));
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

// Up to max_wal_size the server lets pg_wal grow by itself: that is no sign of anything.
bool will_fill(const WalRates& rates, uint64 wal_bytes, const WaitingFiles& waiting) {
    constexpr int kUsualWaiting = 1;
    return rates.known && rates.growth > 0 &&
           (waiting.segments > kUsualWaiting ||
            wal_bytes > static_cast<uint64>(max_wal_size_mb) * 1024 * 1024);
}

void add_disk(RowBuilder* row, const WalRates& rates, const WaitingFiles& waiting) {
    const uint64 bytes = wal_directory_bytes();
    const uint64 free_bytes = wal_directory_free();
    add_number(row, bytes);
    if (rates.known)
        add_datum(row, Int64GetDatum(static_cast<int64>(rates.growth)));
    else
        add_null(row);
    add_number(row, free_bytes);
    // Beyond years nothing is a prediction.
    constexpr double kMostSeconds = 10.0 * 365 * 86400;
    const double seconds = will_fill(rates, bytes, waiting)
                               ? static_cast<double>(free_bytes) / rates.growth
                               : kMostSeconds;
    if (seconds < kMostSeconds)
        add_interval(row, static_cast<int64>(seconds) * USECS_PER_SEC);
    else
        add_null(row);
}

void add_pid(RowBuilder* row, pid_t pid) {
    if (pid != 0)
        add_datum(row, Int32GetDatum(pid));
    else
        add_null(row);
}

void emit_wal_status(FunctionCallInfo fcinfo, const WalStatus& status,
                     const ArchiverStatus& archiver) {
    const WaitingFiles waiting = waiting_files(status.timeline);
    const WalPosition position = wal_position(status, waiting);
    const WalRates rates = wal_rates(status);
    RowBuilder row = {};
    add_text(&row, state_of(status));
    add_text(&row, status.walsender_pid == 0 ? nullptr : status.sync ? "sync" : "async");
    if (position.primary)
        add_number(&row, status.timeline);
    else
        add_null(&row);
    add_lsn(&row, position.durable);
    add_time(&row, status.durable_at);
    add_lsn(&row, position.flushed);
    add_unprotected(&row, status, position);
    add_text(&row, status.missing);
    add_number(&row, waiting.segments);
    add_text(&row, archiver.last_name);
    add_time(&row, archiver.last_stored_at);
    add_rate(&row, rates.known, rates.pieces_per_minute);
    add_rate(&row, rates.known, rates.stored_per_minute);
    add_number(&row, status.retries);
    add_error(&row, status.error, status.error_at);
    add_disk(&row, rates, waiting);
    add_pid(&row, status.worker_pid);
    add_pid(&row, status.child_pid);
    add_pid(&row, status.walsender_pid);
    emit(fcinfo, row);
}

}  // namespace
}  // namespace ark

/// ark.wal_state() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_wal_state) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    const ark::WalStatus* status = ark::copy_of_wal_status();
    ark::lock_shared(LW_SHARED);
    const ark::ArchiverStatus archiver = ark::shared->archiver;
    ark::unlock_shared();
    ark::emit_wal_status(fcinfo, *status, archiver);
    return Datum(0);
}

/// ark.unprotected_history() RETURNS TABLE (...)
ARK_SQL_FUNCTION(pg_ark_unprotected_history) {
    ark::require_loaded_here();
    InitMaterializedSRF(fcinfo, 0);
    int count = 0;
    const ark::UnprotectedHour* hours = ark::unprotected_hours(&count);
    for (int i = 0; i < count; i++) {
        ark::RowBuilder row = {};
        ark::add_time(&row, hours[i].from);
        ark::add_time(&row, hours[i].until);
        if (hours[i].worst < 0)
            ark::add_null(&row);
        else
            ark::add_interval(&row, hours[i].worst);
        ark::add_time(&row, hours[i].unknown_at);
        ark::emit(fcinfo, row);
    }
    return Datum(0);
}
