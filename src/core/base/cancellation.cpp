#include "core/base/cancellation.hpp"

#include <atomic>

#include "core/base/clock.hpp"

namespace ark {

namespace {

std::atomic<int64_t> requested_at = 0;

}  // namespace

void request_cancellation() noexcept {
    int64_t none = 0;
    requested_at.compare_exchange_strong(none, monotonic_nanos());
}

int64_t cancellation_time() noexcept {
    return requested_at;
}

void forget_cancellation() noexcept {
    requested_at = 0;
}

}  // namespace ark
