#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"
#include "core/stream/wake_up.hpp"

namespace ark {

/// Who the server says it is.
struct ServerIdentity {
    uint64_t system_identifier = 0;
    TimelineId timeline = 0;
    Lsn flushed = 0;  ///< WAL up to here is on its disk
};

/// Where a timeline ended, and which one follows it.
struct NextTimeline {
    TimelineId timeline = 0;
    Lsn begin = 0;
};

/// What came from the server.
struct StreamMessage {
    enum class Kind {
        wal,
        keepalive,
        end_of_timeline,  ///< nothing more comes; `next` says how it goes on
    };
    Kind kind = Kind::wal;
    Lsn begin = 0;   ///< of the WAL
    ByteView bytes;  ///< valid until the next call
    Lsn server_end = 0;
    bool wants_reply = false;
    std::optional<NextTimeline> next;
};

/// WAL that comes from somewhere, and who sends it hears how far it is durable. One thread.
class WalStream {
 public:
    WalStream() = default;
    WalStream(const WalStream&) = delete;
    WalStream& operator=(const WalStream&) = delete;
    virtual ~WalStream() = default;

    /// What has come, without waiting for it. Nothing may be called after end_of_timeline.
    virtual std::optional<StreamMessage> receive() = 0;
    /// Tells the server how far its WAL is durable (written, flushed and applied are one here).
    virtual void send_status(Lsn durable) = 0;
    /// Waits up to `millis` for something to receive, with `to_read`, or for the WakeUp of its
    /// owner. Error: cancelled.
    virtual void wait(int millis, bool to_read) = 0;
};

/// A physical replication connection to a PostgreSQL server (protocol: "Streaming Replication
/// Protocol" of its manual). Needs no slot and makes none. One thread; whatever waits ends as soon
/// as `wake` is stopped (Error: cancelled).
///
/// Errors: unavailable where the server cannot be reached, says no to the connection, or breaks it
/// off: in its own words, with what to change in the hint. not_found where it does not have the WAL
/// any more that is asked for.
class ReplicationConnection final : public WalStream {
 public:
    /// `conninfo` is libpq's; the application is called pg_ark unless it has another name there.
    ReplicationConnection(const std::string& conninfo, const WakeUp& wake);
    ~ReplicationConnection() override;

    /// Of the server process that serves this connection; 0 where it is not known.
    int process_id() const;

    ServerIdentity identify();
    /// Content of a timeline's history file; nullopt where the server has none.
    std::optional<Bytes> timeline_history(TimelineId timeline);
    /// Bytes in a segment.
    uint64_t segment_size();

    /// From here on only the functions below may be called, until end_of_timeline came.
    void start(Lsn begin, TimelineId timeline);
    std::optional<StreamMessage> receive() override;
    void send_status(Lsn durable) override;
    void wait(int millis, bool to_read) override;

 private:
    struct State;

    void connect(const std::string& conninfo);
    /// Rows of one command's result.
    std::vector<std::vector<Bytes>> query(const std::string& command);
    std::optional<StreamMessage> end_of_timeline();
    StreamMessage decode(ByteView message) const;

    const WakeUp& wake_;
    std::unique_ptr<State> state_;
};

/// A conninfo string's own mistakes. Error: invalid_argument.
void check_conninfo(const std::string& conninfo);

}  // namespace ark
