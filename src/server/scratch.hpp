#pragma once
/// Where restore tests bring backups up, and what they must not touch.
#include "server/protocol.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace ark {

/// pg_ark.scratch_directory, else pg_ark-scratch-<system identifier> beside the data directory;
/// palloc'd. It need not exist.
char* scratch_directory();

/// The directory of the server's own programs; palloc'd.
char* server_program_directory();

/// The data directory, where its pg_wal lies, and every tablespace, as a List of char*.
List* live_directories();

/// Removes what tests left that are no more, through a short-lived child: servers, directories.
/// Asks no repository. Returns how many there were. Throws what the child says.
uint64 sweep_scratch_directory();

}  // namespace ark
