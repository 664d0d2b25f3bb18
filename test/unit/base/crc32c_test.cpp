#include "core/base/crc32c.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

uint32_t bit_by_bit(uint32_t crc, ByteView bytes) {
    crc = ~crc;
    for (const std::byte b : bytes) {
        crc ^= std::to_integer<uint32_t>(b);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
}

// RFC 3720, appendix B.4.
TEST(Crc32c, ExamplesOfTheStandard) {
    Bytes bytes(32);
    EXPECT_EQ(crc32c(0, bytes), 0x8A9136AAU);
    std::fill(bytes.begin(), bytes.end(), std::byte{0xFF});
    EXPECT_EQ(crc32c(0, bytes), 0x62A8AB43U);
    for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i);
    EXPECT_EQ(crc32c(0, bytes), 0x46DD794EU);
    EXPECT_EQ(crc32c(0, as_bytes("123456789")), 0xE3069283U);
    EXPECT_EQ(crc32c(0, {}), 0U);
}

TEST(Crc32c, AnyLengthAtAnyAlignmentInAnyPieces) {
    Bytes bytes(300);
    for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i * 131 + 7);
    const ByteView all(bytes);
    for (size_t from = 0; from < 9; ++from) {
        for (size_t size = 0; size <= 64; ++size) {
            const ByteView view = all.subspan(from, size);
            const uint32_t expected = bit_by_bit(0, view);
            ASSERT_EQ(crc32c(0, view), expected) << from << " " << size;
            for (size_t cut = 0; cut <= size; cut += 5) {
                ASSERT_EQ(crc32c(crc32c(0, view.first(cut)), view.subspan(cut)), expected);
            }
        }
    }
}

// The long ones are done in three parts at once, of two sizes.
TEST(Crc32c, LongOnes) {
    Bytes bytes(30000);
    for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i * 131 + i / 7);
    for (size_t size = 500; size < bytes.size() - 7; size += size / 5 + 3) {
        for (const size_t from : {0UL, 1UL, 7UL}) {
            const ByteView view = ByteView(bytes).subspan(from, size);
            ASSERT_EQ(crc32c(0, view), bit_by_bit(0, view)) << from << " " << size;
            ASSERT_EQ(crc32c(0xE3069283U, view), bit_by_bit(0xE3069283U, view));
        }
    }
}

TEST(Crc32c, OfBothHalves) {
    Bytes bytes(70000);
    for (size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i * 131 + i / 7);
    const ByteView all(bytes);
    for (const size_t cut : {0UL, 1UL, 2UL, 63UL, 8192UL, 65535UL, 69999UL, 70000UL}) {
        const uint32_t a = crc32c(0, all.first(cut));
        const uint32_t b = crc32c(0, all.subspan(cut));
        EXPECT_EQ(crc32c_of_both(a, b, all.size() - cut), crc32c(0, all)) << cut;
    }
}

TEST(Crc32c, OfLongPartsTogether) {
    // As many zeros as no memory holds: a half is what a half of it is, twice.
    const Bytes zeros(size_t{1} << 20);
    uint32_t crc = crc32c(0, zeros);
    for (uint64_t bytes = zeros.size(); bytes < uint64_t{1} << 60; bytes *= 2)
        crc = crc32c_of_both(crc, crc, bytes);
    uint32_t other = crc32c(0, zeros);
    uint64_t bytes = zeros.size();
    uint32_t rest = 0;  // of 2^60 bytes less those
    uint64_t rest_bytes = 0;
    for (uint32_t power = other; bytes < uint64_t{1} << 60; bytes *= 2) {
        rest = rest_bytes == 0 ? power : crc32c_of_both(rest, power, bytes);
        rest_bytes += bytes;
        power = crc32c_of_both(power, power, bytes);
    }
    other = crc32c_of_both(other, rest, rest_bytes);
    EXPECT_EQ(other, crc);
}

TEST(Crc32c, ManifestTextIsTheHostsByteOrder) {
    EXPECT_EQ(crc32c_manifest_text(0xE3069283U), "839206e3");
}

}  // namespace
}  // namespace ark
