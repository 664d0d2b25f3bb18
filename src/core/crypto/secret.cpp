#include "core/crypto/secret.hpp"

#include <openssl/rand.h>

#include "core/base/error.hpp"

namespace ark {

namespace {

void check(int result) {
    if (result != 1)
        throw Error(ErrorCode::internal, "OpenSSL could not make random bytes");
}

}  // namespace

void fill_random(MutableByteView out) {
    check(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())));
}

Bytes random_bytes(size_t n) {
    Bytes out(n);
    fill_random(out);
    return out;
}

SecretBytes random_secret(size_t n) {
    SecretBytes out(n);
    check(RAND_priv_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(n)));
    return out;
}

bool equal_in_constant_time(ByteView a, ByteView b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace ark
