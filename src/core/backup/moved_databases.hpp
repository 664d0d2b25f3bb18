#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "core/backup/host.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Tells a directory from one that is made in its place later.
struct DirectoryIdentity {
    uint64_t inode = 0;
    int64_t born_seconds = 0;  ///< 0 where the file system does not know
    uint32_t born_nanos = 0;

    bool operator==(const DirectoryIdentity&) const = default;
};

/// Directories of databases by (tablespace, database). 1663 is pg_default.
using DatabasePlaces = std::map<std::pair<uint32_t, uint32_t>, DirectoryIdentity>;

/// Those that are there now. Error: as system_error.
DatabasePlaces database_places(const std::string& data_directory);

/// Replay copies a database's files where the server has copied them: ALTER DATABASE … SET
/// TABLESPACE and CREATE DATABASE … STRATEGY file_copy (dbase_redo in
/// src/backend/commands/dbcommands.c). It empties the target first, and where the copied database
/// has gone since, takes what is left of it for all there is. A backup in whose time both happened
/// would lose the copy: Error refused. `before`: places before the backup's start, `after`: after
/// its stop. WAL is read only where they leave it possible.
void check_moved_databases(Repository& repository, const BackupRequest& request,
                           const BackupStart& start, const BackupStop& stop, uint64_t segment_size,
                           const DatabasePlaces& before, const DatabasePlaces& after,
                           BackupHost& host);

}  // namespace ark
