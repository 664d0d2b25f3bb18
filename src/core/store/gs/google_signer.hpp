#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "core/store/gs/google_credentials.hpp"
#include "core/store/s3/request_signer.hpp"

namespace ark {

/// An access token ("Authorization: Bearer"), or the signature with an HMAC key (GOOG4-HMAC-SHA256)
/// where the user has one. Looks for credentials at the first request.
class GoogleSigner final : public RequestSigner {
 public:
    explicit GoogleSigner(GoogleCredentialOptions options);

    void sign(HttpRequest& request, const std::string& region, int64_t unix_seconds) override;
    void invalidate() override;

 private:
    std::optional<SigningKey> hmac_key();

    const GoogleCredentialOptions options_;
    BearerTokenCache tokens_;
    std::mutex mutex_;
    bool looked_ = false;             ///< under the lock
    std::optional<SigningKey> hmac_;  ///< under the lock
};

}  // namespace ark
