#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "core/http/failure.hpp"
#include "core/http/transport.hpp"
#include "core/store/s3/request_signer.hpp"

namespace ark {

struct S3Endpoint {
    std::string region;
    /// Where requests of a region go: a store that has one place for all ignores it.
    std::function<std::string(const std::string& region)> origin_of;
};

/// Signs each try afresh, and turns answers into HttpFailures by the store's own error codes. What
/// it can mend it mends for the next try: credentials that expired, a clock that differs, another
/// region. Hands on success, 404 of an object, version or upload, 412 and 416. Thread-safe.
class S3Transport final : public HttpTransport {
 public:
    S3Transport(std::shared_ptr<HttpTransport> inner, std::shared_ptr<RequestSigner> signer,
                S3Endpoint endpoint);

    HttpResponse perform(const HttpRequest& request) override;

    /// Seconds by which the store's clock is ahead of ours, by its last answer.
    int64_t clock_skew() const { return last_skew_; }

 private:
    HttpResponse send(HttpRequest request);
    HttpFailure failure_by(const HttpRequest& request, const HttpResponse& response);
    void mend(Failure failure, const HttpResponse& response, const std::string& region);
    std::string region() const;

    const std::shared_ptr<HttpTransport> inner_;
    const std::shared_ptr<RequestSigner> signer_;
    const S3Endpoint endpoint_;
    mutable std::mutex mutex_;
    std::string region_;                     ///< under the lock
    std::atomic<int64_t> clock_offset_ = 0;  ///< added to our clock when signing
    std::atomic<int64_t> last_skew_ = 0;
};

/// The class of an S3 error code; by the status where the code is not known.
Failure failure_of_s3(int status, const std::string& code) noexcept;

}  // namespace ark
