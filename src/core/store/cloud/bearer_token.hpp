#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/http/message.hpp"
#include "core/store/cloud/expiring_cache.hpp"

namespace ark {

/// What "Authorization: Bearer" takes.
struct BearerToken {
    std::string token;
    std::optional<int64_t> expires;  ///< Unix seconds
};

using BearerTokenCache = ExpiringCache<BearerToken>;

/// The token in an answer of a token or metadata service (RFC 6749: "access_token", "expires_in";
/// or "expires_on", in Unix seconds). Error: permission_denied with the service's own words where
/// it refuses, or where its answer is none. `service` is what messages call it.
BearerToken parse_token_answer(const HttpResponse& response, const std::string& service);

/// Secrets go to such an address: over TLS, or on this machine. Error: invalid_argument.
void check_token_url(const std::string& url);

/// A POST of form fields to a token service; `body` has to live until the answer is there. Error:
/// as of check_token_url.
HttpRequest form_request(const std::string& url, const std::string& body);

/// A token that a platform writes into a file and renews there, without the newline at its end.
/// Error: permission_denied.
std::string read_token_file(const std::string& path);

}  // namespace ark
