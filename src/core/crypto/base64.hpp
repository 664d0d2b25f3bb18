#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.hpp"

namespace ark {

/// RFC 4648, with padding.
std::string to_base64(ByteView bytes);
/// RFC 4648, section 5, without padding.
std::string to_base64url(ByteView bytes);
/// Error: invalid_argument.
Bytes from_base64(std::string_view text);

}  // namespace ark
