#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ark {

/// A few threads that send parts of uploads while their writers go on. Ends its threads when it is
/// destroyed; nothing may be waiting then.
class PartThreads {
 public:
    explicit PartThreads(size_t threads);
    ~PartThreads();
    PartThreads(const PartThreads&) = delete;
    PartThreads& operator=(const PartThreads&) = delete;

    /// `task` must not throw.
    void run(std::function<void()> task);

 private:
    void work();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;  ///< under the lock
    bool stop_ = false;                        ///< under the lock
    size_t idle_ = 0;                          ///< under the lock
    const size_t limit_;
    std::vector<std::thread> threads_;  ///< under the lock; started when there is work
};

}  // namespace ark
