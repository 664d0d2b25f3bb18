#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/repo/chain.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"
#include "core/restore/archived_wal.hpp"
#include "core/restore/target.hpp"

namespace ark {

/// What is to be brought back, in the user's terms.
struct RestoreWish {
    std::string backup_id;  ///< empty: the newest that can reach the target
    RecoveryTarget target;
    TimelineWish timeline;
};

/// What that means in this repository: every question about backups, timelines and WAL answered.
struct Resolved {
    std::string cluster;
    BackupMarker backup;
    BackupChain chain;       ///< of the backup: it, and those that it builds on
    TimelineHistory way{1};  ///< recovery follows it
    RecoveryTarget target;
    Lsn wal_end = 0;  ///< of the contiguous archived WAL from the backup's start
    std::string first_segment;
    std::string last_segment;  ///< needed for the target; the last there is for "latest"
    uint64_t wal_segments = 0;
    std::optional<WalMoment> stops_at_transaction;  ///< target xid; latest: the last one there is
    std::optional<WalMoment> restore_point;
    /// Nothing that the archive lacks, or that is known to be damaged, lies behind the target: a
    /// server that looks ahead is refused nothing.
    bool can_look_ahead = true;
    std::vector<std::string> warnings;
};

/// Reads markers, histories and as much WAL as the target asks for; none of the backup's data.
/// Error: not_found (no backup, unknown id or timeline), target_unreachable with what can be
/// reached instead.
Resolved resolve_wish(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                      const RestoreWish& wish);

}  // namespace ark
