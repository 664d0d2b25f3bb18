#include "cli/own_program.hpp"

#include <limits.h>
#include <unistd.h>

#include <array>

#include "core/base/error.hpp"

namespace ark {

std::string own_program() {
    std::array<char, PATH_MAX> buffer{};
    const ssize_t n = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
    std::string path = n > 0 ? std::string(buffer.data(), static_cast<size_t>(n)) : "";
    if (path.empty() || ::access(path.c_str(), X_OK) != 0) {
        throw Error(ErrorCode::refused, "the server would not be able to run \"" + path + "\"",
                    "Its restore_command calls this program.",
                    "Install pg_ark where the user that runs PostgreSQL can execute it.");
    }
    return path;
}

}  // namespace ark
