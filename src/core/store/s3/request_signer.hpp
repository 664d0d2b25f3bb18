#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/http/message.hpp"
#include "core/store/s3/credentials.hpp"
#include "core/store/s3/signature.hpp"

namespace ark {

/// Puts credentials on a request. Thread-safe.
class RequestSigner {
 public:
    RequestSigner() = default;
    RequestSigner(const RequestSigner&) = delete;
    RequestSigner& operator=(const RequestSigner&) = delete;
    virtual ~RequestSigner() = default;

    /// `unix_seconds`: the store's time. Error: whatever keeps it from having credentials.
    virtual void sign(HttpRequest& request, const std::string& region, int64_t unix_seconds) = 0;
    /// The store has refused them as ended: the next request gets fresh ones.
    virtual void invalidate() = 0;
};

/// Signature version 4 with an access key.
class KeySigner final : public RequestSigner {
 public:
    KeySigner(std::shared_ptr<CredentialCache> credentials, const SignatureStyle& style)
        : credentials_(std::move(credentials)), style_(style) {}

    void sign(HttpRequest& request, const std::string& region, int64_t unix_seconds) override {
        sign_request(request, style_, credentials_->get(), region, unix_seconds);
    }
    void invalidate() override { credentials_->invalidate(); }

 private:
    const std::shared_ptr<CredentialCache> credentials_;
    const SignatureStyle style_;
};

}  // namespace ark
