#include "core/store/gs/google_tokens.hpp"

#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/base/environment.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"
#include "core/http/crypto.hpp"
#include "core/http/side_request.hpp"
#include "core/store/gs/external_account.hpp"
#include "core/store/gs/google_file.hpp"

namespace ark {

namespace {

constexpr const char* kTokenService = "https://oauth2.googleapis.com/token";
constexpr const char* kService = "Google's token service";
constexpr const char* kMetadataHost = "metadata.google.internal";
constexpr int64_t kAssertionSeconds = 3600;
// Of a token for a service account that another identity acts as.
constexpr const char* kImpersonationLifetime = "3600s";
constexpr int kMaxDepth = 3;

using Form = std::vector<std::pair<std::string, std::optional<std::string>>>;

BearerToken ask(const std::string& url, const Form& form, const std::string& ca_file) {
    const std::string body = encode_query(form);
    return parse_token_answer(side_request(form_request(url, body), ca_file), kService);
}

std::string token_uri(const nlohmann::json& file) {
    const std::string named = text_in(file, "token_uri");
    return named.empty() ? kTokenService : named;
}

BearerToken service_account_token(const nlohmann::json& file, const std::string& scope,
                                  const std::string& ca_file) {
    return ask(token_uri(file),
               {{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
                {"assertion", service_account_assertion(file, scope, time(nullptr))}},
               ca_file);
}

BearerToken user_token(const nlohmann::json& file, const std::string& ca_file) {
    return ask(token_uri(file),
               {{"grant_type", "refresh_token"},
                {"client_id", need_text(file, "client_id")},
                {"client_secret", need_text(file, "client_secret")},
                {"refresh_token", need_text(file, "refresh_token")}},
               ca_file);
}

// Its errors are documents of another make than those of token services.
[[noreturn]] void refuse_impersonation(const HttpResponse& response) {
    const nlohmann::json j = parse_json(as_text(response.body));
    const nlohmann::json error = j.is_object() ? j.value("error", nlohmann::json()) : j;
    throw Error(ErrorCode::permission_denied, "Google refused to act as the service account",
                "It answered with status " + std::to_string(response.status) + " " +
                    text_in(error, "status") + ": " + text_in(error, "message"),
                "The identity needs the role \"Service Account Token Creator\", or \"Workload "
                "Identity User\", on it.");
}

BearerToken act_as(const std::string& url, const nlohmann::json& delegates, const BearerToken& who,
                   const std::string& scope, const std::string& ca_file) {
    check_token_url(url);
    nlohmann::json wish{{"scope", nlohmann::json::array({scope})},
                        {"lifetime", kImpersonationLifetime}};
    if (delegates.is_array() && !delegates.empty())
        wish["delegates"] = delegates;
    const std::string body = wish.dump();
    HttpRequest request = parse_url("POST", url);
    request.body = as_bytes(body);
    request.set_header("content-type", "application/json");
    request.set_header("authorization", "Bearer " + who.token);
    return parse_impersonation_answer(side_request(request, ca_file));
}

BearerToken token_of(const nlohmann::json& file, const std::string& scope,
                     const std::string& ca_file, int depth) {
    const std::string type = text_in(file, "type");
    if (type == "service_account")
        return service_account_token(file, scope, ca_file);
    if (type == "authorized_user")
        return user_token(file, ca_file);
    const std::string as = text_in(file, "service_account_impersonation_url");
    if (type == "external_account") {
        const BearerToken token =
            external_account_token(file, as.empty() ? scope : kCloudScope, ca_file);
        return as.empty() ? token : act_as(as, {}, token, scope, ca_file);
    }
    if (type == "impersonated_service_account" && depth < kMaxDepth) {
        const nlohmann::json source = file.value("source_credentials", nlohmann::json());
        return act_as(need_text(file, "service_account_impersonation_url"),
                      file.value("delegates", nlohmann::json()),
                      token_of(source, kCloudScope, ca_file, depth + 1), scope, ca_file);
    }
    throw Error(ErrorCode::invalid_argument,
                "Google's credentials are of a type that pg_ark does not know",
                type.empty() ? "They name none." : "Their type is \"" + type + "\".",
                "It knows service_account, authorized_user, external_account and "
                "impersonated_service_account.");
}

}  // namespace

BearerToken parse_impersonation_answer(const HttpResponse& response) {
    if (!response.ok())
        refuse_impersonation(response);
    const nlohmann::json j = parse_json(as_text(response.body));
    const auto expires = parse_time(text_in(j, "expireTime"), false);
    BearerToken out{text_in(j, "accessToken"),
                    expires ? *expires / 1000000 : static_cast<int64_t>(time(nullptr))};
    if (out.token.empty() || out.token.find_first_of("\r\n") != std::string::npos)
        refuse_impersonation(response);
    return out;
}

std::string service_account_assertion(const nlohmann::json& file, const std::string& scope,
                                      int64_t unix_seconds) {
    nlohmann::json header{{"alg", "RS256"}, {"typ", "JWT"}};
    if (const std::string id = text_in(file, "private_key_id"); !id.empty())
        header["kid"] = id;
    const nlohmann::json claims{{"iss", need_text(file, "client_email")},
                                {"scope", scope},
                                {"aud", token_uri(file)},
                                {"iat", unix_seconds},
                                {"exp", unix_seconds + kAssertionSeconds}};
    const std::string text =
        to_base64url(as_bytes(header.dump())) + "." + to_base64url(as_bytes(claims.dump()));
    return text + "." + to_base64url(rsa_sha256(need_text(file, "private_key"), text));
}

BearerToken google_token(const nlohmann::json& file, const std::string& scope,
                         const std::string& ca_file) {
    return token_of(file, scope, ca_file, 0);
}

BearerToken metadata_token() {
    const std::string named = environment("GCE_METADATA_HOST");
    HttpRequest request = parse_url("GET", "http://" + (named.empty() ? kMetadataHost : named));
    request.path = "/computeMetadata/v1/instance/service-accounts/default/token";
    request.set_header("metadata-flavor", "Google");
    const HttpResponse response = side_request(request, {});
    // Somebody else's web server at that address would be sent nothing, and is believed nothing.
    if (response.header_or("metadata-flavor", "") != "Google") {
        throw Error(ErrorCode::permission_denied, "no metadata server of Google's answers here",
                    "Who answers at \"" + request.origin + "\" does not say that it is one.");
    }
    if (response.status == 404) {
        throw Error(ErrorCode::permission_denied, "this machine has no service account", {},
                    "Attach one to it, or name a credentials file with credentials_file=.");
    }
    return parse_token_answer(response, "Google's metadata server");
}

}  // namespace ark
