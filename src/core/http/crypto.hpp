#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.hpp"

namespace ark {

/// What signatures and uploads' checksums are made of, by OpenSSL. All return raw bytes.
Bytes sha256(ByteView bytes);
Bytes hmac_sha256(ByteView key, std::string_view text);
/// For Content-MD5 alone, which stores verify; nothing is secured by it.
Bytes md5(ByteView bytes);

/// RFC 4648, with padding.
std::string to_base64(ByteView bytes);
/// Error: invalid_argument.
Bytes from_base64(std::string_view text);

}  // namespace ark
