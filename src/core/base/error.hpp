#pragma once

#include <exception>
#include <string>

namespace ark {

/// What went wrong, as far as a caller can act on it. One table (error.cpp) maps each code to an
/// SQLSTATE, another to an exit status of the executable.
enum class ErrorCode {
    invalid_argument,    ///< the caller's words are off: an option, a URL, a target
    not_found,           ///< the named thing (backup, file, repository) is not there
    already_exists,      ///< the same name with the same meaning is taken
    conflict,            ///< same object name, other content: two writers
    refused,             ///< the state of things forbids it (running server, non-empty directory)
    permission_denied,   ///< the operating system or the store says no
    disk_full,           ///< no space or quota left
    io_error,            ///< any other failure of a file or device
    unavailable,         ///< the store cannot be reached or answers with a passing fault
    timeout,             ///< a deadline passed
    cancelled,           ///< the caller asked for the end
    corrupt,             ///< bytes are not what their checksum or format says
    invalid_key,         ///< an encryption key is not the one that opens this, or there is none
    unsupported,         ///< understood, but not something this version does
    protocol_violation,  ///< the other end of the pipe broke the protocol
    out_of_memory,       ///< a memory budget is used up
    target_unreachable,  ///< no backup and WAL lead to this recovery target
    internal,            ///< a bug
};

/// The one exception type of the engine. Text follows PostgreSQL's message style: `message` says
/// what failed and to which object, `detail` gives facts, `hint` the next setting or command.
struct Error : public std::exception {
    Error(ErrorCode code_in, std::string message_in, std::string detail_in = {},
          std::string hint_in = {});

    const char* what() const noexcept override { return message.c_str(); }

    ErrorCode code;
    bool retryable;  ///< true for unavailable and timeout unless set otherwise
    std::string message;
    std::string detail;
    std::string hint;
};

/// Five characters, as in PostgreSQL's errcodes.txt.
const char* sqlstate_of(ErrorCode code) noexcept;

/// Exit status of a command that ended with this error: 1 general, 2 wrong use, 3 refused, 4 not
/// found, 5 unreachable target, 6 corrupt data, 7 store or disk trouble. Never above 125.
int exit_status_of(ErrorCode code) noexcept;

/// Lower-case identifier, as in `--output json`.
const char* name_of(ErrorCode code) noexcept;

/// An Error from errno: ENOSPC and EDQUOT give disk_full, EACCES, EPERM and EROFS
/// permission_denied, ENOENT not_found, ENOMEM out_of_memory, all others io_error. `what` is
/// followed by ": <strerror>".
Error system_error(int error_number, const std::string& what, std::string hint = {});

}  // namespace ark
