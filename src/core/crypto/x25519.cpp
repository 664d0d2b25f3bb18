#include "core/crypto/x25519.hpp"

#include "core/crypto/openssl.hpp"

namespace ark {

namespace {

openssl::Key private_of(ByteView bytes) {
    openssl::Key key(bytes.size() == kX25519Bytes
                         ? EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr,
                                                        openssl::in(bytes), bytes.size())
                         : nullptr);
    if (!key)
        throw openssl::failure("use a private key");
    return key;
}

}  // namespace

Bytes x25519_public(ByteView private_key) {
    const openssl::Key key = private_of(private_key);
    Bytes out(kX25519Bytes);
    size_t size = out.size();
    if (EVP_PKEY_get_raw_public_key(key.get(), openssl::out(out), &size) != 1 || size != out.size())
        throw openssl::failure("compute a public key");
    return out;
}

std::optional<SecretBytes> x25519(ByteView private_key, ByteView public_key) {
    const openssl::Key own = private_of(private_key);
    if (public_key.size() != kX25519Bytes)
        return std::nullopt;
    const openssl::Key other(EVP_PKEY_new_raw_public_key(
        EVP_PKEY_X25519, nullptr, openssl::in(public_key), public_key.size()));
    const openssl::KeyContext context(EVP_PKEY_CTX_new(own.get(), nullptr));
    if (!other || !context || EVP_PKEY_derive_init(context.get()) != 1)
        throw openssl::failure("agree on a key");
    SecretBytes out(kX25519Bytes);
    size_t size = out.size();
    // OpenSSL refuses the all-zero result by itself; that it does is too little to rely on.
    if (EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
        EVP_PKEY_derive(context.get(), openssl::out(out), &size) != 1 || size != out.size() ||
        is_all_zero(out)) {
        ERR_clear_error();
        return std::nullopt;
    }
    return out;
}

}  // namespace ark
