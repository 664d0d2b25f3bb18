#pragma once

#include <optional>
#include <string_view>

#include "core/crypto/secret.hpp"

namespace ark {

/// What HPKE gives for one message: the ephemeral public key, and ciphertext with its tag.
struct HpkeMessage {
    Bytes enc;
    Bytes sealed;
};

/// RFC 9180, base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Whoever
/// has the public key can seal: nothing says who did. Error: invalid_argument for a public key that
/// forces the shared secret to zero.
HpkeMessage hpke_seal(ByteView public_key, std::string_view info, ByteView aad, ByteView plain);
/// nullopt where it was not sealed to this key with these texts, or is damaged.
std::optional<SecretBytes> hpke_open(ByteView private_key, std::string_view info, ByteView aad,
                                     const HpkeMessage& message);

/// The third part of the suite. RFC 9180 prints known answers for AES-128-GCM; nothing else uses
/// it.
enum class HpkeAead { aes_128_gcm = 1, aes_256_gcm = 2 };

/// The same with an ephemeral key that is given: for known answers alone.
HpkeMessage hpke_seal_with(HpkeAead aead, ByteView ephemeral_private_key, ByteView public_key,
                           std::string_view info, ByteView aad, ByteView plain);
std::optional<SecretBytes> hpke_open_with(HpkeAead aead, ByteView private_key,
                                          std::string_view info, ByteView aad,
                                          const HpkeMessage& message);

}  // namespace ark
