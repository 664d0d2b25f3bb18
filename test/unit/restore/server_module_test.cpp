#include "core/restore/server_module.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "core/pgdata/config_text.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

std::string value_in(const std::string& text, const std::string& name) {
    std::istringstream lines(text);
    std::string value = "(not set)";
    for (std::string line; std::getline(lines, line);) {
        const auto parsed = parse_config_line(line);
        if (parsed && parsed->name == name)
            value = parsed->value;
    }
    return value;
}

class ServerModule : public testing::Test {
 protected:
    std::string write(const std::string& name, const std::string& text) {
        std::string path = directory / name;
        std::ofstream(path) << text;
        return path;
    }
    test::TemporaryDirectory directory;
};

TEST_F(ServerModule, OnlyPgArkGoes) {
    const std::pair<const char*, const char*> table[] = {
        {"'pg_ark'", ""},
        {"pg_ark", ""},
        {"'auto_explain,pg_ark'", "auto_explain"},
        {"'pg_ark, pg_stat_statements'", " pg_stat_statements"},
        {"'a, \"pg_ark\", b'", "a, b"},
        {"'$libdir/pg_ark.so'", ""},
    };
    for (const auto& [written, left] : table) {
        const std::string file =
            write("conf", std::string("shared_preload_libraries = ") + written + " # x\n");
        const std::string settings = settings_without_module({file}, true);
        EXPECT_EQ(value_in(settings, "shared_preload_libraries"), left) << written;
        EXPECT_EQ(value_in(settings, "archive_mode"), "off");
    }
}

TEST_F(ServerModule, NothingToDoWhereItIsNotLoaded) {
    for (const char* list : {"'pg_ark2,not_pg_ark'", "''"}) {
        const std::string file =
            write("conf", std::string("shared_preload_libraries = ") + list + "\n");
        EXPECT_EQ(settings_without_module({file}, true), "") << list;
    }
    EXPECT_EQ(settings_without_module({directory / "absent"}, true), "");
}

TEST_F(ServerModule, TheLastFileCounts) {
    const std::string first = write("first", "shared_preload_libraries = 'a,pg_ark'\n");
    const std::string last = write("last", "shared_preload_libraries = 'pg_ark,b'\n");
    EXPECT_EQ(value_in(settings_without_module({first, last}, true), "shared_preload_libraries"),
              "b");
    write("last", "shared_preload_libraries = 'b'\n");
    EXPECT_EQ(settings_without_module({first, last}, true), "");
}

TEST_F(ServerModule, ClusterThatTakesOverKeepsItsWal) {
    const std::string file = write("conf", "shared_preload_libraries = 'pg_ark'\n");
    EXPECT_EQ(value_in(settings_without_module({file}, false), "archive_mode"), "(not set)");
}

TEST_F(ServerModule, LibraryDirectoryBesideTheProgram) {
    constexpr int kNoSuchMajor = 3;
    const std::string program = directory / "bin/pg_ark";
    EXPECT_EQ(find_library_directory(program, kNoSuchMajor), std::nullopt);
    fs::create_directories(directory / "bin");
    fs::create_directories(directory / "lib/postgresql");
    write("bin/postgres", "");
    EXPECT_EQ(find_library_directory(program, kNoSuchMajor), std::nullopt);
    write("lib/postgresql/plpgsql.so", "");
    EXPECT_EQ(find_library_directory(program, kNoSuchMajor), directory / "lib/postgresql");
}

}  // namespace
}  // namespace ark
