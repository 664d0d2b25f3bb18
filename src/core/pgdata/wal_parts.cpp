#include "core/pgdata/wal_parts.hpp"

#include "core/pgdata/wal_cursor.hpp"

namespace ark {

namespace {

// src/include/access/xlogrecord.h
constexpr uint8_t kLastBlockId = 32;
constexpr uint8_t kTopLevelXid = 252;
constexpr uint8_t kOrigin = 253;
constexpr uint8_t kLongData = 254;
constexpr uint8_t kShortData = 255;
constexpr uint8_t kForkMask = 0x0F;
constexpr uint8_t kHasImage = 0x10;
constexpr uint8_t kHasData = 0x20;
constexpr uint8_t kSameRelation = 0x80;
constexpr uint32_t kNoBlock = 0xFFFFFFFF;  // InvalidBlockNumber
constexpr uint8_t kImageHasHole = 0x01;
constexpr uint8_t kImageCompressed = 0x04 | 0x08 | 0x10;  // 15 and later

// The header of a page's image; the image's length.
uint64_t take_image_header(WalCursor& cursor) {
    const auto length = cursor.take<uint16_t>();
    cursor.skip(2);  // offset of the hole
    const auto info = cursor.take<uint8_t>();
    if ((info & kImageHasHole) != 0 && (info & kImageCompressed) != 0)
        cursor.skip(2);  // length of the hole
    return length;
}

// One header behind its id. `announced` grows by the bytes of data and image that it announces.
bool take_block(WalCursor& cursor, const WalBlock* before, WalBlock& out, uint64_t& announced) {
    const auto flags = cursor.take<uint8_t>();
    const auto data = cursor.take<uint16_t>();
    if ((flags & kForkMask) >= kForks || ((flags & kHasData) != 0) != (data != 0))
        return false;
    announced += data;
    if ((flags & kHasImage) != 0)
        announced += take_image_header(cursor);
    if ((flags & kSameRelation) == 0) {
        out.relation.tablespace = cursor.take<uint32_t>();
        out.relation.database = cursor.take<uint32_t>();
        out.relation.filenode = cursor.take<uint32_t>();
    } else if (before != nullptr) {
        out.relation = before->relation;
    } else {
        return false;
    }
    out.fork = static_cast<Fork>(flags & kForkMask);
    out.block = cursor.take<uint32_t>();
    return out.block != kNoBlock;
}

}  // namespace

bool WalParts::split(const WalRecord& record) {
    WalCursor cursor(record.bytes.subspan(kWalRecordHeader));
    block_count_ = 0;
    main_data_ = {};
    uint64_t announced = 0;
    uint64_t main_bytes = 0;
    int last_id = -1;
    while (cursor.good() && cursor.left() > announced) {
        const auto id = cursor.take<uint8_t>();
        if (id == kShortData || id == kLongData) {  // the last header
            main_bytes = id == kShortData ? cursor.take<uint8_t>() : cursor.take<uint32_t>();
            announced += main_bytes;
            break;
        }
        if (id == kOrigin) {
            cursor.skip(2);
        } else if (id == kTopLevelXid) {
            cursor.skip(4);
        } else if (id <= kLastBlockId && id > last_id) {
            const WalBlock* before = block_count_ > 0 ? &blocks_[block_count_ - 1] : nullptr;
            if (!take_block(cursor, before, blocks_[block_count_], announced))
                return false;
            ++block_count_;
            last_id = id;
        } else {
            return false;
        }
    }
    if (!cursor.good() || cursor.left() != announced)
        return false;
    main_data_ = record.bytes.last(main_bytes);
    return true;
}

}  // namespace ark
