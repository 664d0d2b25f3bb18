#pragma once
/// What pg_wal shows of the server's archiving, to any process. Nothing here waits for a
/// repository.
#include "server/pg_version.hpp"

extern "C" {
#include "access/xlogdefs.h"
}

#include <ctime>

namespace ark {

/// Files that wait for the archiver.
struct WaitingFiles {
    int files;
    int segments;
    time_t oldest;  ///< when the first of them was finished
    /// Begin of the first segment of `timeline` among them; invalid: none.
    XLogRecPtr first;
};
WaitingFiles waiting_files(TimeLineID timeline);

/// Bytes of the segments in pg_wal, also of those that wait to be used again.
uint64 wal_directory_bytes();
/// Bytes free for the server on pg_wal's file system; 0 where it does not say.
uint64 wal_directory_free();

}  // namespace ark
