#pragma once

#include <memory>
#include <string>

#include "core/backup/incremental_plan.hpp"
#include "core/backup/job.hpp"
#include "core/backup/parent.hpp"

namespace ark {

/// What an incremental backup is made from, or why it has to be a full one.
struct BackupBase {
    std::optional<BackupMarker> parent;
    std::vector<std::string> chain;         ///< the parent, and what it is built on
    std::unique_ptr<IncrementalPlan> plan;  ///< where there is a parent
    std::string full_because;               ///< where another type was asked for
    std::string remains_unused;             ///< why what a failed backup has finished is of no use
};

/// Finds a parent (for a full backup: what one that failed has finished), what changed since, and
/// what the parent has of each file. The caller has the BackupLock. Asked when the backup
/// has been started and its files were listed. Error: what the store throws.
BackupBase find_base(Repository& repository, const BackupRequest& request,
                     const ControlFile& control, const BackupStart& start, const FileList& files,
                     const FindChanges& find_changes);

/// False for a host that writes to an encrypted repository and cannot read there.
bool can_read(Repository& repository, const std::string& cluster);

}  // namespace ark
