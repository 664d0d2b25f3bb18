#pragma once
/// Waiting for change tables. A host that writes to an encrypted repository and cannot read there
/// makes them from pg_wal alone: what goes from there before it was read makes the next incremental
/// backup a full one. WAL goes at a checkpoint, once it is archived; so the archiver waits, and a
/// backup, which begins with a checkpoint. On any other host these return at once.
#include "server/pg_version.hpp"

extern "C" {
#include "access/xlogdefs.h"
}

namespace ark {

/// By the archiver, before it acknowledges a file: waits until tables have all of it, some seconds
/// at most; after a wait in vain not again before tables have come as far. During the server's
/// shutdown, when nobody makes tables any more, waits until no WAL goes any more.
void archiver_wait_for_tables(const char* name);

/// By a backup: waits until tables have all WAL before `end`, some seconds at most.
void backup_wait_for_tables(XLogRecPtr end);

}  // namespace ark
