#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/archive/recovery_process.hpp"
#include "core/archive/spool.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What a wal-get leaves behind for a prefetcher to do.
struct PrefetchOrder {
    std::string data_directory;
    SpoolOrigin origin;
    int segments = 0;  ///< the most to have ahead; 0: by their size
    RecoveryProcess process;
};

/// Fetches into the spool what recovery is going to ask for, several segments at a time, until the
/// process that recovers has ended, nobody has asked for long (idle_seconds), another recovery's
/// wal-get has come, or `is_over` says so (asked about five times a second). Returns then, with its
/// threads ended but for those that a store keeps waiting: the caller removes the spool, and ends
/// the process without waiting for them.
///
/// Only whole objects of the archive, checked, are put into the spool, and only such as the way to
/// the target does not cut. That a segment is not there, or cannot be read, is nothing that the
/// spool tells: its wal-get asks the repository itself. Error: what the repository throws when it
/// is opened, io_error where the spool cannot be used.
class Prefetcher {
 public:
    Prefetcher(PrefetchOrder order, std::function<std::unique_ptr<Repository>()> open);
    /// Waits for the threads.
    ~Prefetcher();
    Prefetcher(const Prefetcher&) = delete;
    Prefetcher& operator=(const Prefetcher&) = delete;

    void run(const std::function<bool()>& is_over);

 private:
    class Work;
    std::unique_ptr<Work> work_;
};

}  // namespace ark
