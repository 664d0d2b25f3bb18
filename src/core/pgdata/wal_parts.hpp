#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/base/bytes.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/wal_record.hpp"

namespace ark {

/// A page that a record changes, or at least names. Every resource manager says it in one way
/// (XLogRecordBlockHeader in src/include/access/xlogrecord.h), the same from 15 to 18.
struct WalBlock {
    RelationId relation;
    Fork fork = Fork::main;
    uint32_t block = 0;

    bool operator==(const WalBlock&) const = default;
};

/// What a record consists of behind its header. Reused from record to record: it is large.
class WalParts {
 public:
    /// False where the headers inside the record don't add up; nothing in here means anything then.
    bool split(const WalRecord& record);

    std::span<const WalBlock> blocks() const { return std::span(blocks_).first(block_count_); }
    /// What the resource manager logged apart from block data; valid as long as the record's bytes.
    ByteView main_data() const { return main_data_; }

 private:
    static constexpr size_t kMostBlocks = 33;  // XLR_MAX_BLOCK_ID is 32

    std::array<WalBlock, kMostBlocks> blocks_;
    size_t block_count_ = 0;
    ByteView main_data_;
};

}  // namespace ark
