#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/store/cloud/expiring_cache.hpp"

namespace ark {

/// What a request proves its right with: one of the three.
struct AzureCredentials {
    Bytes key;  ///< the account's
    /// A shared access signature: parameters of the query.
    std::vector<std::pair<std::string, std::optional<std::string>>> sas;
    std::string token;               ///< of Microsoft Entra
    std::optional<int64_t> expires;  ///< Unix seconds; nullopt where they do not, or don't say
};

using AzureCredentialCache = ExpiringCache<AzureCredentials>;

struct AzureCredentialOptions {
    std::string account;
    std::string credentials_file;  ///< empty: the environment, then the command-line tool's file
    std::string client_id;         ///< of an identity; empty: AZURE_CLIENT_ID
    std::string ca_file;
};

/// Looks where Microsoft's own tools look: key or signature of the account (environment, file),
/// service principal, workload identity, managed identity. A file that is named in the URL comes
/// before all of them. Error: permission_denied, which says where it looked and never what it
/// found. Sources: "az storage" reference, Azure Identity "DefaultAzureCredential".
AzureCredentials find_azure_credentials(const AzureCredentialOptions& options);

}  // namespace ark
