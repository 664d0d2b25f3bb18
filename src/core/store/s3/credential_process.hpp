#pragma once

#include <string>
#include <vector>

#include "core/store/s3/credentials.hpp"

namespace ark {

/// Credentials from a program of the user's, which a profile names with credential_process: a JSON
/// document of version 1 on its standard output. It runs without a shell, for `timeout_seconds` at
/// the most; what it writes is told to nobody. Error: invalid_argument for a command that is none,
/// permission_denied, timeout. Source: AWS, "Sourcing credentials with an external process".
S3Credentials process_credentials(const std::string& command, const std::string& profile,
                                  double timeout_seconds = 60);

/// The words of a command: blanks part them, quotation marks of either kind keep them together, a
/// backslash keeps what follows (not in single ones). Nothing else has a meaning: no variables, no
/// "~", no pipes. Error: invalid_argument where a quotation mark has no end.
std::vector<std::string> split_command(const std::string& command);

}  // namespace ark
