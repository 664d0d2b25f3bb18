#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "core/archive/push.hpp"
#include "core/repo/repository.hpp"
#include "core/store/cloud/part_threads.hpp"
#include "core/stream/stream_again.hpp"
#include "core/stream/tail_cleaner.hpp"

namespace ark {

/// What the child of a server's wal worker is to do.
struct StreamRequest {
    std::string data_directory;
    std::string conninfo;
    TimelineId timeline = 0;
    int64_t interval_ms = 1000;
};

/// Keeps the repository as close behind its own server as it can: whole segments come from the
/// server's archiver, and of the first one that is not there yet it writes pieces. For one thread,
/// which is not the one that talks to the server module: a store may hang.
class StreamJob {
 public:
    /// All of them outlive it. `synchronous` may change at any time, followed by a wake().
    StreamJob(Repository& repository, PushTarget target, StreamRequest request,
              StreamJobListener& listener, const std::atomic<bool>& synchronous, WakeUp& wake);

    /// Runs until `wake` is stopped (Error: cancelled). Other errors are those that trying again
    /// does not mend: conflict where another server writes this timeline, refused where the server
    /// is not the one it should be, unsupported where the store may overwrite objects.
    void run();

 private:
    void stream_once();
    ServerIdentity identify(ReplicationConnection& connection) const;
    ServerIdentity wait_for_archiver(ReplicationConnection& connection, uint64_t& first);
    void note_archived(uint64_t first);
    bool has_finished(ReplicationConnection& connection, const WalSegment& segment);
    std::optional<ArchiveGap> find_gap(const TimelineHistory& history, Lsn before);
    StreamingOptions options(const TimelineHistory& history, Lsn begin);
    void remove_later(const std::string& segment);
    void remove_what_was_left(const WalSegment& before);
    void tell(StreamState state);

    Repository& repository_;
    const PushTarget target_;
    const StreamRequest request_;
    StreamJobListener& listener_;
    const std::atomic<bool>& synchronous_;
    WakeUp& wake_;

    Archived archived_;
    Contiguity contiguity_;
    StreamStatus status_;
    std::string warned_gap_;
    std::atomic<bool> cleans_up_ = false;  ///< what earlier processes left is being removed
    TailCleaner tails_;
    /// Removes pieces that nobody needs any more, which may be thousands: nothing waits for it.
    /// Last: its end waits for what uses all the others.
    PartThreads cleaner_{1};
};

}  // namespace ark
