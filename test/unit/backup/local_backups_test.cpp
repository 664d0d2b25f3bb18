#include "core/backup/local_backups.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/sample_marker.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

class LocalBackupsTest : public testing::Test {
 protected:
    LocalBackupsTest() { fs::create_directories(directory.path() + "/pg_wal"); }

    BackupMarker marker(const std::string& id) {
        BackupMarker m = test::sample_marker();
        m.backup_id = id;
        return m;
    }

    static IndexEntry file(const std::string& path, uint64_t size) {
        IndexEntry entry;
        entry.path = path;
        entry.size = size;
        return entry;
    }

    void remember(const std::string& id) {
        LocalBackups::Writer writer(backups, id);
        writer.add(file("base/1/2", 8192));
        IndexEntry part = file("base/1/3", 12);
        part.incremental = IncrementalContent{5 * 8192, {}};
        writer.add(part);
        writer.add(file(std::string("odd\xff"), 7));
        writer.commit(marker(id));
    }

    std::string path_of(const std::string& name) const {
        return directory.path() + "/" + kLocalBackupsDirectory + "/" + name;
    }

    static std::vector<std::pair<std::string, uint64_t>> all(
        const std::function<std::optional<IndexEntry>()>& next) {
        std::vector<std::pair<std::string, uint64_t>> out;
        while (const auto entry = next())
            out.emplace_back(entry->path, entry->size);
        return out;
    }

    test::TemporaryDirectory directory;
    LocalBackups backups{directory.path()};
};

TEST_F(LocalBackupsTest, RemembersMarkersAndSizes) {
    EXPECT_FALSE(backups.find("b1"));
    EXPECT_FALSE(backups.find(""));
    remember("b1");
    const auto found = backups.find("b1");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->start_lsn, marker("b1").start_lsn);
    EXPECT_TRUE(found->is_encrypted);
    EXPECT_EQ(all(backups.files_of("b1")),
              (std::vector<std::pair<std::string, uint64_t>>{
                  {"base/1/2", 8192}, {"base/1/3", 5 * 8192}, {std::string("odd\xff"), 7}}));
}

TEST_F(LocalBackupsTest, NothingStaysWithoutACommit) {
    {
        LocalBackups::Writer writer(backups, "b1");
        writer.add(file("a", 1));
    }
    EXPECT_FALSE(backups.find("b1"));
    EXPECT_TRUE(fs::is_empty(directory.path() + "/" + kLocalBackupsDirectory));
}

TEST_F(LocalBackupsTest, ForgetsAllButThese) {
    remember("b1");
    remember("b2");
    remember("b3");
    backups.keep_only({"b2"});
    EXPECT_FALSE(backups.find("b1"));
    EXPECT_TRUE(backups.find("b2"));
    EXPECT_FALSE(backups.find("b3"));
    EXPECT_EQ(all(backups.files_of("b2")).size(), 3U);
}

TEST_F(LocalBackupsTest, DamageIsSeen) {
    remember("b1");
    const std::string files = path_of("b1.files");
    const auto size = fs::file_size(files);
    {
        std::fstream out(files, std::ios::in | std::ios::out | std::ios::binary);
        out.seekp(27);
        out.put('9');
    }
    test::expect_error(ErrorCode::corrupt, [&] { all(backups.files_of("b1")); });
    fs::resize_file(files, size - 20);
    test::expect_error(ErrorCode::corrupt, [&] { all(backups.files_of("b1")); });
    fs::resize_file(files, 0);
    test::expect_error(ErrorCode::corrupt, [&] { all(backups.files_of("b1")); });
    fs::remove(files);
    test::expect_error(ErrorCode::corrupt, [&] { all(backups.files_of("b1")); });
    fs::copy_file(path_of("b1.json"), path_of("b2.json"));
    test::expect_error(ErrorCode::corrupt, [&] { backups.find("b2"); });
    fs::resize_file(path_of("b1.json"), 100);
    test::expect_error(ErrorCode::corrupt, [&] { backups.find("b1"); });
}

}  // namespace
}  // namespace ark
