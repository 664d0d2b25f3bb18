#include "core/store/gs/google_tokens.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/http/crypto.hpp"
#include "core/http/message.hpp"
#include "core/store/cloud/bearer_token.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/rfc7515_key.hpp"
#include "test/support/scripted_service.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using Answer = test::ScriptedService::Answer;
using nlohmann::json;

const Answer kToken{
    200, R"({"access_token":"the-token","expires_in":3599,"token_type":"Bearer"})", {}};

json form_of(const std::string& request) {
    json form;
    std::string_view body = std::string_view(request).substr(request.find("\r\n\r\n") + 4);
    while (!body.empty()) {
        const std::string_view part = body.substr(0, body.find('&'));
        body.remove_prefix(std::min(part.size() + 1, body.size()));
        const size_t equals = part.find('=');
        form[*percent_decode(part.substr(0, equals))] = *percent_decode(part.substr(equals + 1));
    }
    return form;
}

json from_base64url(std::string text) {
    for (char& c : text)
        c = c == '-' ? '+' : c == '_' ? '/' : c;
    while (text.size() % 4 != 0)
        text += '=';
    return json::parse(as_text(from_base64(text)));
}

json service_account(const std::string& token_uri) {
    return {{"type", "service_account"},
            {"client_email", "a@b.iam.gserviceaccount.com"},
            {"private_key_id", "key-7"},
            {"private_key", test::kRfc7515Key},
            {"token_uri", token_uri}};
}

json external_account(const std::string& origin, const json& source) {
    return {{"type", "external_account"},
            {"audience", "//iam.googleapis.com/x"},
            {"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"},
            {"token_url", origin + "/sts"},
            {"credential_source", source}};
}

TEST(GoogleTokens, AssertionOfAServiceAccount) {
    const std::string text =
        service_account_assertion(service_account("https://tokens.test/token"), "the scope", 1000);
    const size_t first = text.find('.');
    const size_t second = text.rfind('.');
    EXPECT_EQ(from_base64url(text.substr(0, first)),
              (json{{"alg", "RS256"}, {"typ", "JWT"}, {"kid", "key-7"}}));
    EXPECT_EQ(from_base64url(text.substr(first + 1, second - first - 1)),
              (json{{"iss", "a@b.iam.gserviceaccount.com"},
                    {"scope", "the scope"},
                    {"aud", "https://tokens.test/token"},
                    {"iat", 1000},
                    {"exp", 4600}}));
    EXPECT_EQ(text.substr(second + 1),
              to_base64url(rsa_sha256(test::kRfc7515Key, text.substr(0, second))));
}

TEST(GoogleTokens, ServiceAccount) {
    test::ScriptedService service([](const std::string&) { return kToken; });
    const BearerToken token =
        google_token(service_account(service.origin() + "/token"), kStorageScope, {});
    EXPECT_EQ(token.token, "the-token");
    EXPECT_NEAR(static_cast<double>(*token.expires), static_cast<double>(time(nullptr) + 3599), 5);
    ASSERT_EQ(service.requests().size(), 1U);
    const std::string request = service.requests()[0];
    EXPECT_TRUE(request.starts_with("POST /token "));
    const json form = form_of(request);
    EXPECT_EQ(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    EXPECT_EQ(form.size(), 2U);
    EXPECT_NE(form["assertion"].get<std::string>().find('.'), std::string::npos);
}

TEST(GoogleTokens, User) {
    test::ScriptedService service([](const std::string&) { return kToken; });
    const json file{{"type", "authorized_user"},
                    {"client_id", "id"},
                    {"client_secret", "secret"},
                    {"refresh_token", "refresh&me"},
                    {"token_uri", service.origin() + "/token"}};
    EXPECT_EQ(google_token(file, kStorageScope, {}).token, "the-token");
    EXPECT_EQ(form_of(service.requests().at(0)), (json{{"grant_type", "refresh_token"},
                                                       {"client_id", "id"},
                                                       {"client_secret", "secret"},
                                                       {"refresh_token", "refresh&me"}}));
}

TEST(GoogleTokens, ExternalAccountByFile) {
    const test::TemporaryDirectory directory;
    std::ofstream(directory / "subject") << "subject-token\n";
    test::ScriptedService service([](const std::string&) { return kToken; });
    json file = external_account(service.origin(), {{"file", directory / "subject"}});
    EXPECT_EQ(google_token(file, kStorageScope, {}).token, "the-token");
    EXPECT_EQ(form_of(service.requests().at(0)),
              (json{{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
                    {"audience", "//iam.googleapis.com/x"},
                    {"scope", kStorageScope},
                    {"requested_token_type", "urn:ietf:params:oauth:token-type:access_token"},
                    {"subject_token_type", "urn:ietf:params:oauth:token-type:jwt"},
                    {"subject_token", "subject-token"}}));
    file["client_id"] = "id";
    file["client_secret"] = "secret";
    google_token(file, kStorageScope, {});
    EXPECT_NE(service.requests().at(1).find("Basic aWQ6c2VjcmV0"), std::string::npos);
}

TEST(GoogleTokens, ExternalAccountByUrlActsAsAServiceAccount) {
    test::ScriptedService service([](const std::string& request) {
        if (request.starts_with("GET /identity?version=1 "))
            return Answer{200, R"({"field":"subject-token"})", {}};
        if (request.starts_with("POST /sts "))
            return kToken;
        return Answer{
            200, R"({"accessToken":"acting-token","expireTime":"2030-01-02T03:04:05Z"})", {}};
    });
    json file = external_account(
        service.origin(), {{"url", service.origin() + "/identity?version=1"},
                           {"headers", {{"Metadata", "True"}}},
                           {"format", {{"type", "json"}, {"subject_token_field_name", "field"}}}});
    file["service_account_impersonation_url"] =
        service.origin() + "/v1/projects/-/serviceAccounts/a@b:generateAccessToken";
    const BearerToken token = google_token(file, kStorageScope, {});
    EXPECT_EQ(token.token, "acting-token");
    EXPECT_EQ(token.expires, 1893553445);
    const auto requests = service.requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_NE(requests[0].find("metadata: True\r\n"), std::string::npos);
    EXPECT_EQ(form_of(requests[1])["subject_token"], "subject-token");
    EXPECT_EQ(form_of(requests[1])["scope"], kCloudScope);
    EXPECT_NE(requests[2].find("authorization: Bearer the-token\r\n"), std::string::npos);
    EXPECT_EQ(json::parse(requests[2].substr(requests[2].find("\r\n\r\n"))),
              (json{{"scope", {kStorageScope}}, {"lifetime", "3600s"}}));
}

TEST(GoogleTokens, ImpersonatedServiceAccount) {
    test::ScriptedService service([](const std::string& request) {
        if (request.starts_with("POST /token "))
            return kToken;
        return Answer{
            200, R"({"accessToken":"acting-token","expireTime":"2030-01-02T03:04:05Z"})", {}};
    });
    json file{{"type", "impersonated_service_account"},
              {"service_account_impersonation_url", service.origin() + "/act"},
              {"delegates", {"one"}},
              {"source_credentials", service_account(service.origin() + "/token")}};
    EXPECT_EQ(google_token(file, kStorageScope, {}).token, "acting-token");
    EXPECT_NE(service.requests().at(1).find(R"("delegates":["one"])"), std::string::npos);
    // One that names itself for ever ends.
    for (int i = 0; i < 5; ++i)
        file["source_credentials"] = file;
    test::expect_error(ErrorCode::invalid_argument,
                       [&] { return google_token(file, kStorageScope, {}); });
}

TEST(GoogleTokens, RefusalsAreTheServicesOwnWordsAndNoSecrets) {
    test::ScriptedService service([](const std::string& request) {
        if (request.starts_with("POST /act "))
            return Answer{
                403, R"({"error":{"status":"PERMISSION_DENIED","message":"not yours"}})", {}};
        if (request.starts_with("POST /sts "))
            return kToken;
        return Answer{
            400, R"({"error":"invalid_grant","error_description":"Invalid JWT Signature."})", {}};
    });
    Error error = test::expect_error(ErrorCode::permission_denied, [&] {
        return google_token(service_account(service.origin() + "/token"), kStorageScope, {});
    });
    EXPECT_TRUE(test::mentions(error.detail, "invalid_grant: Invalid JWT Signature"));
    EXPECT_EQ((error.message + error.detail + error.hint).find("PRIVATE"), std::string::npos);

    const test::TemporaryDirectory directory;
    std::ofstream(directory / "subject") << "hunter2";
    json file = external_account(service.origin(), {{"file", directory / "subject"}});
    file["service_account_impersonation_url"] = service.origin() + "/act";
    error = test::expect_error(ErrorCode::permission_denied,
                               [&] { return google_token(file, kStorageScope, {}); });
    EXPECT_TRUE(test::mentions(error.detail, "PERMISSION_DENIED: not yours"));
    EXPECT_EQ((error.message + error.detail + error.hint).find("hunter2"), std::string::npos);
    EXPECT_EQ((error.message + error.detail + error.hint).find("the-token"), std::string::npos);
}

TEST(GoogleTokens, FilesThatCannotBeUsed) {
    const std::string url = "https://tokens.test/token";
    json no_key = service_account(url);
    no_key.erase("private_key");
    json broken_key = service_account(url);
    broken_key["private_key"] = "hunter2";
    const std::vector<json> files{
        json::object(),
        {{"type", "gdch_service_account"}},
        no_key,
        broken_key,
        service_account("http://tokens.test/token"),
        service_account("ftp://tokens.test/token"),
        external_account("https://tokens.test", {{"executable", {{"command", "x"}}}}),
        external_account("https://tokens.test", {{"environment_id", "aws1"}, {"url", "http://x"}}),
        external_account("https://tokens.test", json::object()),
        external_account("https://tokens.test", "text"),
    };
    for (const json& file : files) {
        const Error error = test::expect_error(
            ErrorCode::invalid_argument, [&] { return google_token(file, kStorageScope, {}); },
            file.dump());
        EXPECT_EQ((error.message + error.detail).find("hunter2"), std::string::npos);
    }
    EXPECT_NO_THROW(check_token_url("https://oauth2.googleapis.com/token"));
    EXPECT_NO_THROW(check_token_url("http://127.0.0.1:8080/token"));
    EXPECT_THROW(check_token_url("http://127.0.0.1.evil.test/token"), Error);
}

TEST(GoogleTokens, MetadataServer) {
    Answer answer = kToken;
    answer.headers = "Metadata-Flavor: Google\r\n";
    test::ScriptedService service([&](const std::string&) { return answer; });
    setenv("GCE_METADATA_HOST", service.origin().substr(7).c_str(), 1);
    EXPECT_EQ(metadata_token().token, "the-token");
    const std::string request = service.requests().at(0);
    EXPECT_TRUE(request.starts_with(
        "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP"));
    EXPECT_NE(request.find("metadata-flavor: Google\r\n"), std::string::npos);
    answer.status = 404;
    EXPECT_TRUE(
        test::mentions(test::expect_error(ErrorCode::permission_denied, metadata_token).message,
                       "no service account"));
    answer = kToken;  // of somebody who is not Google's
    EXPECT_TRUE(
        test::mentions(test::expect_error(ErrorCode::permission_denied, metadata_token).message,
                       "no metadata server"));
    unsetenv("GCE_METADATA_HOST");
}

}  // namespace
}  // namespace ark
