#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "core/base/bytes.hpp"

namespace ark {

/// Memory for the contents of so many files at once, handed from one thread to the next: as many
/// are read and compressed at a time, however many wait for the store. Thread-safe.
class ContentPool {
 public:
    explicit ContentPool(size_t files) : free_(files) {}

    /// Waits for one that is free.
    Bytes take() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !free_.empty(); });
        Bytes content = std::move(free_.back());
        free_.pop_back();
        return content;
    }
    void give_back(Bytes&& content) {
        {
            const std::lock_guard lock(mutex_);
            free_.push_back(std::move(content));
        }
        changed_.notify_one();
    }
    /// Frees what nobody uses now.
    void shrink() {
        const std::lock_guard lock(mutex_);
        for (Bytes& content : free_)
            content = Bytes();
    }

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Bytes> free_;  ///< under the lock; empty ones count too
};

/// Has one for a while.
class PooledContent {
 public:
    PooledContent(ContentPool& pool, Bytes& place) : pool_(pool), place_(place) {
        place_ = pool_.take();
    }
    ~PooledContent() { give_back(); }
    PooledContent(const PooledContent&) = delete;
    PooledContent& operator=(const PooledContent&) = delete;

    /// Before its end.
    void give_back() {
        if (has_it_)
            pool_.give_back(std::move(place_));
        has_it_ = false;
    }

 private:
    ContentPool& pool_;
    Bytes& place_;
    bool has_it_ = true;
};

}  // namespace ark
