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

}  // namespace ark
