#include "core/store/s3/token_services.hpp"

#include <ctime>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/base/environment.hpp"
#include "core/http/failure.hpp"
#include "core/http/side_request.hpp"
#include "core/store/cloud/bearer_token.hpp"
#include "core/store/cloud/xml.hpp"

namespace ark {

namespace {

constexpr const char* kInstanceService = "http://169.254.169.254";
constexpr const char* kContainerService = "http://169.254.170.2";
constexpr const char* kTokenSeconds = "21600";

int64_t expiry_of(const std::string& iso8601) {
    const auto time = parse_time(iso8601, false);
    return time ? *time / 1000000 : ::time(nullptr) + 900;
}

// The documents of the container's and the instance's service are the same but for the token's
// name.
S3Credentials credentials_of_json(const HttpResponse& response, const char* from) {
    const nlohmann::json j =
        nlohmann::json::parse(as_text(response.body), nullptr, /*allow_exceptions=*/false);
    const auto text = [&](const char* name) {
        return j.is_object() && j.contains(name) && j[name].is_string() ? j[name].get<std::string>()
                                                                        : std::string();
    };
    S3Credentials out{{text("AccessKeyId"), text("SecretAccessKey"), text("Token")},
                      expiry_of(text("Expiration"))};
    if (out.key.access_key.empty() || out.key.secret_key.empty()) {
        throw Error(ErrorCode::permission_denied, std::string(from) + " gave no credentials",
                    "Its answer is not the JSON document that it should be.");
    }
    return out;
}

std::string token_service(const CredentialOptions& options) {
    std::string named = environment("AWS_ENDPOINT_URL_STS");
    if (!named.empty())
        return named;
    return options.region.empty() ? "https://sts.amazonaws.com"
                                  : "https://sts." + options.region + ".amazonaws.com";
}

S3Credentials ask_token_service(const HttpRequest& request, const CredentialOptions& options,
                                const char* element) {
    const HttpResponse response = side_request(request, options.ca_file);
    if (!response.ok()) {
        pugi::xml_document document;
        document.load_buffer(response.body.data(), response.body.size());
        const pugi::xml_node error = document.child("ErrorResponse").child("Error");
        throw Error(ErrorCode::permission_denied, "the token service refused to give credentials",
                    "It answered with status " + std::to_string(response.status) + " " +
                        error.child_value("Code") + ": " + error.child_value("Message"),
                    "Check the role, and whom it trusts.");
    }
    const pugi::xml_document document =
        parse_xml(response, (std::string(element) + "Response").c_str());
    const pugi::xml_node found = document.document_element()
                                     .child((std::string(element) + "Result").c_str())
                                     .child("Credentials");
    return {{found.child_value("AccessKeyId"), found.child_value("SecretAccessKey"),
             found.child_value("SessionToken")},
            expiry_of(found.child_value("Expiration"))};
}

}  // namespace

S3Credentials assume_role_with_token(const std::string& role, const std::string& token_file,
                                     const std::string& session, const CredentialOptions& options) {
    const std::string body =
        encode_query({{"Action", "AssumeRoleWithWebIdentity"},
                      {"Version", "2011-06-15"},
                      {"RoleArn", role},
                      {"RoleSessionName", session.empty() ? "pg_ark" : session},
                      {"WebIdentityToken", read_token_file(token_file)}});
    return ask_token_service(form_request(token_service(options) + "/", body), options,
                             "AssumeRoleWithWebIdentity");
}

S3Credentials assume_role(const std::string& role, const std::string& external_id,
                          const SigningKey& as, const CredentialOptions& options) {
    std::vector<std::pair<std::string, std::optional<std::string>>> form{
        {"Action", "AssumeRole"},
        {"Version", "2011-06-15"},
        {"RoleArn", role},
        {"RoleSessionName", "pg_ark"}};
    if (!external_id.empty())
        form.emplace_back("ExternalId", external_id);
    const std::string body = encode_query(form);
    HttpRequest request = form_request(token_service(options) + "/", body);
    sign_request(request, kAwsStsStyle, as, options.region.empty() ? "us-east-1" : options.region,
                 time(nullptr));
    return ask_token_service(request, options, "AssumeRole");
}

bool has_container_service() {
    return !environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").empty() ||
           !environment("AWS_CONTAINER_CREDENTIALS_FULL_URI").empty();
}

S3Credentials container_credentials() {
    const std::string relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    HttpRequest request =
        parse_url("GET", relative.empty() ? environment("AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                          : kContainerService + relative);
    std::string token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const std::string file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        !file.empty())
        token = read_token_file(file);
    if (!token.empty())
        request.set_header("authorization", token);
    const HttpResponse response = side_request(request, {});
    if (!response.ok()) {
        throw Error(ErrorCode::permission_denied,
                    "the container's credential service gave no credentials",
                    "It answered with status " + std::to_string(response.status) + ".");
    }
    return credentials_of_json(response, "the container's credential service");
}

S3Credentials instance_credentials() {
    const std::string named = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    std::string origin = named.empty() ? kInstanceService : named;
    while (origin.ends_with('/'))
        origin.pop_back();
    HttpRequest ask_token = parse_url("PUT", origin + "/latest/api/token");
    ask_token.set_header("x-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds);
    const std::string token(as_text(side_request(ask_token, {}).body));
    const std::string url = origin + "/latest/meta-data/iam/security-credentials/";
    HttpRequest ask_role = parse_url("GET", url);
    ask_role.set_header("x-aws-ec2-metadata-token", token);
    const HttpResponse role = side_request(ask_role, {});
    if (!role.ok() || role.body.empty()) {
        throw Error(
            ErrorCode::permission_denied, "this instance has no role",
            "Its metadata service answered with status " + std::to_string(role.status) + ".");
    }
    const std::string name(as_text(role.body));
    HttpRequest ask_keys = parse_url("GET", url + name.substr(0, name.find('\n')));
    ask_keys.set_header("x-aws-ec2-metadata-token", token);
    return credentials_of_json(side_request(ask_keys, {}), "the instance's metadata service");
}

}  // namespace ark
