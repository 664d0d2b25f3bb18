#include "core/store/s3/token_services.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/scripted_service.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using Answer = test::ScriptedService::Answer;

constexpr const char* kJson =
    R"({"Code":"Success","AccessKeyId":"ak","SecretAccessKey":"sk","Token":"st",)"
    R"("Expiration":"2030-01-02T03:04:05Z"})";
constexpr int64_t kExpires = 1893553445;

std::string sts_answer(const std::string& action, const std::string& keys) {
    return "<" + action + "Response><" + action + "Result><Credentials>" + keys +
           "<SessionToken>st</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration>"
           "</Credentials></" +
           action + "Result></" + action + "Response>";
}
constexpr const char* kKeys = "<AccessKeyId>ak</AccessKeyId><SecretAccessKey>sk</SecretAccessKey>";

void expect_keys(const S3Credentials& found) {
    EXPECT_EQ(found.key.access_key, "ak");
    EXPECT_EQ(found.key.secret_key, "sk");
    EXPECT_EQ(found.key.session_token, "st");
    EXPECT_EQ(found.expires, kExpires);
}

class TokenServicesTest : public testing::Test {
 protected:
    void SetUp() override {
        forget();
        std::ofstream(directory / "token") << "web&identity\n";
        std::ofstream(directory / "config")
            << "[profile web]\nrole_arn = arn:role\n"
            << "role_session_name = me\nweb_identity_token_file = " << directory / "token"
            << "\n[profile both]\nrole_arn = arn:other\n"
            << "external_id = x\nsource_profile = base\n"
            << "[profile base]\naws_access_key_id = base\n"
            << "aws_secret_access_key = secret\n";
        setenv("AWS_CONFIG_FILE", (directory / "config").c_str(), 1);
        setenv("AWS_SHARED_CREDENTIALS_FILE", (directory / "none").c_str(), 1);
        setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    }
    void TearDown() override { forget(); }
    static void forget() {
        for (const char* name :
             {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL_STS",
              "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
              "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
              "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
              "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_DISABLED"})
            unsetenv(name);
    }

    Answer answer{200, sts_answer("AssumeRoleWithWebIdentity", kKeys), {}};
    test::TemporaryDirectory directory;
    test::ScriptedService service{[this](const std::string& request) { return reply(request); }};
    std::function<Answer(const std::string&)> reply = [this](const std::string&) { return answer; };
};

TEST_F(TokenServicesTest, WebIdentityOfTheEnvironment) {
    setenv("AWS_ENDPOINT_URL_STS", service.origin().c_str(), 1);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", (directory / "token").c_str(), 1);
    setenv("AWS_ROLE_ARN", "arn:role", 1);
    expect_keys(find_credentials({}));
    const std::string request = service.requests().at(0);
    EXPECT_TRUE(request.starts_with("POST / HTTP"));
    EXPECT_TRUE(
        request.ends_with("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%"
                          "3Arole&RoleSessionName=pg_ark&WebIdentityToken=web%26identity"));
    EXPECT_EQ(request.find("uthorization:"), std::string::npos);
}

TEST_F(TokenServicesTest, WebIdentityOfAProfile) {
    setenv("AWS_ENDPOINT_URL_STS", service.origin().c_str(), 1);
    CredentialOptions options;
    options.profile = "web";
    expect_keys(find_credentials(options));
    EXPECT_NE(service.requests().at(0).find("RoleSessionName=me&"), std::string::npos);
}

TEST_F(TokenServicesTest, RoleOfAProfileIsAskedForWithAnothersKeys) {
    setenv("AWS_ENDPOINT_URL_STS", service.origin().c_str(), 1);
    answer.body = sts_answer("AssumeRole", kKeys);
    CredentialOptions options;
    options.profile = "both";
    options.region = "eu-west-1";
    expect_keys(find_credentials(options));
    const std::string request = service.requests().at(0);
    EXPECT_NE(request.find("Credential=base/"), std::string::npos);
    EXPECT_NE(request.find("/eu-west-1/sts/aws4_request"), std::string::npos);
    EXPECT_NE(request.find("ExternalId=x"), std::string::npos);
}

TEST_F(TokenServicesTest, RefusalsOfTheTokenService) {
    setenv("AWS_ENDPOINT_URL_STS", service.origin().c_str(), 1);
    const auto ask = [&] {
        return assume_role_with_token("arn:role", directory / "token", "", {});
    };
    answer = {403,
              "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error>"
              "</ErrorResponse>",
              {}};
    Error error = test::expect_error(ErrorCode::permission_denied, ask);
    EXPECT_TRUE(test::mentions(error.detail, "403 AccessDenied: not you"));
    EXPECT_EQ((error.message + error.detail + error.hint).find("web&identity"), std::string::npos);
    answer = {200, sts_answer("AssumeRoleWithWebIdentity", ""), {}};
    test::expect_error(ErrorCode::permission_denied, ask);
    answer = {200, "<html>Please log in</html>", {}};
    test::expect_error(ErrorCode::unavailable, ask);
    std::filesystem::remove(std::string(directory / "token"));
    test::expect_error(ErrorCode::permission_denied, ask);
}

TEST_F(TokenServicesTest, Container) {
    answer.body = kJson;
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", (service.origin() + "/v1/keys?id=7").c_str(), 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic one", 1);
    expect_keys(find_credentials({}));
    EXPECT_TRUE(service.requests().at(0).starts_with("GET /v1/keys?id=7 HTTP"));
    EXPECT_NE(service.requests().at(0).find("authorization: Basic one\r\n"), std::string::npos);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", (directory / "token").c_str(), 1);
    expect_keys(find_credentials({}));
    EXPECT_NE(service.requests().at(1).find("authorization: web&identity\r\n"), std::string::npos)
        << "the file is the one that is renewed";
    answer.status = 404;
    Error error = test::expect_error(ErrorCode::permission_denied, container_credentials);
    EXPECT_TRUE(test::mentions(error.detail, "404"));
    answer = {200, "{}", {}};
    test::expect_error(ErrorCode::permission_denied, container_credentials);
    // Its token goes out in clear text to nobody else.
    for (const char* url : {"http://keys.test/x", "http://127.0.0.1.keys.test/x"}) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
        error = test::expect_error(ErrorCode::invalid_argument, container_credentials);
    }
}

TEST_F(TokenServicesTest, InstanceBySessionToken) {
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", (service.origin() + "/").c_str(), 1);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    reply = [](const std::string& request) {
        if (request.starts_with("PUT /latest/api/token "))
            return Answer{200, "session", {}};
        if (request.starts_with("GET /latest/meta-data/iam/security-credentials/ "))
            return Answer{200, "the-role\nanother", {}};
        if (request.starts_with("GET /latest/meta-data/iam/security-credentials/the-role "))
            return Answer{200, kJson, {}};
        return Answer{404, "", {}};
    };
    expect_keys(find_credentials({}));
    const auto requests = service.requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_NE(requests[0].find("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"),
              std::string::npos);
    for (const size_t i : {1U, 2U})
        EXPECT_NE(requests[i].find("x-aws-ec2-metadata-token: session\r\n"), std::string::npos);
}

TEST_F(TokenServicesTest, InstanceThatHasForgottenTheSession) {
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.origin().c_str(), 1);
    int given = 0;
    reply = [&](const std::string& request) {
        if (request.starts_with("PUT "))
            return Answer{200, "session" + std::to_string(++given), {}};
        if (request.find("token: session1") != std::string::npos)
            return Answer{401, "", {}};
        return Answer{
            200, request.find("/the-role ") == std::string::npos ? "the-role" : kJson, {}};
    };
    expect_keys(instance_credentials());
    EXPECT_EQ(given, 2);
    reply = [](const std::string& request) {
        return Answer{request.starts_with("PUT ") ? 200 : 401, "session", {}};
    };
    const Error error = test::expect_error(ErrorCode::permission_denied, instance_credentials);
    EXPECT_TRUE(test::mentions(error.detail, "401")) << "not asked for ever";
}

TEST_F(TokenServicesTest, InstanceWithoutServiceOrRole) {
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.origin().c_str(), 1);
    reply = [](const std::string&) { return Answer{403, "<html>no\r\n</html>", {}}; };
    Error error = test::expect_error(ErrorCode::permission_denied, instance_credentials);
    EXPECT_TRUE(test::mentions(error.message, "session token"));
    reply = [](const std::string& request) {
        return request.starts_with("PUT ") ? Answer{200, "session", {}} : Answer{404, "", {}};
    };
    error = test::expect_error(ErrorCode::permission_denied, instance_credentials);
    EXPECT_TRUE(test::mentions(error.message, "no role"));
}

}  // namespace
}  // namespace ark
