#pragma once
/// How long a recovery should take, by what restore tests have measured.
#include "server/pg_version.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace ark {

/// NULL pointers: no test tells. palloc'd.
struct RestoreEstimate {
    Interval* restore;  ///< until the files are there
    Interval* replay;   ///< from the start of the server on them until WAL is replayed
};

/// From the last successful restore tests in ark.backup_tests: `database_bytes` of files at their
/// speed of restoring, `wal_bytes` of WAL at the replay of the one that replayed most. One that
/// replayed less than 64 MB tells how long the start of a server takes, and nothing of speed: then
/// only as little can be estimated. To be called by a function that pins its search_path.
RestoreEstimate estimate_restore(uint64 database_bytes, uint64 wal_bytes);

}  // namespace ark
