#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/store/cloud/bearer_token.hpp"

namespace ark {

/// Workload identity federation: what another identity provider wrote into a file, or answers at a
/// URL, is exchanged at Google's token service. Error: invalid_argument, permission_denied,
/// unavailable. Sources: AIP-4117, RFC 8693.
BearerToken external_account_token(const nlohmann::json& file, const std::string& scope,
                                   const std::string& ca_file);

}  // namespace ark
