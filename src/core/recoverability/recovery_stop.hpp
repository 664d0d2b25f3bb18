#pragma once

#include <optional>

#include "core/archive/wal_source.hpp"
#include "core/base/clock.hpp"

namespace ark {

/// Where recovery to a time stops.
struct RecoveryStop {
    Lsn lsn = 0;                          ///< the first transaction end that is left out
    UnixMicros next = 0;                  ///< its time
    std::optional<UnixMicros> last = {};  ///< of the last one that comes back, where it lies near
};

/// Looks for the first end of a transaction after `time` in [from, to), where there is one later
/// than `time`: by halving, so that of a long range a few segments are read. Transactions end in
/// the order of their times but for moments, and that is assumed; where the clock was set back
/// recovery may stop earlier. nullopt where there is none, or the source ends before it is found.
/// Errors: as the source.
std::optional<RecoveryStop> find_recovery_stop(WalSource& source, UnixMicros time, Lsn from,
                                               Lsn to);

}  // namespace ark
