#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace ark {

/// Turns a reader that gives away pieces into one that is asked for them: it runs on a thread of
/// its own and waits in between. One thread asks.
class PieceQueue {
 public:
    using Give = std::function<void(ByteView)>;

    /// `read` is called once, on another thread, with what takes its pieces.
    explicit PieceQueue(std::function<void(const Give&)> read)
        : thread_([this, read = std::move(read)] { run(read); }) {}
    ~PieceQueue() {
        {
            const std::lock_guard lock(mutex_);
            abandoned_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    PieceQueue(const PieceQueue&) = delete;
    PieceQueue& operator=(const PieceQueue&) = delete;

    /// Fills the buffer with what comes next. Error: what `read` threw; corrupt where it ended
    /// early.
    void take(MutableByteView buffer) {
        std::unique_lock lock(mutex_);
        while (!buffer.empty()) {
            changed_.wait(lock, [this] { return !piece_.empty() || ended_; });
            if (piece_.empty() && failure_)
                std::rethrow_exception(failure_);
            if (piece_.empty())
                throw Error(ErrorCode::corrupt, "a file ended early");
            const size_t n = std::min(buffer.size(), piece_.size());
            std::memcpy(buffer.data(), piece_.data(), n);
            buffer = buffer.subspan(n);
            piece_ = piece_.subspan(n);
            if (piece_.empty())
                changed_.notify_all();
        }
    }

    /// Waits for the end of `read`, whose last checks come there. Error: what it threw; corrupt
    /// where it has more.
    void finish() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !piece_.empty() || ended_; });
        if (!piece_.empty())
            throw Error(ErrorCode::corrupt, "a file is longer than its index says");
        if (failure_)
            std::rethrow_exception(failure_);
    }

 private:
    struct Abandoned {};

    void run(const std::function<void(const Give&)>& read) {
        std::exception_ptr failure;
        try {
            read([this](ByteView piece) { give(piece); });
        } catch (const Abandoned&) {
            return;
        } catch (...) {
            failure = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        failure_ = failure;
        ended_ = true;
        changed_.notify_all();
    }

    void give(ByteView piece) {
        std::unique_lock lock(mutex_);
        piece_ = piece;
        changed_.notify_all();
        changed_.wait(lock, [this] { return piece_.empty() || abandoned_; });
        if (abandoned_)
            throw Abandoned{};
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    ByteView piece_;  ///< lies in the reader's memory, which waits
    std::exception_ptr failure_;
    bool ended_ = false;
    bool abandoned_ = false;
    std::thread thread_;
};

}  // namespace ark
