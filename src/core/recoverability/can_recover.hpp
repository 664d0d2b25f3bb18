#pragma once

#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/repo/repository.hpp"
#include "core/restore/archived_wal.hpp"

namespace ark {

/// Whether `pg_ark restore --target-time` would get there, and what it would take.
struct RecoveryAnswer {
    bool possible = false;
    std::string detail;  ///< sentences: from what, or why not
    std::string hint;
    // Of a possible one:
    std::string backup_id = {};
    TimelineId timeline = 0;
    uint64_t backup_bytes = 0;    ///< stored
    uint64_t database_bytes = 0;  ///< of the restored files
    uint64_t wal_segments = 0;
    uint64_t wal_bytes = 0;     ///< stored
    uint64_t replay_bytes = 0;  ///< of WAL
    /// Between which transactions' ends recovery stops; nullopt: not found without reading much.
    std::optional<UnixMicros> last_transaction = {};  ///< the last that comes back
    std::optional<UnixMicros> next_transaction = {};  ///< the first that does not
};

/// Decides as a restore without further options does, by the same code. Error: what the store
/// throws: then nothing is known.
RecoveryAnswer can_recover(Repository& repository, ArchivedWal& archive, const std::string& cluster,
                           UnixMicros target);

}  // namespace ark
