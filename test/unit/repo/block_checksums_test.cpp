#include "core/repo/block_checksums.hpp"

#include <gtest/gtest.h>

#include "core/pipeline/content_hash.hpp"
#include "core/pipeline/zstd.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

Bytes bytes_of(size_t size) {
    Bytes out(size);
    uint32_t state = 1;
    for (std::byte& b : out) {
        state = state * 1664525 + 1013904223;
        b = static_cast<std::byte>(state >> 24);
    }
    return out;
}

// The function of XXH3-64 that others have, too.
TEST(BlockChecksums, AreXxh3) {
    EXPECT_EQ(block_hash(as_bytes("")), 0x2d06800538d394c2ULL);
    EXPECT_EQ(block_hash(Bytes(8192)), 0x620797930ab0991aULL);
}

TEST(BlockChecksums, OneForEachBlock) {
    const Bytes content = bytes_of(20000);
    std::vector<uint64_t> all;
    append_block_checksums(content, 8192, all);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all.size(), block_checksum_count(20000, 8192));
    EXPECT_EQ(block_checksum_count(16384, 8192), 2U);
    EXPECT_EQ(block_checksum_count(0, 8192), 0U);
    EXPECT_EQ(all[1], block_hash(ByteView(content).subspan(8192, 8192)));
    EXPECT_EQ(all[2], block_hash(ByteView(content).subspan(16384)));
}

TEST(BlockChecksums, RoundTripInFramesThatZstdPassesOver) {
    for (const size_t count : {0, 1, 128, 131071, 131072, 131073, 400000}) {
        std::vector<uint64_t> all(count);
        for (size_t i = 0; i < count; ++i)
            all[i] = i * 0x9E3779B97F4A7C15;
        std::vector<uint64_t> read;
        for (const Bytes& frame : block_checksum_frames(all)) {
            EXPECT_TRUE(is_skippable_frame(frame));
            EXPECT_EQ(frame_length(frame, "x"), frame.size());
            EXPECT_LE(frame.size(), FrameCompressor::max_frame_bytes());
            append_stored_checksums(frame, "x", read);
        }
        EXPECT_EQ(read, all) << count;
    }
}

TEST(BlockChecksums, EveryChangeIsSeen) {
    const std::vector<uint64_t> all{1, 2, 3};
    const Bytes good = block_checksum_frames(all).at(0);
    const auto expect_corrupt = [](const Bytes& frame) {
        test::expect_error(ErrorCode::corrupt, [&] {
            std::vector<uint64_t> read;
            append_stored_checksums(frame, "x", read);
            return 0;
        });
    };
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        Bytes bad = good;
        bad[bit / 8] ^= std::byte{1} << (bit % 8);
        expect_corrupt(bad);
    }
    for (size_t size = 0; size < good.size(); ++size)
        expect_corrupt(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(size)));
}

// What no later backup has blocks of needs none.
TEST(BlockChecksums, ForMainForksThatAreNotSmall) {
    const auto has = [](const char* path, uint64_t size) {
        IndexEntry entry;
        entry.path = path;
        entry.size = size;
        return has_block_checksums(entry);
    };
    constexpr uint64_t kLarge = kFrameBytes + 1;
    for (const char* path : {"base/5/16384", "base/5/16384.7", "global/1260",
                             "pg_tblspc/16400/PG_15_202209061/5/16401"}) {
        EXPECT_TRUE(has(path, kLarge)) << path;
        EXPECT_FALSE(has(path, kFrameBytes)) << path;
    }
    for (const char* path : {"base/5/16384_fsm", "base/5/16384_vm.1", "base/5/16384_init",
                             "base/5/t3_16384", "pg_xact/0000", "base/5/pg_filenode.map", "notes"})
        EXPECT_FALSE(has(path, kLarge)) << path;
    EXPECT_TRUE(is_checksummed_size(8192));
    EXPECT_TRUE(is_checksummed_size(1024));
    EXPECT_FALSE(is_checksummed_size(0));
    EXPECT_FALSE(is_checksummed_size(8191));
}

}  // namespace
}  // namespace ark
