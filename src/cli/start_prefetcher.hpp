#pragma once

#include "core/archive/prefetch.hpp"
#include "core/repo/key_source.hpp"

namespace ark {

/// Starts this executable as a prefetcher and does not wait for it: a session of its own, nothing
/// open but the lock and /dev/null. It reads the encryption key from its source itself. Error: as
/// system_error.
void start_prefetcher(const PrefetchOrder& order, const KeySource& key, bool require_encryption,
                      SpoolLock& lock);

}  // namespace ark
