#include "core/repo/key_source.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/clock.hpp"
#include "core/base/file.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using test::expect_error;
using test::mentions;

constexpr const char* kKey = "pgark-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr const char* kPlanted = "s3cr3t-of-the-test";

class KeySourceTest : public ::testing::Test {
 protected:
    std::string write(const std::string& content, mode_t mode = 0600) {
        std::string path = directory / "key";
        std::ofstream(path) << content;
        ::chmod(path.c_str(), mode);
        return path;
    }
    static KeySecret from_file(const std::string& path) { return read_key_secret({path, {}}); }
    static KeySecret from_command(const std::string& command, double seconds = 30) {
        return read_key_secret({{}, command}, {.seconds = seconds});
    }
    // A message that must not have what the command wrote to standard output.
    static Error failure(ErrorCode code, const std::string& command, double seconds = 30) {
        const Error error = expect_error(code, [&] { return from_command(command, seconds); });
        EXPECT_FALSE(mentions(error.message + error.detail + error.hint, kPlanted)) << error.detail;
        return error;
    }
    test::TemporaryDirectory directory;
};

TEST_F(KeySourceTest, ReadsAFile) {
    const KeySecret key = from_file(write(std::string(kKey) + "\n"));
    EXPECT_EQ(key.type, KeySecret::Type::key);
    ASSERT_EQ(key.bytes.size(), 32);
    EXPECT_EQ(key.bytes[31], std::byte{31});
    EXPECT_EQ(from_file(write("passphrase:a b c")).bytes, secret_copy("a b c"));
    EXPECT_EQ(from_file(write(kKey, 0640)).bytes, key.bytes);
    EXPECT_EQ(from_file(write(kKey, 0400)).bytes, key.bytes);
}

TEST_F(KeySourceTest, AFileThatOthersMayReadIsRefused) {
    for (const mode_t mode : {0604U, 0602U, 0620U, 0644U, 0601U})
        expect_error(ErrorCode::permission_denied, [&] { return from_file(write(kKey, mode)); });
}

TEST_F(KeySourceTest, WhatIsNoKeyFileIsRefusedAndNotRepeated) {
    const auto refused = [&](const std::string& content) {
        const Error error =
            expect_error(ErrorCode::invalid_argument, [&] { return from_file(write(content)); });
        EXPECT_FALSE(mentions(error.message + error.detail + error.hint, kPlanted));
        EXPECT_TRUE(mentions(error.message, directory.path()));
    };
    refused(kPlanted);
    refused("");
    refused(std::string("pgark-key-1:") + kPlanted);
    refused(std::string("passphrase:one\ntwo ") + kPlanted);
    refused("passphrase:" + std::string(kMaxSecretText, 'x'));
    expect_error(ErrorCode::not_found, [&] { return from_file(directory / "none"); });
    expect_error(ErrorCode::invalid_argument, [&] { return from_file(directory.path()); });
    expect_error(ErrorCode::invalid_argument, [&] { return from_file("key"); });
    // Nobody ever writes to it.
    const std::string fifo = directory / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    expect_error(ErrorCode::invalid_argument, [&] { return from_file(fifo); });
}

TEST_F(KeySourceTest, OneOfTheTwoIsNamed) {
    expect_error(ErrorCode::invalid_argument, [] { return read_key_secret({}); });
    expect_error(ErrorCode::invalid_argument, [] { return read_key_secret({"/a", "b"}); });
}

TEST_F(KeySourceTest, TakesWhatACommandPrints) {
    const std::string once = directory / "runs";
    const std::string command =
        "echo run >> " + once + "; echo noise >&2; printf '%s\\n' " + std::string(kKey);
    EXPECT_EQ(from_command(command).bytes.size(), 32);
    EXPECT_EQ(read_file(once, 100).size(), 4);
    // It has no input to wait for.
    EXPECT_EQ(from_command("cat; echo passphrase:x").bytes, secret_copy("x"));
    // Slowly, and with more on standard error than a pipe holds.
    EXPECT_EQ(
        from_command("head -c 300000 /dev/zero >&2; sleep 0.2; printf passphrase:; sleep 0.2; "
                     "echo y")
            .bytes,
        secret_copy("y"));
}

TEST_F(KeySourceTest, ACommandThatFailsSaysWhy) {
    const Error error = failure(ErrorCode::invalid_key,
                                "echo s3cr3t-of-the-test; echo 'no\x1b such vault' >&2; exit 3");
    EXPECT_TRUE(mentions(error.detail, "status 3")) << error.detail;
    EXPECT_TRUE(mentions(error.detail, "no  such vault")) << error.detail;
    EXPECT_TRUE(error.retryable);
    EXPECT_TRUE(mentions(failure(ErrorCode::invalid_key, "kill -9 $$").detail, "Signal 9"));
    EXPECT_TRUE(mentions(
        failure(ErrorCode::invalid_key, "/no/such/program s3cr3t >/dev/null").detail, "127"));
    EXPECT_LT(failure(ErrorCode::invalid_key, "head -c 100000 /dev/zero >&2; false").detail.size(),
              5000);
}

TEST_F(KeySourceTest, WhatACommandPrintsThatIsNoKeyIsNotRepeated) {
    failure(ErrorCode::invalid_argument, "echo s3cr3t-of-the-test");
    failure(ErrorCode::invalid_argument, "true");
    failure(ErrorCode::invalid_argument, "printf 'pgark-key-1:s3cr3t-of-the-test\\n'");
}

TEST_F(KeySourceTest, ACommandThatWritesWithoutEndIsEnded) {
    const int64_t begin = monotonic_nanos();
    const Error error = failure(ErrorCode::invalid_key, "yes s3cr3t-of-the-test");
    EXPECT_TRUE(mentions(error.detail, "more than 4096")) << error.detail;
    EXPECT_LT(monotonic_nanos() - begin, 20 * 1000000000LL);
}

// With all that it has started.
TEST_F(KeySourceTest, ACommandThatHangsIsEndedWithItsGroup) {
    const std::string pid_file = directory / "pid";
    const std::string command = "sleep 1000 & echo $! > " + pid_file + "; echo late >&2; wait";
    const Error error = failure(ErrorCode::timeout, command, 0.5);
    EXPECT_TRUE(mentions(error.detail, "late")) << error.detail;
    EXPECT_TRUE(error.retryable);
    const Bytes text = read_file(pid_file, 100);
    const pid_t child = std::stoi(std::string(as_text(text)));
    const std::string status = "/proc/" + std::to_string(child) + "/cmdline";
    const auto runs = [&] {
        const auto line = read_file_if_exists(status, 1000);
        return line && as_text(*line).starts_with("sleep");
    };
    for (int i = 0; i < 100 && runs(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(runs());
}

// What it left in the background keeps its standard output open.
TEST_F(KeySourceTest, ACommandThatHasEndedIsNotWaitedFor) {
    const int64_t begin = monotonic_nanos();
    EXPECT_EQ(from_command("sleep 1000 & echo passphrase:z").bytes, secret_copy("z"));
    EXPECT_LT(monotonic_nanos() - begin, 20 * 1000000000LL);
}

TEST_F(KeySourceTest, LeavesNoCore) {
    from_file(write(kKey));
    rlimit core{};
    getrlimit(RLIMIT_CORE, &core);
    EXPECT_EQ(core.rlim_cur, 0U);
}

TEST(SecretMemory, SecretsAreNotSwappedOut) {
    const SecretBytes secret(100);
    // Where the system allows locked memory at all.
    if (CRYPTO_secure_malloc_initialized() != 1)
        GTEST_SKIP();
    EXPECT_EQ(CRYPTO_secure_allocated(secret.data()), 1);
    const SecretBytes large(200 * 1024);  // more than there is of it
    EXPECT_EQ(CRYPTO_secure_allocated(large.data()), 0);
}

}  // namespace
}  // namespace ark
