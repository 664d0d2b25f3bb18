#include "core/store/s3/token_services.hpp"

#include <ctime>
#include <utility>

#include "core/base/environment.hpp"
#include "core/http/failure.hpp"
#include "core/http/side_request.hpp"
#include "core/store/cloud/bearer_token.hpp"
#include "core/store/s3/credential_answers.hpp"

namespace ark {

namespace {

constexpr const char* kInstanceService = "http://169.254.169.254";
constexpr const char* kContainerService = "http://169.254.170.2";
constexpr const char* kTokenSeconds = "21600";

std::string token_service(const CredentialOptions& options) {
    std::string named = environment("AWS_ENDPOINT_URL_STS");
    if (!named.empty())
        return named;
    return options.region.empty() ? "https://sts.amazonaws.com"
                                  : "https://sts." + options.region + ".amazonaws.com";
}

S3Credentials ask_token_service(const HttpRequest& request, const CredentialOptions& options,
                                const char* action) {
    return credentials_in_xml(side_request(request, options.ca_file), action);
}

// The request carries a token: in clear text it goes to this machine and to the addresses that ECS
// and EKS have for it, as with Amazon's own tools.
void check_container_url(const HttpRequest& request) {
    std::string host = request.origin.substr(request.origin.find("://") + 3);
    if (!host.ends_with(']'))
        host = host.substr(0, host.rfind(':'));
    const bool loopback =
        host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
    const bool near = loopback || host == "localhost" || host == "[::1]" ||
                      host == "169.254.170.2" || host == "169.254.170.23" ||
                      host == "[fd00:ec2::23]";
    if (!near && !request.origin.starts_with("https://")) {
        throw Error(ErrorCode::invalid_argument,
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI names a service that is neither on this "
                    "host nor reached over TLS");
    }
}

/// IMDSv2: each question with a session token; one that the service does not know any more is
/// replaced, once.
class InstanceService {
 public:
    explicit InstanceService(std::string origin) : origin_(std::move(origin)) {
        while (origin_.ends_with('/'))
            origin_.pop_back();
    }

    HttpResponse get(const std::string& path) {
        HttpRequest request = parse_url("GET", origin_ + path);
        if (token_.empty())
            token_ = ask_token();
        request.set_header("x-aws-ec2-metadata-token", token_);
        HttpResponse response = side_request(request, {});
        if (response.status != 401)
            return response;
        token_ = ask_token();
        request.set_header("x-aws-ec2-metadata-token", token_);
        return side_request(request, {});
    }

 private:
    std::string ask_token() const {
        HttpRequest request = parse_url("PUT", origin_ + "/latest/api/token");
        request.set_header("x-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds);
        const HttpResponse response = side_request(request, {});
        std::string token(as_text(response.body));
        if (!response.ok() || token.empty() || token.find_first_of("\r\n") != std::string::npos) {
            throw Error(ErrorCode::permission_denied,
                        "the instance's metadata service gave no session token",
                        "It answered with status " + std::to_string(response.status) + ".");
        }
        return token;
    }

    std::string origin_;
    std::string token_;
};

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
    check_container_url(request);
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
    return credentials_in_json(response, "the container's credential service");
}

S3Credentials instance_credentials() {
    const std::string named = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    InstanceService service(named.empty() ? kInstanceService : named);
    const std::string path = "/latest/meta-data/iam/security-credentials/";
    const HttpResponse role = service.get(path);
    if (!role.ok() || role.body.empty()) {
        throw Error(
            ErrorCode::permission_denied, "this instance has no role",
            "Its metadata service answered with status " + std::to_string(role.status) + ".");
    }
    const std::string name(as_text(role.body));
    return credentials_in_json(service.get(path + name.substr(0, name.find('\n'))),
                               "the instance's metadata service");
}

}  // namespace ark
