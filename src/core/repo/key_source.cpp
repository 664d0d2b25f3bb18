#include "core/repo/key_source.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/repo/secret_command.hpp"

namespace ark {

namespace {

constexpr const char* kHowToRun =
    "Run the command by hand, as the user that runs pg_ark; it has to print the key and end with "
    "status 0.";

std::string_view text_of(const SecretBytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A core holds what the process has read, and so does what another process of the user may copy.
void keep_memory_private() {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (prctl(PR_GET_DUMPABLE) != 0)
        prctl(PR_SET_DUMPABLE, 0);
}

// What another program says: of any length and content, for one line of a message.
std::string said(const std::string& errors) {
    std::string out;
    for (const char c : errors) {
        const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        out += is_control ? ' ' : c;
    }
    while (out.ends_with(' '))
        out.pop_back();
    return out.empty() ? out : " It said: " + out;
}

SecretBytes output_of(const std::string& command, const KeyCommandLimits& limits) {
    SecretCommandResult result =
        run_secret_command(command, kMaxSecretText, limits.stderr_bytes, limits.seconds);
    const auto failed = [&](ErrorCode code, const std::string& why) {
        Error error(code, "the command for the encryption key gave none", why + said(result.errors),
                    kHowToRun);
        error.retryable = true;  // a key service may be away for a while
        return error;
    };
    if (result.timed_out) {
        throw failed(ErrorCode::timeout, "It did not end within " +
                                             std::to_string(static_cast<int64_t>(limits.seconds)) +
                                             " seconds.");
    }
    if (result.wrote_too_much) {
        throw failed(
            ErrorCode::invalid_key,
            "It wrote more than " + std::to_string(kMaxSecretText) + " bytes, which is no key.");
    }
    if (WIFSIGNALED(result.status)) {
        throw failed(ErrorCode::invalid_key,
                     "Signal " + std::to_string(WTERMSIG(result.status)) + " ended it.");
    }
    if (WEXITSTATUS(result.status) != 0) {
        throw failed(ErrorCode::invalid_key,
                     "It ended with status " + std::to_string(WEXITSTATUS(result.status)) + ".");
    }
    return std::move(result.output);
}

}  // namespace

SecretBytes read_secret_file(const std::string& path, size_t limit) {
    keep_memory_private();
    if (!path.starts_with('/')) {
        throw Error(ErrorCode::invalid_argument, "invalid name of a key file: \"" + path + "\"", {},
                    "Give an absolute path.");
    }
    // A FIFO must not keep us waiting.
    const File file = File::open(path, O_RDONLY | O_NONBLOCK);
    const struct stat st = file.stat();
    if (!S_ISREG(st.st_mode)) {
        throw Error(ErrorCode::invalid_argument, "key file \"" + path + "\" is not a regular file",
                    {}, "To take the key from elsewhere, use a command.");
    }
    if ((st.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        throw Error(
            ErrorCode::permission_denied,
            "key file \"" + path + "\" can be read or changed by others",
            "Only its owner may write to it, and only its owner and group may read it.",
            "Run chmod 600 on it, or 640. If others could read it until now, make a new key "
            "and rotate.");
    }
    SecretBytes content(limit + 1);
    const size_t size = file.pread_full(content, 0);
    if (size > limit) {
        throw Error(ErrorCode::invalid_argument, "key file \"" + path + "\" is too long",
                    "It has more than " + std::to_string(limit) + " bytes.");
    }
    content.resize(size);
    return content;
}

KeySecret read_key_secret(const KeySource& source, const KeyCommandLimits& limits) {
    if (source.file.empty() == source.command.empty()) {
        throw Error(ErrorCode::invalid_argument,
                    source.is_given() ? "both a file and a command are named for the encryption key"
                                      : "no encryption key given",
                    {},
                    source.is_given() ? "Name one of them."
                                      : "Name a file (--key-file, PG_ARK_KEY_FILE) or a command "
                                        "that prints it (--key-command, PG_ARK_KEY_COMMAND).");
    }
    keep_memory_private();
    const SecretBytes text =
        source.file.empty() ? output_of(source.command, limits) : read_secret_file(source.file);
    try {
        return parse_key_secret(text_of(text));
    } catch (Error& error) {
        error.message = source.file.empty() ? "the command for the encryption key gave none"
                                            : "key file \"" + source.file + "\" holds no key";
        throw;
    }
}

}  // namespace ark
