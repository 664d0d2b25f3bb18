#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"

namespace ark {

/// Blocks next to each other, counted in their file.
struct BlockRun {
    uint32_t first = 0;
    uint32_t length = 0;

    uint32_t end() const { return first + length; }
    bool operator==(const BlockRun&) const = default;
};

uint32_t blocks_in(std::span<const BlockRun> runs);

// The form in which PostgreSQL 17 and later keep the changed blocks of a file in an incremental
// base backup (src/backend/backup/basebackup_incremental.c, read by
// src/bin/pg_combinebackup/reconstruct.c): magic, number of blocks, length of the file as far as
// blocks that are not in here may come from older backups, numbers of the blocks, zeros up to a
// whole block where there are any, then the blocks.

constexpr uint32_t kIncrementalMagic = 0xd3ae1f0d;

/// "base/5/16384.1" → "base/5/INCREMENTAL.16384.1".
std::string incremental_path(const std::string& path);

/// Bytes before the first block.
uint64_t incremental_header_bytes(uint32_t blocks, uint32_t block_bytes);

/// Bytes of the whole.
uint64_t incremental_bytes(uint32_t blocks, uint32_t block_bytes);

/// The header of a file that is `length` blocks long; it has incremental_header_bytes. Blocks that
/// are behind the end of the parent's file are all in the runs, so `length` is the file's own.
Bytes incremental_header(std::span<const BlockRun> runs, uint32_t length, uint32_t block_bytes);

}  // namespace ark
