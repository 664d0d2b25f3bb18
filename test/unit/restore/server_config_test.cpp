#include "core/restore/server_config.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/pipeline/tar_writer.hpp"
#include "core/store/object_store.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

// A cluster as Debian makes it.
BackupMarker debian() {
    BackupMarker b;
    b.backup_id = "b";
    b.cluster = "c";
    b.data_directory = "/var/lib/postgresql/15/main";
    b.config_files = {{"config_file", "/etc/postgresql/15/main/postgresql.conf"},
                      {"hba_file", "/etc/postgresql/15/main/pg_hba.conf"},
                      {"ident_file", "/etc/postgresql/15/main/pg_ident.conf"}};
    return b;
}

BackupMarker plain() {
    BackupMarker b;
    b.data_directory = "/srv/data";
    b.config_files = {{"config_file", "/srv/data/postgresql.conf"},
                      {"hba_file", "/srv/data/pg_hba.conf"},
                      {"ident_file", "/srv/data/pg_ident.conf"}};
    return b;
}

TEST(ConfigPlaces, Debian) {
    const ConfigPlaces places(debian(), "/new");
    const std::pair<const char*, const char*> table[] = {
        {"/etc/postgresql/15/main/postgresql.conf", "/new/postgresql.conf"},
        {"/etc/postgresql/15/main/pg_hba.conf", "/new/pg_hba.conf"},
        {"/etc/postgresql/15/main/conf.d/memory.conf", "/new/conf.d/memory.conf"},
        {"/etc/postgresql/15/main/../common.conf",
         "/new/pg_ark_config/etc/postgresql/15/common.conf"},
        {"/etc/postgresql/15/main2/x.conf", "/new/pg_ark_config/etc/postgresql/15/main2/x.conf"},
        {"/var/lib/postgresql/15/main/extra.conf", "/new/extra.conf"},
        {"/opt/site.conf", "/new/pg_ark_config/opt/site.conf"},
        {"/../../etc/passwd", "/new/pg_ark_config/etc/passwd"},
    };
    for (const auto& [source, place] : table)
        EXPECT_EQ(places.place_of(source), place);
}

TEST(ConfigPlaces, FilesByRoleWhateverTheirNames) {
    BackupMarker b = plain();
    b.config_files = {{"config_file", "/cfg/main.conf"}, {"hba_file", "/cfg2/rules"}};
    const ConfigPlaces places(b, "/new");
    EXPECT_EQ(places.place_of("/cfg/main.conf"), "/new/postgresql.conf");
    EXPECT_EQ(places.place_of("/cfg2/rules"), "/new/pg_hba.conf");
    EXPECT_EQ(places.place_of("/cfg/more.conf"), "/new/more.conf");
}

struct Rewritten {
    std::string line;
    ConfigRewrite rewrite;
    std::vector<std::string> warnings;
};

Rewritten rewrite(const BackupMarker& backup, const std::string& line,
                  const std::set<std::string>& there = {}, const std::string& source = "") {
    const ConfigPlaces places(backup, "/new");
    Rewritten out;
    out.rewrite = rewrite_config(
        line, source.empty() ? places.main_source() : source, places,
        [&](const std::string& path) { return there.contains(path); }, out.warnings);
    out.line = out.rewrite.text;
    return out;
}

TEST(RewriteConfig, PathsOfTheSourceAreCommentedOut) {
    for (const char* line : {"data_directory = '/var/lib/postgresql/15/main'",
                             "hba_file = '/etc/postgresql/15/main/pg_hba.conf'\t# host-based",
                             "Ident_File '/etc/postgresql/15/main/pg_ident.conf'",
                             "external_pid_file = '/var/run/postgresql/15-main.pid'"}) {
        const std::string text = rewrite(debian(), line).line;
        EXPECT_TRUE(text.starts_with("#" + std::string(line))) << text;
        EXPECT_NE(text.find("pg_ark restore: "), std::string::npos);
    }
}

TEST(RewriteConfig, OthersStay) {
    for (const char* line : {"port = 5432", "#hba_file = 'x'", "ssl_cert_file = '/etc/ssl/x.pem'",
                             "", "include_dir 'conf.d'"}) {
        EXPECT_EQ(rewrite(debian(), line).line, line);
    }
}

// A data directory that names itself: a copy of it must not start on the original's files.
TEST(RewriteConfig, DataDirectoryInsideItself) {
    EXPECT_TRUE(rewrite(plain(), "data_directory = '/srv/data'").line.starts_with("#"));
    EXPECT_TRUE(rewrite(plain(), "hba_file = '/srv/data/pg_hba.conf'").line.starts_with("#"));
    EXPECT_EQ(rewrite(plain(), "hba_file = '/srv/data/rules.conf'").line,
              "hba_file = '/new/rules.conf'  # moved by pg_ark restore");
}

TEST(RewriteConfig, IncludesFollowTheirFiles) {
    const auto relative = rewrite(debian(), "include 'my.conf'", {"/new/my.conf"});
    EXPECT_EQ(relative.line, "include 'my.conf'");
    EXPECT_EQ(relative.rewrite.included,
              std::vector<std::string>{"/etc/postgresql/15/main/my.conf"});
    const auto absolute =
        rewrite(debian(), "include = '/etc/postgresql/15/main/my.conf'", {"/new/my.conf"});
    EXPECT_EQ(absolute.line, "include 'my.conf'  # moved by pg_ark restore");
    const auto above = rewrite(debian(), "include '../common.conf'",
                               {"/new/pg_ark_config/etc/postgresql/15/common.conf"});
    EXPECT_EQ(above.line,
              "include 'pg_ark_config/etc/postgresql/15/common.conf'  # moved by pg_ark restore");
    const auto foreign = rewrite(debian(), "include_if_exists '/opt/site.conf'",
                                 {"/new/pg_ark_config/opt/site.conf"});
    EXPECT_EQ(foreign.line,
              "include_if_exists 'pg_ark_config/opt/site.conf'  # moved by pg_ark restore");
    const auto nested =
        rewrite(debian(), "include 'b.conf'", {"/new/pg_ark_config/opt/b.conf"}, "/opt/a.conf");
    EXPECT_EQ(nested.line, "include 'b.conf'");
}

TEST(RewriteConfig, MissingIncludes) {
    const auto required = rewrite(debian(), "include '/opt/gone.conf'");
    EXPECT_TRUE(required.line.starts_with("#include"));
    ASSERT_EQ(required.warnings.size(), 1U);
    EXPECT_NE(required.warnings[0].find("/opt/gone.conf"), std::string::npos);
    EXPECT_TRUE(required.rewrite.included.empty());
    const auto optional = rewrite(debian(), "include_if_exists 'gone.conf'");
    EXPECT_EQ(optional.line, "include_if_exists 'gone.conf'");
    EXPECT_TRUE(optional.warnings.empty());
}

TEST(RewriteConfig, IncludedDirectories) {
    const auto out = rewrite(debian(), "include_dir = '/etc/postgresql-common.d'");
    EXPECT_EQ(out.rewrite.included_directories,
              std::vector<std::string>{"/etc/postgresql-common.d"});
    EXPECT_EQ(out.line,
              "include_dir 'pg_ark_config/etc/postgresql-common.d'  # moved by pg_ark restore");
}

// ---- with files

class RestoreConfiguration : public testing::Test {
 protected:
    void add(const std::string& path, const std::string& text) {
        const Bytes header = tar_file_header(path.substr(1), text.size(), 0644, 0);
        archive.insert(archive.end(), header.begin(), header.end());
        archive.insert(archive.end(), as_bytes(text).begin(), as_bytes(text).end());
        archive.resize(archive.size() + tar_padding(text.size()));
    }
    void run() {
        const auto repository = Repository::open(make_memory_store(), OpenMode::create);
        const Bytes end = tar_end();
        archive.insert(archive.end(), end.begin(), end.end());
        if (backup.has_config_archive) {
            store_object(repository->store(), backup.cluster, ObjectKind::config,
                         place::config(backup.backup_id), archive, {}, 3);
        }
        restore_configuration(*repository, backup, directory.path(), notices, warnings);
    }
    std::string read(const std::string& name) const {
        std::ifstream in(directory / name);
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }

    test::TemporaryDirectory directory;
    BackupMarker backup = debian();
    Bytes archive;
    std::vector<std::string> notices;
    std::vector<std::string> warnings;
};

TEST_F(RestoreConfiguration, FromOutside) {
    backup.has_config_archive = true;
    add("/etc/postgresql/15/main/postgresql.conf",
        "data_directory = '/var/lib/postgresql/15/main'\ninclude_dir = 'conf.d'\ninclude "
        "'/opt/site.conf'\n");
    add("/etc/postgresql/15/main/pg_hba.conf", "local all all peer\n");
    add("/etc/postgresql/15/main/pg_ident.conf", "");
    add("/etc/postgresql/15/main/conf.d/a.conf",
        "external_pid_file = '/run/x.pid'\nwork_mem = 1MB\n");
    add("/opt/site.conf", "hba_file = '/etc/postgresql/15/main/pg_hba.conf'\n");
    run();
    EXPECT_TRUE(read("postgresql.conf").starts_with("#data_directory"));
    EXPECT_NE(read("postgresql.conf").find("\ninclude 'pg_ark_config/opt/site.conf'"),
              std::string::npos);
    EXPECT_EQ(read("pg_hba.conf"), "local all all peer\n");
    EXPECT_TRUE(read("conf.d/a.conf").starts_with("#external_pid_file"));
    EXPECT_NE(read("conf.d/a.conf").find("\nwork_mem = 1MB\n"), std::string::npos);
    EXPECT_TRUE(read("pg_ark_config/opt/site.conf").starts_with("#hba_file"));
    EXPECT_TRUE(warnings.empty());
    EXPECT_EQ(fs::status(directory / "pg_hba.conf").permissions(),
              fs::perms::owner_read | fs::perms::owner_write);
}

// Without what they include pg_hba.conf and pg_ident.conf stop the server.
TEST_F(RestoreConfiguration, AccessFilesThatIncludeOthers) {
    backup.has_config_archive = true;
    add("/etc/postgresql/15/main/postgresql.conf", "");
    add("/etc/postgresql/15/main/pg_hba.conf",
        "include hba.d/a.conf\nlocal all all peer\ninclude \"/opt/b c.conf\" # far\n"
        "include_dir /opt/hba.d\ninclude_if_exists gone.conf\n");
    add("/etc/postgresql/15/main/pg_ident.conf", "include /opt/ident.conf\n");
    add("/etc/postgresql/15/main/hba.d/a.conf", "include /etc/postgresql/15/main/hba.d/b.conf\n");
    add("/etc/postgresql/15/main/hba.d/b.conf", "local a a trust\n");
    add("/opt/b c.conf", "local b b trust\n");
    add("/opt/ident.conf", "m a b\n");
    run();
    EXPECT_EQ(read("pg_hba.conf"),
              "include hba.d/a.conf\nlocal all all peer\n"
              "include \"pg_ark_config/opt/b c.conf\"  # moved by pg_ark restore\n"
              "include_dir \"pg_ark_config/opt/hba.d\"  # moved by pg_ark restore\n"
              "include_if_exists gone.conf\n");
    EXPECT_EQ(read("hba.d/a.conf"), "include \"b.conf\"  # moved by pg_ark restore\n");
    EXPECT_EQ(read("pg_ident.conf"),
              "include \"pg_ark_config/opt/ident.conf\"  # moved by pg_ark restore\n");
    EXPECT_EQ(read("pg_ark_config/opt/b c.conf"), "local b b trust\n");
    EXPECT_TRUE(fs::is_directory(directory / "pg_ark_config/opt/hba.d"));
    EXPECT_TRUE(warnings.empty());
}

// include_dir of a directory that is not there stops the server.
TEST_F(RestoreConfiguration, EmptyIncludedDirectoryIsMade) {
    backup.has_config_archive = true;
    add("/etc/postgresql/15/main/postgresql.conf", "include_dir 'conf.d'\n");
    run();
    EXPECT_TRUE(fs::is_directory(directory / "conf.d"));
}

TEST_F(RestoreConfiguration, FileOfTheDataDirectoryIsKeptUnderAnotherName) {
    backup.has_config_archive = true;
    std::ofstream(directory / "pg_hba.conf") << "unused\n";
    add("/etc/postgresql/15/main/pg_hba.conf", "used\n");
    run();
    EXPECT_EQ(read("pg_hba.conf"), "used\n");
    EXPECT_EQ(read("pg_hba.conf.unused"), "unused\n");
    ASSERT_EQ(notices.size(), 2U);
    EXPECT_NE(notices[0].find("pg_hba.conf.unused"), std::string::npos);
    EXPECT_NE(notices[1].find("pg_verifybackup -n -i pg_hba.conf "), std::string::npos)
        << notices[1];
}

TEST_F(RestoreConfiguration, MissingFilesAreNamed) {
    run();
    EXPECT_EQ(warnings.size(), 3U);
    EXPECT_NE(warnings[0].find("postgresql.conf"), std::string::npos);
}

TEST_F(RestoreConfiguration, DamagedArchive) {
    backup.has_config_archive = true;
    archive = Bytes(700, std::byte{'x'});
    EXPECT_THROW(run(), Error);
}

}  // namespace
}  // namespace ark
