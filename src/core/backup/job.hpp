#pragma once

#include "core/backup/host.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Takes one full backup: files → packs, index, manifest, configuration, then WAL, then the marker.
///
/// The backup exists exactly when this returns. When it throws, what it wrote has been removed as
/// far as the store let it, marker first (after a conflict: what carries its name); a kill leaves
/// objects without a marker, which nothing takes for a backup and `remove_unfinished_backup` clears
/// away.
///
/// Error: already_exists (the id is taken), whatever the store or the file system says, corrupt
/// (pg_control), conflict, timeout (WAL), cancelled.
BackupMarker take_backup(Repository& repository, const BackupRequest& request, BackupHost& host);

/// What a clean-up did.
struct CleanupResult {
    uint64_t objects = 0;
    std::string kept;  ///< why something was left alone; empty when nothing was
};

/// Removes what is left of a backup that has no marker, and only where this host and data directory
/// wrote it: another host's backup of the same cluster may be running under its id.
CleanupResult remove_unfinished_backup(Repository& repository, const std::string& cluster,
                                       const std::string& backup_id,
                                       const std::string& data_directory);

}  // namespace ark
