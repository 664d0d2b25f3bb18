#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "core/base/file.hpp"
#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"
#include "core/restore/layout.hpp"

namespace ark {

// A delta restore: what is in the data directory already stays where it is what the backup has.

/// A directory on disk and its place in the index: "" for the data directory, else
/// "pg_tblspc/<oid>/PG_…".
struct DeltaRoot {
    std::string directory;
    std::string index_path;
};

/// Removes what is below the root and is not in the backup's index, or is there as something else
/// than a plain file or directory: links are never followed. `keep`: names in the root that stay.
/// Memory: the names of one directory at a time. `tick` may throw. Error: as system_error, and what
/// reading the index throws.
void prune(Repository& repository, const BackupMarker& backup, const DeltaRoot& root,
           const std::set<std::string>& keep, const std::function<void()>& tick);

/// Opens the file at `path` where it is what the entry says, by size, CRC-32C and XXH128 of its
/// content as the disk has it; times are not looked at. nullopt where it is not, or where it is no
/// plain file of this user's with one name alone (a second name would be changed with it).
std::optional<File> open_if_right(const std::string& path, const IndexEntry& entry,
                                  MutableByteView buffer, const std::function<bool()>& abandoned);

}  // namespace ark
