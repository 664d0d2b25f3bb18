#include "core/store/gs/google_credentials.hpp"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <initializer_list>

#include <gtest/gtest.h>

#include "core/store/gs/google_signer.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/scripted_service.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

class GoogleCredentialsTest : public testing::Test {
 protected:
    void SetUp() override {
        for (const char* name : {"GOOGLE_APPLICATION_CREDENTIALS", "GS_ACCESS_KEY_ID",
                                 "GS_SECRET_ACCESS_KEY", "GCE_METADATA_HOST"})
            unsetenv(name);
        setenv("NO_GCE_CHECK", "true", 1);
        setenv("CLOUDSDK_CONFIG", (directory / "gcloud").c_str(), 1);
        std::filesystem::create_directory(directory / "gcloud");
    }
    void TearDown() override {
        for (const char* name : {"GOOGLE_APPLICATION_CREDENTIALS", "GS_ACCESS_KEY_ID",
                                 "GS_SECRET_ACCESS_KEY", "CLOUDSDK_CONFIG", "NO_GCE_CHECK"})
            unsetenv(name);
    }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(directory / name) << text;
        return directory / name;
    }
    // A user's file that names its owner in the token.
    std::string user_file(const std::string& name) const {
        return write(name, R"({"type":"authorized_user","client_id":")" + name +
                               R"(","client_secret":"s","refresh_token":"r","token_uri":")" +
                               service.origin() + R"(/token"})");
    }

    int asked = 0;
    int64_t lifetime = 3600;
    test::TemporaryDirectory directory;
    test::ScriptedService service{[this](const std::string& request) {
        const size_t at = request.find("client_id=") + 10;
        const std::string who = request.substr(at, request.find('&', at) - at);
        return test::ScriptedService::Answer{200,
                                             R"({"access_token":")" + who +
                                                 std::to_string(++asked) + R"(","expires_in":)" +
                                                 std::to_string(lifetime) + "}",
                                             {}};
    }};
};

TEST_F(GoogleCredentialsTest, FilesInTheirOrder) {
    user_file("gcloud/application_default_credentials.json");
    EXPECT_TRUE(find_google_token({}).token.starts_with("gcloud"));
    setenv("GOOGLE_APPLICATION_CREDENTIALS", user_file("environment").c_str(), 1);
    EXPECT_TRUE(find_google_token({}).token.starts_with("environment"));
    EXPECT_TRUE(find_google_token({user_file("url"), {}}).token.starts_with("url"));
    EXPECT_EQ(find_hmac_key({user_file("url"), {}}), std::nullopt);
}

TEST_F(GoogleCredentialsTest, HmacKeys) {
    EXPECT_EQ(find_hmac_key({}), std::nullopt);
    setenv("GS_ACCESS_KEY_ID", "id", 1);
    EXPECT_EQ(find_hmac_key({}), std::nullopt);
    setenv("GS_SECRET_ACCESS_KEY", "secret", 1);
    EXPECT_EQ(find_hmac_key({})->access_key, "id");
    EXPECT_EQ(find_hmac_key({})->secret_key, "secret");
    // A file that is named comes before keys that are only there.
    setenv("GOOGLE_APPLICATION_CREDENTIALS", user_file("environment").c_str(), 1);
    EXPECT_EQ(find_hmac_key({}), std::nullopt);
    const std::string boto =
        write("boto", "[Credentials]\ngs_access_key_id = b\ngs_secret_access_key = c+/d==\n");
    EXPECT_EQ(find_hmac_key({boto, {}})->access_key, "b");
    EXPECT_EQ(find_hmac_key({boto, {}})->secret_key, "c+/d==");
}

TEST_F(GoogleCredentialsTest, FilesThatAreMissingOrWrong) {
    const auto nothing = [](const std::string& path) { return GoogleCredentialOptions{path, {}}; };
    const std::string missing = directory / "missing";
    Error error = test::expect_error(ErrorCode::permission_denied,
                                     [&] { return find_hmac_key(nothing(missing)); });
    EXPECT_TRUE(test::mentions(error.message, missing));
    error = test::expect_error(ErrorCode::invalid_argument,
                               [&] { return find_hmac_key(nothing(write("x", "hunter2"))); });
    EXPECT_EQ((error.message + error.detail + error.hint).find("hunter2"), std::string::npos);
    error = test::expect_error(ErrorCode::invalid_argument, [&] {
        return find_google_token(nothing(write("y", "{\"hunter2\":")));
    });
    EXPECT_EQ((error.message + error.detail + error.hint).find("hunter2"), std::string::npos);
    error = test::expect_error(ErrorCode::permission_denied, [] { return find_google_token({}); });
    EXPECT_TRUE(test::mentions(error.detail, "GOOGLE_APPLICATION_CREDENTIALS"));
    EXPECT_TRUE(test::mentions(error.detail, "application_default_credentials.json"));
    EXPECT_TRUE(test::mentions(error.hint, "credentials_file="));
}

TEST_F(GoogleCredentialsTest, SignerKeepsATokenUntilShortlyBeforeItsEnd) {
    GoogleSigner signer({user_file("u"), {}});
    const auto signed_now = [&] {
        HttpRequest request;
        signer.sign(request, "auto", time(nullptr));
        return *request.header("authorization");
    };
    EXPECT_EQ(signed_now(), "Bearer u1");
    EXPECT_EQ(signed_now(), "Bearer u1");
    lifetime = 200;
    signer.invalidate();
    EXPECT_EQ(signed_now(), "Bearer u2");
    EXPECT_EQ(signed_now(), "Bearer u3");
}

TEST_F(GoogleCredentialsTest, SignerTakesAKeyThatWasChanged) {
    const std::string boto =
        write("boto", "[Credentials]\ngs_access_key_id = b\ngs_secret_access_key = c\n");
    GoogleSigner signer({boto, {}});
    const auto signed_now = [&] {
        HttpRequest request;
        request.method = "GET";
        request.origin = "https://storage.googleapis.com";
        request.path = "/bucket/x";
        signer.sign(request, "auto", time(nullptr));
        return *request.header("authorization");
    };
    EXPECT_TRUE(signed_now().starts_with("GOOG4-HMAC-SHA256 Credential=b/"));
    write("boto", "[Credentials]\ngs_access_key_id = d\ngs_secret_access_key = c\n");
    EXPECT_TRUE(signed_now().starts_with("GOOG4-HMAC-SHA256 Credential=b/"));
    signer.invalidate();
    EXPECT_TRUE(signed_now().starts_with("GOOG4-HMAC-SHA256 Credential=d/"));
}

}  // namespace
}  // namespace ark
