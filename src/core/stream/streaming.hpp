#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/clock.hpp"
#include "core/stream/contiguity.hpp"
#include "core/stream/replication.hpp"
#include "core/stream/tail_writer.hpp"
#include "core/stream/whole_segments.hpp"

namespace ark {

enum class StreamState {
    catching_up,  ///< waits for the archiver
    streaming,
    gap,       ///< streams, but the archive has a hole before
    retrying,  ///< an error was told; tries again after a pause
};
const char* name_of(StreamState state) noexcept;

/// How far it has come. Counters count from the process's begin.
struct StreamStatus {
    StreamState state = StreamState::catching_up;
    TimelineId timeline = 0;
    Lsn durable = 0;  ///< without a gap up to here; 0 while it is not known
    Lsn stored = 0;   ///< the same, whether there is a gap before it or not
    Lsn received = 0;
    UnixMicros durable_at = 0;  ///< when the newest byte became so
    uint64_t pieces = 0;
    uint64_t segments = 0;  ///< wholes seen durable
    uint64_t retries = 0;
    uint64_t waiting = 0;  ///< segments that wait for the archiver
    std::string missing;   ///< the first segment that is not there, in a gap
};

/// Who wants to know; called from the thread that streams.
class StreamListener {
 public:
    StreamListener() = default;
    StreamListener(const StreamListener&) = delete;
    StreamListener& operator=(const StreamListener&) = delete;
    virtual ~StreamListener() = default;

    virtual void connected(int process_id, TimelineId timeline, Lsn start) = 0;
    virtual void status(const StreamStatus& status) = 0;
    /// From any thread.
    virtual void warning(const Error& warning) = 0;
};

struct StreamingOptions {
    /// How old a byte gets before it is cut into a piece, while nobody waits for it.
    int64_t interval_ms = 1000;
    /// Commits wait for their bytes: they are cut at once.
    const std::atomic<bool>* synchronous = nullptr;
    /// Bytes that have come and are in no piece yet: more are not taken.
    uint64_t limit = 32 << 20;
    /// What happens at the limit: false: the server waits. true: streaming ends (`behind`) unless
    /// commits wait for it.
    bool gives_up_behind = false;
    /// Looks for the gap anew; called from another thread, seldom.
    std::function<std::optional<ArchiveGap>()> find_gap;
    /// Removes the pieces of a segment whose whole is durable; called from another thread.
    std::function<void(const std::string& segment)> remove_pieces;
};

/// One stream from its begin to its end: takes what the server sends, cuts it into pieces, follows
/// what becomes of finished segments, and tells the server what is durable. For one thread; all
/// that waits for the store does so in others.
class Streaming {
 public:
    enum class End { behind, end_of_timeline };

    /// All of them outlive it. `status` goes on from what it holds.
    Streaming(WalStream& stream, TailWriter& writer, WholeSegments& wholes,
              StreamListener& listener, StreamStatus& status, StreamingOptions options,
              uint64_t segment_size, WakeUp& wake);

    /// The stream was started where the writer begins. Error: as the connection, the writer and the
    /// wholes; cancelled.
    End run(std::optional<ArchiveGap> gap);
    /// After end_of_timeline.
    std::optional<NextTimeline> next() const { return next_; }
    /// Segments that have come whole and are not known to be durable.
    size_t unfinished() const { return finished_.size(); }

 private:
    bool may_read() const;
    bool synchronous() const { return options_.synchronous != nullptr && *options_.synchronous; }
    bool receive();
    void take(const StreamMessage& message);
    void cut(int64_t now);
    void follow_segments(int64_t now);
    void take_answers();
    void look_for_gap(int64_t now);
    void acknowledge(int64_t now);
    void tell();
    int pause(int64_t now) const;
    Lsn acknowledged() const;
    template <typename Task>
    void in_background(Task task);

    WalStream& stream_;
    TailWriter& writer_;
    WholeSegments& wholes_;
    StreamListener& listener_;
    StreamStatus& status_;
    const StreamingOptions options_;
    const uint64_t segment_size_;
    WakeUp& wake_;

    std::optional<NextTimeline> next_;
    bool ended_ = false;  ///< nothing more will come
    std::optional<ArchiveGap> gap_;
    std::deque<uint64_t> finished_;  ///< every byte has come; not known to be durable
    std::deque<uint64_t> to_clean_;  ///< durable; a piece may still be on its way
    bool asking_ = false;            ///< a task asks for finished_.front()
    int64_t next_question_ = 0;
    bool looking_ = false;  ///< a task looks for the gap
    int64_t next_look_ = 0;
    Lsn due_begin_ = 0;  ///< the oldest byte that is in no piece, of the last segment
    int64_t due_ = 0;    ///< when it has to be in one; 0: there is none
    Lsn told_ = 0;
    bool reply_ = true;
    int64_t next_reply_ = 0;
    uint64_t pieces_before_ = 0;

    std::mutex mutex_;
    std::optional<bool> answer_;                            ///< under the lock
    std::optional<std::optional<ArchiveGap>> look_result_;  ///< under the lock
    std::exception_ptr failure_;                            ///< under the lock

    PartThreads background_{1};  ///< last: its end waits for what uses all the others
};

}  // namespace ark
