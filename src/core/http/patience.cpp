#include "core/http/patience.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/base/cancellation.hpp"
#include "core/base/clock.hpp"

namespace ark {

double Patience::budget() const {
    return cancellation_time() == 0 ? budget_ : std::min(budget_, after_cancellation_);
}

bool Patience::has_ended(int64_t began_nanos) const {
    const int64_t asked = cancellation_time();
    return asked != 0 && static_cast<double>(monotonic_nanos() - std::max(began_nanos, asked)) >
                             after_cancellation_ * 1e9;
}

// In slices: whoever asks for the end may be a signal's handler, which can wake nobody.
void Patience::sleep(double seconds) const {
    constexpr double kSlice = 0.1;
    const bool asked = cancellation_time() != 0;
    while (seconds > 0 && (cancellation_time() != 0) == asked) {
        std::this_thread::sleep_for(std::chrono::duration<double>(std::min(seconds, kSlice)));
        seconds -= kSlice;
    }
}

}  // namespace ark
