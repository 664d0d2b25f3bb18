#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/marker.hpp"
#include "core/restore/target.hpp"

namespace ark {

/// target_unreachable where the target alone is at fault: it lies before the backups or behind all
/// that was archived, and nothing is known to be missing or damaged.
struct UnreachableWish : public Error {
    UnreachableWish(const std::string& message_in, const std::string& detail_in,
                    const std::string& hint_in)
        : Error(ErrorCode::target_unreachable, message_in, detail_in, hint_in) {}
};

// What a restore decides from facts alone: which backup, where tablespaces go. No I/O in here.

/// pg_current_snapshot()'s text, "xmin:xmax:xip,xip…", with 64-bit transaction ids.
struct Snapshot {
    uint64_t xmin = 0;
    uint64_t xmax = 0;
    std::vector<uint64_t> running;  ///< in ascending order
};
/// nullopt for anything else.
std::optional<Snapshot> parse_snapshot(const std::string& text);

/// True when the transaction may still end after the snapshot was taken. A number below 2^32 means
/// the transaction with these low 32 bits that is nearest to the snapshot.
bool ends_after(const Snapshot& snapshot, uint64_t xid);

/// Why recovery from this backup cannot reach the target; nullopt where nothing speaks against it.
/// Only the backup's own end is looked at: the timeline and the archived WAL are other questions. A
/// restore point needs target.lsn.
std::optional<std::string> why_not(const BackupMarker& backup, const RecoveryTarget& target);

/// Those that lie on `way` as a whole, from start to stop, in the order given.
std::vector<BackupMarker> backups_on(const TimelineHistory& way,
                                     const std::vector<BackupMarker>& backups);

/// The newest of `usable` (oldest first, not empty) that can reach the target. Error:
/// target_unreachable; it says what the earliest reachable point is.
const BackupMarker& newest_reaching(const std::vector<BackupMarker>& usable,
                                    const RecoveryTarget& target);

/// The backup of this id. Error: not_found; the detail lists what there is.
const BackupMarker& backup_of_id(const std::vector<BackupMarker>& backups, const std::string& id);

/// Where one tablespace's files go.
struct TablespaceTarget {
    uint32_t oid = 0;
    std::string original;
    std::string location;  ///< absolute

    bool operator==(const TablespaceTarget&) const = default;
};

/// "OLD=NEW"; a "=" in OLD is written "\=". Error: invalid_argument unless both are absolute.
std::pair<std::string, std::string> parse_tablespace_map(const std::string& text);

/// "Give it another place with --tablespace-map …", ready to be pasted into a shell.
std::string hint_to_map(const std::string& original);

/// Applies the map. Paths are compared without trailing slashes. Error: invalid_argument for an OLD
/// that is none of the backup's tablespaces or is given twice; refused for two tablespaces in one
/// place or inside one another, or one inside the data directory or around it.
std::vector<TablespaceTarget> map_tablespaces(
    const std::vector<Tablespace>& tablespaces,
    const std::vector<std::pair<std::string, std::string>>& map, const std::string& data_directory);

/// True when `path` is `directory` or lies below it. Both absolute and normal.
bool is_inside(const std::string& path, const std::string& directory);

}  // namespace ark
