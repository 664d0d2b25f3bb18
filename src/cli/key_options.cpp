#include "cli/key_options.hpp"

#include <filesystem>

#include "core/base/environment.hpp"

namespace ark {

KeySource KeyOptions::source() const {
    KeySource out{file, command};
    if (!out.is_given())
        out = {environment("PG_ARK_KEY_FILE"), environment("PG_ARK_KEY_COMMAND")};
    // A restored server's restore_command runs in another directory.
    if (!out.file.empty())
        out.file = std::filesystem::absolute(out.file).string();
    return out;
}

void add_key_source_options(CLI::App& command, KeyOptions& options) {
    command
        .add_option("--key-file", options.file,
                    "file with the encryption key; only its owner and group may read it (or "
                    "PG_ARK_KEY_FILE)")
        ->option_text("FILE");
    command
        .add_option("--key-command", options.command,
                    "command that prints the encryption key, for /bin/sh; run once, for at most 30 "
                    "s (or PG_ARK_KEY_COMMAND)")
        ->option_text("COMMAND");
}

void add_key_options(CLI::App& command, KeyOptions& options) {
    add_key_source_options(command, options);
    command.add_flag("--require-encryption", options.require_encryption,
                     "refuse what is not encrypted: whoever can write to the repository could have "
                     "put it there");
}

}  // namespace ark
