#include "core/restore/pack_reader.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/repo/object.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

const std::string kCluster = "c";
const std::string kBackup = "b";

// A pack of frames that do not get smaller, so that it takes several requests; frame n holds n.
class PackReaderTest : public ::testing::Test {
 protected:
    PackReaderTest() {
        const std::string place = place::pack(kBackup, 0);
        pack = encode_header({ObjectKind::pack, place, "none", std::nullopt, {}, {}});
        FrameCompressor compressor(1);
        for (int n = 0; n < kFrames; ++n) {
            Bytes frame(FrameCompressor::max_frame_bytes());
            frame.resize(compressor.compress(content(n), frame));
            frames.push_back({pack.size(), static_cast<uint32_t>(frame.size())});
            pack.insert(pack.end(), frame.begin(), frame.end());
        }
        repository = Repository::open(
            std::make_unique<test::StoreDecorator>(
                store,
                [this](const std::string& call, const std::string& name) {
                    if (call != "get_range" || name.find("/data/") == std::string::npos)
                        return;
                    if (++requests == fail_at)
                        throw Error(ErrorCode::io_error, "the store failed");
                }),
            OpenMode::create);
        store->put_if_absent(kCluster + "/" + place, pack);
    }

    static Bytes content(int n) {
        Bytes out(kFrameBytes - 1000);
        uint64_t state = static_cast<uint64_t>(n) + 1;
        for (std::byte& byte : out) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            byte = static_cast<std::byte>(state >> 56);
        }
        return out;
    }
    uint64_t end_of(int frame) const { return frames[frame].offset + frames[frame].stored; }
    bool gives(PackReader& reader, int frame) const {
        return std::ranges::equal(reader.frame(frames[frame]), content(frame));
    }

    static constexpr int kFrames = 24;
    std::shared_ptr<ObjectStore> store = make_memory_store();
    std::atomic<int> requests = 0;
    int fail_at = -1;
    Bytes pack;
    std::vector<FrameRef> frames;
    std::unique_ptr<Repository> repository;
};

TEST_F(PackReaderTest, OneAfterTheOther) {
    PackReader reader(*repository, kCluster, kBackup);
    reader.open(0, end_of(kFrames - 1));
    for (int n = 0; n < kFrames; ++n)
        EXPECT_TRUE(gives(reader, n)) << n;
    // The header, and each byte once.
    EXPECT_EQ(reader.fetched(), pack.size() - frames[0].offset);
    EXPECT_EQ(requests, 1 + (pack.size() + (4 << 20) - 1) / (4 << 20));
}

TEST_F(PackReaderTest, JumpsForwardsAndBack) {
    PackReader reader(*repository, kCluster, kBackup);
    reader.open(0, end_of(kFrames - 1));
    for (const int n : {0, 9, 10, 3, 3, 4, 5, 6, 7, 8, 9, 20, 22, 1, 23})
        EXPECT_TRUE(gives(reader, n)) << n;
}

TEST_F(PackReaderTest, NothingBehindTheEndOfTheWorkIsFetched) {
    PackReader reader(*repository, kCluster, kBackup);
    reader.open(0, end_of(1));
    EXPECT_TRUE(gives(reader, 0));
    EXPECT_TRUE(gives(reader, 1));
    EXPECT_EQ(reader.fetched(), end_of(1) - frames[0].offset);
    // The next work, where the one before had ended.
    reader.open(0, end_of(12));
    for (int n = 2; n <= 12; ++n)
        EXPECT_TRUE(gives(reader, n)) << n;
    EXPECT_EQ(reader.fetched(), end_of(12) - frames[0].offset);
}

// What was fetched ahead for one work ends in the middle of what the next one wants.
TEST_F(PackReaderTest, WorksThatOverlap) {
    PackReader reader(*repository, kCluster, kBackup);
    reader.open(0, end_of(4) + 100);
    for (int n = 0; n <= 4; ++n)
        EXPECT_TRUE(gives(reader, n)) << n;
    reader.open(0, end_of(kFrames - 1));
    for (int n = 5; n < kFrames; ++n)
        EXPECT_TRUE(gives(reader, n)) << n;
}

TEST_F(PackReaderTest, AFailureAheadIsToldWhereItMatters) {
    fail_at = 3;  // the header, the first four frames, those behind them
    PackReader reader(*repository, kCluster, kBackup);
    reader.open(0, end_of(kFrames - 1));
    EXPECT_TRUE(gives(reader, 0));
    EXPECT_TRUE(gives(reader, 1));
    test::expect_error(ErrorCode::io_error, [&] {
        for (int n = 2; n < kFrames; ++n)
            EXPECT_TRUE(gives(reader, n)) << n;
    });
}

TEST_F(PackReaderTest, APackThatIsCutShort) {
    const std::string name = kCluster + "/" + place::pack(kBackup, 0);
    store->remove(name);
    store->put_if_absent(name, ByteView(pack).first(end_of(10) - 1));
    PackReader reader(*repository, kCluster, kBackup);
    reader.open(0, end_of(kFrames - 1));
    for (int n = 0; n < 10; ++n)
        EXPECT_TRUE(gives(reader, n)) << n;
    test::expect_error(ErrorCode::corrupt, [&] { reader.frame(frames[10]); });
    test::expect_error(ErrorCode::corrupt, [&] { reader.frame(frames[20]); });
}

// It may end while a request is under way.
TEST_F(PackReaderTest, EndsInTheMiddle) {
    for (int n = 0; n < 20; ++n) {
        PackReader reader(*repository, kCluster, kBackup);
        reader.open(0, end_of(kFrames - 1));
        EXPECT_TRUE(gives(reader, 0));
    }
}

}  // namespace
}  // namespace ark
