#include "core/restore/server_program.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/sample_marker.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

class ServerProgram : public testing::Test {
 protected:
    // A directory whose name the shell would take apart, with a "postgres" of this version.
    void install(const std::string& output) {
        fs::create_directories(bin);
        std::ofstream(bin + "/postgres")
            << "#!/bin/sh\n[ \"$*\" = --version ] && echo '" + output + "'\n";
        fs::permissions(bin + "/postgres", fs::perms::owner_all);
    }
    BackupMarker backup_of(uint32_t version_number) const {
        BackupMarker marker = test::sample_marker();
        marker.pg_version_num = version_number;
        return marker;
    }
    test::TemporaryDirectory directory;
    std::string bin = directory / "it's a bin";
};

TEST_F(ServerProgram, ItsMajorIsWhatItSays) {
    EXPECT_EQ(major_of_server(bin + "/postgres"), std::nullopt);
    const std::pair<const char*, std::optional<uint32_t>> table[] = {
        {"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 15},
        {"postgres (PostgreSQL) 19rc1", 19},
        {"postgres (PostgreSQL) 18devel", 18},
        {"postgres (PostgreSQL) x", std::nullopt},
        {"something else", std::nullopt},
        {"", std::nullopt},
    };
    for (const auto& [output, major] : table) {
        install(output);
        EXPECT_EQ(major_of_server(bin + "/postgres"), major) << output;
    }
}

TEST_F(ServerProgram, ABackupOfAnotherMajorIsRefusedInBothDirections) {
    install("postgres (PostgreSQL) 17.11");
    for (const uint32_t version : {150018U, 160015U, 180006U}) {
        const Error error = test::expect_error(
            ErrorCode::refused, [&] { refuse_other_major(backup_of(version), bin + "/pg_ark"); });
        const std::string major = std::to_string(version / 10000);
        EXPECT_NE(std::string(error.what()).find("PostgreSQL " + major + ", and the server beside"),
                  std::string::npos);
        EXPECT_NE(error.hint.find("postgresql-" + major), std::string::npos);
    }
}

TEST_F(ServerProgram, TheSameMajorAndNoServerAreFine) {
    EXPECT_NO_THROW(refuse_other_major(backup_of(150018), bin + "/pg_ark"));
    install("postgres (PostgreSQL) 15.2");
    EXPECT_NO_THROW(refuse_other_major(backup_of(150018), bin + "/pg_ark"));
}

}  // namespace
}  // namespace ark
