#include "core/http/crypto.hpp"

#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/base/error.hpp"

namespace ark {

namespace {

Bytes digest_of(const EVP_MD* algorithm, ByteView bytes) {
    Bytes out(static_cast<size_t>(EVP_MD_get_size(algorithm)));
    if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()),
                   nullptr, algorithm, nullptr) != 1) {
        throw Error(ErrorCode::internal, "OpenSSL could not compute a digest");
    }
    return out;
}

}  // namespace

Bytes sha256(ByteView bytes) {
    return digest_of(EVP_sha256(), bytes);
}

Bytes md5(ByteView bytes) {
    return digest_of(EVP_md5(), bytes);
}

Bytes rsa_sha256(const std::string& private_key, std::string_view text) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> input(
        BIO_new_mem_buf(private_key.data(), static_cast<int>(private_key.size())), BIO_free);
    // A key with a passphrase would ask for it at the terminal.
    const auto no_passphrase = [](char*, int, int, void*) { return -1; };
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        input ? PEM_read_bio_PrivateKey(input.get(), nullptr, no_passphrase, nullptr) : nullptr,
        EVP_PKEY_free);
    if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA)
        throw Error(ErrorCode::invalid_argument, "a private key cannot be read",
                    "It is not an RSA key in PEM without a passphrase.");
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    size_t length = static_cast<size_t>(EVP_PKEY_get_size(key.get()));
    Bytes out(length);
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &length,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
        throw Error(ErrorCode::internal, "OpenSSL could not compute a signature");
    }
    out.resize(length);
    return out;
}

}  // namespace ark
