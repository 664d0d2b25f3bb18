#include "core/store/azure/identity_services.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/environment.hpp"
#include "core/http/side_request.hpp"

namespace ark {

namespace {

constexpr const char* kMachineService = "http://169.254.169.254";
constexpr const char* kResource = "https://storage.azure.com/";
constexpr const char* kScope = "https://storage.azure.com/.default";
constexpr const char* kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

using Form = std::vector<std::pair<std::string, std::optional<std::string>>>;

std::string without_slash(std::string origin) {
    while (origin.ends_with('/'))
        origin.pop_back();
    return origin;
}

BearerToken ask_authority(const AzureIdentity& identity, Form form) {
    form.emplace_back("client_id", identity.client_id);
    form.emplace_back("scope", kScope);
    form.emplace_back("grant_type", "client_credentials");
    const std::string body = encode_query(form);
    const HttpRequest request = form_request(
        without_slash(identity.authority) + "/" + identity.tenant_id + "/oauth2/v2.0/token", body);
    return parse_token_answer(side_request(request, identity.ca_file), "Microsoft's token service");
}

}  // namespace

BearerToken service_principal_token(const AzureIdentity& identity, const std::string& secret) {
    return ask_authority(identity, {{"client_secret", secret}});
}

BearerToken workload_identity_token(const AzureIdentity& identity, const std::string& token_file) {
    return ask_authority(identity, {{"client_assertion_type", kAssertionType},
                                    {"client_assertion", read_token_file(token_file)}});
}

bool has_app_identity() {
    return !environment("IDENTITY_ENDPOINT").empty() && !environment("IDENTITY_HEADER").empty();
}

BearerToken app_identity_token(const std::string& client_id) {
    HttpRequest request = parse_url("GET", environment("IDENTITY_ENDPOINT"));
    request.query.emplace_back("api-version", "2019-08-01");
    request.query.emplace_back("resource", kResource);
    if (!client_id.empty())
        request.query.emplace_back("client_id", client_id);
    request.set_header("x-identity-header", environment("IDENTITY_HEADER"));
    return parse_token_answer(side_request(request, {}), "the platform's identity service");
}

BearerToken machine_identity_token(const std::string& client_id) {
    const std::string named = environment("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    HttpRequest request = parse_url("GET", without_slash(named.empty() ? kMachineService : named) +
                                               "/metadata/identity/oauth2/token");
    request.query.emplace_back("api-version", "2018-02-01");
    request.query.emplace_back("resource", kResource);
    if (!client_id.empty())
        request.query.emplace_back("client_id", client_id);
    request.set_header("metadata", "true");
    return parse_token_answer(side_request(request, {}), "the machine's metadata service");
}

}  // namespace ark
