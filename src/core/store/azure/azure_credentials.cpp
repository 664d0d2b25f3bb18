#include "core/store/azure/azure_credentials.hpp"

#include "core/base/environment.hpp"
#include "core/base/error.hpp"
#include "core/http/crypto.hpp"
#include "core/http/message.hpp"
#include "core/store/azure/azure_config.hpp"
#include "core/store/azure/identity_services.hpp"

namespace ark {

namespace {

constexpr const char* kAuthority = "https://login.microsoftonline.com";

AzureCredentials of_token(const BearerToken& token) {
    return {{}, {}, token.token, token.expires};
}

std::optional<AzureCredentials> of_account(const AzureConfig& config, const std::string& account) {
    if (config.key.empty() && config.sas.empty())
        return std::nullopt;
    if (!config.account_of_key.empty() && config.account_of_key != account) {
        throw Error(
            ErrorCode::invalid_argument,
            "the connection string is not for the storage account of the repository",
            "It is for \"" + config.account_of_key + "\", the repository's is \"" + account + "\".",
            "Correct account= in the repository's URL, or AZURE_STORAGE_CONNECTION_STRING.");
    }
    AzureCredentials out;
    if (config.key.empty()) {
        out.sas = parse_url("GET", "https://sas/?" + config.sas).query;
        return out;
    }
    try {
        out.key = from_base64(config.key);
    } catch (const Error&) {
        throw Error(ErrorCode::permission_denied, "the key of the storage account is not one", {},
                    "A key is base64, as the portal shows it.");
    }
    return out;
}

std::optional<AzureCredentials> of_environment(const AzureIdentity& identity) {
    if (identity.client_id.empty() || identity.tenant_id.empty())
        return std::nullopt;
    if (const std::string secret = environment("AZURE_CLIENT_SECRET"); !secret.empty())
        return of_token(service_principal_token(identity, secret));
    if (const std::string file = environment("AZURE_FEDERATED_TOKEN_FILE"); !file.empty())
        return of_token(workload_identity_token(identity, file));
    return std::nullopt;
}

}  // namespace

AzureCredentials find_azure_credentials(const AzureCredentialOptions& options) {
    const AzureConfig config = read_azure_config(options.credentials_file);
    if (auto found = of_account(config, options.account))
        return *found;
    if (!options.credentials_file.empty()) {
        throw Error(ErrorCode::permission_denied,
                    "file \"" + options.credentials_file + "\" holds no credentials",
                    "It has no key, sas_token or connection_string in a section [storage].",
                    "Check credentials_file= in the repository's URL.");
    }
    const auto set_or = [](const std::string& value, const std::string& otherwise) {
        return value.empty() ? otherwise : value;
    };
    const AzureIdentity identity{
        set_or(options.client_id, environment("AZURE_CLIENT_ID")), environment("AZURE_TENANT_ID"),
        set_or(environment("AZURE_AUTHORITY_HOST"), kAuthority), options.ca_file};
    if (auto found = of_environment(identity))
        return *found;
    if (has_app_identity())
        return of_token(app_identity_token(identity.client_id));
    try {
        return of_token(machine_identity_token(identity.client_id));
    } catch (const Error& error) {
        throw Error(ErrorCode::permission_denied, "no credentials for object storage were found",
                    "No key or signature in the environment (AZURE_STORAGE_KEY …) or in the file "
                    "of the Azure tools, no service principal, no workload identity. A managed "
                    "identity: " +
                        error.message + (error.detail.empty() ? "." : ". " + error.detail),
                    "A server takes them from a file: credentials_file=/path in the repository's "
                    "URL; see docs/object-storage.md.");
    }
}

}  // namespace ark
