#include "core/base/crc32c.hpp"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace ark {

namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41, bits reflected

constexpr std::array<std::array<uint32_t, 256>, 8> make_tables() {
    std::array<std::array<uint32_t, 256>, 8> tables{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; ++i) {
        for (size_t t = 1; t < 8; ++t) {
            tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
        }
    }
    return tables;
}

constexpr auto kTables = make_tables();

// Slicing by eight: for processors without the instruction.
uint32_t portable(uint32_t crc, const std::byte* data, size_t size) {
    while (size >= 8) {
        uint64_t word = 0;
        std::memcpy(&word, data, 8);
        word ^= crc;
        crc = 0;
        for (size_t i = 0; i < 8; ++i)
            crc ^= kTables[7 - i][(word >> (8 * i)) & 0xFF];
        data += 8;
        size -= 8;
    }
    for (; size > 0; ++data, --size) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<uint32_t>(*data)) & 0xFF];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t hardware(uint32_t crc, const std::byte* data,
                                                    size_t size) {
    uint64_t state = crc;
    while (size >= 8) {
        uint64_t word = 0;
        std::memcpy(&word, data, 8);
        state = _mm_crc32_u64(state, word);
        data += 8;
        size -= 8;
    }
    auto narrow = static_cast<uint32_t>(state);
    for (; size > 0; ++data, --size) {
        narrow = _mm_crc32_u8(narrow, std::to_integer<uint8_t>(*data));
    }
    return narrow;
}
#endif

using Crc32cFunction = uint32_t (*)(uint32_t, const std::byte*, size_t);

Crc32cFunction choose() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return hardware;
#endif
    return portable;
}

// Polynomials modulo kPolynomial, as bits from the highest power down to x^0 in the highest bit: a
// CRC is such a polynomial, and bytes that follow multiply it by x^8 each.
constexpr uint32_t kOne = 0x80000000;

uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = kOne; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
    }
    return product;
}

}  // namespace

uint32_t crc32c(uint32_t crc, ByteView bytes) {
    static const Crc32cFunction function = choose();
    return ~function(~crc, bytes.data(), bytes.size());
}

uint32_t crc32c_of_both(uint32_t a, uint32_t b, uint64_t bytes_of_b) {
    uint32_t power = kOne;
    uint32_t square = kOne >> 8;  // a byte
    for (uint64_t n = bytes_of_b; n > 0; n >>= 1) {
        if ((n & 1) != 0)
            power = multiply(power, square);
        square = multiply(square, square);
    }
    return multiply(power, a) ^ b;
}

}  // namespace ark
