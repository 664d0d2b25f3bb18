#include "core/store/s3/credentials.hpp"

#include <cstdlib>
#include <ctime>
#include <fstream>

#include <gtest/gtest.h>

#include "core/store/s3/aws_files.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

class CredentialsTest : public testing::Test {
 protected:
    void SetUp() override {
        for (const char* name :
             {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
              "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION",
              "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"})
            unsetenv(name);
        setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
        setenv("AWS_CONFIG_FILE", (directory / "config").c_str(), 1);
        setenv("AWS_SHARED_CREDENTIALS_FILE", (directory / "credentials").c_str(), 1);
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(directory / name) << text;
    }

    test::TemporaryDirectory directory;
};

TEST_F(CredentialsTest, Environment) {
    setenv("AWS_ACCESS_KEY_ID", "a", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "b", 1);
    setenv("AWS_SESSION_TOKEN", "c", 1);
    const S3Credentials found = find_credentials({});
    EXPECT_EQ(found.key.access_key, "a");
    EXPECT_EQ(found.key.secret_key, "b");
    EXPECT_EQ(found.key.session_token, "c");
    EXPECT_EQ(found.expires, std::nullopt);
}

TEST_F(CredentialsTest, ProfilesOfBothFiles) {
    write("config",
          "# comment\n[default]\nregion = eu-central-1\ns3 =\n  addressing_style = path\n"
          "[profile other]\naws_access_key_id=from-config\naws_secret_access_key=x\n");
    write("credentials",
          "[default]\naws_access_key_id = d\naws_secret_access_key = e=f==\r\n"
          "[other]\naws_access_key_id=o\n");
    EXPECT_EQ(find_credentials({}).key.access_key, "d");
    EXPECT_EQ(find_credentials({}).key.secret_key, "e=f==");
    EXPECT_EQ(find_region({}), "eu-central-1");
    CredentialOptions other;
    other.profile = "other";
    EXPECT_EQ(find_credentials(other).key.access_key, "o") << "the credentials file comes last";
    EXPECT_EQ(find_credentials(other).key.secret_key, "x");
    setenv("AWS_PROFILE", "other", 1);
    EXPECT_EQ(find_credentials({}).key.access_key, "o");
    setenv("AWS_REGION", "us-west-2", 1);
    EXPECT_EQ(find_region({}), "us-west-2");
}

TEST_F(CredentialsTest, WhatTheUrlNamesComesBeforeTheEnvironment) {
    setenv("AWS_ACCESS_KEY_ID", "a", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "b", 1);
    write("mine", "[default]\naws_access_key_id=m\naws_secret_access_key=n\n");
    CredentialOptions mine;
    mine.credentials_file = directory / "mine";
    EXPECT_EQ(find_credentials(mine).key.access_key, "m");
    mine.profile = "nobody";
    const Error error =
        test::expect_error(ErrorCode::permission_denied, [&] { return find_credentials(mine); });
    EXPECT_TRUE(test::mentions(error.message, "nobody"));
}

TEST_F(CredentialsTest, NothingFoundSaysWhereItLooked) {
    const Error error =
        test::expect_error(ErrorCode::permission_denied, [] { return find_credentials({}); });
    EXPECT_TRUE(test::mentions(error.detail, "AWS_ACCESS_KEY_ID"));
    EXPECT_TRUE(test::mentions(error.hint, "credentials_file="));
}

TEST_F(CredentialsTest, RolesThatLeadInACircleOrNowhere) {
    write("config",
          "[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n"
          "[profile c]\nrole_arn=r\n");
    CredentialOptions options;
    options.profile = "a";
    test::expect_error(ErrorCode::invalid_argument, [&] { return find_credentials(options); });
    options.profile = "c";
    test::expect_error(ErrorCode::permission_denied, [&] { return find_credentials(options); });
}

TEST(CredentialCache, RefreshesBeforeTheEndAndLivesWithAFailureUntilThen) {
    int asked = 0;
    bool down = false;
    int64_t lifetime = 3600;
    CredentialCache cache([&] {
        if (down)
            throw Error(ErrorCode::unavailable, "down");
        return S3Credentials{{"key" + std::to_string(++asked), "s", ""}, time(nullptr) + lifetime};
    });
    EXPECT_EQ(cache.get().access_key, "key1");
    EXPECT_EQ(cache.get().access_key, "key1");
    cache.invalidate();
    lifetime = 200;
    EXPECT_EQ(cache.get().access_key, "key2");
    EXPECT_EQ(cache.get().access_key, "key3") << "within five minutes of its end";
    down = true;
    EXPECT_EQ(cache.get().access_key, "key3");
    cache.invalidate();
    EXPECT_THROW(cache.get(), Error);
}

}  // namespace
}  // namespace ark
