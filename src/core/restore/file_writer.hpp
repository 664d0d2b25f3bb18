#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "core/repo/marker.hpp"
#include "core/restore/durability.hpp"
#include "core/restore/layout.hpp"

namespace ark {

/// Counters that lanes add to while somebody else reads.
struct WriteCounters {
    std::atomic<uint64_t> files = 0;
    std::atomic<uint64_t> bytes = 0;         ///< written
    std::atomic<uint64_t> fetched = 0;       ///< from the store
    std::atomic<uint64_t> reused_files = 0;  ///< of `files`: were right already
    std::atomic<uint64_t> reused_bytes = 0;  ///< of `bytes`
};

/// Writes every directory and file of the backup's index to its place, with `jobs` lanes;
/// pg_control to kWaitingControlPath. Each file's size and CRC-32C is checked as it is written.
///
/// With `delta` files may be there: those that are what the index says stay, others are replaced.
///
/// `tick` is called on this thread a few times a second; what it throws ends the writing. Error:
/// corrupt naming file and pack, disk_full, and what the store throws.
void write_files(Repository& repository, const BackupMarker& backup, const Layout& layout,
                 const Durability& durability, int jobs, bool delta, WriteCounters& counters,
                 const std::function<void()>& tick);

}  // namespace ark
