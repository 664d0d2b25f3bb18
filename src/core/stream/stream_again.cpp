#include "core/stream/stream_again.hpp"

#include <algorithm>
#include <new>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr int64_t kFirstPauseMs = 1000;
constexpr int64_t kLongestPauseMs = 30000;
// A piece that was on its way when the chain was read is there by then.
constexpr int kShortPauseMs = 100;
// Whose piece it is, its content tells as soon as it is read. Until then it may be one of ours of a
// segment that is read only when the archiver is done with the one before.
constexpr int kTriesAtOnePlace = 20;

// Nothing gets better by itself then.
bool is_final(const Error& error) {
    if (error.retryable)
        return false;
    switch (error.code) {
        case ErrorCode::conflict:
        case ErrorCode::refused:
        case ErrorCode::invalid_argument:
        case ErrorCode::unsupported:
        case ErrorCode::cancelled:
            return true;
        default:
            return false;
    }
}

void rest(const WakeUp& wake, int64_t millis) {
    const int64_t deadline = monotonic_nanos() + millis * 1000000;
    for (int64_t now = monotonic_nanos(); now < deadline; now = monotonic_nanos())
        wake.wait(static_cast<int>((deadline - now) / 1000000 + 1));
}

class Attempts {
 public:
    Attempts(StreamStatus& status, StreamJobListener& listener, const WakeUp& wake)
        : status_(status), listener_(listener), wake_(wake) {}

    void run(const std::function<void()>& once) {
        for (;;) {
            const Lsn before = status_.stored;
            try {
                once();
                wake_.check();
            } catch (const PieceInTheWay& error) {
                const bool again = in_the_way_ && status_.stored <= *in_the_way_;
                tries_ = again ? tries_ + 1 : 1;
                if (tries_ > kTriesAtOnePlace)
                    throw;
                in_the_way_ = status_.stored;
                rest(wake_, tries_ * kShortPauseMs);
            } catch (const Error& error) {
                if (is_final(error))
                    throw;
                rest_after(error, before);
            } catch (const std::bad_alloc&) {
                rest_after(Error(ErrorCode::out_of_memory, "out of memory"), before);
            }
        }
    }

 private:
    void rest_after(const Error& error, Lsn before) {
        ++status_.retries;
        status_.state = StreamState::retrying;
        listener_.status(status_);
        listener_.failed(error);
        const bool has_worked = status_.stored > before;
        pause_ms_ =
            has_worked ? kFirstPauseMs : std::clamp(2 * pause_ms_, kFirstPauseMs, kLongestPauseMs);
        rest(wake_, pause_ms_);
    }

    StreamStatus& status_;
    StreamJobListener& listener_;
    const WakeUp& wake_;
    std::optional<Lsn> in_the_way_;
    int tries_ = 0;  ///< at that place
    int64_t pause_ms_ = 0;
};

}  // namespace

void stream_again(StreamStatus& status, StreamJobListener& listener, const WakeUp& wake,
                  const std::function<void()>& once) {
    Attempts(status, listener, wake).run(once);
}

}  // namespace ark
