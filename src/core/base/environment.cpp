#include "core/base/environment.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace ark {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

std::string home_directory() {
    if (std::string home = environment("HOME"); !home.empty())
        return home;
    const passwd* user = getpwuid(geteuid());
    return user != nullptr ? user->pw_dir : "";
}

}  // namespace ark
