#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/archive/push.hpp"
#include "core/repo/repository.hpp"
#include "core/stream/stream_again.hpp"
#include "core/stream/tail_cleaner.hpp"

namespace ark {

/// What `pg_ark wal-receive` is to do.
struct ReceiveRequest {
    std::string conninfo;
    std::string cluster;  ///< its directory in the repository; empty: the system identifier
    int64_t interval_ms = 1000;
    int compression_level = 3;
    bool synchronous = false;
    /// Called once, when the cluster's directory is known and nothing was done in it.
    std::function<void(Repository& repository, const std::string& cluster)> prepare = {};
};

/// Receives a server's WAL from another host: pieces of the segment that is being written, and each
/// segment as a whole when it is finished. Goes on where the repository ends, through every switch
/// of timelines. Makes nothing in the server: what that removes before it was received is missing,
/// and an error. One thread.
class ReceiveJob {
 public:
    /// All of them outlive it.
    ReceiveJob(Repository& repository, ReceiveRequest request, StreamJobListener& listener,
               WakeUp& wake);

    /// As StreamJob::run. Error also: refused where the server does not have the WAL any more that
    /// comes next.
    void run();

 private:
    struct Position {
        TimelineId timeline = 0;
        Lsn lsn = 0;
    };

    void receive_once();
    PushTarget target_for(ReplicationConnection& connection, const ServerIdentity& server);
    uint64_t first_wanted(const PushTarget& target, const TimelineHistory& history,
                          Lsn flushed) const;
    void stream(ReplicationConnection& connection, const PushTarget& target,
                const TimelineHistory& history, const WalSegment& segment, Lsn server_end);
    StreamingOptions options(const PushTarget& target);

    Repository& repository_;
    const ReceiveRequest request_;
    StreamJobListener& listener_;
    WakeUp& wake_;
    const std::atomic<bool> synchronous_;
    TailCleaner tails_;

    uint64_t system_identifier_ = 0;  ///< of the server, once it has said
    std::optional<Position> resume_;  ///< durable up to here, as this process saw it itself
    StreamStatus status_;
};

}  // namespace ark
