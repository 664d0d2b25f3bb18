#include "core/store/gs/google_signer.hpp"

#include <utility>

namespace ark {

namespace {

// As Google's libraries do it: the metadata server has a new token four minutes before the end.
constexpr int64_t kRefreshSeconds = 225;

}  // namespace

GoogleSigner::GoogleSigner(GoogleCredentialOptions options)
    : options_(std::move(options)),
      tokens_([this] { return find_google_token(options_); }, kRefreshSeconds) {}

std::optional<SigningKey> GoogleSigner::hmac_key() {
    const std::lock_guard lock(mutex_);
    if (!looked_)
        hmac_ = find_hmac_key(options_);
    looked_ = true;
    return hmac_;
}

void GoogleSigner::sign(HttpRequest& request, const std::string& region, int64_t unix_seconds) {
    if (const auto key = hmac_key())
        sign_request(request, kGoogleStyle, *key, region, unix_seconds);
    else
        request.set_header("authorization", "Bearer " + tokens_.get().token);
}

void GoogleSigner::invalidate() {
    tokens_.invalidate();
    const std::lock_guard lock(mutex_);
    looked_ = false;
}

}  // namespace ark
