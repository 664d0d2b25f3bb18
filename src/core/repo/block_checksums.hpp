#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/repo/index.hpp"

namespace ark {

// Checksums of the blocks of one file in a pack, so that a delta restore can compare blocks of a
// frame of which it does not need all. They lie in the pack, in frames of their own that zstd and
// every reader of the content pass over (docs/repository-format.md "Checksums of blocks"):
//   u32 magic 0x184D2A5D | u32 length of what follows | u32 CRC-32C of the checksums | u64 each

/// Whether such a file gets checksums: what later backups may replace blocks of, if it is not
/// small. One that shares a frame with others is not worth it.
bool has_block_checksums(const IndexEntry& entry);

/// Whether blocks of such a size can have checksums: a frame of a large file has whole ones.
bool is_checksummed_size(uint32_t block_bytes);

/// Adds those of the blocks of `content`, which begins with a block; the last one may be cut.
void append_block_checksums(ByteView content, uint32_t block_bytes,
                            std::vector<uint64_t>& checksums);

/// So many belong to a content of `size` bytes.
uint64_t block_checksum_count(uint64_t size, uint32_t block_bytes);

/// The frames that hold them; none for none.
std::vector<Bytes> block_checksum_frames(std::span<const uint64_t> checksums);

/// Adds what a frame holds. Error: corrupt, where it is no such frame, with `name` in the message.
void append_stored_checksums(ByteView frame, const std::string& name,
                             std::vector<uint64_t>& checksums);

}  // namespace ark
