#pragma once

#include <map>
#include <string>

#include "core/store/s3/credentials.hpp"

namespace ark {

/// A role's temporary keys from Amazon's token service (STS), against a token of somebody that the
/// role trusts, or signed with the keys of another identity. Error: permission_denied, unavailable.
S3Credentials assume_role_with_token(const std::string& role, const std::string& token_file,
                                     const std::string& session, const CredentialOptions& options);
S3Credentials assume_role(const std::string& role, const std::string& external_id,
                          const SigningKey& as, const CredentialOptions& options);

/// Whether the environment names a container's credential service, and what that gives.
bool has_container_service();
S3Credentials container_credentials();

/// The instance's role, by IMDSv2. Error: permission_denied where there is no such service.
S3Credentials instance_credentials();

}  // namespace ark
