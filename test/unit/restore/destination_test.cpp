#include "core/restore/destination.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/restore/running_server.hpp"
#include "core/restore/unfinished.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersionDirectory = "PG_15_202209061";

class DestinationTest : public testing::Test {
 protected:
    DestinationTest() {
        backup.pg_version_num = 150008;
        backup.catalog_version = 202209061;
        request.directory = data;
    }
    void make_cluster(const std::string& path) {
        fs::create_directories(path + "/global");
        fs::create_directories(path + "/pg_tblspc");
        std::ofstream(path + "/PG_VERSION") << "15\n";
    }
    std::string make_tablespace(const std::string& name) {
        const std::string path = directory / name;
        fs::create_directories(path + "/" + kVersionDirectory + "/5");
        return path;
    }
    Destination check() {
        return check_destination(request, backup, "file://" + (directory / "repo"));
    }
    void expect_refused(const std::string& pattern) {
        try {
            check();
            ADD_FAILURE() << "not refused: " << pattern;
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::refused) << error.message;
            EXPECT_NE((error.message + error.detail).find(pattern), std::string::npos)
                << error.message << " " << error.detail;
        }
    }

    test::TemporaryDirectory directory;
    std::string data = directory / "data";
    BackupMarker backup;
    DestinationRequest request;
};

TEST_F(DestinationTest, AbsentOrEmptyIsFine) {
    EXPECT_FALSE(check().exists);
    fs::create_directory(data);
    EXPECT_TRUE(check().exists);
    EXPECT_FALSE(check().occupied);
}

TEST_F(DestinationTest, LinkToADirectory) {
    fs::create_directory(directory / "real");
    fs::create_directory_symlink(directory / "real", data);
    EXPECT_EQ(check().directory, directory / "real");
}

TEST_F(DestinationTest, ForceCoversDataDirectoriesOnly) {
    fs::create_directory(data);
    std::ofstream(data + "/precious") << "x";
    expect_refused("not empty");
    request.force = true;
    expect_refused("not empty");
    make_cluster(data);
    EXPECT_TRUE(check().occupied);
    request.force = false;
    expect_refused("not empty");
}

TEST_F(DestinationTest, UnfinishedRestore) {
    fs::create_directory(data);
    std::ofstream(data + "/" + kUnfinishedName) << "{}";
    expect_refused("did not end");
    request.force = true;
    EXPECT_TRUE(check().unfinished);
}

TEST_F(DestinationTest, NoDirectory) {
    std::ofstream(data.c_str()) << "a file";
    expect_refused("not a directory");
    request.directory = "/";
    expect_refused("root");
}

TEST_F(DestinationTest, InsideAnotherCluster) {
    make_cluster(directory / "other");
    request.directory = directory / "other/base/new";
    expect_refused("inside the data directory");
}

TEST_F(DestinationTest, InsideATablespace) {
    const std::string space = make_tablespace("space") + "/" + kVersionDirectory;
    request.force = true;
    make_cluster(space + "/16384");  // CREATE DATABASE puts a PG_VERSION there
    request.directory = space + "/16384";
    expect_refused("inside the tablespace");
    request.directory = space + "/new";
    expect_refused("inside the tablespace");
    fs::create_directories(directory / "empty" + ("/" + std::string(kVersionDirectory)));
    request.directory = directory / "empty" + ("/" + std::string(kVersionDirectory));
    expect_refused("inside the tablespace");
    request.directory = data;
    backup.tablespaces = {{1, space + "/new"}};
    expect_refused("inside the tablespace");
}

TEST_F(DestinationTest, TablespaceInsideACluster) {
    make_cluster(directory / "other");
    backup.tablespaces = {{1, directory / "other/base/new"}};
    expect_refused("inside the data directory");
}

TEST_F(DestinationTest, ApartFromTheRepository) {
    request.directory = directory / "repo/data";
    expect_refused("repository");
    request.directory = directory / "repo";
    expect_refused("repository");
    request.directory = directory.path();
    expect_refused("repository");
    backup.tablespaces = {{1, directory / "repo/space"}};
    request.directory = data;
    expect_refused("repository");
}

// ---- tablespaces

TEST_F(DestinationTest, EmptyTablespaceLocation) {
    fs::create_directory(directory / "space");
    backup.tablespaces = {{1, directory / "space"}, {2, directory / "not there"}};
    EXPECT_EQ(check().tablespaces.size(), 2U);
    EXPECT_TRUE(check().old_tablespace_directories.empty());
}

TEST_F(DestinationTest, TablespaceOfSomebodyElseIsNeverEmptied) {
    backup.tablespaces = {{1, make_tablespace("space")}};
    expect_refused("may belong to another cluster");
    request.force = true;
    expect_refused("may belong to another cluster");
    make_cluster(data);
    expect_refused("may belong to another cluster");
}

TEST_F(DestinationTest, TablespaceOfTheReplacedCluster) {
    const std::string space = make_tablespace("space");
    backup.tablespaces = {{1, space}};
    make_cluster(data);
    fs::create_directory_symlink(space, data + "/pg_tblspc/1");
    expect_refused("not empty");
    request.force = true;
    const Destination found = check();
    EXPECT_EQ(found.old_tablespace_directories,
              std::vector<std::string>{space + "/" + kVersionDirectory});
}

TEST_F(DestinationTest, OtherTablespacesOfTheReplacedClusterAreNamed) {
    make_cluster(data);
    fs::create_directory_symlink(make_tablespace("unused"), data + "/pg_tblspc/7");
    request.force = true;
    EXPECT_EQ(check().abandoned_tablespaces, std::vector<std::string>{directory / "unused"});
}

TEST_F(DestinationTest, LinkedTogether) {
    fs::create_directory(directory / "space");
    fs::create_directory_symlink(directory / "space", directory / "same");
    backup.tablespaces = {{1, directory / "space"}, {2, directory / "same"}};
    expect_refused("share the location");
}

// ---- servers

// A process that looks like a server: named postgres, with the data directory as its working
// directory.
class FakeServer {
 public:
    explicit FakeServer(const std::string& directory, const char* name = "postgres") {
        int ready[2];
        if (::pipe(ready) != 0)
            std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::prctl(PR_SET_NAME, name);
            if (::chdir(directory.c_str()) != 0)
                ::_exit(1);
            const ssize_t written = ::write(ready[1], "x", 1);
            for (;;)
                ::pause();
            ::_exit(static_cast<int>(written));
        }
        char c = 0;
        ::close(ready[1]);
        EXPECT_EQ(::read(ready[0], &c, 1), 1);
        ::close(ready[0]);
    }
    ~FakeServer() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;
    pid_t pid() const { return pid_; }

 private:
    pid_t pid_ = 0;
};

// What a copied data directory links to may be the original's.
TEST_F(DestinationTest, CopyOfARunningClusterDoesNotOwnItsTablespaces) {
    const std::string original = directory / "original";
    const std::string space = make_tablespace("space");
    for (const std::string& cluster : {original, data}) {
        make_cluster(cluster);
        fs::create_directory_symlink(space, cluster + "/pg_tblspc/7");
    }
    request.force = true;
    EXPECT_EQ(check().abandoned_tablespaces, std::vector<std::string>{space});
    const FakeServer server(original);
    EXPECT_TRUE(check().abandoned_tablespaces.empty());
}

TEST_F(DestinationTest, ServersBelowTheDirectory) {
    make_cluster(data);
    make_cluster(data + "/nested");
    request.force = true;
    EXPECT_TRUE(check().occupied);
    const FakeServer server(data + "/nested");
    expect_refused("a running server uses");
}

TEST_F(DestinationTest, TablespaceOfAServerBelowTheDirectory) {
    make_cluster(data);
    make_cluster(directory / "other");
    fs::create_directories(data + "/space/" + kVersionDirectory);
    fs::create_directory_symlink(data + "/space", directory / "other/pg_tblspc/7");
    request.force = true;
    EXPECT_TRUE(check().occupied);
    const FakeServer server(directory / "other");
    expect_refused("a running server uses");
}

// Processes end while they are looked at; that is no reason for a restore to fail.
TEST(VisibleServers, ProcessesThatEndMeanwhile) {
    const pid_t spawner = ::fork();
    if (spawner == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            const pid_t child = ::fork();
            if (child == 0)
                ::_exit(0);
            ::waitpid(child, nullptr, 0);
        }
    }
    for (int i = 0; i < 500; ++i)
        EXPECT_NO_THROW(visible_servers());
    ::kill(spawner, SIGKILL);
    ::waitpid(spawner, nullptr, 0);
}

TEST_F(DestinationTest, RunningServerIsRefusedAlways) {
    make_cluster(data);
    request.force = true;
    {
        const FakeServer server(data);
        expect_refused("running");
        const auto found = find_running_server(data);
        ASSERT_TRUE(found);
        EXPECT_EQ(found->pid, server.pid());
    }
    EXPECT_TRUE(check().occupied);
}

TEST_F(DestinationTest, AShellInTheDirectoryIsNoServer) {
    make_cluster(data);
    request.force = true;
    const FakeServer shell(data, "bash");
    EXPECT_TRUE(check().occupied);
}

TEST_F(DestinationTest, PidFileOfACrash) {
    make_cluster(data);
    request.force = true;
    std::ofstream(data + "/postmaster.pid") << "999999999\n"
                                            << data << "\n1\n5432\n\n*\n 5432001 99999999\n";
    EXPECT_TRUE(check().occupied);
    // The number was used again, by something else.
    const FakeServer other(directory.path());
    std::ofstream(data + "/postmaster.pid") << other.pid() << "\n" << data << "\n1\n5432\n";
    EXPECT_TRUE(check().occupied);
}

TEST_F(DestinationTest, TablespaceOfARunningServer) {
    const std::string live = directory / "live";
    make_cluster(live);
    fs::create_directory(directory / "space");
    fs::create_directory_symlink(directory / "space", live + "/pg_tblspc/1");
    backup.tablespaces = {{1, directory / "space"}};
    // Even where a copy of the data directory has the same link.
    make_cluster(data);
    fs::create_directory_symlink(directory / "space", data + "/pg_tblspc/1");
    request.force = true;
    EXPECT_NO_THROW(check());
    const FakeServer server(live);
    expect_refused("running server");
}

// ---- room

TEST_F(DestinationTest, Room) {
    EXPECT_NO_THROW(check_room({{data, 1000}}, {}));
    try {
        check_room({{data, 1ULL << 60}}, {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::disk_full);
    }
    EXPECT_NO_THROW(check_room({{data, 1ULL << 60}}, {{data, 1ULL << 60}}));
    // Together they do not fit, though each does.
    EXPECT_THROW(check_room({{data, 1ULL << 59}, {directory / "space", 1ULL << 59}}, {}), Error);
}

}  // namespace
}  // namespace ark
