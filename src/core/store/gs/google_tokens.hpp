#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/store/cloud/bearer_token.hpp"

namespace ark {

/// What an access token is for. Google's service for impersonation wants the wide one.
inline constexpr const char* kStorageScope =
    "https://www.googleapis.com/auth/devstorage.read_write";
inline constexpr const char* kCloudScope = "https://www.googleapis.com/auth/cloud-platform";

/// An access token for what a credentials file of Google's tools describes: a service account's
/// key, a user's refresh token, an identity of somebody else's, a service account that another
/// identity may act as. Error: invalid_argument for a file that is none of these,
/// permission_denied, unavailable; never with a secret in it. Sources: Google Cloud "Application
/// Default Credentials", AIP-4112, AIP-4113, AIP-4117; RFC 7523, RFC 8693.
BearerToken google_token(const nlohmann::json& file, const std::string& scope,
                         const std::string& ca_file);

/// The token in an answer of the service for impersonation. Error: permission_denied.
BearerToken parse_impersonation_answer(const HttpResponse& response);

/// What a service account signs to get a token (RFC 7519, RS256), good for an hour.
std::string service_account_assertion(const nlohmann::json& file, const std::string& scope,
                                      int64_t unix_seconds);

/// The token of the machine's own service account, by the metadata server. Error: permission_denied
/// where nobody, or somebody else, answers at its address.
BearerToken metadata_token();

}  // namespace ark
