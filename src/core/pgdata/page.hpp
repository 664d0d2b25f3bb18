#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// The only block size that data checksums are verified for: what all packages are built with.
constexpr size_t kPageBytes = 8192;

/// The checksum that the page should carry (src/include/storage/checksum_impl.h): FNV-1a in 32
/// lanes over the page with its checksum field as zero, mixed with the block number in the
/// relation.
uint16_t page_checksum(ByteView page, uint32_t block_number);

/// pd_lsn: the end of the last WAL record that changed the page.
Lsn page_lsn(ByteView page);

enum class PageState {
    valid,         ///< its checksum is right
    empty,         ///< all zero: new, never written
    bad_checksum,  ///< the checksum is another
    bad_header,  ///< looks new (pd_upper is 0) but holds other bytes: the server refuses to read it
};

/// As the server judges a page that it reads (PageIsVerifiedExtended in bufpage.c).
PageState check_page(ByteView page, uint32_t block_number);

}  // namespace ark
