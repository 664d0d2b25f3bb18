#pragma once

#include <cstdint>
#include <string_view>

#include "core/crypto/secret.hpp"

namespace ark {

/// RFC 2104 with SHA-256; 32 bytes.
Bytes hmac_sha256(ByteView key, ByteView message);

/// RFC 5869 with SHA-256: the pseudo-random key of `ikm`, 32 bytes. An empty salt is a hash's
/// length of zeros.
SecretBytes hkdf_extract(ByteView salt, ByteView ikm);
/// `size` bytes (at most 8160) out of a pseudo-random key.
SecretBytes hkdf_expand(ByteView pseudo_random_key, ByteView info, size_t size);
/// Both.
SecretBytes hkdf(ByteView salt, ByteView ikm, ByteView info, size_t size);
/// A key of 32 bytes out of another, for the purpose that `info` names.
SecretBytes derive_key(ByteView key, std::string_view info);

/// How much work a guess of a passphrase costs (RFC 7914): 128 * n * r bytes of memory, p times.
struct ScryptCost {
    uint64_t n = 1 << 17;  ///< a power of two
    uint32_t r = 8;
    uint32_t p = 1;

    bool operator==(const ScryptCost&) const = default;
};
/// Error: out_of_memory; invalid_argument for a cost that is none.
SecretBytes scrypt(ByteView passphrase, ByteView salt, const ScryptCost& cost, size_t size);

}  // namespace ark
