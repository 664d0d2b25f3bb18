#include "core/base/crc32c.hpp"

#include <array>
#include <bit>

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

// Polynomials modulo kPolynomial, as bits from the highest power down to x^0 in the highest bit: a
// CRC is such a polynomial, and bytes that follow multiply it by x^8 each.
constexpr uint32_t kOne = 0x80000000;

constexpr uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = kOne; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
    }
    return product;
}

// What `bytes` zeros behind it make of a CRC's state, for each of its four bytes: the operation is
// linear.
using ZerosBehind = std::array<std::array<uint32_t, 256>, 4>;

// x^8 of one byte, and each the square of the one before: of so many bytes as a bit stands for.
constexpr std::array<uint32_t, 64> make_squares() {
    std::array<uint32_t, 64> squares{};
    uint32_t square = kOne >> 8;
    for (uint32_t& each : squares) {
        each = square;
        square = multiply(square, square);
    }
    return squares;
}

constexpr auto kSquares = make_squares();

// A file of a chain is put together from very many pieces, most of them of a few blocks: their
// lengths have few bits.
constexpr uint32_t power_of_bytes(uint64_t bytes) {
    uint32_t power = kOne;
    for (; bytes != 0; bytes &= bytes - 1)
        power = multiply(power, kSquares[static_cast<size_t>(std::countr_zero(bytes))]);
    return power;
}

constexpr ZerosBehind zeros_behind(uint64_t bytes) {
    const uint32_t power = power_of_bytes(bytes);
    ZerosBehind tables{};
    for (size_t t = 0; t < 4; ++t) {
        for (uint32_t bit = 0; bit < 8; ++bit)
            tables[t][1U << bit] = multiply(power, 1U << (8 * t + bit));
        for (uint32_t i = 1; i < 256; ++i)
            tables[t][i] = tables[t][i & (i - 1)] ^ tables[t][i & -i];
    }
    return tables;
}

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
__attribute__((target("sse4.2"))) uint64_t next_word(uint64_t state, const std::byte* data) {
    uint64_t word = 0;
    std::memcpy(&word, data, 8);
    return _mm_crc32_u64(state, word);
}

constexpr uint32_t append_zeros(uint32_t state, const ZerosBehind& tables) {
    return tables[0][state & 0xFF] ^ tables[1][(state >> 8) & 0xFF] ^
           tables[2][(state >> 16) & 0xFF] ^ tables[3][state >> 24];
}

// The instruction answers after three cycles and takes the next one each cycle: three parts that
// lie behind one another are done at once, and put together.
template <size_t Part>
__attribute__((target("sse4.2"))) uint32_t three_at_once(uint32_t state, const std::byte*& data,
                                                         size_t& size) {
    static constexpr ZerosBehind kBehind = zeros_behind(Part);
    for (; size >= 3 * Part; data += 3 * Part, size -= 3 * Part) {
        uint64_t a = state;
        uint64_t b = 0;
        uint64_t c = 0;
        for (size_t i = 0; i < Part; i += 8) {
            a = next_word(a, data + i);
            b = next_word(b, data + i + Part);
            c = next_word(c, data + i + 2 * Part);
        }
        b ^= append_zeros(static_cast<uint32_t>(a), kBehind);
        state = static_cast<uint32_t>(c) ^ append_zeros(static_cast<uint32_t>(b), kBehind);
    }
    return state;
}

__attribute__((target("sse4.2"))) uint32_t hardware(uint32_t crc, const std::byte* data,
                                                    size_t size) {
    crc = three_at_once<2048>(crc, data, size);
    crc = three_at_once<256>(crc, data, size);
    uint64_t state = crc;
    for (; size >= 8; data += 8, size -= 8)
        state = next_word(state, data);
    crc = static_cast<uint32_t>(state);
    for (; size > 0; ++data, --size)
        crc = _mm_crc32_u8(crc, std::to_integer<uint8_t>(*data));
    return crc;
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

}  // namespace

uint32_t crc32c(uint32_t crc, ByteView bytes) {
    static const Crc32cFunction function = choose();
    return ~function(~crc, bytes.data(), bytes.size());
}

uint32_t crc32c_of_both(uint32_t a, uint32_t b, uint64_t bytes_of_b) {
    return multiply(power_of_bytes(bytes_of_b), a) ^ b;
}

}  // namespace ark
