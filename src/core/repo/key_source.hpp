#pragma once

#include <string>

#include "core/repo/key_secret.hpp"

namespace ark {

/// Where the secret that opens a keyring comes from: a file or a command's output, never an
/// argument or a setting's value.
struct KeySource {
    std::string file;
    std::string command;  ///< for /bin/sh

    bool is_given() const { return !file.empty() || !command.empty(); }
};

struct KeyCommandLimits {
    double seconds = 30;
    size_t stderr_bytes = 4096;  ///< of it so many are shown
};

/// Reads it. A file must not be accessible to others than its owner and group; it is read once, and
/// at most kMaxSecretText bytes. A command runs once, without input, as a group of processes that
/// ends with it; what it writes to standard output is in no message, what it writes to standard
/// error is in that of its failure. From here on the process leaves no core, and no other process
/// of its user looks into it. Error: invalid_argument where both or none are given, or what came is
/// no secret; permission_denied, not_found, timeout; invalid_key where the command failed.
KeySecret read_key_secret(const KeySource& source, const KeyCommandLimits& limits = {});

/// The text of a secret or of recipients as it is in such a file. Error: as read_key_secret.
SecretBytes read_secret_file(const std::string& path, size_t limit = kMaxSecretText);

}  // namespace ark
