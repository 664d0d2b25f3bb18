#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include <openssl/crypto.h>

#include "core/base/bytes.hpp"

namespace ark {

/// Gives memory back only after it was overwritten, in a way that no compiler leaves out.
template <typename T, typename Memory = std::allocator<T>>
struct CleansingAllocator {
    using value_type = T;

    T* allocate(size_t n) { return Memory().allocate(n); }
    void deallocate(T* memory, size_t n) noexcept {
        OPENSSL_cleanse(memory, n * sizeof(T));
        Memory().deallocate(memory, n);
    }
    bool operator==(const CleansingAllocator& /*other*/) const = default;
};

/// Keys and passphrases live in these alone, so that no freed memory holds one.
using SecretBytes = std::vector<std::byte, CleansingAllocator<std::byte>>;

inline SecretBytes secret_copy(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}
inline SecretBytes secret_copy(std::string_view text) {
    return secret_copy(as_bytes(text));
}

/// Of a cryptographic generator. Error: internal where it has nothing to give.
void fill_random(MutableByteView out);
Bytes random_bytes(size_t n);
/// From the generator that OpenSSL keeps for what must stay secret.
SecretBytes random_secret(size_t n);

/// Takes as long whether they are equal or not.
bool equal_in_constant_time(ByteView a, ByteView b);

}  // namespace ark
