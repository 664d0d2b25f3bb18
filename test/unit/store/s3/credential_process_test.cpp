#include "core/store/s3/credential_process.hpp"

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/clock.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kKeys =
    R"({"Version":1,"AccessKeyId":"ak","SecretAccessKey":"hunter2","SessionToken":"st",)"
    R"("Expiration":"2030-01-02T03:04:05Z"})";

class CredentialProcessTest : public testing::Test {
 protected:
    // A program of a script's lines; its path has a blank in it.
    std::string program(const std::string& lines) const {
        const std::string path = directory / "a program";
        std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
        chmod(path.c_str(), 0700);
        return "\"" + path + "\"";
    }
    static Error refused(const std::string& command, double timeout = 60) {
        const Error error = test::expect_error(
            ErrorCode::permission_denied,
            [&] { return process_credentials(command, "mine", timeout); }, command);
        EXPECT_TRUE(test::mentions(error.message, "\"mine\""));
        EXPECT_EQ((error.message + error.detail + error.hint).find("hunter2"), std::string::npos);
        return error;
    }
    test::TemporaryDirectory directory;
};

TEST(CredentialCommand, Words) {
    EXPECT_EQ(split_command("a  b\tc "), (Words{"a", "b", "c"}));
    EXPECT_EQ(split_command(R"("/a b/c" --name "d e" 'f "g"' h"i j"k)"),
              (Words{"/a b/c", "--name", "d e", "f \"g\"", "hi jk"}));
    EXPECT_EQ(split_command(R"(a\ b "c\"d" 'e\f' "")"), (Words{"a b", "c\"d", "e\\f", ""}));
    EXPECT_EQ(split_command("a $(b) `c`; d | e > f ~ $HOME"),
              (Words{"a", "$(b)", "`c`;", "d", "|", "e", ">", "f", "~", "$HOME"}));
    EXPECT_EQ(split_command(" "), Words{});
    test::expect_error(ErrorCode::invalid_argument, [] { return split_command("a \"b"); });
}

TEST_F(CredentialProcessTest, KeysAndWhenTheyEnd) {
    const S3Credentials found =
        process_credentials(program(std::string("echo '") + kKeys + "'"), "mine");
    EXPECT_EQ(found.key.access_key, "ak");
    EXPECT_EQ(found.key.secret_key, "hunter2");
    EXPECT_EQ(found.key.session_token, "st");
    EXPECT_EQ(found.expires, 1893553445);
    const S3Credentials lasting = process_credentials(
        program(R"(echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"}')"), "mine");
    EXPECT_EQ(lasting.expires, std::nullopt);
    EXPECT_EQ(lasting.key.session_token, "");
}

TEST_F(CredentialProcessTest, ArgumentsReachItAsTheyAreWritten) {
    const std::string script = program("printf '%s\\n' \"$#\" \"$@\" >'" +
                                       std::string(directory / "seen") + "'; echo '" + kKeys + "'");
    process_credentials(script + " one \"two three\" $HOME ';' '$(touch " +
                            std::string(directory / "touched") + ")'",
                        "mine");
    std::ifstream seen(directory / "seen");
    std::string first;
    std::getline(seen, first);
    EXPECT_EQ(first, "5");
    EXPECT_FALSE(std::ifstream(directory / "touched").good());
}

TEST_F(CredentialProcessTest, WhatFailsSaysHowAndNotWhat) {
    EXPECT_TRUE(
        test::mentions(refused(program("echo hunter2; echo hunter2 >&2; exit 3")).detail, "3"));
    EXPECT_TRUE(test::mentions(refused(program("kill -9 $$")).detail, "signal"));
    EXPECT_TRUE(test::mentions(refused("/no/such/program hunter2").detail, "/no/such/program"));
    refused(program("echo hunter2"));
    refused(program(R"(echo '{"Version":2,"AccessKeyId":"a","SecretAccessKey":"hunter2"}')"));
    refused(program(R"(echo '{"Version":1,"AccessKeyId":"hunter2"}')"));
    refused(program(
        R"(echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"soon"}')"));
    refused(program("exec yes hunter2"));
    test::expect_error(ErrorCode::invalid_argument, [] { return process_credentials("", "mine"); });
}

TEST_F(CredentialProcessTest, IsNotWaitedForWithoutEnd) {
    const int64_t began = monotonic_nanos();
    // What it has started has its pipe, too.
    test::expect_error(ErrorCode::timeout, [&] {
        return process_credentials(program("sleep 60 & sleep 60"), "mine", 0.5);
    });
    test::expect_error(ErrorCode::timeout, [&] {
        return process_credentials(program("exec >&-; sleep 60"), "mine", 0.5);
    });
    EXPECT_LT(monotonic_nanos() - began, 10LL * 1000000000);
    test::expect_error(ErrorCode::timeout, [&] {
        const std::string late = directory / "late";
        return process_credentials(program("(sleep 1; touch '" + late + "') & sleep 60"), "mine",
                                   0.3);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    EXPECT_FALSE(std::ifstream(directory / "late").good()) << "what it started ends with it";
}

TEST_F(CredentialProcessTest, OfAProfile) {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"})
        unsetenv(name);
    setenv("AWS_CONFIG_FILE", (directory / "config").c_str(), 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", (directory / "credentials").c_str(), 1);
    std::ofstream(directory / "config")
        << "[default]\ncredential_process = " << program(std::string("echo '") + kKeys + "'")
        << "\n[profile keys]\ncredential_process = /no/such/program\n";
    std::ofstream(directory / "credentials")
        << "[keys]\naws_access_key_id = k\naws_secret_access_key = s\n";
    EXPECT_EQ(find_credentials({}).key.access_key, "ak");
    CredentialOptions keys;
    keys.profile = "keys";
    EXPECT_EQ(find_credentials(keys).key.access_key, "k") << "keys come before a program";
}

}  // namespace
}  // namespace ark
