#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.hpp"

namespace ark {

/// What one restore test measured; nullopt where it did not.
struct RestorePoint {
    std::string test_id;
    UnixMicros at = 0;
    bool success = false;
    std::optional<double> bytes;      ///< of the files that were restored
    std::optional<double> fetch;      ///< seconds until they were there
    std::optional<double> recover;    ///< seconds until the server on them was open
    std::optional<double> wal_bytes;  ///< that it replayed
    std::optional<double> rto;        ///< seconds, all of it
    bool partial = false;             ///< a drill of some of the checks
};

/// How long it should take to restore `bytes` and replay `wal_bytes`, by the newest ten of `points`
/// (in any order) that succeeded; the same rule as ark.recovery_status (docs/drills.md "The
/// model"): bytes at their average speed; then the shortest start of a server, or, with 64 MB of
/// WAL or more, the WAL at the speed of the point that replayed most. nullopt: nothing tells.
std::optional<double> predict_restore(std::vector<RestorePoint> points, double bytes,
                                      double wal_bytes);

/// By how many seconds in 30 days the time of the points that succeeded grows (least squares over
/// the newest 12). nullopt: fewer than three of them, or less than a day between the first and the
/// last.
std::optional<double> restore_trend(std::vector<RestorePoint> points);

}  // namespace ark
