#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/http/failure.hpp"
#include "core/http/transport.hpp"
#include "core/store/azure/azure_credentials.hpp"

namespace ark {

/// Signs each try afresh, and turns answers into HttpFailures by the store's own error codes. What
/// it can mend it mends for the next try: credentials that expired or were changed, a clock that
/// differs. Hands on success, the absence of a blob, "exists already", a block list whose blocks
/// are gone, "no such range". Thread-safe.
class AzureTransport final : public HttpTransport {
 public:
    AzureTransport(std::shared_ptr<HttpTransport> inner,
                   std::shared_ptr<AzureCredentialCache> credentials, std::string account);

    HttpResponse perform(const HttpRequest& request) override;

    /// Seconds by which the store's clock is ahead of ours, by its last answer.
    int64_t clock_skew() const { return last_skew_; }

 private:
    void sign(HttpRequest& request);
    HttpResponse send(HttpRequest request);
    HttpFailure failure_by(const HttpRequest& request, const HttpResponse& response);
    bool is_clock_wrong() const;

    const std::shared_ptr<HttpTransport> inner_;
    const std::shared_ptr<AzureCredentialCache> credentials_;
    const std::string account_;
    std::atomic<int64_t> clock_offset_ = 0;  ///< added to our clock when signing
    std::atomic<int64_t> last_skew_ = 0;
};

/// The class of an error code of Azure's; by the status where the code is not known.
Failure failure_of_azure(int status, const std::string& code) noexcept;

}  // namespace ark
