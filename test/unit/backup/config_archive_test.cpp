#include "core/backup/config_archive.hpp"

#include <sys/stat.h>

#include "core/pipeline/tar_writer.hpp"
#include "test/support/archived_wal.hpp"
#include "test/support/command.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/scripted_host.hpp"

namespace ark {
namespace {

class ConfigArchive : public testing::Test {
 protected:
    bool store_it() {
        return store_config_archive(*repository, request, make_writer(cluster.path()), host);
    }
    Bytes archive() {
        return open_object(*repository->store().get("main/" + place::config(request.id), 64 << 20),
                           ObjectKind::config, place::config(request.id), 64 << 20);
    }
    test::FakeCluster cluster;
    BackupRequest request = test::request_for(cluster);
    test::ScriptedHost host;
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
};

TEST_F(ConfigArchive, HoldsWhatLiesOutsideTheDataDirectory) {
    test::write_file(cluster.outside("etc/postgresql.conf"), "port = 5432\n");
    test::write_file(cluster.outside("etc/conf.d/a.conf"), std::string(513, '#'));
    cluster.add("pg_hba.conf", "local all all trust\n");
    request.config_files = {{"config_file", cluster.outside("etc/postgresql.conf")},
                            {"hba_file", cluster.path("pg_hba.conf")},
                            {"ident_file", "relative/pg_ident.conf"}};
    request.config_includes = {cluster.outside("etc/conf.d/a.conf"),
                               cluster.outside("etc/postgresql.conf")};
    ASSERT_EQ(chmod(cluster.outside("etc/postgresql.conf").c_str(), 0640), 0);
    EXPECT_TRUE(store_it());
    EXPECT_TRUE(host.warnings.empty());
    test::write_file(cluster.outside("a.tar"), as_text(archive()));
    const std::string prefix = cluster.outside("etc/").substr(1);
    EXPECT_EQ(test::output_of("tar -tf " + cluster.outside("a.tar")),
              prefix + "conf.d/a.conf\n" + prefix + "postgresql.conf\n");
    EXPECT_EQ(
        test::output_of("tar -xOf " + cluster.outside("a.tar") + " " + prefix + "postgresql.conf"),
        "port = 5432\n");
}

TEST_F(ConfigArchive, NothingOutsideIsNoArchive) {
    request.config_files = {{"config_file", cluster.path("postgresql.conf")}};
    EXPECT_FALSE(store_it());
    EXPECT_FALSE(repository->store().head("main/" + place::config(request.id)));
}

// The neighbour of the data directory is outside, though its name begins alike.
TEST_F(ConfigArchive, ANeighbourWithTheSameBeginningIsOutside) {
    test::write_file(cluster.path() + "-config/postgresql.conf", "x");
    request.config_files = {{"config_file", cluster.path() + "-config/postgresql.conf"}};
    EXPECT_TRUE(store_it());
}

TEST_F(ConfigArchive, AFileThatCannotBeReadIsAWarningThatNamesIt) {
    test::write_file(cluster.outside("etc/good.conf"), "x");
    test::write_file(cluster.outside("etc/huge.conf"), std::string((16 << 20) + 1, '#'));
    request.config_includes = {cluster.outside("etc/gone.conf"), cluster.outside("etc/good.conf"),
                               cluster.outside("etc/huge.conf"), cluster.outside("etc")};
    EXPECT_TRUE(store_it());
    ASSERT_EQ(host.warnings.size(), 3U);
    EXPECT_TRUE(test::mentions(host.warnings[1], "gone.conf"));
    EXPECT_EQ(archive().size(), 4 * kTarBlock) << "header, content, end";
}

}  // namespace
}  // namespace ark
