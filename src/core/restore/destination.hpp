#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/repo/marker.hpp"
#include "core/restore/plan.hpp"

namespace ark {

/// What the user says about the place of the restore.
struct DestinationRequest {
    std::string directory;
    std::vector<std::pair<std::string, std::string>> tablespace_map;
    bool force = false;
    bool delta = false;  ///< what is there may be replaced, and reused, if it is the same cluster
};

/// A place that has been looked at and found fit.
struct Destination {
    std::string directory;  ///< canonical
    bool exists = false;
    bool occupied = false;    ///< holds a cluster that is to be removed (only with force)
    bool unfinished = false;  ///< what it holds is an unfinished restore
    std::optional<uint64_t> other_system_identifier;  ///< of the cluster there, if not the backup's
    std::vector<TablespaceTarget> tablespaces;        ///< locations canonical
    /// Directories of the replaced cluster in tablespace locations, to be removed.
    std::vector<std::string> old_tablespace_directories;
    /// Tablespaces of the replaced cluster that the backup does not have.
    std::vector<std::string> abandoned_tablespaces;
};

/// Looks, and changes nothing. Error: refused, with what to do, when a server runs there or in a
/// tablespace, when something is in the way that `force` does not cover, or when the repository
/// would be inside.
Destination check_destination(const DestinationRequest& request, const BackupMarker& backup,
                              const std::string& repository_url);

/// "PG_15_202209061": where a tablespace location keeps the files of one server version.
std::string tablespace_version_directory(const BackupMarker& backup);

/// The nearest directory at or above `path` that exists.
std::string nearest_existing_directory(std::string path);

/// Checks that `bytes` (by directory, each on whatever file system it is) fit; `reclaimed` bytes by
/// directory are freed before. Error: disk_full.
void check_room(const std::map<std::string, uint64_t>& bytes,
                const std::map<std::string, uint64_t>& reclaimed);

}  // namespace ark
