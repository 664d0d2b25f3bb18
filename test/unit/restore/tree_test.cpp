#include "core/restore/tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/restore/durability.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

class TreeTest : public testing::Test {
 protected:
    void file(const std::string& path) {
        fs::create_directories(fs::path(directory / path).parent_path());
        std::ofstream(directory / path) << "content";
    }
    test::TemporaryDirectory directory;
};

TEST_F(TreeTest, EmptyDirectories) {
    EXPECT_TRUE(is_empty_directory(directory.path()));
    file("a");
    EXPECT_FALSE(is_empty_directory(directory.path()));
    EXPECT_FALSE(is_empty_directory(directory / "a"));
    EXPECT_FALSE(is_empty_directory(directory / "no"));
}

TEST_F(TreeTest, EmptyingKeepsWhatIsNamed) {
    file("d/a");
    file("d/keep");
    file("d/deep/er/x");
    empty_directory(directory / "d", {"keep"});
    EXPECT_EQ(names_in_directory(directory / "d"), std::vector<std::string>{"keep"});
}

TEST_F(TreeTest, LinksAreRemovedNotFollowed) {
    file("outside/precious");
    fs::create_directory(directory / "d");
    fs::create_directory_symlink(directory / "outside", directory / "d/link");
    fs::create_symlink(directory / "gone", directory / "d/dangling");
    empty_directory(directory / "d", {});
    EXPECT_TRUE(is_empty_directory(directory / "d"));
    EXPECT_TRUE(fs::exists(directory / "outside/precious"));
}

TEST_F(TreeTest, DirectoriesWithoutPermissions) {
    file("d/closed/x");
    fs::permissions(directory / "d/closed", fs::perms::none);
    remove_tree(directory / "d");
    EXPECT_FALSE(fs::exists(directory / "d"));
}

TEST_F(TreeTest, MakeDirectories) {
    make_directories(directory / "a/b/c", 0700);
    make_directories(directory / "a/b/c", 0700);
    struct stat st {};
    ASSERT_EQ(::stat((directory / "a/b").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0700U);
    file("f");
    EXPECT_THROW(make_directories(directory / "f", 0700), Error);
    EXPECT_THROW(make_directories(directory / "f/g", 0700), Error);
}

TEST_F(TreeTest, DiskUsage) {
    EXPECT_EQ(disk_usage(directory / "no"), 0U);
    std::ofstream(directory / "large") << std::string(1 << 20, 'x') << std::flush;
    EXPECT_GE(disk_usage(directory.path()), 1U << 20);
}

TEST_F(TreeTest, CanonicalPaths) {
    fs::create_directories(directory / "real/sub");
    fs::create_directory_symlink(directory / "real", directory / "link");
    EXPECT_EQ(canonical_path(directory / "link/sub"), directory / "real/sub");
    EXPECT_EQ(canonical_path(directory / "link/new/../other/"), directory / "real/other");
    EXPECT_EQ(canonical_path("/"), "/");
    EXPECT_EQ(canonical_path("relative"), (fs::current_path() / "relative").string());
}

TEST_F(TreeTest, DurabilityBothWays) {
    for (const bool allow_syncfs : {true, false}) {
        Durability durability({directory.path()}, allow_syncfs);
        File written = File::open(directory / "f", O_WRONLY | O_CREAT);
        written.write_all(as_bytes("x"));
        durability.file_written(written);
        EXPECT_NO_THROW(durability.finish());
    }
}

}  // namespace
}  // namespace ark
