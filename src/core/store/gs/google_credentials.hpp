#pragma once

#include <optional>
#include <string>

#include "core/store/cloud/bearer_token.hpp"
#include "core/store/s3/signature.hpp"

namespace ark {

struct GoogleCredentialOptions {
    /// JSON of Google's tools, or a boto file with an HMAC key; empty: where those tools look.
    std::string credentials_file;
    std::string ca_file;
};

/// An HMAC key: of credentials_file where that is a boto file, or else of the environment
/// (GS_ACCESS_KEY_ID, GS_SECRET_ACCESS_KEY) where it names no file. nullopt where access tokens are
/// to be used. Error: invalid_argument, permission_denied.
std::optional<SigningKey> find_hmac_key(const GoogleCredentialOptions& options);

/// An access token by what Google's libraries look for, in their order: the file that
/// GOOGLE_APPLICATION_CREDENTIALS names, that of gcloud, the metadata server. A file that is named
/// in the URL comes before all. Error: permission_denied, which says where it looked and never what
/// it found. Source: Google Cloud, "How Application Default Credentials works".
BearerToken find_google_token(const GoogleCredentialOptions& options);

}  // namespace ark
