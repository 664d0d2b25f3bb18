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

// A link in the data directory to a file elsewhere: no backup follows it, so the archive has the
// file, by the name that the server uses.
TEST_F(ConfigArchive, FollowsLinksThatLeadOutOfTheDataDirectory) {
    test::write_file(cluster.outside("etc/postgresql.conf"), "port = 5432\n");
    test::write_file(cluster.outside("etc/conf.d/a.conf"), "work_mem = 8MB\n");
    cluster.link("postgresql.conf", cluster.outside("etc/postgresql.conf"));
    cluster.link("conf.d", cluster.outside("etc/conf.d"));
    cluster.add("custom/pg_hba.conf", "local all all trust\n");
    cluster.link("pg_hba.conf", "custom/pg_hba.conf");
    cluster.add("pg_ident.conf", "");
    test::write_file(cluster.outside("auto.conf"), "jit = off\n");
    cluster.link("postgresql.auto.conf", cluster.outside("auto.conf"));
    request.config_files = {{"config_file", cluster.path("postgresql.conf")},
                            {"hba_file", cluster.path("pg_hba.conf")},
                            {"ident_file", cluster.path("pg_ident.conf")}};
    request.config_includes = {cluster.path("conf.d/a.conf")};
    EXPECT_TRUE(store_it());
    EXPECT_TRUE(host.warnings.empty());
    test::write_file(cluster.outside("a.tar"), as_text(archive()));
    const std::string prefix = cluster.path("").substr(1);
    EXPECT_EQ(test::output_of("tar -tf " + cluster.outside("a.tar")),
              prefix + "conf.d/a.conf\n" + prefix + "pg_hba.conf\n" + prefix +
                  "postgresql.auto.conf\n" + prefix + "postgresql.conf\n");
    EXPECT_EQ(
        test::output_of("tar -xOf " + cluster.outside("a.tar") + " " + prefix + "postgresql.conf"),
        "port = 5432\n");
    for (const char* path : {"postgresql.conf", "conf.d", "pg_hba.conf"})
        EXPECT_TRUE(leads_to_configuration(request, path)) << path;
    for (const char* path : {"conf", "server.key", "pg_ident.conf"})
        EXPECT_FALSE(leads_to_configuration(request, path)) << path;
}

// The data directory may itself be named over a link: its own files are inside all the same.
TEST_F(ConfigArchive, ALinkToTheDataDirectoryIsNoWayOut) {
    cluster.add("postgresql.conf", "");
    std::filesystem::create_directory_symlink(cluster.path(), cluster.outside("link"));
    request.data_directory = cluster.outside("link");
    request.config_files = {{"config_file", cluster.outside("link/postgresql.conf")}};
    EXPECT_FALSE(store_it());
}

TEST_F(ConfigArchive, ADeadLinkIsAWarning) {
    cluster.link("postgresql.conf", cluster.outside("gone.conf"));
    request.config_files = {{"config_file", cluster.path("postgresql.conf")}};
    EXPECT_FALSE(store_it());
    EXPECT_TRUE(test::mentions(host.warnings.at(0), "postgresql.conf"));
}

TEST_F(ConfigArchive, HoldsTheListsThatPgHbaNames) {
    test::write_file(cluster.outside("etc/pg_hba.conf"), "local all @admins,@lists/ops trust\n");
    test::write_file(cluster.outside("etc/admins"), "root @" + cluster.outside("more") + "\n");
    test::write_file(cluster.outside("etc/lists/ops"), "@ops\n");  // names itself
    test::write_file(cluster.outside("more"), "x\n");
    request.config_files = {{"hba_file", cluster.outside("etc/pg_hba.conf")}};
    EXPECT_TRUE(store_it());
    test::write_file(cluster.outside("a.tar"), as_text(archive()));
    const std::string prefix = cluster.outside("").substr(1);
    EXPECT_EQ(test::output_of("tar -tf " + cluster.outside("a.tar")),
              prefix + "etc/admins\n" + prefix + "etc/lists/ops\n" + prefix + "etc/pg_hba.conf\n" +
                  prefix + "more\n");
    EXPECT_TRUE(host.warnings.empty());
}

TEST_F(ConfigArchive, HoldsTheFilesThatPgHbaIncludes) {
    test::write_file(cluster.outside("etc/pg_hba.conf"),
                     "include hba/a.conf\ninclude_if_exists gone.conf\ninclude_dir hba.d\n");
    test::write_file(cluster.outside("etc/hba/a.conf"),
                     "include_if_exists ../hba/a.conf\nlocal @names all trust\n");
    test::write_file(cluster.outside("etc/hba/names"), "x\n");
    test::write_file(cluster.outside("etc/hba.d/empty.conf"), "# nothing\n");
    test::write_file(cluster.outside("etc/hba.d/not_one"), "");
    test::write_file(cluster.outside("etc/pg_ident.conf"), "include \"hba/a.conf\"\n");
    request.config_files = {{"hba_file", cluster.outside("etc/pg_hba.conf")},
                            {"ident_file", cluster.outside("etc/pg_ident.conf")}};
    EXPECT_TRUE(store_it());
    test::write_file(cluster.outside("a.tar"), as_text(archive()));
    const std::string prefix = cluster.outside("etc/").substr(1);
    EXPECT_EQ(test::output_of("tar -tf " + cluster.outside("a.tar")),
              prefix + "hba.d/empty.conf\n" + prefix + "hba/a.conf\n" + prefix + "hba/names\n" +
                  prefix + "pg_hba.conf\n" + prefix + "pg_ident.conf\n");
    EXPECT_TRUE(host.warnings.empty());
}

// The server's list of settings does not name files that only include others.
TEST_F(ConfigArchive, HoldsFilesThatHoldNothingButIncludes) {
    test::write_file(cluster.outside("etc/postgresql.conf"),
                     "include 'levels/one.conf'\ninclude_dir 'conf.d'\n"
                     "include_if_exists 'none.conf'\n# include 'no.conf'\n");
    test::write_file(cluster.outside("etc/levels/one.conf"), "include = '../two.conf'\n");
    test::write_file(cluster.outside("etc/two.conf"),
                     "include '" + cluster.outside("etc/levels/one.conf") + "'\n");  // in a circle
    test::write_file(cluster.outside("etc/conf.d/a.conf"), "");
    test::write_file(cluster.outside("etc/conf.d/.b.conf"), "");
    test::write_file(cluster.outside("etc/conf.d/c.conf.old"), "");
    request.config_files = {{"config_file", cluster.outside("etc/postgresql.conf")}};
    EXPECT_TRUE(store_it());
    test::write_file(cluster.outside("a.tar"), as_text(archive()));
    const std::string prefix = cluster.outside("etc/").substr(1);
    EXPECT_EQ(test::output_of("tar -tf " + cluster.outside("a.tar")),
              prefix + "conf.d/a.conf\n" + prefix + "levels/one.conf\n" + prefix +
                  "postgresql.conf\n" + prefix + "two.conf\n");
    EXPECT_TRUE(host.warnings.empty());
}

TEST_F(ConfigArchive, AnIncludedFileThatIsGoneIsAWarning) {
    test::write_file(cluster.outside("etc/postgresql.conf"), "include 'gone.conf'\n");
    request.config_files = {{"config_file", cluster.outside("etc/postgresql.conf")}};
    EXPECT_TRUE(store_it());
    ASSERT_EQ(host.warnings.size(), 1U);
    EXPECT_TRUE(test::mentions(host.warnings[0], "gone.conf"));
}

TEST(IncludedNameLists, AreTakenApartAsTheServerDoes) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(included_name_lists("local @a,@b all trust # @c\n@d"), (Names{"a", "b", "d"}));
    EXPECT_EQ(included_name_lists("@\"with space\" x\n"), Names{"with space"});
    EXPECT_EQ(included_name_lists("\"@quoted\" @ a@b \"# @x\"\n"), Names{});
    EXPECT_EQ(included_name_lists("local @a\\\nb trust\r\n"), Names{"ab"});
    EXPECT_EQ(included_name_lists(""), Names{});
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
