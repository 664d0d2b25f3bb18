#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "core/pipeline/zstd.hpp"

namespace ark {

/// A frame that is compressed by whoever has time. Its state belongs to the crew.
struct FrameTask {
    enum class State { waiting, running, done };
    Bytes plain = Bytes(kFrameBytes);
    Bytes stored = Bytes(FrameCompressor::max_frame_bytes());
    size_t plain_bytes = 0;
    size_t stored_bytes = 0;
    State state = State::done;
    std::exception_ptr failure;
};

/// Lanes that write files, of which those that have none left compress frames for the others: a
/// large file at the end does not leave them idle. Thread-safe.
class FrameCrew {
 public:
    explicit FrameCrew(int level) : level_(level) {}

    /// A lane's membership; it has work of its own until it says otherwise.
    class Member {
     public:
        explicit Member(FrameCrew& crew);
        ~Member();
        Member(const Member&) = delete;
        Member& operator=(const Member&) = delete;

        /// Compresses for the others; returns when none of them has work of its own, or after
        /// `close`.
        void help();

     private:
        FrameCrew& crew_;
        bool busy_ = true;
    };

    /// Helpers leave: somebody has failed, and the others may not come to an end of their own.
    void close();
    /// How many are waiting for frames of others, or compress them.
    size_t helpers() const;

 private:
    friend class FrameRun;
    using Lock = std::unique_lock<std::mutex>;

    void compress(Lock& lock, FrameTask& task, FrameCompressor& compressor);

    const int level_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<FrameTask*> waiting_;
    size_t busy_ = 0;
    size_t helpers_ = 0;
    bool closed_ = false;
};

/// The frames of one large file, in order: some are compressed by helpers, some by the caller. One
/// thread.
class FrameRun {
 public:
    /// `emit` gets each frame in its turn.
    FrameRun(FrameCrew& crew, FrameCompressor& own, std::function<void(const FrameTask&)> emit)
        : crew_(crew), own_(own), emit_(std::move(emit)) {}
    /// Takes back what nobody has begun, and waits for the rest.
    ~FrameRun();
    FrameRun(const FrameRun&) = delete;
    FrameRun& operator=(const FrameRun&) = delete;

    /// True where there is somebody to hand frames to, and memory for them. Waits, and emits, until
    /// there is room().
    bool can_share();
    /// For the next frame; after can_share().
    MutableByteView room() { return next_->plain; }
    /// room() holds the next frame, whole.
    void add();
    /// Emits all that were added. Error: what a compressor threw.
    void finish();

 private:
    void emit_first();
    FrameTask* take_waiting();

    FrameCrew& crew_;
    FrameCompressor& own_;
    std::function<void(const FrameTask&)> emit_;
    std::unique_ptr<FrameTask> next_;
    std::deque<std::unique_ptr<FrameTask>> added_;
    std::vector<std::unique_ptr<FrameTask>> free_;
};

}  // namespace ark
