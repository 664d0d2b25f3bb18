#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/changes/range_changes.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/object.hpp"

namespace ark {

/// Which tables have all records of the way that begin in [start, end), and where none has them.
struct ChangeCover {
    std::vector<ChangeRange> tables;  ///< in the order of the way
    std::vector<ChangeRange> gaps;

    bool operator==(const ChangeCover&) const = default;
};

/// Chooses from `available`, in any order, as few as it takes. Tables may begin before `start` and
/// end behind `end`: too much is no harm. One that does not lie on the way with all of its range is
/// passed over.
ChangeCover cover(const TimelineHistory& way, Lsn start, Lsn end,
                  std::vector<ChangeRange> available);

/// What an incremental backup wants to know.
struct ChangeQuestion {
    TimelineHistory way;  ///< to the server's timeline
    uint64_t system_identifier = 0;
    BackupRange parent;  ///< all of it has to lie on the way, and its changes begin at its start
    Lsn start = 0;       ///< of the new backup
    /// WAL has the record that ended the parent: it has to be there, else the server was set back
    /// since, and this is other WAL. A backup that failed has none, and whoever builds on it has to
    /// know by himself that the server is the same.
    bool parent_has_end = true;
};

/// The table, or why there is none: a sentence for people, and the backup has to be a full one.
struct ChangeAnswer {
    std::optional<ChangeTable> table;
    std::string why_not;
};

/// Why no table, whatever it has, can answer: the parent is not one for this server as it is now.
std::optional<std::string> why_no_parent(const ChangeQuestion& question);

/// Everything that changed between the parent's start and the new one's. `load` gives one of
/// `available`, nullopt where it is not there any more; a table that is damaged is a reason, what
/// else it throws (the repository is away) comes through.
ChangeAnswer combine_changes(
    const ChangeQuestion& question, const std::vector<ChangeRange>& available,
    const std::function<std::optional<RangeChanges>(const ChangeRange&)>& load);

}  // namespace ark
