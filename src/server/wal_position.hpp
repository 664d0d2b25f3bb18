#pragma once
/// Up to where WAL is in the repository, by streaming's account and the archiver's; and the most
/// that would have been lost, by the hour.
#include "server/shared.hpp"
#include "server/wal_directory.hpp"

namespace ark {

/// What a server that is in recovery does not have stays invalid.
struct WalPosition {
    bool primary;
    XLogRecPtr flushed;
    XLogRecPtr durable;  ///< invalid: not known
};

WalPosition wal_position(const WalStatus& status, const WaitingFiles& waiting);

/// By the WAL worker, every few seconds: adds what would be lost now to the hour.
void note_unprotected();

/// The last 24 hours, oldest first, as they are now; palloc'd.
const UnprotectedHour* unprotected_hours(int* count);

}  // namespace ark
