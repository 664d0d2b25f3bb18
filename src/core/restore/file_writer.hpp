#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "core/repo/chain.hpp"
#include "core/restore/durability.hpp"
#include "core/restore/layered_file.hpp"
#include "core/restore/layout.hpp"

namespace ark {

/// What is wrong with checksums of blocks. Thread-safe.
class BadChecksums {
 public:
    void add(const Error& error);
    /// A sentence for the user; empty where there are none.
    std::string describe() const;

 private:
    mutable std::mutex mutex_;
    uint64_t count_ = 0;
    std::string first_;
};

/// Counters that lanes add to while somebody else reads.
struct WriteCounters {
    std::atomic<uint64_t> files = 0;
    std::atomic<uint64_t> bytes = 0;         ///< written
    std::atomic<uint64_t> fetched = 0;       ///< from the store
    std::atomic<uint64_t> reused_files = 0;  ///< of `files`: were right already
    std::atomic<uint64_t> reused_bytes = 0;  ///< of `bytes`
    BadChecksums bad_checksums;
};

/// How a backup's files are written.
struct WriteOptions {
    int jobs = 2;
    /// Files may be there: those that are what the index says stay, others are replaced. Of a file
    /// that several backups have a part of, only what differs is fetched, as far as that shows.
    bool delta = false;
};

/// Writes every directory and file of the tip's index to its place, put together from all backups
/// of the chain; pg_control to kWaitingControlPath. Each file's size and CRC-32C is checked as it
/// is written; of one that is put together, those of what each backup gives to it. backup_label is
/// written without what says that the backup is incremental: the server would refuse it.
///
/// `checksums` gets those of files that are not what any index says. `tick` is called on this
/// thread a few times a second; what it throws ends the writing. Error: corrupt naming file, backup
/// and pack, disk_full, and what the store throws.
void write_files(Repository& repository, const BackupChain& chain, const Layout& layout,
                 const Durability& durability, const WriteOptions& options,
                 RestoredChecksums& checksums, WriteCounters& counters,
                 const std::function<void()>& tick);

/// backup_label without the lines by which PostgreSQL 17 and later tell an incremental backup.
std::string without_incremental_lines(std::string_view label);

}  // namespace ark
