#include "core/store/azure/azure_config.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/base/environment.hpp"
#include "core/base/error.hpp"
#include "core/store/cloud/ini_file.hpp"

namespace ark {

namespace {

using Settings = std::map<std::string, std::string>;

// The account and key that every emulator has and Microsoft's documents print.
constexpr const char* kEmulatorAccount = "devstoreaccount1";
constexpr const char* kEmulatorKey =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
constexpr const char* kEmulatorEndpoint = "http://127.0.0.1:10000/devstoreaccount1";

std::string value_of(const Settings& settings, const char* name) {
    const auto found = settings.find(name);
    return found == settings.end() ? "" : found->second;
}

std::string without_question_mark(const std::string& sas) {
    return sas.starts_with('?') ? sas.substr(1) : sas;
}

Settings from_environment() {
    return {{"account", environment("AZURE_STORAGE_ACCOUNT")},
            {"key", environment("AZURE_STORAGE_KEY")},
            {"sas_token", environment("AZURE_STORAGE_SAS_TOKEN")},
            {"connection_string", environment("AZURE_STORAGE_CONNECTION_STRING")},
            {"endpoint", environment("AZURE_STORAGE_SERVICE_ENDPOINT")}};
}

Settings from_file(const std::string& path) {
    return read_ini_file(path)["storage"];
}

std::string default_file() {
    const std::string named = environment("AZURE_CONFIG_DIR");
    return (named.empty() ? home_directory() + "/.azure" : named) + "/config";
}

AzureConfig config_of(const Settings& settings) {
    AzureConfig out;
    // As the command-line tool has it, a connection string comes before a key, that before a SAS.
    if (const std::string text = value_of(settings, "connection_string"); !text.empty()) {
        out = parse_connection_string(text);
    } else if (out.key = value_of(settings, "key"); out.key.empty()) {
        out.sas = without_question_mark(value_of(settings, "sas_token"));
    }
    if (const std::string account = value_of(settings, "account");
        !account.empty() && out.account.empty())
        out.account = account;
    if (const std::string endpoint = value_of(settings, "endpoint"); !endpoint.empty())
        out.endpoint = endpoint;
    return out;
}

}  // namespace

AzureConfig parse_connection_string(const std::string& text) {
    Settings parts;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        if (part.find_first_not_of(" \r\n") == std::string_view::npos)
            continue;
        const size_t equals = part.find('=');
        if (equals == std::string_view::npos) {
            throw Error(ErrorCode::invalid_argument, "invalid connection string of Azure Storage",
                        "It is not of the form AccountName=…;AccountKey=….");
        }
        parts[std::string(part.substr(0, equals))] = part.substr(equals + 1);
    }
    AzureConfig out;
    if (value_of(parts, "UseDevelopmentStorage") == "true") {
        out.account = out.account_of_key = kEmulatorAccount;
        out.key = kEmulatorKey;
        out.endpoint = kEmulatorEndpoint;
        return out;
    }
    out.account = out.account_of_key = value_of(parts, "AccountName");
    out.key = value_of(parts, "AccountKey");
    if (out.key.empty())
        out.sas = without_question_mark(value_of(parts, "SharedAccessSignature"));
    out.endpoint = value_of(parts, "BlobEndpoint");
    const std::string suffix = value_of(parts, "EndpointSuffix");
    if (out.endpoint.empty() && !suffix.empty() && !out.account.empty()) {
        const std::string protocol = value_of(parts, "DefaultEndpointsProtocol");
        out.endpoint =
            (protocol.empty() ? "https" : protocol) + "://" + out.account + ".blob." + suffix;
    }
    return out;
}

AzureConfig read_azure_config(const std::string& credentials_file) {
    if (!credentials_file.empty())
        return config_of(from_file(credentials_file));
    AzureConfig out = config_of(from_environment());
    const AzureConfig file = config_of(from_file(default_file()));
    if (out.account.empty())
        out.account = file.account;
    if (out.key.empty() && out.sas.empty()) {
        out.key = file.key;
        out.sas = file.sas;
        out.account_of_key = file.account_of_key;
    }
    if (out.endpoint.empty())
        out.endpoint = file.endpoint;
    return out;
}

}  // namespace ark
