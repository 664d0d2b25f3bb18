#pragma once
/// For functions that return rows: a row under construction, filled column by column.
#include "server/pg_version.hpp"

extern "C" {
#include "datatype/timestamp.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace ark {

struct RowBuilder {
    static constexpr int kMostColumns = 32;
    Datum values[kMostColumns];
    bool nulls[kMostColumns];
    int count;
};

inline void add_null(RowBuilder* row) {
    row->values[row->count] = Datum(0);
    row->nulls[row->count++] = true;
}

inline void add_datum(RowBuilder* row, Datum value) {
    row->values[row->count] = value;
    row->nulls[row->count++] = false;
}

/// NULL for nullptr and for "".
inline void add_text(RowBuilder* row, const char* value) {
    if (value == nullptr || value[0] == '\0')
        add_null(row);
    else
        add_datum(row, CStringGetTextDatum(value));
}

inline void add_number(RowBuilder* row, uint64 value) {
    add_datum(row, Int64GetDatum(static_cast<int64>(value)));
}

/// NULL for an invalid one.
inline void add_lsn(RowBuilder* row, XLogRecPtr value) {
    if (value == InvalidXLogRecPtr)
        add_null(row);
    else
        add_datum(row, LSNGetDatum(value));
}

/// NULL for 0.
inline void add_time(RowBuilder* row, TimestampTz value) {
    if (value == 0)
        add_null(row);
    else
        add_datum(row, TimestampTzGetDatum(value));
}

/// Microseconds as an interval.
inline void add_interval(RowBuilder* row, int64 microseconds) {
    auto* interval = static_cast<Interval*>(palloc0(sizeof(Interval)));
    interval->time = microseconds;
    add_datum(row, IntervalPGetDatum(interval));
}

/// Stores the row into the result of a function that has called InitMaterializedSRF.
inline void emit(FunctionCallInfo fcinfo, const RowBuilder& row) {
    auto* info = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    // It reads both, and says so since 17 only.
    tuplestore_putvalues(info->setResult, info->setDesc, const_cast<Datum*>(row.values),
                         const_cast<bool*>(row.nulls));
}

}  // namespace ark
