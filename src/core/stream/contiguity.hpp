#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/pgdata/timeline_history.hpp"
#include "core/repo/marker.hpp"
#include "core/stream/archived.hpp"

namespace ark {

/// A hole in the archive: the segment that is not there.
struct ArchiveGap {
    std::string segment;
    Lsn begin = 0;  ///< nothing from here on can be recovered from the newest backup
};

/// Looks whether the archive reaches without a hole from the newest backup to the present. One
/// thread at a time.
class Contiguity {
 public:
    /// Both outlive it.
    Contiguity(Repository& repository, const PushTarget& target, Archived& archived);

    /// The first segment on the way from the newest backup to the one that holds `before` that the
    /// repository lacks; those that pg_wal still has are stored first. nullopt also where there is
    /// no backup on this way: then nothing can be recovered yet, and nothing is promised.
    std::optional<ArchiveGap> find_gap(const TimelineHistory& history, Lsn before);

 private:
    std::optional<Lsn> newest_backup(const TimelineHistory& history);
    bool is_there(const std::string& segment);

    Repository& repository_;
    const std::string cluster_;
    const uint64_t system_identifier_;
    const uint64_t segment_size_;
    Archived& archived_;
    std::map<std::string, BackupRange> backups_;  ///< by id: a marker never changes
};

}  // namespace ark
