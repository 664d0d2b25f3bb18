#pragma once

#include "core/archive/prefetch.hpp"

namespace ark {

/// Starts this executable as a prefetcher and does not wait for it: a session of its own, nothing
/// open but the lock and /dev/null. Error: as system_error.
void start_prefetcher(const PrefetchOrder& order, SpoolLock& lock);

}  // namespace ark
