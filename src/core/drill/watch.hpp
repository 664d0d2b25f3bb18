#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/drill/job.hpp"

namespace ark {

/// Between a drill and its listener: everything that waits, waits here, and so can be cancelled.
class Watch {
 public:
    explicit Watch(DrillListener& listener) : listener_(listener) {}

    void enter(DrillPhase phase);
    DrillPhase phase() const { return progress_.phase; }
    /// Remembers; told at the next tick.
    void at(const std::string& doing, uint64_t done, uint64_t total);
    /// Tells the listener, at most every 100 ms. Error: what the listener throws.
    void tick();
    /// Sleeps so long (a signal may end it early), then ticks.
    void pause(int millis);

 private:
    DrillListener& listener_;
    DrillProgress progress_;
    int64_t next_ = 0;
};

}  // namespace ark
