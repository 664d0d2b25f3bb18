#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/pgdata/wal_name.hpp"

namespace ark {

/// "No end": above every position in WAL.
constexpr Lsn kMaxLsn = std::numeric_limits<Lsn>::max();

/// One line of a .history file: WAL of `parent` was left at `switch_point` (exclusive).
struct TimelineFork {
    TimelineId parent = 0;
    Lsn switch_point = 0;
    std::string reason;

    bool operator==(const TimelineFork&) const = default;
};

/// The way from the first timeline to `timeline()`, as its .history file tells it. Immutable; may
/// be shared between threads.
///
/// Switch points may go down: a recovery that ends before the fork of its own target timeline
/// writes such a file (writeTimeLineHistory copies the target's history, then adds the place where
/// it stopped). Where a timeline ends is therefore the lowest switch point from its own line on; a
/// timeline that was named as a target but never reached has an empty range.
class TimelineHistory {
 public:
    /// A timeline without ancestors (timeline 1 has no history file).
    explicit TimelineHistory(TimelineId timeline);

    /// Reads the content of `timeline`'s history file. Comments (#) and blank lines are skipped.
    /// Error: corrupt for a line that is not `tli lsn reason`, for timelines that don't increase,
    /// for a parent that is not below `timeline`.
    static TimelineHistory parse(TimelineId timeline, std::string_view content);

    /// The file's content, as the server writes it.
    std::string format() const;

    TimelineId timeline() const { return timeline_; }
    const std::vector<TimelineFork>& forks() const { return forks_; }

    /// Every timeline of the way, oldest first, `timeline()` last.
    std::vector<TimelineId> timelines() const;
    bool contains(TimelineId timeline) const;

    /// Where the way enters the timeline: 0 for the oldest. Error: invalid_argument when it isn't
    /// in this history.
    Lsn begin_of(TimelineId timeline) const;
    /// Where the way leaves it (exclusive), kMaxLsn for `timeline()`. Error: as above.
    Lsn end_of(TimelineId timeline) const;

    /// True when WAL from start to stop, written on `on`, lies on this way: `on` is part of it and
    /// was not left before `stop`. What a backup [start_lsn, stop_lsn] must pass to be usable.
    bool contains_range(TimelineId on, Lsn start, Lsn stop) const;

    /// The timeline that the byte at `lsn` belongs to.
    TimelineId timeline_at(Lsn lsn) const;

    bool operator==(const TimelineHistory&) const = default;

 private:
    size_t index_of(TimelineId timeline) const;

    TimelineId timeline_;
    std::vector<TimelineFork> forks_;  ///< oldest first
};

}  // namespace ark
