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
    std::unique_ptr<IncrementalPlan> plan;  ///< where there is a parent
    std::string full_because;
};

/// Finds a parent, what changed since, and what the parent has of each file. Asked when the backup
/// has been started and its files were listed. Error: what the store throws.
BackupBase find_base(Repository& repository, const BackupRequest& request,
                     const ControlFile& control, const BackupStart& start, const FileList& files,
                     const FindChanges& find_changes);

}  // namespace ark
