#pragma once

#include <cstdint>

namespace ark {

/// How long a store is waited for: for one operation with all its tries, and less once the process
/// was asked to end (base/cancellation.hpp), for what is under way and for what cleans up after it.
/// Thread-safe.
class Patience {
 public:
    /// After a request to end: enough for a store that answers, short for one that doesn't.
    static constexpr double kSecondsAfterCancellation = 5;

    explicit Patience(double budget_seconds, double after_cancellation = kSecondsAfterCancellation)
        : budget_(budget_seconds), after_cancellation_(after_cancellation) {}

    /// Seconds that one operation may take now.
    double budget() const;

    /// Whether the end was asked for, and what began then has used up its time.
    bool has_ended(int64_t began_nanos) const;

    /// Sleeps; returns early when the end is asked for.
    void sleep(double seconds) const;

 private:
    const double budget_;
    const double after_cancellation_;
};

}  // namespace ark
