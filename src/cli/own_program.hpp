#pragma once

#include <string>

namespace ark {

/// Absolute path of this executable, for a server's restore_command. Error: refused where a server
/// could not run it.
std::string own_program();

}  // namespace ark
