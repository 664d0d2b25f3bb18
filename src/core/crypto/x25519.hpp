#pragma once

#include <optional>

#include "core/crypto/secret.hpp"

namespace ark {

constexpr size_t kX25519Bytes = 32;  ///< of a private key, a public one, and what two share

/// RFC 7748. Any 32 bytes are a private key (the function clamps them).
Bytes x25519_public(ByteView private_key);
/// nullopt where the result is all zeros: the other's key is one of the few that force it.
std::optional<SecretBytes> x25519(ByteView private_key, ByteView public_key);

}  // namespace ark
