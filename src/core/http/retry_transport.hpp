#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "core/http/failure.hpp"
#include "core/http/patience.hpp"
#include "core/http/transport.hpp"

namespace ark {

/// Tries again what may be tried again (http/failure.hpp), with waits that double from a tenth of a
/// second to ten seconds, of random length, never shorter than the store asks for, until the
/// operation's budget of time is used up.
class RetryTransport final : public HttpTransport {
 public:
    /// Called before each wait, from the caller's thread: for logs and counters.
    using OnRetry = std::function<void(const HttpFailure& failure, int tries, double wait)>;

    RetryTransport(std::shared_ptr<HttpTransport> inner, std::shared_ptr<Patience> patience,
                   OnRetry on_retry = {});

    /// The answer, with `maybe_done_before`. Error: HttpFailure, the last one; its detail says how
    /// often and how long it was tried.
    HttpResponse perform(const HttpRequest& request) override;

 private:
    const std::shared_ptr<HttpTransport> inner_;
    const std::shared_ptr<Patience> patience_;
    const OnRetry on_retry_;
};

/// Seconds to wait before try `tries` + 1, given a random number in [0, 1).
double retry_wait(int tries, double random, double retry_after) noexcept;

}  // namespace ark
