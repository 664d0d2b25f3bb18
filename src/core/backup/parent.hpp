#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/backup/host.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What a backup that builds on another asks of it.
struct ParentQuestion {
    const BackupRequest& request;  ///< its type: incremental or differential
    const ControlFile& control;
    BackupStart start;
    TimelineHistory way;  ///< to start.timeline
    bool encrypts = false;
};

/// The parent, or why there is none: a sentence for people.
struct ParentAnswer {
    std::optional<BackupMarker> parent;
    std::vector<std::string> chain;  ///< the parent, and what it is built on, down to the full one
    std::string why_not;
};

/// Why the backup cannot be built on; nullopt where it can, by itself. Pure. (That its chain is
/// whole is another question.)
std::optional<std::string> unfit_parent(const BackupMarker& m, const ParentQuestion& question);

/// Ids with the newest first, by their times; without those of another form.
std::vector<std::string> newest_first(std::vector<std::string> backup_ids);

/// Finds a backup's marker: in the repository, or where that cannot be read in what this host
/// remembers. nullopt where there is none.
using FindMarker = std::function<std::optional<BackupMarker>(const std::string& backup_id)>;

/// The newest backup that fits; for a differential one the newest full one. Its chain is looked
/// after down to the full backup. `why_not` is about the newest that there is. Error: what the
/// store throws; invalid_key.
ParentAnswer choose_parent(Repository& repository, const ParentQuestion& question,
                           const FindMarker& find);

/// The history of the server's timeline, from its pg_wal; one without ancestors where there is no
/// such file. Error: as read_file; corrupt.
TimelineHistory own_history(const std::string& data_directory, TimelineId timeline);

}  // namespace ark
