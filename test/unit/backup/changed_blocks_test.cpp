// The content of an incremental file, read piece by piece from the data file.
#include "core/backup/changed_blocks.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

constexpr uint32_t kBlock = 8192;

// Says of each of its bytes where it belongs.
Bytes block_of(uint32_t number) {
    Bytes out(kBlock);
    for (size_t i = 0; i < kBlock; i += 4)
        store<uint32_t>(out, i, number * 2048 + static_cast<uint32_t>(i / 4) + 1);
    return out;
}

class BlocksThatChanged : public testing::Test {
 protected:
    void make_file(uint32_t blocks) {
        std::string content;
        for (uint32_t i = 0; i < blocks; ++i)
            content += as_text(block_of(i));
        test::write_file(path, content);
    }
    static FileChanges changes_of(std::vector<BlockRun> runs, uint32_t length) {
        FileChanges out;
        out.blocks = blocks_in(runs);
        out.runs = std::move(runs);
        out.length = length;
        return out;
    }
    // Reads it in pieces: the header, or as much of it as fits in one, then so many blocks a piece.
    Bytes read(const FileChanges& changes, uint64_t first_piece, uint32_t blocks_a_piece) {
        looked.clear();
        const File file = File::open(path, O_RDONLY);
        ChangedBlocks source(file, changes, kBlock, [&](MutableByteView data, uint64_t offset) {
            EXPECT_EQ(offset % kBlock, 0U);
            looked.emplace_back(offset, data.size());
            if (on_look)
                on_look(data, offset);
        });
        // What a PackWriter's buffer held before must not stay in it.
        Bytes out(source.size(), std::byte{0xEE});
        uint64_t at = 0;
        uint64_t piece = first_piece;
        while (at < out.size()) {
            const uint64_t n = std::min<uint64_t>(piece, out.size() - at);
            source.read(MutableByteView(out).subspan(at, n), at);
            at += n;
            piece = uint64_t{blocks_a_piece} * kBlock;
        }
        return out;
    }
    static Bytes expected(const FileChanges& changes, uint32_t file_blocks) {
        Bytes out = incremental_header(changes.runs, changes.length, kBlock);
        for (const BlockRun& run : changes.runs) {
            for (uint32_t block = run.first; block != run.end(); ++block) {
                const Bytes content = block < file_blocks ? block_of(block) : Bytes(kBlock);
                out.insert(out.end(), content.begin(), content.end());
            }
        }
        return out;
    }

    test::TemporaryDirectory directory;
    const std::string path = directory / "16384";
    std::vector<std::pair<uint64_t, size_t>> looked;
    std::function<void(MutableByteView, uint64_t)> on_look;
};

TEST_F(BlocksThatChanged, WithoutBlocksItIsAHeaderAlone) {
    make_file(3);
    const FileChanges changes = changes_of({}, 3);
    EXPECT_EQ(read(changes, 1 << 20, 1), expected(changes, 3));
    EXPECT_TRUE(looked.empty());
}

TEST_F(BlocksThatChanged, OneBlock) {
    make_file(40);
    for (const uint32_t block : {0U, 17U, 39U}) {
        const FileChanges changes = changes_of({{block, 1}}, 40);
        EXPECT_EQ(read(changes, 1 << 20, 1), expected(changes, 40)) << block;
        EXPECT_EQ(looked, (std::vector<std::pair<uint64_t, size_t>>{{block * kBlock, kBlock}}));
    }
}

// However a PackWriter cuts it: at each edge of a block, and in the header.
TEST_F(BlocksThatChanged, PiecesOfAnyLengthGiveTheSame) {
    make_file(300);
    const FileChanges changes =
        changes_of({{0, 3}, {5, 1}, {7, 1}, {9, 130}, {140, 2}, {200, 99}, {299, 1}}, 300);
    const Bytes whole = expected(changes, 300);
    for (const uint64_t first :
         {kBlock * 1ULL, kBlock * 2ULL, kBlock * 7ULL, kBlock * 500ULL, 4ULL, 512ULL, 8188ULL}) {
        for (const uint32_t blocks : {1U, 2U, 3U, 5U, 128U, 1000U}) {
            if (first % kBlock != 0)
                continue;
            EXPECT_EQ(read(changes, first, blocks), whole) << first << " " << blocks;
        }
    }
}

// A first piece that ends in the header: the next one begins there.
TEST_F(BlocksThatChanged, TheHeaderMayComeInPieces) {
    make_file(10);
    const FileChanges changes = changes_of({{2, 3}}, 10);
    const File file = File::open(path, O_RDONLY);
    ChangedBlocks source(file, changes, kBlock, [](MutableByteView, uint64_t) {});
    Bytes out(source.size(), std::byte{0xEE});
    for (const auto& [from, to] :
         std::vector<std::pair<uint64_t, uint64_t>>{{0, 1},
                                                    {1, 4},
                                                    {4, 5000},
                                                    {5000, kBlock},
                                                    {kBlock, 3 * kBlock},
                                                    {3 * kBlock, 4 * kBlock}})
        source.read(MutableByteView(out).subspan(from, to - from), from);
    EXPECT_EQ(out, expected(changes, 10));
}

TEST_F(BlocksThatChanged, AHeaderOfSeveralBlocks) {
    make_file(5000);
    std::vector<BlockRun> runs;
    for (uint32_t block = 1; block < 5000; block += 2)
        runs.push_back({block, 1});
    const FileChanges changes = changes_of(runs, 5000);
    ASSERT_EQ(incremental_header_bytes(changes.blocks, kBlock), 2 * kBlock);
    const Bytes whole = expected(changes, 5000);
    EXPECT_EQ(read(changes, kBlock, 128), whole);
    EXPECT_EQ(read(changes, 128 * kBlock, 128), whole);
}

// WAL replay knows its new length. Zeros are not told: they are no page of the file's.
TEST_F(BlocksThatChanged, AFileThatHasShrunkIsFilledUp) {
    make_file(20);
    const FileChanges changes = changes_of({{3, 2}, {10, 10}}, 20);
    ASSERT_EQ(truncate(path.c_str(), 12 * kBlock), 0);
    EXPECT_EQ(read(changes, kBlock, 128), expected(changes, 12));
    uint64_t told = 0;
    for (const auto& [offset, size] : looked)
        told += size;
    EXPECT_EQ(told, 4ULL * kBlock);

    ASSERT_EQ(truncate(path.c_str(), 0), 0);
    EXPECT_EQ(read(changes, kBlock, 3), expected(changes, 0));
}

// In the middle of a block: what there was of it, then zeros.
TEST_F(BlocksThatChanged, AFileThatEndsInABlockIsFilledUpFromThere) {
    make_file(20);
    const FileChanges changes = changes_of({{10, 2}}, 20);
    ASSERT_EQ(truncate(path.c_str(), 11 * kBlock + 100), 0);
    Bytes whole = expected(changes, 12);
    std::fill(whole.begin() + 2 * kBlock + 100, whole.end(), std::byte{0});
    EXPECT_EQ(read(changes, kBlock, 128), whole);
}

// The one who looks reads a page again that was being written, and puts it in its place.
TEST_F(BlocksThatChanged, WhatTheLookChangesIsWhatIsStored) {
    make_file(10);
    const FileChanges changes = changes_of({{4, 3}}, 10);
    on_look = [](MutableByteView data, uint64_t offset) {
        const size_t at = 5 * kBlock - offset;
        if (at < data.size())
            std::ranges::fill(data.subspan(at, kBlock), std::byte{7});
    };
    Bytes whole = expected(changes, 10);
    std::fill_n(whole.begin() + 2 * kBlock, kBlock, std::byte{7});
    EXPECT_EQ(read(changes, kBlock, 1), whole);
    EXPECT_EQ(read(changes, kBlock, 128), whole);
}

// The last blocks of the longest file there is; most of it is a hole.
TEST_F(BlocksThatChanged, AFileOfAWholeGigabyte) {
    constexpr uint32_t kBlocks = 131072;
    {
        File file = File::open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        ASSERT_EQ(ftruncate(file.fd(), static_cast<off_t>(uint64_t{kBlocks} * kBlock)), 0);
        for (const uint32_t block : {0U, 65536U, kBlocks - 1}) {
            const Bytes content = block_of(block);
            ASSERT_EQ(pwrite(file.fd(), content.data(), content.size(),
                             static_cast<off_t>(uint64_t{block} * kBlock)),
                      static_cast<ssize_t>(kBlock));
        }
    }
    const FileChanges changes = changes_of({{0, 1}, {65536, 1}, {kBlocks - 1, 1}}, kBlocks);
    EXPECT_EQ(read(changes, kBlock, 128), expected(changes, kBlocks));
    // Nine tenths of it, of which nothing is kept.
    const FileChanges most = changes_of({{10, 117964}}, kBlocks);
    const File file = File::open(path, O_RDONLY);
    ChangedBlocks source(file, most, kBlock, [](MutableByteView, uint64_t) {});
    EXPECT_EQ(source.size(), incremental_bytes(117964, kBlock));
    Bytes piece(1 << 20);
    uint64_t found = 0;
    for (uint64_t at = 0; at < source.size(); at += piece.size()) {
        const MutableByteView view =
            MutableByteView(piece).first(std::min<uint64_t>(piece.size(), source.size() - at));
        source.read(view, at);
        const uint64_t header = incremental_header_bytes(117964, kBlock);
        const uint64_t of_65536 = header + uint64_t{65536 - 10} * kBlock;
        if (of_65536 >= at && of_65536 < at + view.size()) {
            const Bytes content = block_of(65536);
            EXPECT_TRUE(std::ranges::equal(view.subspan(of_65536 - at, kBlock), content));
            ++found;
        }
    }
    EXPECT_EQ(found, 1U);
}

}  // namespace
}  // namespace ark
