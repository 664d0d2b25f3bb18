#pragma once

#include <atomic>

namespace ark {

/// Wakes the one thread that waits on it, from any other; and tells it to end. What was said while
/// nobody waited is heard at the next wait.
class WakeUp {
 public:
    WakeUp();
    ~WakeUp();
    WakeUp(const WakeUp&) = delete;
    WakeUp& operator=(const WakeUp&) = delete;

    void wake() const noexcept;
    /// For good: every later wait returns at once.
    void stop() noexcept;
    bool stopped() const noexcept { return stopped_; }
    /// Error: cancelled once stop() was called.
    void check() const;

    /// Waits up to `millis`, and with `socket` also until it can be read or, with `to_write`,
    /// written to. Which of the two, as poll(2) has it; 0 for neither. Error: cancelled.
    short wait(int millis, int socket = -1, bool to_read = true, bool to_write = false) const;

 private:
    int fd_ = -1;  // an eventfd
    std::atomic<bool> stopped_ = false;
};

}  // namespace ark
