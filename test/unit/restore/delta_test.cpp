#include "core/restore/delta.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/crc32c.hpp"
#include "core/pipeline/content_hash.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/restore/stored_backup.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

class Prune : public testing::Test {
 protected:
    void put(const std::string& path) {
        fs::create_directories(fs::path(root + "/" + path).parent_path());
        std::ofstream(root + "/" + path) << "x";
    }
    bool there(const std::string& path) const {
        return fs::exists(fs::symlink_status(root + "/" + path));
    }
    void run(const std::string& index_path = "", const std::set<std::string>& keep = {}) {
        backup.store();
        prune(*repository, backup.marker, {root, index_path}, keep, [] {});
    }

    test::TemporaryDirectory directory;
    const std::string root = directory / "data";
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    test::StoredBackup backup{*repository};
};

// Bytewise, "base/1", "base/1.x", "base/1/2": what a directory holds does not come beside its name.
TEST_F(Prune, KeepsWhatTheIndexHasInItsOwnOrder) {
    backup.directories = {"base", "base/1", "global", "pg_tblspc", "pg_wal"};
    backup.files["base/1.x"] = "1";
    backup.files["base/1/2"] = "2";
    backup.files["base/1/2.1"] = "3";
    backup.files["base/10"] = "4";
    for (const auto& [path, content] : backup.files)
        put(path);
    for (const char* stray : {"base/1-", "base/1/1", "base/1/20", "base/1.y", "base/11/1", "zzz"})
        put(stray);
    run();
    for (const auto& [path, content] : backup.files)
        EXPECT_TRUE(there(path)) << path;
    for (const char* stray : {"base/1-", "base/1/1", "base/1/20", "base/1.y", "base/11", "zzz"})
        EXPECT_FALSE(there(stray)) << stray;
}

TEST_F(Prune, RemovesWhatIsThereAsSomethingElse) {
    put("PG_VERSION/inside");
    put("base");
    fs::create_directories(directory / "elsewhere");
    std::ofstream(directory / "elsewhere/file") << "x";
    fs::create_symlink(directory / "elsewhere", root + "/global");
    fs::create_symlink(directory / "elsewhere/file", root + "/postgresql.conf");
    run();
    for (const char* path : {"PG_VERSION", "base", "global", "postgresql.conf"})
        EXPECT_FALSE(there(path)) << path;
    EXPECT_TRUE(fs::exists(directory / "elsewhere/file"));
}

TEST_F(Prune, KeepsNamesInTheRootAlone) {
    put("mark");
    put("base/mark");
    run("", {"mark"});
    EXPECT_TRUE(there("mark"));
    EXPECT_FALSE(there("base/mark"));
}

TEST_F(Prune, ATablespaceIsAPartOfTheIndex) {
    backup.directories = {"base",
                          "base/1",
                          "global",
                          "pg_tblspc",
                          "pg_tblspc/5",
                          "pg_tblspc/5/PG_15_1",
                          "pg_tblspc/5/PG_15_1/9",
                          "pg_wal"};
    backup.files["pg_tblspc/5/PG_15_1/9/100"] = "1";
    put("9/100");
    put("9/101");
    put("PG_VERSION");
    run("pg_tblspc/5/PG_15_1");
    EXPECT_TRUE(there("9/100"));
    EXPECT_FALSE(there("9/101"));
    EXPECT_FALSE(there("PG_VERSION"));
}

class OpenIfRight : public testing::Test {
 protected:
    OpenIfRight() {
        std::ofstream(path) << content;
        entry.size = content.size();
        entry.crc32c = crc32c(0, as_bytes(content));
        entry.xxh128 = content_hash(as_bytes(content));
    }
    bool right() {
        return open_if_right(path, entry, buffer, [] { return false; }).has_value();
    }

    test::TemporaryDirectory directory;
    const std::string path = directory / "file";
    const std::string content = std::string(10000, 'a') + "b";
    Bytes buffer = Bytes(4096);
    IndexEntry entry;
};

TEST_F(OpenIfRight, TheSameContentIsRight) {
    EXPECT_TRUE(right());
    entry.modified = 5;
    EXPECT_TRUE(right()) << "times are not looked at";
}

TEST_F(OpenIfRight, BothChecksumsCount) {
    IndexEntry good = entry;
    entry.crc32c ^= 1;
    EXPECT_FALSE(right());
    entry = good;
    entry.xxh128.low ^= 1;
    EXPECT_FALSE(right());
    entry.xxh128 = {};
    EXPECT_FALSE(right()) << "an index without the digest proves nothing";
}

TEST_F(OpenIfRight, OtherSizesAndKindsAreNot) {
    std::ofstream(path, std::ios::app) << "c";
    EXPECT_FALSE(right());
    fs::remove(path);
    EXPECT_FALSE(right());
    fs::create_directory(path);
    EXPECT_FALSE(right());
    fs::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_FALSE(right());
}

TEST_F(OpenIfRight, NeitherLinksNorSecondNames) {
    fs::rename(path, directory / "real");
    fs::create_symlink(directory / "real", path);
    EXPECT_FALSE(right());
    fs::remove(path);
    fs::create_hard_link(directory / "real", path);
    EXPECT_FALSE(right());
    fs::remove(directory / "real");
    EXPECT_TRUE(right());
}

}  // namespace
}  // namespace ark
