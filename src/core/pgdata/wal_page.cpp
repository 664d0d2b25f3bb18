#include "core/pgdata/wal_page.hpp"

#include <bit>

namespace ark {

namespace {

// Every magic since 9.0 is 0xD0xx or 0xD1xx; it grows by a few with each major version.
bool is_possible_magic(uint16_t magic) {
    return (magic & 0xF000) == 0xD000;
}

// configure --with-wal-blocksize takes 1 to 64 kB.
bool is_possible_page_size(uint32_t size) {
    return std::has_single_bit(size) && size >= 1024 && size <= 65536;
}

}  // namespace

WalPageHeader decode_page_header(ByteView page) {
    return {load<uint16_t>(page, 0), load<uint16_t>(page, 2), load<uint32_t>(page, 4),
            load<uint64_t>(page, 8), load<uint32_t>(page, 16)};
}

std::optional<WalSegmentFacts> decode_segment_facts(ByteView bytes) {
    if (bytes.size() < kLongPageHeader)
        return std::nullopt;
    const WalSegmentFacts facts{decode_page_header(bytes), load<uint64_t>(bytes, 24),
                                load<uint32_t>(bytes, 32), load<uint32_t>(bytes, 36)};
    if (!facts.first.is_long() || !is_possible_magic(facts.first.magic))
        return std::nullopt;
    if (!is_valid_segment_size(facts.segment_size))
        return std::nullopt;
    if (!is_possible_page_size(facts.page_size))
        return std::nullopt;
    return facts;
}

}  // namespace ark
