#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include <openssl/crypto.h>

#include "core/base/bytes.hpp"

namespace ark {

/// Memory that is never swapped out, nor part of a core: 64 KiB of it, and where that is used up or
/// the system allows no locked memory, ordinary memory. Thread-safe.
void* allocate_secret(size_t bytes);
void free_secret(void* memory, size_t bytes) noexcept;

template <typename T>
struct LockedMemory {
    T* allocate(size_t n) { return static_cast<T*>(allocate_secret(n * sizeof(T))); }
    void deallocate(T* memory, size_t n) noexcept { free_secret(memory, n * sizeof(T)); }
    bool operator==(const LockedMemory& /*other*/) const = default;
};

/// Gives memory back only after it was overwritten, in a way that no compiler leaves out.
template <typename T, typename Memory = LockedMemory<T>>
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
