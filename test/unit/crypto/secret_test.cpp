#include "core/crypto/secret.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ark {
namespace {

// Looks at what is given back before it is.
struct Watched {
    static inline size_t given_back = 0;
    static std::byte* allocate(size_t n) { return std::allocator<std::byte>().allocate(n); }
    static void deallocate(std::byte* memory, size_t n) {
        EXPECT_TRUE(is_all_zero(ByteView(memory, n)));
        given_back += n;
        std::allocator<std::byte>().deallocate(memory, n);
    }
};

TEST(Secret, IsOverwrittenBeforeItsMemoryGoesBack) {
    using Allocator = CleansingAllocator<std::byte, Watched>;
    static_assert(std::is_same_v<SecretBytes::allocator_type, CleansingAllocator<std::byte>>);
    {
        std::vector<std::byte, Allocator> secret(100, std::byte{1});
        secret.resize(1000, std::byte{2});  // moves: the memory of the 100 goes back
        EXPECT_GE(Watched::given_back, 100U);
        secret.resize(10);
    }
    EXPECT_GE(Watched::given_back, 1100U);
}

TEST(Secret, RandomBytesDiffer) {
    std::set<Bytes> seen;
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(seen.insert(random_bytes(16)).second);
        const SecretBytes secret = random_secret(16);
        EXPECT_TRUE(seen.insert(Bytes(secret.begin(), secret.end())).second);
    }
}

TEST(Secret, Comparison) {
    EXPECT_TRUE(equal_in_constant_time(as_bytes("abc"), as_bytes("abc")));
    EXPECT_FALSE(equal_in_constant_time(as_bytes("abc"), as_bytes("abd")));
    EXPECT_FALSE(equal_in_constant_time(as_bytes("abc"), as_bytes("ab")));
    EXPECT_TRUE(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace ark
