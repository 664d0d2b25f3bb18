#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/store/cloud/expiring_cache.hpp"
#include "core/store/s3/signature.hpp"

namespace ark {

struct S3Credentials {
    SigningKey key;
    std::optional<int64_t> expires;  ///< Unix seconds; nullopt for a key that does not
};

/// Credentials that are renewed before they expire. Thread-safe.
class CredentialCache {
 public:
    using Source = ExpiringCache<S3Credentials>::Source;
    explicit CredentialCache(Source source) : cache_(std::move(source)) {}

    SigningKey get() { return cache_.get().key; }
    /// The store has refused them: the next call asks the source again.
    void invalidate() { cache_.invalidate(); }

 private:
    ExpiringCache<S3Credentials> cache_;
};

struct CredentialOptions {
    std::string profile;           ///< empty: AWS_PROFILE, else "default"
    std::string credentials_file;  ///< empty: AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials
    std::string region;            ///< for the token service
    std::string ca_file;
};

/// Looks where Amazon's own tools look, in their order: environment, profile (its keys, the role
/// or the program that it names), web identity token, container, instance metadata (IMDSv2). A
/// profile or file that is named in the URL comes before the environment. Error: permission_denied,
/// which says where it looked and never what it found. Source: AWS SDKs and Tools reference guide,
/// "Standardized credential providers".
S3Credentials find_credentials(const CredentialOptions& options);

/// The region where the environment or the profile names one; empty otherwise.
std::string find_region(const CredentialOptions& options);

}  // namespace ark
