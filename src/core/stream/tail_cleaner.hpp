#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "core/archive/push.hpp"
#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Removes pieces that nobody needs any more, as long as the store lets it. A server that may not
/// remove anything is a set-up that has its reason: `warn` hears of it once, from whichever thread,
/// and the store is not asked again. Best effort: no function throws an Error. Thread-safe.
class TailCleaner {
 public:
    /// The repository outlives it.
    TailCleaner(Repository& repository, std::function<void(const Error&)> warn);

    /// The pieces of a segment, which is durable as a whole.
    void remove(const PushTarget& target, const std::string& segment);
    /// What was left of segments before this one: remove_old_tails.
    void remove_old(const PushTarget& target, WalSegment before);

 private:
    void attempt(const PushTarget& target, const std::function<void()>& task);

    Repository& repository_;
    const std::function<void(const Error&)> warn_;
    std::atomic<bool> is_refused_ = false;
};

}  // namespace ark
