#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/archive/content_pool.hpp"
#include "core/archive/push.hpp"

namespace ark {

struct PushAheadOptions {
    std::string data_directory;  ///< its pg_wal/archive_status says what will be asked for
    size_t threads = 2;          ///< segments in flight: their compressed bytes are in memory
    size_t compressors = 2;      ///< of them, those that are being read and compressed
    size_t limit = 64;           ///< segments stored ahead and not asked for yet, or about to be
};

/// Answers the archiver one file at a time, and stores the segments that it is going to offer next
/// meanwhile. Nothing is ever written to archive_status.
///
/// Looking ahead costs nothing while the archiver is idle: archive_status is read only after a
/// request that succeeded, and again when a segment was stored and no further one is known. A
/// segment that could not be stored ahead is forgotten, and no other is tried before the archiver
/// has been served again: its own request brings the error to light, and its own pauses are the
/// pace at which a store that is away is tried.
///
/// Several at a time only behind a segment that nobody had stored: until there is one, and again
/// after each error and each segment that was there already, they are stored one after the other.
/// So where another server with this one's identity is ahead, nothing is stored behind the segment
/// in which they differ.
///
/// start, wait and ahead are for one thread; the store is called from the pool's.
class PushAhead {
 public:
    PushAhead(PushTarget target, PushAheadOptions options);
    /// Waits for what is in flight.
    ~PushAhead();
    PushAhead(const PushAhead&) = delete;
    PushAhead& operator=(const PushAhead&) = delete;

    /// Begins a request; the one before must have been answered.
    void start(const std::string& name, const std::string& path);
    /// The answer, when it comes within this time. Error: as push_wal_file.
    std::optional<PushResult> wait(std::chrono::milliseconds timeout);

    /// Segments stored ahead that were not asked for yet.
    size_t ahead() const;

    /// No new work. True when what was in flight has ended within this time.
    bool stop(std::chrono::milliseconds patience);

 private:
    enum class State { waiting, running, done };
    struct Request {
        std::string name;
        std::string path;
        State state = State::waiting;
        bool joined = false;  ///< being stored ahead at this moment: that push's end answers it
        PushResult result = PushResult::stored;
        std::exception_ptr error;
    };
    struct Segment {
        State state = State::waiting;
        FileIdentity identity;
        PushResult result = PushResult::stored;
    };
    using Lock = std::unique_lock<std::mutex>;

    void work();
    std::map<std::string, Segment>::iterator first_waiting();
    void forget_waiting();
    bool may_begin() const { return !one_by_one_ || running_ == 0; }
    uint64_t note_begin();
    void note_end(uint64_t begin, const std::string& name, PushResult result, bool failed);
    bool do_something(Lock& lock, std::unique_ptr<PushBuffers>& buffers);
    void serve(Lock& lock, std::unique_ptr<PushBuffers>& buffers);
    void answer(PushResult result, std::exception_ptr error);
    void store_next(Lock& lock, const std::string& name, std::unique_ptr<PushBuffers>& buffers);
    void end_segment(const std::string& name, std::exception_ptr error, bool was_taken_away);
    void look(Lock& lock);
    void take_found(const std::vector<std::string>& found);
    bool answer_from_memory();
    PushBuffers& in(std::unique_ptr<PushBuffers>& buffers) const;
    void note(const PushBuffers& buffers);
    std::string wal_path(const std::string& name) const;
    std::string ready_path(const std::string& name) const;
    std::vector<std::string> read_ready(const std::string& not_this) const;

    const PushTarget target_;
    const PushAheadOptions options_;
    /// Of the last file (PushBuffers): outlives the buffers, which go when there is nothing to do.
    std::atomic<bool> look_first_ = true;
    /// As in PushBuffers, for all threads.
    std::atomic<bool> check_tail_ = true;
    ContentPool contents_;

    mutable std::mutex mutex_;
    // All below under mutex_.
    std::condition_variable work_;      ///< something to do for the pool, or the end
    std::condition_variable progress_;  ///< a request was answered, or a thread ended
    std::optional<Request> request_;
    std::string last_served_;  ///< its .ready may still be there
    std::map<std::string, Segment> segments_;
    bool one_by_one_ = true;
    uint64_t doubts_ = 0;   ///< errors, and segments that were there
    size_t running_ = 0;    ///< files that are being stored
    bool rests_ = false;    ///< after an error, until a request succeeds
    bool look_ = false;     ///< archive_status is to be read
    bool looking_ = false;  ///< a thread is reading it
    bool stop_ = false;
    size_t live_threads_ = 0;
    std::vector<std::thread> threads_;
};

}  // namespace ark
