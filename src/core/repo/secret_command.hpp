#pragma once

#include <string>

#include "core/crypto/secret.hpp"

namespace ark {

/// What a command that was run for its secret output came to.
struct SecretCommandResult {
    SecretBytes output;  ///< empty where it wrote more than `limit`
    std::string errors;  ///< the begin of what it wrote to standard error
    int status = 0;      ///< as waitpid gives it
    bool timed_out = false;
    bool wrote_too_much = false;
};

/// Runs `command` by /bin/sh -c, in a session of its own, its input /dev/null. When it has ended,
/// written more than `limit` bytes, or `seconds` have passed, whatever is left of its group of
/// processes is killed. It waits for nothing that a process left behind might still write.
/// Cancellation (base/cancellation.hpp) counts as the end of its time. Error: as system_error.
SecretCommandResult run_secret_command(const std::string& command, size_t limit, size_t error_limit,
                                       double seconds);

}  // namespace ark
