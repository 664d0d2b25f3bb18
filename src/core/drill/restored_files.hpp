#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/drill/inventory.hpp"
#include "core/drill/job.hpp"
#include "core/drill/scratch_directory.hpp"
#include "core/drill/watch.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/census.hpp"
#include "core/repo/evidence.hpp"
#include "core/repo/marker.hpp"
#include "core/restore/archived_wal.hpp"
#include "core/restore/resolve.hpp"

namespace ark {

/// What a restore to a scratch directory has brought.
struct RestoredFiles {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t tablespaces_contained = 0;  ///< CREATE TABLESPACE in the WAL of the backup
    Resolved source;                     ///< what recovery is to follow, and where to
};

/// Restores the wish's backup, which `marker` is, to the scratch directory's `data` and
/// `tablespaces/<oid>`, for recovery to the wish's target; its configuration stays as it was.
/// Error: as plan_restore and run_restore, disk_full where the WAL has no room.
RestoredFiles restore_to_scratch(Repository& repository, ArchivedWal& wal,
                                 const BackupMarker& marker, const RestoreWish& wish,
                                 const DrillRequest& request, const ScratchDirectory& scratch,
                                 Watch& watch);

/// Tablespaces of the copy that replay has made in place.
uint64_t count_tablespaces_in_place(const std::string& data_directory);

/// The control file is the one of the backup's cluster. Error: corrupt.
void check_control(const ControlFile& control, const BackupMarker& marker);

/// Looks whether the repository still answers for the WAL of the backup. Error: what it throws.
void wal_is_there(ArchivedWal& wal, const BackupMarker& marker, const TimelineHistory& way);

/// What the backup's census says of tables that did not change; nullopt where it has none, or a
/// damaged one, which is a finding then.
std::optional<Expected> read_census(Repository& repository, const BackupMarker& marker,
                                    Evidence& evidence);

}  // namespace ark
