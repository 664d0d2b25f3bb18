#include "core/pgdata/wal_parts.hpp"

#include <gtest/gtest.h>

#include "test/unit/changes/change_wal.hpp"

namespace ark {
namespace {

using test::Packed;

constexpr RelationId kTable{1663, 5, 16384};
constexpr RelationId kIndex{1663, 5, 16385};

Bytes record_of(const Bytes& body) {
    Bytes record(kWalRecordHeader);
    record.insert(record.end(), body.begin(), body.end());
    return record;
}
bool splits(WalParts& parts, const Bytes& record) {
    WalRecord view;
    view.bytes = record;
    return parts.split(view);
}

TEST(WalParts, NamesEveryBlock) {
    Packed body;
    body << uint8_t{253} << uint16_t{1};                 // replication origin
    body << uint8_t{252} << uint32_t{900};               // top-level xid
    body << uint8_t{0} << uint8_t{0x30} << uint16_t{3};  // image and 3 bytes of data
    body << uint16_t{5} << uint16_t{0} << uint8_t{0x05} << uint16_t{9};
    body << kTable << uint32_t{12};
    body << uint8_t{1} << uint8_t{0x82} << uint16_t{0} << uint32_t{13};  // its visibility map
    body << uint8_t{4} << uint8_t{0x50} << uint16_t{0};                  // an image without hole
    body << uint16_t{7} << uint16_t{0} << uint8_t{0x02};
    body << kIndex << uint32_t{0xFFFFFFFE};
    body << uint8_t{255} << uint8_t{4};
    body.zeros(5 + 3 + 7);
    body << uint32_t{4711};
    WalParts parts;
    const Bytes record = record_of(body.bytes);
    ASSERT_TRUE(splits(parts, record));
    ASSERT_EQ(parts.blocks().size(), 3U);
    EXPECT_EQ(parts.blocks()[0], (WalBlock{kTable, Fork::main, 12}));
    EXPECT_EQ(parts.blocks()[1], (WalBlock{kTable, Fork::vm, 13}));
    EXPECT_EQ(parts.blocks()[2], (WalBlock{kIndex, Fork::main, 0xFFFFFFFE}));
    ASSERT_EQ(parts.main_data().size(), 4U);
    EXPECT_EQ(load<uint32_t>(parts.main_data(), 0), 4711U);
    // Nothing of one record is left in the next.
    const Bytes empty = record_of({});
    ASSERT_TRUE(splits(parts, empty));
    EXPECT_TRUE(parts.blocks().empty());
    EXPECT_TRUE(parts.main_data().empty());
}

TEST(WalParts, NamesThirtyThreeBlocksAndNoMore) {
    Packed body;
    for (uint32_t i = 0; i <= 32; ++i) {
        body << static_cast<uint8_t>(i) << static_cast<uint8_t>(i == 0 ? 0 : 0x80) << uint16_t{0};
        if (i == 0)
            body << kTable;
        body << i;
    }
    WalParts parts;
    ASSERT_TRUE(splits(parts, record_of(body.bytes)));
    EXPECT_EQ(parts.blocks().size(), 33U);
    EXPECT_EQ(parts.blocks()[32].block, 32U);
    body << uint8_t{33} << uint8_t{0x80} << uint16_t{0} << uint32_t{33};
    EXPECT_FALSE(splits(parts, record_of(body.bytes)));
}

TEST(WalParts, RefusesWhatDoesNotAddUp) {
    const auto block = [](uint8_t id, uint8_t flags, uint16_t data, uint32_t number) {
        return (Packed() << id << flags << data << kTable << number).bytes;
    };
    WalParts parts;
    EXPECT_TRUE(splits(parts, record_of(block(0, 0, 0, 1))));
    EXPECT_FALSE(splits(parts, record_of(block(0, 0x04, 0, 1)))) << "a fifth fork";
    EXPECT_FALSE(splits(parts, record_of(block(0, 0x20, 0, 1)))) << "data of no length";
    EXPECT_FALSE(splits(parts, record_of(block(0, 0, 3, 1)))) << "a length without data";
    EXPECT_FALSE(splits(parts, record_of(block(0, 0, 0, 0xFFFFFFFF)))) << "no block";
    EXPECT_FALSE(splits(parts, record_of(block(200, 0, 0, 1)))) << "an unknown header";
    Bytes same = (Packed() << uint8_t{0} << uint8_t{0x80} << uint16_t{0} << uint32_t{1}).bytes;
    EXPECT_FALSE(splits(parts, record_of(same))) << "the same relation as none";
    Bytes twice = block(1, 0, 0, 1);
    const Bytes again = block(1, 0, 0, 2);
    twice.insert(twice.end(), again.begin(), again.end());
    EXPECT_FALSE(splits(parts, record_of(twice))) << "one id twice";
    const Bytes whole = block(0, 0, 0, 1);
    for (size_t size = 1; size < whole.size(); ++size) {
        EXPECT_FALSE(splits(parts, record_of(Bytes(whole.begin(), whole.begin() + size)))) << size;
    }
}

}  // namespace
}  // namespace ark
