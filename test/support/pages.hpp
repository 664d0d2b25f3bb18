#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "core/base/bytes.hpp"
#include "core/pgdata/page.hpp"

namespace ark::test {

/// Bytes written down as what is not zero: offset and hexadecimal.
using Runs = std::initializer_list<std::pair<size_t, const char*>>;

inline Bytes from_runs(size_t size, const Runs& runs) {
    Bytes out(size);
    for (const auto& [at, hex] : runs)
        std::ranges::copy(from_hex(hex), out.begin() + static_cast<ptrdiff_t>(at));
    return out;
}

inline void set_checksum(MutableByteView page, uint32_t block) {
    store<uint16_t>(page, 8, 0);
    store<uint16_t>(page, 8, page_checksum(page, block));
}

/// A page with a right checksum; `seed` makes its content another.
inline Bytes make_page(uint32_t block, Lsn lsn, uint8_t seed) {
    Bytes page(kPageBytes);
    store<uint32_t>(page, 0, static_cast<uint32_t>(lsn >> 32));
    store<uint32_t>(page, 4, static_cast<uint32_t>(lsn));
    store<uint16_t>(page, 12, 24);        // pd_lower
    store<uint16_t>(page, 14, 4096);      // pd_upper
    store<uint16_t>(page, 16, 8192);      // pd_special
    store<uint16_t>(page, 18, 8192 | 4);  // size and layout version
    for (size_t i = 4096; i < kPageBytes; ++i)
        page[i] = static_cast<std::byte>(seed + i * 7);
    set_checksum(page, block);
    return page;
}

/// A relation of so many pages, the first of them `first_block` of the relation.
inline Bytes make_relation(uint32_t first_block, uint32_t pages, Lsn lsn, uint8_t seed) {
    Bytes out;
    for (uint32_t i = 0; i < pages; ++i) {
        const Bytes page = make_page(first_block + i, lsn, static_cast<uint8_t>(seed + i));
        out.insert(out.end(), page.begin(), page.end());
    }
    return out;
}

}  // namespace ark::test
