#include "core/pgdata/file_list.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

using Names = std::vector<std::string>;

struct Listed {
    FileList list;
    Names files;
    std::set<std::string> directories;
    Names special;

    bool has(const std::string& path) const {
        return std::ranges::find(files, path) != files.end();
    }
};

Listed list(const std::string& data_directory) {
    Listed out;
    out.list = FileList::read(data_directory,
                              [&](const std::string& path) { out.special.push_back(path); });
    for (size_t i = 0; i < out.list.size(); ++i)
        out.files.push_back(out.list.path(i));
    for (const auto& directory : out.list.directories())
        out.directories.insert(directory.path);
    return out;
}

TEST(FileList, AnEmptyClusterKeepsItsDirectories) {
    const test::FakeCluster cluster;
    const Listed listed = list(cluster.path());
    EXPECT_EQ(listed.files, (Names{"PG_VERSION", "base/1/PG_VERSION"}));
    EXPECT_EQ(listed.directories,
              (std::set<std::string>{"", "base", "base/1", "global", "pg_dynshmem", "pg_notify",
                                     "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp",
                                     "pg_subtrans", "pg_tblspc", "pg_wal", "pg_wal/archive_status",
                                     "pg_xact"}));
    EXPECT_TRUE(listed.special.empty());
}

TEST(FileList, ContentsOfTransientDirectoriesStayBehind) {
    const test::FakeCluster cluster;
    for (const char* name : {"pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial",
                             "pg_snapshots", "pg_subtrans", "pg_wal"}) {
        cluster.add(std::string(name) + "/file", "x");
        cluster.add(std::string(name) + "/sub/file", "x");
    }
    cluster.add("pg_xact/0000", "x");
    cluster.add("pg_stat/pgstat.stat", "x");
    cluster.add("pg_logical/replorigin_checkpoint", "x");
    cluster.add("base/1/pg_wal/9", "kept: the name counts at the top only");
    EXPECT_EQ(list(cluster.path()).files,
              (Names{"PG_VERSION", "base/1/PG_VERSION", "base/1/pg_wal/9",
                     "pg_logical/replorigin_checkpoint", "pg_stat/pgstat.stat", "pg_xact/0000"}));
}

TEST(FileList, FilesThatABaseBackupSkips) {
    const test::FakeCluster cluster;
    for (const char* name :
         {"postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map",
          "backup_manifest", "postmaster.pid", "postmaster.opts", "pg_internal.init",
          "global/pg_internal.init", "base/1/pg_internal.init", "base/1/pg_internal.init.4711",
          "base/pgsql_tmp/pgsql_tmp4711.0", "base/pgsql_tmp/pgsql_tmp4711.0.sharedfileset/0.0",
          "base/1/pgsql_tmp1.2", ".DS_Store", "base/.DS_Store", "global/pg_control"}) {
        cluster.add(name, "x");
    }
    EXPECT_EQ(list(cluster.path()).files, (Names{"PG_VERSION", "base/1/PG_VERSION"}));
}

TEST(FileList, NamesThatOnlyLookLikeSkippedOnesAreCopied) {
    const test::FakeCluster cluster;
    const Names names{"backup_label.old", "base/1/backup_label",   "base/1/pg_filenode.map",
                      "current_logfiles", "global/pg_control.old", "log/postmaster.pid",
                      "pg_hba.conf",      "pg_xact/pg_control",    "postgresql.auto.conf",
                      "server.key"};
    for (const std::string& name : names)
        cluster.add(name, "x");
    const Listed listed = list(cluster.path());
    for (const std::string& name : names)
        EXPECT_TRUE(listed.has(name)) << name;
    EXPECT_EQ(listed.files.size(), names.size() + 2);
}

TEST(FileList, OfAnUnloggedRelationOnlyTheInitFork) {
    const test::FakeCluster cluster;
    for (const char* name : {"100", "100.1", "100_fsm", "100_vm", "100_init", "200", "200_fsm",
                             "1000", "10", "100_init.tmp"}) {
        cluster.add(std::string("base/1/") + name, "x");
        cluster.add(std::string("userdir/") + name, "x");
    }
    const Listed listed = list(cluster.path());
    for (const char* name : {"100", "100.1", "100_fsm", "100_vm"})
        EXPECT_FALSE(listed.has(std::string("base/1/") + name)) << name;
    for (const char* name : {"100_init", "200", "200_fsm", "1000", "10", "100_init.tmp"})
        EXPECT_TRUE(listed.has(std::string("base/1/") + name)) << name;
    // Elsewhere such names mean nothing.
    EXPECT_TRUE(listed.has("userdir/100"));
}

TEST(FileList, AnInitForkSpeaksForItsOwnDatabaseOnly) {
    const test::FakeCluster cluster;
    cluster.add("base/1/100_init", "x");
    cluster.add("base/1/100", "x");
    cluster.add("base/5/100", "x");
    const Listed listed = list(cluster.path());
    EXPECT_FALSE(listed.has("base/1/100"));
    EXPECT_TRUE(listed.has("base/5/100"));
}

TEST(FileList, TemporaryRelationsStayBehind) {
    const test::FakeCluster cluster;
    for (const char* name : {"t3_100", "t3_100_fsm", "t3_100.1", "t3_100_vm", "t3_", "t3", "tx_1"})
        cluster.add(std::string("base/1/") + name, "x");
    cluster.add("userdir/t3_100", "x");
    const Listed listed = list(cluster.path());
    EXPECT_EQ(listed.files, (Names{"PG_VERSION", "base/1/PG_VERSION", "base/1/t3", "base/1/t3_",
                                   "base/1/tx_1", "userdir/t3_100"}));
}

TEST(FileList, TablespacesAreFollowedAndNamedInOrder) {
    const test::FakeCluster cluster;
    test::write_file(cluster.outside("b/PG_15_202209061/5/1259"), "x");
    test::write_file(cluster.outside("b/PG_15_202209061/5/100_init"), "x");
    test::write_file(cluster.outside("b/PG_15_202209061/5/100"), "x");
    test::write_file(cluster.outside("b/PG_15_202209061/5/t9_7"), "x");
    test::write_file(cluster.outside("b/PG_15_202209061/pgsql_tmp/pgsql_tmp1.0"), "x");
    test::write_file(cluster.outside("b/PG_14_202107181/5/1259"), "x");
    test::write_file(cluster.outside("b/PG_150_1/5/1259"), "x");
    test::write_file(cluster.outside("b/other/file"), "x");
    test::write_file(cluster.outside("b/stray"), "x");
    std::filesystem::create_directory(cluster.outside("a"));
    cluster.link("pg_tblspc/16401", cluster.outside("b"));
    cluster.link("pg_tblspc/9000", cluster.outside("a"));
    const Listed listed = list(cluster.path());
    ASSERT_EQ(listed.list.tablespaces().size(), 2U);
    EXPECT_EQ(listed.list.tablespaces()[0].oid, 9000U);
    EXPECT_EQ(listed.list.tablespaces()[0].location, cluster.outside("a"));
    EXPECT_EQ(listed.list.tablespaces()[1].oid, 16401U);
    EXPECT_EQ(listed.files, (Names{"PG_VERSION", "base/1/PG_VERSION",
                                   "pg_tblspc/16401/PG_15_202209061/5/100_init",
                                   "pg_tblspc/16401/PG_15_202209061/5/1259"}));
    EXPECT_TRUE(listed.directories.contains("pg_tblspc/9000"));
    EXPECT_TRUE(listed.directories.contains("pg_tblspc/16401/PG_15_202209061/5"));
    EXPECT_FALSE(listed.directories.contains("pg_tblspc/16401/PG_14_202107181"));
    EXPECT_TRUE(listed.special.empty());
}

// Twice the bytes in the backup, and a directory at restore where there was a tablespace.
TEST(FileList, ATablespaceInsideTheDataDirectoryIsTakenOnce) {
    const test::FakeCluster cluster;
    cluster.add("spaces/one/PG_15_202209061/5/1259", "x");
    cluster.add("spaces/two", "x");
    cluster.link("pg_tblspc/16400", cluster.path("spaces/one"));
    EXPECT_EQ(list(cluster.path()).files,
              (Names{"PG_VERSION", "base/1/PG_VERSION", "pg_tblspc/16400/PG_15_202209061/5/1259",
                     "spaces/two"}));
}

TEST(FileList, AnInPlaceTablespaceIsADirectoryWithoutALink) {
    const test::FakeCluster cluster;
    cluster.add("pg_tblspc/16400/PG_15_202209061/5/1259", "x");
    cluster.add("pg_tblspc/16400/PG_15_202209061/5/t1_7", "x");
    const Listed listed = list(cluster.path());
    EXPECT_TRUE(listed.list.tablespaces().empty());
    EXPECT_EQ(listed.files,
              (Names{"PG_VERSION", "base/1/PG_VERSION", "pg_tblspc/16400/PG_15_202209061/5/1259"}));
}

TEST(FileList, LinksInPgTblspcThatAreNoTablespaces) {
    const test::FakeCluster cluster;
    test::write_file(cluster.outside("x/PG_15_202209061/5/1259"), "x");
    for (const char* name : {"notes", "12a", "-1", "99999999999999999999", "4294967296"})
        cluster.link(std::string("pg_tblspc/") + name, cluster.outside("x"));
    const Listed listed = list(cluster.path());
    EXPECT_TRUE(listed.list.tablespaces().empty());
    EXPECT_EQ(listed.files.size(), 2U);
    EXPECT_EQ(listed.special.size(), 5U);
}

// Data that cannot be read is missing from the backup: better no backup.
TEST(FileList, ATablespaceWhosePlaceIsGoneIsAnError) {
    const test::FakeCluster cluster;
    cluster.link("pg_tblspc/16400", cluster.outside("unmounted"));
    const Error error =
        test::expect_error(ErrorCode::not_found, [&] { return list(cluster.path()); });
    EXPECT_TRUE(test::mentions(error.message, "pg_tblspc/16400"));
}

TEST(FileList, PgWalMayBeALink) {
    const test::FakeCluster cluster;
    std::filesystem::remove_all(cluster.path("pg_wal"));
    test::write_file(cluster.outside("wal/000000010000000000000001"), "x");
    std::filesystem::create_directories(cluster.outside("wal/summaries"));
    cluster.link("pg_wal", cluster.outside("wal"));
    const Listed listed = list(cluster.path());
    EXPECT_EQ(listed.files, (Names{"PG_VERSION", "base/1/PG_VERSION"}));
    EXPECT_TRUE(listed.directories.contains("pg_wal/archive_status"));
    EXPECT_TRUE(listed.directories.contains("pg_wal/summaries"));
    EXPECT_TRUE(listed.special.empty());
}

// pg_stat_tmp on a RAM disk: without the directory the restored server does not start.
TEST(FileList, TransientDirectoriesMayBeLinks) {
    const test::FakeCluster cluster;
    for (const char* name : {"pg_stat_tmp", "pg_replslot", "pg_dynshmem"}) {
        std::filesystem::remove_all(cluster.path(name));
        test::write_file(cluster.outside(std::string("ram/") + name + "/file"), "x");
        cluster.link(name, cluster.outside(std::string("ram/") + name));
    }
    std::filesystem::remove_all(cluster.outside("ram/pg_dynshmem"));
    const Listed listed = list(cluster.path());
    EXPECT_EQ(listed.files, (Names{"PG_VERSION", "base/1/PG_VERSION"}));
    for (const char* name : {"pg_stat_tmp", "pg_replslot", "pg_dynshmem"})
        EXPECT_TRUE(listed.directories.contains(name)) << name;
    EXPECT_TRUE(listed.special.empty());
}

TEST(FileList, SpecialFilesAreToldAndLeftOut) {
    const test::FakeCluster cluster;
    ASSERT_EQ(mkfifo(cluster.path("fifo").c_str(), 0600), 0);
    cluster.link("link", cluster.path("PG_VERSION"));
    cluster.link("base/dangling", "nowhere");
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    cluster.path("base/socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const Listed listed = list(cluster.path());
    close(fd);
    EXPECT_EQ(std::set<std::string>(listed.special.begin(), listed.special.end()),
              (std::set<std::string>{"fifo", "link", "base/dangling", "base/socket"}));
    EXPECT_EQ(listed.files, (Names{"PG_VERSION", "base/1/PG_VERSION"}));
}

// Restore merges by this order, bytewise over whole paths: '-' and '.' sort before '/'.
TEST(FileList, OrderIsBytewiseOverWholePaths) {
    const test::FakeCluster cluster;
    const Names names{"a b",   "a!",       "a-x/1", "a.x/1",     "a/1",        "a/\x01",
                      "a/a/z", "a0",       "a~",    "a\xC3\xA4", "a\xFF/1",    "Z/1",
                      "b\n1",  "b\"quote", "b\\1",  "A",         "b/\xE2\x82", "b/.hidden"};
    for (const std::string& name : names)
        cluster.add("x/" + name, name);
    const Listed listed = list(cluster.path());
    EXPECT_EQ(listed.files.size(), names.size() + 2);
    const auto bytewise = [](const std::string& left, const std::string& right) {
        return std::lexicographical_compare(
            left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
                return static_cast<unsigned char>(a) < static_cast<unsigned char>(b);
            });
    };
    EXPECT_TRUE(std::ranges::is_sorted(listed.files, bytewise));
    for (size_t i = 0; i < listed.files.size(); ++i) {
        if (listed.files[i].starts_with("x/")) {
            EXPECT_EQ(listed.list.bytes(i), listed.files[i].size() - 2) << listed.files[i];
        }
    }
    EXPECT_TRUE(
        std::ranges::is_sorted(listed.list.directories(), bytewise, &FileList::Directory::path));
}

TEST(FileList, SizesAndModes) {
    const test::FakeCluster cluster;
    cluster.add("base/1/100", std::string(12345, 'x'));
    cluster.add("base/1/200", "");
    std::filesystem::permissions(cluster.path("base"), std::filesystem::perms(0750));
    const Listed listed = list(cluster.path());
    EXPECT_EQ(listed.list.total_bytes(), 12345U + 3 + 3);
    for (const auto& directory : listed.list.directories()) {
        if (directory.path == "base") {
            EXPECT_EQ(directory.mode, 0750U);
        }
    }
}

// An empty list would make an empty backup.
// initdb --allow-group-access: the directories that are made here follow the data directory.
TEST(FileList, DirectoriesMadeHereHaveTheModeOfTheDataDirectory) {
    const test::FakeCluster cluster;
    std::filesystem::create_directories(cluster.outside("space/PG_15_202209061"));
    cluster.link("pg_tblspc/16400", cluster.outside("space"));
    ASSERT_EQ(chmod(cluster.path().c_str(), 0750), 0);
    const Listed listed = list(cluster.path());
    int seen = 0;
    for (const auto& directory : listed.list.directories()) {
        if (directory.path == "pg_wal/archive_status" || directory.path == "pg_tblspc/16400") {
            ++seen;
            EXPECT_EQ(directory.mode, 0750U) << directory.path;
        }
    }
    EXPECT_EQ(seen, 2);
}

TEST(FileList, AMissingDataDirectoryIsAnError) {
    test::expect_error(ErrorCode::not_found, [] { return list("/nonexistent/place"); });
}

}  // namespace
}  // namespace ark
