#include "core/restore/privileges.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/config_text.hpp"

namespace ark {

namespace {

struct stat nearest_existing(std::string path) {
    struct stat st {};
    while (::stat(path.c_str(), &st) != 0) {
        if (errno != ENOENT || path == "/" || path == ".") {
            throw system_error(errno, "could not stat \"" + path + "\"");
        }
        path = parent_directory(path);
    }
    return st;
}

}  // namespace

Owner owner_for(const std::string& data_directory) {
    const struct stat st = nearest_existing(data_directory);
    Owner owner{st.st_uid, st.st_gid, std::to_string(st.st_uid)};
    std::array<char, 16384> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(st.st_uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found) {
        owner.gid = found->pw_gid;
        owner.name = found->pw_name;
    }
    return owner;
}

void become_owner(const std::string& data_directory) {
    if (::geteuid() != 0)
        return;
    const Owner owner = owner_for(data_directory);
    if (owner.uid == 0) {
        throw Error(ErrorCode::refused,
                    "data directory \"" + data_directory + "\" would belong to root",
                    "PostgreSQL does not start as root, nor on files of another user.",
                    "Make it first, \"install -d -m 0700 -o postgres -g postgres " +
                        shell_word(data_directory) +
                        "\", or run this command as the user that runs PostgreSQL.");
    }
    const bool named = owner.name != std::to_string(owner.uid);
    const int groups =
        named ? ::initgroups(owner.name.c_str(), owner.gid) : ::setgroups(0, nullptr);
    if (groups != 0 || ::setresgid(owner.gid, owner.gid, owner.gid) != 0 ||
        ::setresuid(owner.uid, owner.uid, owner.uid) != 0) {
        throw system_error(errno, "could not become user \"" + owner.name + "\"");
    }
}

}  // namespace ark
