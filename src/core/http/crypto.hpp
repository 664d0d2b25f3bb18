#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/crypto/base64.hpp"
#include "core/crypto/kdf.hpp"

namespace ark {

/// What signatures and uploads' checksums are made of, by OpenSSL. All return raw bytes.
Bytes sha256(ByteView bytes);
inline Bytes hmac_sha256(ByteView key, std::string_view text) {
    return hmac_sha256(key, as_bytes(text));
}
/// For Content-MD5 alone, which stores verify; nothing is secured by it.
Bytes md5(ByteView bytes);
/// RSASSA-PKCS1-v1_5 with SHA-256 (what a JWT calls RS256) by a private key in PEM. Error:
/// invalid_argument for a key that cannot be read or is none of RSA's.
Bytes rsa_sha256(const std::string& private_key, std::string_view text);

}  // namespace ark
