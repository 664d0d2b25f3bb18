#include "core/drill/watch.hpp"

#include <poll.h>

#include <array>

#include "core/base/clock.hpp"

namespace ark {

namespace {
constexpr int64_t kEveryNanos = 100 * 1000000LL;
}

const char* name_of(DrillPhase phase) noexcept {
    constexpr std::array kNames{"preparing",  "restoring", "verifying_objects", "verifying_files",
                                "recovering", "asking",    "checking_pages",    "checking",
                                "cleaning",   "done"};
    return kNames[static_cast<size_t>(phase)];
}

void Watch::enter(DrillPhase phase) {
    progress_ = {phase, {}, 0, 0};
    next_ = 0;
    tick();
}

void Watch::at(const std::string& doing, uint64_t done, uint64_t total) {
    progress_.doing = doing;
    progress_.done = done;
    progress_.total = total;
}

void Watch::tick() {
    const int64_t now = monotonic_nanos();
    if (now < next_)
        return;
    next_ = now + kEveryNanos;
    listener_.progress(progress_);
}

void Watch::pause(int millis) {
    ::poll(nullptr, 0, millis);
    tick();
}

}  // namespace ark
