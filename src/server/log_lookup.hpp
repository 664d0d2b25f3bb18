#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// The end of a backup as its row tells it. Strings are palloc'd, NULL where the row has none.
struct LoggedBackup {
    char* status;
    char* sqlstate;
    char* message;
    char* detail;
    char* hint;
    char* parent;  ///< the backup that it builds on
};

/// Reads the row, whatever the caller may read itself: who may call the function may know. Throws
/// ERRCODE_UNDEFINED_OBJECT where there is none. Uses SPI.
LoggedBackup look_up_backup(const char* backup_id);

/// Whether there is or was a test or verification of that id, in the same way.
bool test_is_known(const char* test_id);

/// Throws where a function was called with NULL for an id.
void require_backup_id(const char* backup_id);

}  // namespace ark
