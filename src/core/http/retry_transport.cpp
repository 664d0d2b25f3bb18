#include "core/http/retry_transport.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/base/clock.hpp"

namespace ark {

namespace {

constexpr double kFirstWait = 0.1;
constexpr double kLongestWait = 10;
// What a signer has mended itself (credentials, region, clock) needs no wait, but not for ever.
constexpr int kQuickTries = 3;

double random_fraction() {
    thread_local std::minstd_rand generator(std::random_device{}());
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

bool is_mended_by_signer(Failure failure) {
    return failure == Failure::expired_credentials || failure == Failure::clock_skew ||
           failure == Failure::other_region;
}

std::string tried(int tries, double seconds) {
    std::string text = "Tried " + std::to_string(tries) + " times in ";
    return text + std::to_string(static_cast<int64_t>(std::lround(seconds))) + " seconds.";
}

}  // namespace

double retry_wait(int tries, double random, double retry_after) noexcept {
    const double ceiling = std::min(kLongestWait, kFirstWait * std::exp2(std::min(tries, 10)));
    // Never near zero: a crowd that comes back at once is no better than one that never left.
    return std::max(retry_after, ceiling * (0.5 + random / 2));
}

RetryTransport::RetryTransport(std::shared_ptr<HttpTransport> inner,
                               std::shared_ptr<Patience> patience, OnRetry on_retry)
    : inner_(std::move(inner)), patience_(std::move(patience)), on_retry_(std::move(on_retry)) {}

HttpResponse RetryTransport::perform(const HttpRequest& request) {
    const int64_t began = monotonic_nanos();
    bool maybe_done = false;
    int mended = 0;
    for (int tries = 1;; ++tries) {
        try {
            HttpResponse response = inner_->perform(request);
            response.maybe_done_before = maybe_done;
            return response;
        } catch (HttpFailure& failure) {
            maybe_done = maybe_done || failure.maybe_done;
            const double elapsed = static_cast<double>(monotonic_nanos() - began) / 1e9;
            const bool quick = is_mended_by_signer(failure.failure);
            const double wait =
                quick ? 0 : retry_wait(tries - 1, random_fraction(), failure.retry_after);
            const bool give_up = !failure.retryable || (quick && ++mended >= kQuickTries) ||
                                 elapsed + wait > patience_->budget() ||
                                 patience_->has_ended(began);
            if (give_up) {
                if (tries > 1)
                    failure.detail += (failure.detail.empty() ? "" : " ") + tried(tries, elapsed);
                failure.maybe_done = maybe_done;
                throw;
            }
            if (on_retry_)
                on_retry_(failure, tries, wait);
            patience_->sleep(wait);
        }
    }
}

}  // namespace ark
