#pragma once

#include <memory>
#include <optional>

#include "core/crypto/secret.hpp"

namespace ark {

/// AES-GCM (NIST SP 800-38D) with nonces of 12 bytes and tags of 16, under one key. One thread at a
/// time; keeps its key schedule between calls.
class AesGcm {
 public:
    static constexpr size_t kNonceBytes = 12;
    static constexpr size_t kTagBytes = 16;

    /// 32 bytes: AES-256; 16: AES-128, for known answers alone.
    explicit AesGcm(ByteView key);
    ~AesGcm();
    AesGcm(AesGcm&&) noexcept;
    AesGcm& operator=(AesGcm&&) noexcept;

    /// Ciphertext and tag, plain.size() + 16 bytes, into `out`, which may begin where `plain` does.
    /// A nonce must never be used again with this key.
    void seal(ByteView nonce, ByteView aad, ByteView plain, MutableByteView out);
    /// The plaintext, sealed.size() - 16 bytes, into `out`, which may begin where `sealed` does.
    /// False where key, nonce, aad or a byte is another; `out` holds nothing of use then.
    [[nodiscard]] bool open(ByteView nonce, ByteView aad, ByteView sealed, MutableByteView out);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// AES key wrap (RFC 3394) under 32 bytes: 8 bytes longer than the key, which has a multiple of 8,
/// 16 at least. The same key becomes the same bytes each time.
Bytes wrap_key(ByteView wrapping_key, ByteView key);
/// nullopt where it was not wrapped under this key, or is damaged.
std::optional<SecretBytes> unwrap_key(ByteView wrapping_key, ByteView wrapped);

}  // namespace ark
