#pragma once

#include <string>

namespace ark {

/// The environment's value, empty where it has none.
std::string environment(const char* name);

/// Where the files of this user's tools are: HOME, or what the system knows of the user. A server's
/// environment may have no HOME.
std::string home_directory();

}  // namespace ark
