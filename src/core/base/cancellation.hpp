#pragma once

#include <cstdint>

namespace ark {

/// This process was asked to end what it does: set by whoever learns of it (a signal's flag was
/// seen, the server closed the pipe), looked at by what waits for a long time. What is written is
/// still cleaned up, so nothing may refuse to work because of it: it only has less patience.
void request_cancellation() noexcept;

/// Monotonic nanoseconds of the first request; 0 while there was none.
int64_t cancellation_time() noexcept;

/// For tests.
void forget_cancellation() noexcept;

}  // namespace ark
