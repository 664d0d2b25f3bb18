#pragma once

#include <string>

#include "core/store/cloud/bearer_token.hpp"

namespace ark {

/// Who a token of Microsoft Entra is for.
struct AzureIdentity {
    std::string client_id;  ///< of a managed identity it may be empty: the machine's only one
    std::string tenant_id;
    std::string authority;  ///< "https://login.microsoftonline.com", or another cloud's
    std::string ca_file;
};

/// A service principal's token, against its secret; a workload's, against the token that its
/// platform writes into a file. Source: Microsoft identity platform, "OAuth 2.0 client credentials
/// flow". Error: permission_denied, unavailable.
BearerToken service_principal_token(const AzureIdentity& identity, const std::string& secret);
BearerToken workload_identity_token(const AzureIdentity& identity, const std::string& token_file);

/// Whether App Service, Functions or Container Apps offer a managed identity, and its token.
bool has_app_identity();
BearerToken app_identity_token(const std::string& client_id);

/// The virtual machine's managed identity, by its metadata service (IMDS). Error: permission_denied
/// where it has none, unavailable where there is no such service.
BearerToken machine_identity_token(const std::string& client_id);

}  // namespace ark
