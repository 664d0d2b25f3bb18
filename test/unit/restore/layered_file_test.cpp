#include "core/restore/layered_file.hpp"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/crc32c.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

constexpr uint32_t kBlock = 8192;
const auto kNever = [] { return false; };

class Layers : public testing::Test {
 protected:
    Layers() {
        IndexEntry entry;
        entry.path = "base/1/2";
        entry.incremental = IncrementalContent{3 * kBlock, {}};
        // Blocks 0 and 2 are of the ground, in two pieces.
        file = std::make_unique<LayeredFile>(entry, std::vector<Extent>{}, 3, 2, 0);
    }

    bool opens(Layer layer, const std::function<bool()>& abandoned = kNever) const {
        return file->open(directory / "file", false, layer, abandoned).has_value();
    }
    std::optional<uint32_t> written(Layer layer, uint64_t block) const {
        const Bytes content(kBlock, static_cast<std::byte>(block));
        return file->written(layer, {{block * kBlock, kBlock, crc32c(0, content)}}, 0);
    }

    test::TemporaryDirectory directory;
    std::unique_ptr<LayeredFile> file;
};

TEST_F(Layers, WhatIsAboveWaitsForAllOfTheGround) {
    ASSERT_TRUE(opens(Layer::ground));
    std::atomic<bool> opened = false;
    std::thread above([&] { opened = opens(Layer::above); });
    const auto wait = [] { std::this_thread::sleep_for(std::chrono::milliseconds(120)); };
    wait();
    EXPECT_FALSE(opened);
    EXPECT_FALSE(written(Layer::ground, 0));
    EXPECT_TRUE(opens(Layer::ground)) << "the second piece of it";
    wait();
    EXPECT_FALSE(opened);
    EXPECT_FALSE(written(Layer::ground, 2));
    above.join();
    EXPECT_TRUE(opened);
    Bytes all(kBlock, std::byte{0});
    all.resize(2 * kBlock, std::byte{1});
    all.resize(3 * kBlock, std::byte{2});
    EXPECT_EQ(written(Layer::above, 1), crc32c(0, all));
}

TEST_F(Layers, NothingOfTheGroundIsWrittenLater) {
    written(Layer::ground, 0);
    written(Layer::ground, 2);
    EXPECT_TRUE(opens(Layer::above));
    const Error error =
        test::expect_error(ErrorCode::internal, [&] { return opens(Layer::ground); });
    EXPECT_TRUE(test::mentions(error.message, "base/1/2")) << error.message;
}

TEST_F(Layers, NobodyWaitsForWhatWasAbandoned) {
    std::atomic<bool> abandoned = false;
    bool opened = true;
    std::thread above([&] { opened = opens(Layer::above, [&] { return abandoned.load(); }); });
    abandoned = true;
    above.join();
    EXPECT_FALSE(opened);
}

TEST(CutIntoPieces, WhatIsTheGround) {
    BackupChain chain;
    for (const char* id : {"c", "b", "a"}) {
        BackupMarker& marker = chain.backups.emplace_back();
        marker.backup_id = id;
        marker.block_size = kBlock;
        marker.relation_segment_blocks = 131072;
    }
    const auto member = [](uint32_t blocks) {
        IndexEntry entry;
        entry.path = "base/1/2";
        entry.size = uint64_t{blocks} * kBlock;
        for (uint64_t at = 0; at < entry.size; at += kFrameBytes)
            entry.frames.push_back({1000 + at, 100});
        if (entry.frames.size() > 1)
            entry.frame_crcs.resize(entry.frames.size());
        return entry;
    };
    const auto changed = [&](uint32_t blocks, const std::vector<BlockRun>& runs) {
        IndexEntry entry = member(1);
        entry.size = incremental_bytes(blocks_in(runs), kBlock);
        entry.incremental = IncrementalContent{uint64_t{blocks} * kBlock, runs};
        return entry;
    };
    const auto layers = [&](const ChainEntry& file, bool delta) {
        std::string out;
        for (const FilePiece& piece : cut_into_pieces(file, chain, delta, 0))
            out += chain.backups[piece.backup].backup_id +
                   (piece.layer == Layer::ground ? " ground, " : " above, ");
        return out;
    };
    for (const uint32_t blocks : {4U, 400U}) {
        const ChainEntry to_the_full_one{changed(blocks, {{1, 1}}),
                                         {{1, changed(blocks, {{3, 1}})}, {2, member(blocks)}}};
        EXPECT_EQ(layers(to_the_full_one, false), "c above, b above, a ground, ") << blocks;
        EXPECT_EQ(layers(to_the_full_one, true), "c above, b above, a above, ") << blocks;
    }
    // Other files' changes are in the frame of a small one.
    EXPECT_EQ(layers({changed(4, {{1, 1}}), {{1, member(4)}}}, false), "c above, b above, ");
    EXPECT_EQ(layers({changed(400, {{1, 1}}), {{1, member(400)}}}, false), "c above, b ground, ");
    // The lowest that gives anything has changed blocks alone.
    EXPECT_EQ(
        layers({changed(4, {{1, 1}}), {{1, changed(4, {{0, 1}, {2, 2}})}, {2, member(4)}}}, false),
        "c above, b above, ");
}

}  // namespace
}  // namespace ark
