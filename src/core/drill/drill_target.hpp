#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/recoverability/survey.hpp"
#include "core/restore/resolve.hpp"

namespace ark {

/// How far a drill is to recover.
struct DrillTarget {
    enum class Kind { consistency, latest, time, random };
    Kind kind = Kind::consistency;
    UnixMicros time = 0;                ///< kind time
    std::optional<uint64_t> seed = {};  ///< kind random; none: one is made
    std::string asked = "consistency";  ///< the user's word for it
};
const char* name_of(DrillTarget::Kind kind) noexcept;

/// consistency, latest, random, or a time (without a zone: in the caller's). Error:
/// invalid_argument; target_unreachable for a time later than `now`.
DrillTarget parse_drill_target(const std::string& text, UnixMicros now);

/// A point that was drawn.
struct RandomPoint {
    RecoveryTarget target;  ///< by LSN or by time
    TimelineId timeline = 0;
};

/// Draws a point of the ranges: the longer a range is in WAL, the likelier it is drawn; by LSN and
/// by time in turns, as the seed has it. The same for the same seed and ranges. nullopt where no
/// range has anything behind its begin. Pure.
std::optional<RandomPoint> draw_point(const std::vector<RecoverableRange>& ranges, uint64_t seed);

/// The ranges that `backup` leads into, each from its end on.
std::vector<RecoverableRange> ranges_from(const std::vector<RecoverableRange>& ranges,
                                          const BackupMarker& backup, ArchivedWal& wal);

/// What a drill's target means in this repository.
struct ChosenTarget {
    RestoreWish wish;  ///< for the restore, of the backup that was found
    Resolved source;
    nlohmann::json told;  ///< for the evidence: kind, asked, and of a random one seed and point
};

/// Finds the backup and the WAL as a restore does. `told` is filled as far as it got, also where an
/// error is thrown. `backup_id` empty: what fits the target, the newest. Error: as resolve_wish, of
/// which UnreachableWish says nothing against any backup; target_unreachable where there is nothing
/// to draw a random point from.
ChosenTarget choose_target(Repository& repository, ArchivedWal& wal, const std::string& cluster,
                           const std::string& backup_id, const DrillTarget& target,
                           nlohmann::json& told);

/// Where recovery has ended, as the server's own history file and log tell.
struct ReachedPoint {
    Lsn lsn = 0;              ///< the end of the last record that was replayed
    TimelineId timeline = 0;  ///< on which it lies
    std::string reason;       ///< "before 2026-11-20 02:15:00.5+00", "reached consistency"
    std::optional<std::string> last_transaction;  ///< the time of the last one that came back
};

/// By the newest history file below pg_wal of a server that recovery along `way` has opened;
/// nullopt where there is none (recovery was not of an archive). Error: corrupt.
std::optional<ReachedPoint> reached_point(const std::string& data_directory, const std::string& log,
                                          const TimelineHistory& way);

/// "2026-11-20 02:15:00.5+00" of a log that says "last completed transaction was at log time
/// 2026-11-20 02:15:00.5+00". Pure.
std::optional<std::string> last_transaction_in(const std::string& log);

/// What is wrong with where recovery has ended; nullopt where it is where it was to go. Pure.
std::optional<std::string> why_not_reached(const Resolved& source, const ReachedPoint& reached);

}  // namespace ark
