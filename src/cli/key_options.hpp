#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "core/repo/cluster_keys.hpp"

namespace ark {

/// Where a command has the key from that opens what is encrypted.
struct KeyOptions {
    std::string file;     ///< --key-file
    std::string command;  ///< --key-command
    bool require_encryption = false;

    /// Of the options, else of the environment (PG_ARK_KEY_FILE, PG_ARK_KEY_COMMAND); the file's
    /// path absolute.
    KeySource source() const;
};

/// --key-file and --key-command.
void add_key_source_options(CLI::App& command, KeyOptions& options);
/// And --require-encryption.
void add_key_options(CLI::App& command, KeyOptions& options);

}  // namespace ark
