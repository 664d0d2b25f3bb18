#include "core/base/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ark {

namespace {

struct CodeRow {
    ErrorCode code;
    const char* name;
    const char* sqlstate;
    int exit_status;
};

// In the order of the enumeration; the lookup below relies on it.
constexpr std::array<CodeRow, 18> kCodes{{
    {ErrorCode::invalid_argument, "invalid_argument", "22023", 2},
    {ErrorCode::not_found, "not_found", "42704", 4},
    {ErrorCode::already_exists, "already_exists", "42710", 3},
    {ErrorCode::conflict, "conflict", "55000", 3},
    {ErrorCode::refused, "refused", "55000", 3},
    {ErrorCode::permission_denied, "permission_denied", "42501", 7},
    {ErrorCode::disk_full, "disk_full", "53100", 7},
    {ErrorCode::io_error, "io_error", "58030", 7},
    {ErrorCode::unavailable, "unavailable", "08006", 7},
    // Not 57014: that is what a cancel looks like.
    {ErrorCode::timeout, "timeout", "58000", 7},
    {ErrorCode::cancelled, "cancelled", "57014", 1},
    {ErrorCode::corrupt, "corrupt", "XX001", 6},
    {ErrorCode::invalid_key, "invalid_key", "22023", 2},
    {ErrorCode::unsupported, "unsupported", "0A000", 2},
    {ErrorCode::protocol_violation, "protocol_violation", "08P01", 1},
    {ErrorCode::out_of_memory, "out_of_memory", "53200", 7},
    {ErrorCode::target_unreachable, "target_unreachable", "22023", 5},
    {ErrorCode::internal, "internal", "XX000", 1},
}};

const CodeRow& row_of(ErrorCode code) noexcept {
    return kCodes[static_cast<size_t>(code)];
}

ErrorCode code_of_errno(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return ErrorCode::disk_full;
        case EACCES:
        case EPERM:
        case EROFS:
            return ErrorCode::permission_denied;
        case ENOENT:
            return ErrorCode::not_found;
        case ENOMEM:
            return ErrorCode::out_of_memory;
        default:
            return ErrorCode::io_error;
    }
}

}  // namespace

Error::Error(ErrorCode code_in, std::string message_in, std::string detail_in, std::string hint_in)
    : code(code_in),
      retryable(code_in == ErrorCode::unavailable || code_in == ErrorCode::timeout),
      message(std::move(message_in)),
      detail(std::move(detail_in)),
      hint(std::move(hint_in)) {}

const char* sqlstate_of(ErrorCode code) noexcept {
    return row_of(code).sqlstate;
}
int exit_status_of(ErrorCode code) noexcept {
    return row_of(code).exit_status;
}
const char* name_of(ErrorCode code) noexcept {
    return row_of(code).name;
}

Error system_error(int error_number, const std::string& what, std::string hint) {
    std::array<char, 256> buffer{};
    const char* text = strerror_r(error_number, buffer.data(), buffer.size());
    return {code_of_errno(error_number), what + ": " + text, {}, std::move(hint)};
}

}  // namespace ark
