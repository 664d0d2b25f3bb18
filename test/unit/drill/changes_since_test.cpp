#include "core/drill/changes_since.hpp"

#include <gtest/gtest.h>

#include "test/unit/changes/change_wal.hpp"

namespace ark {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr RelationId kTable{1663, 5, 16384};
constexpr RelationId kCatalog{1663, 5, 1255};
constexpr RelationId kOther{1663, 5, 16390};
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

class Since : public testing::Test {
 protected:
    // Up to where the builder is.
    bool read(ChangesSince& changes) { return read(changes, builder.position()); }
    bool read(ChangesSince& changes, Lsn to) {
        builder.fill_segment();
        Bytes bytes;
        return changes.read(
            kSize,
            [&](uint64_t number) -> std::optional<ByteView> {
                if (number * kSize >= builder.position())
                    return std::nullopt;
                bytes = builder.segment(number);
                return bytes;
            },
            to, [] {});
    }
    Lsn add(uint8_t rmid, uint8_t info, const RelationId& relation, uint32_t block) {
        return builder.add_body(rmid, info, 700, body_of({{relation, block}}));
    }

    WalBuilder builder;
};

TEST_F(Since, WhatLiesBeforeDoesNotCount) {
    const Lsn first = add_blocks(builder, {{kTable, 1}});
    const Lsn second = add_blocks(builder, {{kOther, 1}});
    ChangesSince changes;
    changes.want(kTable, first, false);
    changes.want(kOther, first, false);
    ASSERT_TRUE(read(changes));
    EXPECT_TRUE(changes.changed(kTable, first));
    EXPECT_FALSE(changes.changed(kTable, first + 1));
    EXPECT_TRUE(changes.changed(kOther, second));
    EXPECT_FALSE(changes.changed(kOther, second + 1));
}

TEST_F(Since, WhatLiesBehindDoesNotCount) {
    const Lsn first = add_blocks(builder, {{kOther, 1}});
    const Lsn second = add_blocks(builder, {{kTable, 1}});
    ChangesSince changes;
    changes.want(kTable, first, false);
    ASSERT_TRUE(read(changes, second));
    EXPECT_FALSE(changes.changed(kTable, first));
}

TEST_F(Since, OfWhatNobodyWantedNothingIsKnown) {
    const Lsn first = add_blocks(builder, {{kOther, 1}});
    ChangesSince changes;
    changes.want(kTable, first, false);
    ASSERT_TRUE(read(changes));
    EXPECT_TRUE(changes.changed(kOther, first));
    EXPECT_TRUE(changes.changed(kTable, 0, first)) << "nor of blocks, where they were not wanted";
}

TEST_F(Since, CatalogsByBlock) {
    const Lsn first = add_blocks(builder, {{kCatalog, 1}});
    const Lsn second = add_blocks(builder, {{kCatalog, 3}});
    ChangesSince changes;
    changes.want(kCatalog, first, true);
    ASSERT_TRUE(read(changes));
    EXPECT_TRUE(changes.changed(kCatalog, 1, first));
    EXPECT_FALSE(changes.changed(kCatalog, 1, second));
    EXPECT_FALSE(changes.changed(kCatalog, 2, first));
    EXPECT_TRUE(changes.changed(kCatalog, 3, second));
    EXPECT_TRUE(changes.changed(kCatalog, first));
}

TEST_F(Since, FilesThatAreCutOrRemoved) {
    const Lsn first = add_truncate(builder, kTable, 5);
    add_drop(builder, 0x00, {kCatalog});
    ChangesSince changes;
    changes.want(kTable, first, false);
    changes.want(kCatalog, first, true);
    ASSERT_TRUE(read(changes));
    EXPECT_TRUE(changes.changed(kTable, first));
    EXPECT_TRUE(changes.changed(kCatalog, 77, first));
}

// Pruning, vacuum, freezing, bits of the visibility map, locks of rows, hints, changes in place.
TEST_F(Since, WhatKeepsRowsDoesNotCount) {
    const Lsn first = builder.position();
    for (const uint8_t info : {0x10, 0x20, 0x30, 0x40, 0x60})
        add(9, info, kTable, 1);
    for (const uint8_t info : {0x60, 0x70, 0xE0})
        add(10, info, kTable, 1);
    add(0, 0xA0, kTable, 1);
    ChangesSince changes;
    changes.want(kTable, first, false);
    ASSERT_TRUE(read(changes));
    EXPECT_FALSE(changes.changed(kTable, first));
}

TEST_F(Since, EverythingElseCounts) {
    for (const auto& [rmid, info] : {std::pair<uint8_t, uint8_t>{9, 0x00},
                                     {9, 0x50},
                                     {9, 0xD0},
                                     {9, 0x70},
                                     {10, 0x00},
                                     {10, 0x10},
                                     {10, 0x20},
                                     {10, 0x30},
                                     {10, 0x40},
                                     {10, 0x50},
                                     {10, 0x80},
                                     {0, 0xB0},
                                     {11, 0x60},
                                     {200, 0x10}}) {
        const Lsn at = add(rmid, info, kTable, 1);
        const Lsn end = builder.position();
        ChangesSince changes;
        changes.want(kTable, at, false);
        ASSERT_TRUE(read(changes, end));
        EXPECT_TRUE(changes.changed(kTable, at)) << int{rmid} << " " << int{info};
    }
}

TEST_F(Since, WalThatEndsBeforeIsNotEnough) {
    const Lsn first = add_blocks(builder, {{kTable, 1}});
    ChangesSince changes;
    changes.want(kTable, first, false);
    EXPECT_FALSE(read(changes, first + 100 * kSize));
}

}  // namespace
}  // namespace ark
