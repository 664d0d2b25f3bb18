#include "core/base/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

size_t open_descriptors() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

TEST(File, ReadsWholeFilesOfEverySize) {
    const test::TemporaryDirectory directory;
    for (const size_t size : {0, 1, 65535, 65536, 65537, 131072, 300000}) {
        const std::string content(size, 'x');
        test::write_file(directory / "f", content);
        EXPECT_EQ(as_text(read_file(directory / "f", 300000)), content);
        EXPECT_EQ(as_text(*read_file_if_exists(directory / "f", 300000)), content);
    }
    EXPECT_FALSE(read_file_if_exists(directory / "absent", 10));
    EXPECT_FALSE(read_file_if_exists(directory / "f/below", 10));
    test::expect_error(ErrorCode::not_found, [&] { return read_file(directory / "absent", 10); });
}

TEST(File, AFileOverTheLimitIsNamed) {
    const test::TemporaryDirectory directory;
    test::write_file(directory / "f", "123456");
    EXPECT_EQ(read_file(directory / "f", 6).size(), 6U);
    const Error error =
        test::expect_error(ErrorCode::corrupt, [&] { return read_file(directory / "f", 5); });
    EXPECT_TRUE(test::mentions(error.message, directory / "f"));
}

TEST(File, DirectoriesAreNotReadAsFiles) {
    const test::TemporaryDirectory directory;
    test::expect_error(ErrorCode::io_error, [&] { return read_file(directory.path(), 10); });
}

TEST(File, ReadPastTheEndIsShort) {
    const test::TemporaryDirectory directory;
    test::write_file(directory / "f", "0123456789");
    const File file = File::open(directory / "f", O_RDONLY);
    Bytes buffer(8);
    EXPECT_EQ(file.pread_full(buffer, 0), 8U);
    EXPECT_EQ(file.pread_full(buffer, 5), 5U);
    EXPECT_EQ(as_text(ByteView(buffer).first(5)), "56789");
    EXPECT_EQ(file.pread_full(buffer, 10), 0U);
    EXPECT_EQ(file.pread_full(buffer, 1000), 0U);
}

TEST(File, NoDescriptorLeaks) {
    const test::TemporaryDirectory directory;
    test::write_file(directory / "f", "x");
    const size_t before = open_descriptors();
    {
        File a = File::open(directory / "f", O_RDONLY);
        File b = File::open(directory / "f", O_RDONLY);
        b = std::move(a);
        File& same = b;
        b = std::move(same);
        EXPECT_TRUE(b.is_open());
        EXPECT_FALSE(a.is_open());  // NOLINT(bugprone-use-after-move)
        const File c = std::move(b);
        EXPECT_EQ(c.path(), directory / "f");
        EXPECT_EQ(fcntl(c.fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(File, DurableWriteReplacesAndLeavesNoTemporary) {
    const test::TemporaryDirectory directory;
    write_file_durably(directory / "f", as_bytes("old and long"), 0600);
    write_file_durably(directory / "f", as_bytes("new"), 0640);
    EXPECT_EQ(as_text(read_file(directory / "f", 100)), "new");
    EXPECT_FALSE(std::filesystem::exists(directory / "f.tmp"));
}

TEST(File, ADurableWriteThatFailsKeepsTheOldFile) {
    const test::TemporaryDirectory directory;
    write_file_durably(directory / "f", as_bytes("old"), 0600);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{4096, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const Bytes big(100000);
    EXPECT_THROW(write_file_durably(directory / "f", big, 0600), Error);
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(as_text(read_file(directory / "f", 100)), "old");
    EXPECT_FALSE(std::filesystem::exists(directory / "f.tmp"));
}

TEST(File, ParentDirectories) {
    EXPECT_EQ(parent_directory("/a/b/c"), "/a/b");
    EXPECT_EQ(parent_directory("c"), ".");
    EXPECT_EQ(parent_directory("/c"), "/");
    EXPECT_EQ(parent_directory("a/b"), "a");
}

}  // namespace
}  // namespace ark
