#include "core/crypto/hpke.hpp"

#include "core/base/error.hpp"
#include "core/crypto/aes.hpp"
#include "core/crypto/kdf.hpp"
#include "core/crypto/x25519.hpp"

namespace ark {

namespace {

constexpr uint16_t kKem = 0x0020;  // DHKEM(X25519, HKDF-SHA256)
constexpr uint16_t kKdf = 0x0001;  // HKDF-SHA256
constexpr std::byte kBaseMode{0};

void append(SecretBytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
void append(SecretBytes& out, std::string_view text) {
    append(out, as_bytes(text));
}
void append_number(SecretBytes& out, uint16_t number) {
    out.push_back(static_cast<std::byte>(number >> 8));
    out.push_back(static_cast<std::byte>(number & 0xFF));
}

SecretBytes suite_of_kem() {
    SecretBytes out = secret_copy("KEM");
    append_number(out, kKem);
    return out;
}

SecretBytes suite_of(HpkeAead aead) {
    SecretBytes out = secret_copy("HPKE");
    append_number(out, kKem);
    append_number(out, kKdf);
    append_number(out, static_cast<uint16_t>(aead));
    return out;
}

// RFC 9180, section 4.
SecretBytes labeled_extract(ByteView suite, ByteView salt, std::string_view label, ByteView ikm) {
    SecretBytes labeled = secret_copy("HPKE-v1");
    append(labeled, suite);
    append(labeled, label);
    append(labeled, ikm);
    return hkdf_extract(salt, labeled);
}

SecretBytes labeled_expand(ByteView suite, ByteView key, std::string_view label, ByteView info,
                           uint16_t size) {
    SecretBytes labeled;
    append_number(labeled, size);
    append(labeled, "HPKE-v1");
    append(labeled, suite);
    append(labeled, label);
    append(labeled, info);
    return hkdf_expand(key, labeled, size);
}

// Section 4.1: what both ends make of what X25519 gave them.
SecretBytes shared_secret(ByteView agreed, ByteView enc, ByteView public_key) {
    const SecretBytes suite = suite_of_kem();
    SecretBytes context = secret_copy(enc);
    append(context, public_key);
    return labeled_expand(suite, labeled_extract(suite, {}, "eae_prk", agreed), "shared_secret",
                          context, 32);
}

// Section 5.1: key and first nonce.
struct Schedule {
    SecretBytes key;
    SecretBytes nonce;
};

Schedule schedule_of(HpkeAead aead, ByteView secret, std::string_view info) {
    const SecretBytes suite = suite_of(aead);
    SecretBytes context(1, kBaseMode);
    append(context, labeled_extract(suite, {}, "psk_id_hash", {}));
    append(context, labeled_extract(suite, {}, "info_hash", as_bytes(info)));
    const SecretBytes key = labeled_extract(suite, secret, "secret", {});
    const uint16_t key_bytes = aead == HpkeAead::aes_128_gcm ? 16 : 32;
    return {labeled_expand(suite, key, "key", context, key_bytes),
            labeled_expand(suite, key, "base_nonce", context, AesGcm::kNonceBytes)};
}

}  // namespace

HpkeMessage hpke_seal_with(HpkeAead aead, ByteView ephemeral_private_key, ByteView public_key,
                           std::string_view info, ByteView aad, ByteView plain) {
    HpkeMessage out;
    out.enc = x25519_public(ephemeral_private_key);
    const auto agreed = x25519(ephemeral_private_key, public_key);
    if (!agreed)
        throw Error(ErrorCode::invalid_argument, "a public key is none that can be sealed to");
    const Schedule schedule = schedule_of(aead, shared_secret(*agreed, out.enc, public_key), info);
    out.sealed.resize(plain.size() + AesGcm::kTagBytes);
    AesGcm(schedule.key).seal(schedule.nonce, aad, plain, out.sealed);
    return out;
}

std::optional<SecretBytes> hpke_open_with(HpkeAead aead, ByteView private_key,
                                          std::string_view info, ByteView aad,
                                          const HpkeMessage& message) {
    const auto agreed = x25519(private_key, message.enc);
    if (!agreed || message.sealed.size() < AesGcm::kTagBytes)
        return std::nullopt;
    const Schedule schedule =
        schedule_of(aead, shared_secret(*agreed, message.enc, x25519_public(private_key)), info);
    SecretBytes out(message.sealed.size() - AesGcm::kTagBytes);
    if (!AesGcm(schedule.key).open(schedule.nonce, aad, message.sealed, out))
        return std::nullopt;
    return out;
}

HpkeMessage hpke_seal(ByteView public_key, std::string_view info, ByteView aad, ByteView plain) {
    return hpke_seal_with(HpkeAead::aes_256_gcm, random_secret(kX25519Bytes), public_key, info, aad,
                          plain);
}

std::optional<SecretBytes> hpke_open(ByteView private_key, std::string_view info, ByteView aad,
                                     const HpkeMessage& message) {
    return hpke_open_with(HpkeAead::aes_256_gcm, private_key, info, aad, message);
}

}  // namespace ark
