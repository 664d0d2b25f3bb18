#include "core/pgdata/page.hpp"

#include <array>

namespace ark {

namespace {

constexpr size_t kLanes = 32;
constexpr uint32_t kPrime = 16777619;
// PageHeaderData: pd_lsn (2 × u32), pd_checksum u16, pd_flags u16, pd_lower u16, pd_upper u16.
constexpr size_t kChecksumOffset = 8;
constexpr size_t kUpperOffset = 14;

// checksumBaseOffsets: part of the on-disk format.
constexpr std::array<uint32_t, kLanes> kSeeds{
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

// The 32 lanes are there to be vectorised; the clones let one binary use what the processor has.
// (The loader picks one before ThreadSanitizer is ready for its own calls.)
#if defined(__SANITIZE_THREAD__)
#define PG_ARK_VECTOR_CLONES
#else
#define PG_ARK_VECTOR_CLONES __attribute__((target_clones("default", "sse4.1", "avx2")))
#endif

PG_ARK_VECTOR_CLONES __attribute__((optimize("O3"))) uint32_t block_checksum(
    const std::byte* page) {
    std::array<uint32_t, kLanes> row{};
    std::array<uint32_t, kLanes> sums = kSeeds;
    for (size_t i = 0; i < kPageBytes / sizeof(row); ++i) {
        std::memcpy(row.data(), page + i * sizeof(row), sizeof(row));
        // pd_checksum is the low half of the third word.
        if (i == 0)
            row[kChecksumOffset / 4] &= 0xFFFF0000U;
        for (size_t j = 0; j < kLanes; ++j) {
            const uint32_t t = sums[j] ^ row[j];
            sums[j] = (t * kPrime) ^ (t >> 17);
        }
    }
    uint32_t result = 0;
    for (int round = 0; round < 2; ++round) {
        for (size_t j = 0; j < kLanes; ++j)
            sums[j] = (sums[j] * kPrime) ^ (sums[j] >> 17);
    }
    for (const uint32_t sum : sums)
        result ^= sum;
    return result;
}

}  // namespace

uint16_t page_checksum(ByteView page, uint32_t block_number) {
    const uint32_t mixed = block_checksum(page.data()) ^ block_number;
    return static_cast<uint16_t>(mixed % 65535 + 1);  // never 0, which means "none"
}

Lsn page_lsn(ByteView page) {
    return (static_cast<Lsn>(load<uint32_t>(page, 0)) << 32) | load<uint32_t>(page, 4);
}

PageState check_page(ByteView page, uint32_t block_number) {
    if (load<uint16_t>(page, kUpperOffset) == 0) {
        return is_all_zero(page) ? PageState::empty : PageState::bad_header;
    }
    return page_checksum(page, block_number) == load<uint16_t>(page, kChecksumOffset)
               ? PageState::valid
               : PageState::bad_checksum;
}

}  // namespace ark
