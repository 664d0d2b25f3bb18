#include "core/crypto/secret.hpp"

#include <new>

#include <openssl/rand.h>

#include "core/base/error.hpp"

namespace ark {

namespace {

void check(int result) {
    if (result != 1)
        throw Error(ErrorCode::internal, "OpenSSL could not make random bytes");
}

}  // namespace

void* allocate_secret(size_t bytes) {
    constexpr size_t kHeapBytes = 64 * 1024;
    constexpr size_t kLeastBytes = 32;
    // Once, and for the process's life: statics that hold secrets may outlive any object of ours.
    static const bool has_heap = CRYPTO_secure_malloc_init(kHeapBytes, kLeastBytes) != 0;
    void* memory = has_heap ? OPENSSL_secure_malloc(bytes) : nullptr;
    if (memory == nullptr)
        memory = OPENSSL_malloc(bytes);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}

void free_secret(void* memory, size_t bytes) noexcept {
    // Knows its own heap's from others.
    OPENSSL_secure_clear_free(memory, bytes);
}

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
