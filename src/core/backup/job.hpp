#pragma once

#include <functional>

#include "core/backup/host.hpp"
#include "core/changes/change_chain.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What changed since a parent's start, from change tables and WAL; or why nobody can say. No more
/// than so many bytes of WAL are to be read from the repository for it.
using FindChanges = std::function<ChangeAnswer(const ChangeQuestion&, uint64_t segment_size,
                                               uint64_t most_archived_bytes)>;

/// Takes one backup: files → packs, index, manifest, configuration, then WAL, then the marker.
///
/// The backup exists exactly when this returns. When it throws, what it wrote has been removed as
/// far as the store let it, marker first (after a conflict: what carries its name); a kill leaves
/// objects without a marker, which nothing takes for a backup and `remove_unfinished_backup` clears
/// away.
///
/// Error: already_exists (the id is taken), whatever the store or the file system says, corrupt
/// (pg_control), conflict, timeout (WAL), cancelled.
///
/// An incremental or differential one becomes a full one where it has nothing to build on; the
/// marker's full_because says why. `find_changes` is asked by those alone.
BackupMarker take_backup(Repository& repository, const BackupRequest& request, BackupHost& host,
                         const FindChanges& find_changes = {});

}  // namespace ark
