#pragma once
#include "server/pg_version.hpp"

namespace ark {

/// Registers the WAL worker, which keeps the streaming child running where WAL is to be streamed,
/// and shared memory up to date about what is not in the repository yet. It has no connection to a
/// database. Only while shared_preload_libraries is processed.
void register_wal_worker();

}  // namespace ark

extern "C" ARK_EXPORT void pg_ark_wal_main(Datum);
