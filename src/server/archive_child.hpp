#pragma once
/// The archiver's own child (`pg_ark server-archive`), kept alive between files.
#include "server/pg_version.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace ark {

/// What the child says of one file.
struct Pushed {
    char result[16];  ///< stored, present, ignored
    uint64 ahead;     ///< segments stored and not yet asked for
};

/// Makes the file durable in the repository, or throws: what the child says, or ERRCODE_IO_ERROR at
/// the deadline, which `limit` may bring forward while the push is under way. Starts the child
/// where there is none, it has died, its program has been replaced, or settings have changed.
Pushed archive_child_push(const char* name, const char* path, TimestampTz deadline,
                          TimestampTz (*limit)());

/// Whether the child's last word was that another server has written here.
bool archive_child_found_conflict();
/// After an error: keeps the child where it only said no, ends it where nobody knows what it is
/// doing.
void archive_child_after_error();
/// Whether a child may be started or asked now; false within the pause after one that had to be
/// ended.
bool archive_child_is_due();
void archive_child_stop();

}  // namespace ark
