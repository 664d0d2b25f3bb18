#pragma once
/// What is known of the WAL that is not in the repository yet: kept in shared memory by the WAL
/// worker, and judged by whoever reads it (ark.wal_status, ark.preflight()).
#include "server/shared.hpp"

namespace ark {

/// A copy of what is in shared memory, palloc'd. Never NULL where the library was preloaded.
WalStatus* copy_of_wal_status();

/// By the WAL worker. Notes up to where WAL is flushed now; what is older than `durable` (invalid:
/// not known) needs no memory any more.
void note_flushed(XLogRecPtr flushed, XLogRecPtr durable);
/// By the WAL worker, each kRateSampleMs.
inline constexpr int kRateSampleMs = 5000;
void note_rates(uint64 wal_bytes);

/// When the first byte behind `durable` was written, at the earliest; 0: nothing is known.
TimestampTz unprotected_since(const WalStatus& status, XLogRecPtr durable);

/// What happened a minute, and how pg_wal grew. known false: too short a time has been seen.
struct WalRates {
    bool known;
    double pieces_per_minute, stored_per_minute;
    double growth;  ///< bytes a second, over the last minutes
};
WalRates wal_rates(const WalStatus& status);

}  // namespace ark
