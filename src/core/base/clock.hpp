#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace ark {

/// Wall-clock time: microseconds since 1970-01-01 00:00:00 UTC. Ordering of facts in the repository
/// rests on LSNs, never on this; it is for people and for recovery target times.
using UnixMicros = int64_t;

UnixMicros now_micros();

/// Monotonic nanoseconds, for deadlines and rates.
int64_t monotonic_nanos();

/// "2026-11-20T02:15:00.123456Z".
std::string to_iso8601(UnixMicros time);

/// "2026-11-20 02:15:00 GMT", as backup_manifest has it.
std::string to_manifest_time(UnixMicros time);

/// The inverse of to_iso8601; also accepts a space for the T, a missing fraction and an offset
/// "+02", "+02:00", "-0530". nullopt where the input is not a time, or has no zone and
/// `local_without_zone` is false.
std::optional<UnixMicros> parse_time(std::string_view input, bool local_without_zone);

/// PostgreSQL's TimestampTz counts from 2000-01-01 00:00:00 UTC.
constexpr int64_t kPostgresEpochMicros = 946684800LL * 1000000;
/// What is too late for UnixMicros ("infinity" is one) is the latest time that there is.
constexpr UnixMicros from_postgres_time(int64_t timestamptz) {
    constexpr UnixMicros kLatest = std::numeric_limits<UnixMicros>::max();
    return timestamptz > kLatest - kPostgresEpochMicros ? kLatest
                                                        : timestamptz + kPostgresEpochMicros;
}

}  // namespace ark
