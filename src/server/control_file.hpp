#pragma once
#include "server/pg_version.hpp"

extern "C" {
#include "catalog/pg_control.h"
}

namespace ark {

/// pg_control read whole (PG_CONTROL_FILE_SIZE bytes) under ControlFileLock, its checksum verified;
/// palloc'd. Any process with access to shared memory. Throws ERRCODE_DATA_CORRUPTED, or what the
/// file system said.
char* read_control_file();

/// The parsed part of it.
ControlFileData read_control_data();

}  // namespace ark
