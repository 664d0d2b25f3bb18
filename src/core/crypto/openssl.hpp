#pragma once

#include <memory>
#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace ark::openssl {

template <auto Function>
struct Free {
    template <typename T>
    void operator()(T* object) const {
        Function(object);
    }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;

/// An Error (internal): what a call that cannot fail has failed to do. What it left in the
/// library's queue of errors goes, so that nobody takes it for their own.
inline Error failure(const std::string& what) {
    ERR_clear_error();
    return {ErrorCode::internal, "OpenSSL could not " + what};
}

inline const unsigned char* in(ByteView bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* out(MutableByteView bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace ark::openssl
