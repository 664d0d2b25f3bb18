#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/pgdata/timeline_history.hpp"
#include "core/repo/marker.hpp"

namespace ark {

// What can be recovered, and what is missing, from facts alone. No I/O in here. Segments are
// numbers, as WalSegment has them.

/// What the server knows beyond the repository.
struct LocalWal {
    TimelineId timeline = 0;
    Lsn flushed = 0;             ///< the segment of this position is still being written
    std::set<uint64_t> waiting;  ///< finished ones that the archiver still has to store, as they
                                 ///< were *before* the repository was listed: one that was stored
                                 ///< meanwhile is in the listing
};

/// One way through the timelines, as the repository shows it.
struct WayFacts {
    TimelineHistory way{1};
    uint64_t segment_size = 0;
    std::vector<BackupMarker> backups;  ///< on this way, oldest first, of this segment size
    std::set<uint64_t> present;         ///< segments from the oldest backup's first one on
    const LocalWal* local = nullptr;    ///< where the server writes on this way
};

/// Missing segments of one timeline, without a break.
struct WalGap {
    TimelineId timeline = 0;
    uint64_t segment_size = 0;
    uint64_t first = 0;
    uint64_t last = 0;
    std::vector<std::string> backups;  ///< that need it to go on; oldest first, each once
    std::optional<bool> in_pg_wal;     ///< the server still has all of it; nullopt: not looked for

    uint64_t segments() const { return last - first + 1; }
    Lsn start() const { return first * segment_size; }
    Lsn end() const { return (last + 1) * segment_size; }
};

/// What is missing between the oldest backup and the newest WAL of the way: the last segment that
/// is there, or the last that the server has finished. What waits for the archiver is not missing.
std::vector<WalGap> gaps_of(const WayFacts& facts);

/// Gaps of several ways, those of one timeline that overlap or touch as one; by timeline and place.
std::vector<WalGap> merge_gaps(std::vector<WalGap> gaps);

/// Backups from which recovery runs into the same end.
struct BackupRun {
    std::vector<BackupMarker> backups;  ///< oldest first, each with all the WAL it needs itself
    uint64_t reach = 0;                 ///< the last segment before something is missing
};

/// `last_contiguous`: as WalSource has it; asked once a run. A backup that lacks WAL of its own
/// belongs to none.
std::vector<BackupRun> runs_of(
    const WayFacts& facts,
    const std::function<std::optional<uint64_t>(uint64_t first)>& last_contiguous);

/// True where what the server writes now follows without a gap: all that it has finished behind
/// the run is there or waits for the archiver.
bool is_open(const WayFacts& facts, const BackupRun& run);

/// True where another way has all the run's backups and leaves this way at `end` or later: what
/// there is to say of the run is said there.
bool goes_on_elsewhere(const BackupRun& run, TimelineId timeline, Lsn end,
                       const TimelineHistory& other);

/// The name of a segment on a way: one in which the way changes timelines has the later one's.
std::string name_on(const TimelineHistory& way, uint64_t number, uint64_t segment_size);

}  // namespace ark
