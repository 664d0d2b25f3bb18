#include "core/crypto/kdf.hpp"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "core/crypto/openssl.hpp"

namespace ark {

namespace {

using KdfContext = std::unique_ptr<EVP_KDF_CTX, openssl::Free<EVP_KDF_CTX_free>>;

KdfContext make_hkdf() {
    const std::unique_ptr<EVP_KDF, openssl::Free<EVP_KDF_free>> algorithm(
        EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr));
    KdfContext context(algorithm ? EVP_KDF_CTX_new(algorithm.get()) : nullptr);
    if (!context)
        throw openssl::failure("derive a key");
    return context;
}

// OSSL_PARAM wants memory that may be written to, and does not write.
OSSL_PARAM octets(const char* name, ByteView value) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(value.data()),
                                             value.size());
}

// The parameter `second` is left out where it is empty.
SecretBytes run_hkdf(int mode, ByteView key, const char* second_name, ByteView second,
                     size_t size) {
    const KdfContext context = make_hkdf();
    std::string digest = "SHA256";
    const OSSL_PARAM end = OSSL_PARAM_construct_end();
    const std::array<OSSL_PARAM, 5> parameters{
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
        octets(OSSL_KDF_PARAM_KEY, key), second.empty() ? end : octets(second_name, second), end};
    SecretBytes out(size);
    if (EVP_KDF_derive(context.get(), openssl::out(out), size, parameters.data()) != 1)
        throw openssl::failure("derive a key");
    return out;
}

}  // namespace

Bytes hmac_sha256(ByteView key, ByteView message) {
    Bytes out(32);
    unsigned int length = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), openssl::in(message),
             message.size(), openssl::out(out), &length) == nullptr) {
        throw openssl::failure("compute an HMAC");
    }
    return out;
}

SecretBytes hkdf_extract(ByteView salt, ByteView ikm) {
    return run_hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, ikm, OSSL_KDF_PARAM_SALT, salt, 32);
}

SecretBytes hkdf_expand(ByteView pseudo_random_key, ByteView info, size_t size) {
    return run_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, pseudo_random_key, OSSL_KDF_PARAM_INFO, info,
                    size);
}

SecretBytes hkdf(ByteView salt, ByteView ikm, ByteView info, size_t size) {
    return hkdf_expand(hkdf_extract(salt, ikm), info, size);
}

SecretBytes derive_key(ByteView key, std::string_view info) {
    return hkdf({}, key, as_bytes(info), 32);
}

SecretBytes scrypt(ByteView passphrase, ByteView salt, const ScryptCost& cost, size_t size) {
    // Without a derived key OpenSSL only looks whether the cost is one and fits the memory.
    constexpr uint64_t kMaxMemory = uint64_t{4} << 30;
    const auto run = [&](unsigned char* out) {
        return EVP_PBE_scrypt(reinterpret_cast<const char*>(passphrase.data()), passphrase.size(),
                              openssl::in(salt), salt.size(), cost.n, cost.r, cost.p, kMaxMemory,
                              out, size) == 1;
    };
    if (!run(nullptr)) {
        ERR_clear_error();
        throw Error(ErrorCode::invalid_argument, "these are no parameters of scrypt");
    }
    SecretBytes out(size);
    if (!run(openssl::out(out))) {
        ERR_clear_error();
        throw Error(
            ErrorCode::out_of_memory, "out of memory",
            "A passphrase takes " + human_bytes(128 * cost.n * cost.r) + " to become a key.");
    }
    return out;
}

}  // namespace ark
