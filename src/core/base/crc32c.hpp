#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"

namespace ark {

/// CRC-32C (Castagnoli), as PostgreSQL uses it in WAL, pg_control and backup manifests
/// (src/include/port/pg_crc32c.h): start with 0, feed pieces in order. The value is final after
/// each call; crc32c(crc32c(0, a), b) == crc32c(0, ab).
uint32_t crc32c(uint32_t crc, ByteView bytes);

/// crc32c(0, ab) of crc32c(0, a), crc32c(0, b) and the length of b.
uint32_t crc32c_of_both(uint32_t a, uint32_t b, uint64_t bytes_of_b);

/// A file's CRC as backup_manifest has it: the four bytes in the host's order, in hexadecimal.
inline std::string crc32c_manifest_text(uint32_t crc) {
    return to_hex(std::as_bytes(std::span<const uint32_t>(&crc, 1)));
}

}  // namespace ark
