#pragma once

#include <string>

namespace ark {

/// What Microsoft's tools are told about a storage account: by the environment
/// (AZURE_STORAGE_ACCOUNT, _KEY, _SAS_TOKEN, _CONNECTION_STRING, _SERVICE_ENDPOINT), or by a file.
struct AzureConfig {
    std::string account;
    /// Whose key it is, where a connection string says so: the key serves no other account.
    std::string account_of_key;
    std::string key;       ///< in base64
    std::string sas;       ///< a shared access signature, as a query without the question mark
    std::string endpoint;  ///< "https://host[:port][/path]"; empty: Microsoft's own
};

/// `credentials_file`: that file alone; it is laid out like the command-line tool's configuration
/// ("[storage]" with account, key, sas_token, connection_string). Without one: the environment, and
/// where that has no key or signature, the tool's own file. Error: permission_denied,
/// invalid_argument for a connection string that is none, which is not repeated.
AzureConfig read_azure_config(const std::string& credentials_file);

/// "AccountName=…;AccountKey=…;…" (Microsoft, "Configure Azure Storage connection strings").
AzureConfig parse_connection_string(const std::string& text);

}  // namespace ark
