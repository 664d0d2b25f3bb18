#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

/// Keeps what a source of credentials gave until shortly before it expires. `Value` has a member
/// `expires`: Unix seconds, nullopt for what does not. Thread-safe; only one caller asks the
/// source.
template <typename Value>
class ExpiringCache {
 public:
    using Source = std::function<Value()>;
    /// `refresh_seconds`: so long before the end it is renewed, as the vendors' own tools do it.
    explicit ExpiringCache(Source source, int64_t refresh_seconds = 300)
        : source_(std::move(source)), refresh_seconds_(refresh_seconds) {}

    /// Error: whatever the source says; while an older value is still valid it is used instead.
    Value get() {
        const std::lock_guard lock(mutex_);
        const int64_t now = time(nullptr);
        if (cached_ && is_good(now))
            return *cached_;
        try {
            cached_ = source_();
        } catch (const Error&) {
            if (!cached_ || *cached_->expires <= now)
                throw;
            not_before_ = now + kPauseSeconds;
        }
        return *cached_;
    }

    /// It was refused: the next call asks the source again.
    void invalidate() {
        const std::lock_guard lock(mutex_);
        cached_.reset();
    }

 private:
    // A source that is away is not waited for by every request.
    static constexpr int64_t kPauseSeconds = 30;

    bool is_good(int64_t now) const {
        if (!cached_->expires)
            return true;
        const int64_t left = *cached_->expires - now;
        const bool pausing = now < not_before_;
        return left > (pausing ? 0 : refresh_seconds_);
    }

    const Source source_;
    const int64_t refresh_seconds_;
    std::mutex mutex_;
    std::optional<Value> cached_;  ///< under the lock
    int64_t not_before_ = 0;       ///< under the lock
};

}  // namespace ark
