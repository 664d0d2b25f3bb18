#include "core/pgdata/incremental_file.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

using Runs = std::vector<BlockRun>;

TEST(IncrementalFile, IsNamedAsPostgreSqlNamesIt) {
    EXPECT_EQ(incremental_path("base/5/16384.1"), "base/5/INCREMENTAL.16384.1");
    EXPECT_EQ(incremental_path("global/1260"), "global/INCREMENTAL.1260");
    EXPECT_EQ(incremental_path("pg_tblspc/16400/PG_15_202209061/5/1259"),
              "pg_tblspc/16400/PG_15_202209061/5/INCREMENTAL.1259");
    EXPECT_EQ(incremental_path("1259"), "INCREMENTAL.1259");
}

TEST(IncrementalFile, CountsBlocks) {
    EXPECT_EQ(blocks_in(Runs{}), 0U);
    EXPECT_EQ(blocks_in(Runs{{0, 1}, {5, 7}, {131071, 1}}), 9U);
}

TEST(IncrementalFile, WithoutBlocksItIsTwelveBytes) {
    EXPECT_EQ(incremental_header_bytes(0, 8192), 12U);
    EXPECT_EQ(incremental_bytes(0, 8192), 12U);
    EXPECT_EQ(to_hex(incremental_header(Runs{}, 77, 8192)), "0d1faed3000000004d000000");
}

// Blocks begin at a block's edge.
TEST(IncrementalFile, TheHeaderIsFilledUpToAWholeBlock) {
    const Bytes header = incremental_header(Runs{{3, 2}, {9, 1}}, 100, 8192);
    ASSERT_EQ(header.size(), 8192U);
    EXPECT_EQ(to_hex(ByteView(header).first(24)),
              "0d1faed30300000064000000"
              "030000000400000009000000");
    for (size_t i = 24; i < header.size(); ++i)
        ASSERT_EQ(header[i], std::byte{0}) << i;
    EXPECT_EQ(incremental_bytes(3, 8192), 4 * 8192U);
}

// 2,045 numbers fill the first block of 8,192 bytes to its last byte.
TEST(IncrementalFile, TheHeaderGrowsByWholeBlocks) {
    EXPECT_EQ(incremental_header_bytes(1, 8192), 8192U);
    EXPECT_EQ(incremental_header_bytes(2045, 8192), 8192U);
    EXPECT_EQ(incremental_header_bytes(2046, 8192), 16384U);
    EXPECT_EQ(incremental_header_bytes(1, 1024), 1024U);
    EXPECT_EQ(incremental_header_bytes(254, 1024), 2048U);
    const Bytes header = incremental_header(Runs{{1, 2046}}, 2047, 8192);
    ASSERT_EQ(header.size(), 16384U);
    EXPECT_EQ(load<uint32_t>(header, 8192), 2046U) << "the last number";
    EXPECT_EQ(load<uint32_t>(header, 8196), 0U);
    // Nine tenths of the longest segment file.
    EXPECT_EQ(incremental_header(Runs{{0, 117964}}, 131072, 8192).size() % 8192, 0U);
    EXPECT_EQ(incremental_bytes(117964, 8192), (58 + 117964ULL) * 8192);
}

}  // namespace
}  // namespace ark
