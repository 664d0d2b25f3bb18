#include "core/restore/server_program.hpp"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/config_text.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

struct PipeCloser {
    void operator()(FILE* pipe) const { ::pclose(pipe); }
};

// The first line of what a command prints; empty where it prints none.
std::string first_line_of(const std::string& command) {
    const std::unique_ptr<FILE, PipeCloser> pipe(::popen(command.c_str(), "re"));
    std::array<char, 256> line{};
    if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr)
        return {};
    return line.data();
}

}  // namespace

std::optional<uint32_t> major_of_server(const std::string& postgres) {
    constexpr std::string_view kBefore = "(PostgreSQL) ";
    if (::access(postgres.c_str(), X_OK) != 0)
        return std::nullopt;
    const std::string line =
        first_line_of(quote_shell_word(postgres) + " --version 2>/dev/null </dev/null");
    const size_t at = line.find(kBefore);
    if (at == std::string::npos)
        return std::nullopt;
    uint32_t major = 0;
    const char* first = line.data() + at + kBefore.size();
    const auto result = std::from_chars(first, line.data() + line.size(), major);
    return result.ec == std::errc{} ? std::optional(major) : std::nullopt;
}

void refuse_other_major(const BackupMarker& backup, const std::string& program) {
    const uint32_t wanted = major_of(backup.pg_version_num);
    const std::string postgres = parent_directory(program) + "/postgres";
    const std::optional<uint32_t> found = major_of_server(postgres);
    if (!found || *found == wanted)
        return;
    const std::string version = std::to_string(wanted);
    throw Error(ErrorCode::refused,
                "backup " + backup.backup_id + " is of PostgreSQL " + version +
                    ", and the server beside this program is of " + std::to_string(*found),
                "\"" + postgres + "\" could not read the restored files.",
                "Restore where PostgreSQL " + version +
                    " is installed, with the pg_ark beside it (Debian: " + "postgresql-" + version +
                    ", /usr/lib/postgresql/" + version + "/bin/pg_ark).");
}

}  // namespace ark
