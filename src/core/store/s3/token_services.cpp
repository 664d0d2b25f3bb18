#include "core/store/s3/token_services.hpp"

#include <ctime>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "core/http/failure.hpp"
#include "core/http/side_request.hpp"
#include "core/store/s3/aws_files.hpp"
#include "core/store/s3/xml.hpp"

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

HttpRequest form_request(const std::string& origin, const std::string& body) {
    HttpRequest request;
    request.method = "POST";
    request.origin = origin;
    request.path = "/";
    request.body = as_bytes(body);
    request.set_header("content-type", "application/x-www-form-urlencoded");
    return request;
}

std::string trimmed_file(const std::string& path) {
    const auto content = read_file_if_exists(path, 64 * 1024);
    if (!content) {
        throw Error(ErrorCode::permission_denied, "token file \"" + path + "\" does not exist");
    }
    std::string text(as_text(*content));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    return text;
}

HttpRequest plain_get(const std::string& origin, const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.origin = origin;
    request.path = path;
    return request;
}

}  // namespace

S3Credentials assume_role_with_token(const std::string& role, const std::string& token_file,
                                     const std::string& session, const CredentialOptions& options) {
    const std::string body =
        encode_query({{"Action", "AssumeRoleWithWebIdentity"},
                      {"Version", "2011-06-15"},
                      {"RoleArn", role},
                      {"RoleSessionName", session.empty() ? "pg_ark" : session},
                      {"WebIdentityToken", trimmed_file(token_file)}});
    return ask_token_service(form_request(token_service(options), body), options,
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
    HttpRequest request = form_request(token_service(options), body);
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
    std::string url = relative.empty() ? environment("AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                       : kContainerService + relative;
    const size_t scheme = url.find("://");
    const size_t slash =
        scheme == std::string::npos ? url.size() : std::min(url.find('/', scheme + 3), url.size());
    HttpRequest request = plain_get(url.substr(0, slash), url.substr(slash));
    std::string token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const std::string file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        !file.empty())
        token = trimmed_file(file);
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
    HttpRequest ask_token = plain_get(origin, "/latest/api/token");
    ask_token.method = "PUT";
    ask_token.set_header("x-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds);
    const std::string token(as_text(side_request(ask_token, {}).body));
    const std::string path = "/latest/meta-data/iam/security-credentials/";
    HttpRequest ask_role = plain_get(origin, path);
    ask_role.set_header("x-aws-ec2-metadata-token", token);
    const HttpResponse role = side_request(ask_role, {});
    if (!role.ok() || role.body.empty()) {
        throw Error(
            ErrorCode::permission_denied, "this instance has no role",
            "Its metadata service answered with status " + std::to_string(role.status) + ".");
    }
    const std::string name(as_text(role.body));
    HttpRequest ask_keys = plain_get(origin, path + name.substr(0, name.find('\n')));
    ask_keys.set_header("x-aws-ec2-metadata-token", token);
    return credentials_of_json(side_request(ask_keys, {}), "the instance's metadata service");
}

}  // namespace ark
