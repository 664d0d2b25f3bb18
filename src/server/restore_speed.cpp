#include "server/restore_speed.hpp"

#include "server/sql_call.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/datum.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// Tests of long ago were made on another database, maybe on other hardware. 67108864: some
// segments, of which switches leave much empty.
constexpr char kEstimate[] = R"sql(
WITH test AS (
    SELECT (t.data_verified #>> '{files,bytes}')::float8 AS bytes,
           (t.data_verified #>> '{seconds,fetch}')::float8 AS fetching,
           (t.data_verified #>> '{seconds,recover}')::float8 AS recover,
           (SELECT (COALESCE(CASE WHEN t.data_verified #>> '{target,reached_lsn}' ~ '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$'
                                  THEN (t.data_verified #>> '{target,reached_lsn}')::pg_lsn END, l.stop_lsn) - l.start_lsn)::float8
            FROM ark.backup_log AS l
            WHERE l.backup_id = t.backup_id) AS wal
    FROM ark.backup_tests AS t
    WHERE t.test_type IN ('restore_test', 'drill') AND t.success
    ORDER BY t.started_at DESC LIMIT 10
), speed AS (
    SELECT sum(bytes) / nullif(sum(fetching), 0) AS restore, min(recover) AS start,
           (SELECT wal / nullif(recover, 0) FROM test WHERE wal >= 67108864 AND recover IS NOT NULL
            ORDER BY wal DESC LIMIT 1) AS replay
    FROM test WHERE fetching IS NOT NULL AND bytes IS NOT NULL
), seconds AS (
    SELECT $1::float8 / nullif(restore, 0) AS restore,
           CASE WHEN replay > 0 THEN greatest(start, $2::float8 / replay)
                WHEN $2::float8 < 67108864 THEN start END AS replay
    FROM speed
)
SELECT make_interval(secs => round(restore::numeric, 1)::float8),
       make_interval(secs => round(replay::numeric, 1)::float8) FROM seconds
)sql";

Interval* copy_interval(MemoryContext context, int column) {
    bool is_null = false;
    const Datum value =
        SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &is_null);
    if (is_null)
        return nullptr;
    MemoryContext old = MemoryContextSwitchTo(context);
    auto* copy = static_cast<Interval*>(palloc(sizeof(Interval)));
    *copy = *DatumGetIntervalP(value);
    MemoryContextSwitchTo(old);
    return copy;
}

}  // namespace

RestoreEstimate estimate_restore(uint64 database_bytes, uint64 wal_bytes) {
    MemoryContext context = CurrentMemoryContext;
    const char* files = number_text(database_bytes);
    const char* wal = number_text(wal_bytes);
    const Lookup lookup = begin_lookup();
    RestoreEstimate estimate = {};
    if (sql(kEstimate, files, wal) > 0)
        estimate = {copy_interval(context, 1), copy_interval(context, 2)};
    end_lookup(lookup);
    return estimate;
}

}  // namespace ark
