#pragma once

#include <optional>
#include <string>

#include "core/backup/host.hpp"
#include "core/backup/parent.hpp"
#include "core/base/file.hpp"
#include "core/repo/repository.hpp"

namespace ark {

// What a full backup has finished when it fails: packs that are full, each with a description
// beside it (PackSet::describe). The next backup builds on them as on a parent, after it has made a
// chain's link of them: an index and a manifest of what is there, and a marker whose type is
// kTypeUnfinished.

/// Only one process at a time takes a backup of a data directory: who holds this knows that all
/// others have ended, also those that a server that crashed has left. Held until it is destroyed,
/// or the process ends.
class BackupLock {
 public:
    /// Waits for a process that is ending. Error: refused where another one still works after that.
    explicit BackupLock(const std::string& data_directory);

 private:
    File file_;
};

/// Tells one start of the data directory's server from all others: what postmaster.pid says of it.
/// "" where there is none.
std::string server_start(const std::string& data_directory);

/// What is left of the newest full backup, if no other has been completed since and it can be built
/// on: written by this data directory under this running kernel, on this timeline, and the server
/// has not been stopped since (so that nobody has set it back to an older copy of its files).
/// nullopt where there is nothing; then `why_not` says why, if there was something. The caller has
/// the lock. Error: what the store throws.
std::optional<BackupMarker> adopt_unfinished(Repository& repository, const ParentQuestion& question,
                                             std::string& why_not);

/// Removes descriptions of packs, which a complete backup does not need, as far as the store lets
/// it.
void remove_descriptions(Repository& repository, const std::string& cluster,
                         const std::string& backup_id,
                         const std::vector<uint32_t>& numbers) noexcept;

}  // namespace ark
