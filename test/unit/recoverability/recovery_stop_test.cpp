#include "core/recoverability/recovery_stop.hpp"

#include <set>

#include <gtest/gtest.h>

#include "core/recoverability/limited_wal.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark {
namespace {

using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

// Segments from a builder; notes which were read.
class NotedWal final : public WalSource {
 public:
    NotedWal(const WalBuilder& builder, uint64_t last) : builder_(builder), last_(last) {}
    uint64_t segment_size() const override { return kSize; }
    std::optional<ByteView> read_segment(uint64_t number) override {
        if (number > last_)
            return std::nullopt;
        read.insert(number);
        current_ = builder_.segment(number);
        return ByteView(current_);
    }
    std::optional<uint64_t> last_contiguous(uint64_t /*first*/) override { return last_; }

    std::set<uint64_t> read;

 private:
    const WalBuilder& builder_;
    const uint64_t last_;
    Bytes current_;
};

UnixMicros at(int64_t time) {
    return from_postgres_time(time);
}

class RecoveryStopTest : public testing::Test {
 protected:
    // Segments 5 to 36: a commit at 100 n, and one at 100 n + 50, in each.
    RecoveryStopTest() {
        for (int64_t n = 5; n <= 36; ++n) {
            commits[100 * n] = builder.add_commit(7, 100 * n);
            builder.add_of_size(1000);
            commits[100 * n + 50] = builder.add_commit(8, 100 * n + 50);
            builder.fill_segment();
        }
    }
    WalBuilder builder{5};
    std::map<int64_t, Lsn> commits;
};

TEST_F(RecoveryStopTest, FindsTheFirstThatIsLeftOut) {
    NotedWal wal(builder, 36);
    const Lsn end = 37 * kSize;
    for (int64_t time = 500; time < 3650; time += 25) {
        const auto stop = find_recovery_stop(wal, at(time), 5 * kSize, end);
        ASSERT_TRUE(stop) << time;
        const auto next = commits.upper_bound(time);
        ASSERT_EQ(stop->next, at(next->first));
        EXPECT_EQ(stop->lsn, next->second);
        EXPECT_EQ(stop->last, at(std::prev(next)->first));
    }
    EXPECT_EQ(find_recovery_stop(wal, at(499), 5 * kSize, end)->next, at(500));
    EXPECT_FALSE(find_recovery_stop(wal, at(499), 5 * kSize, end)->last);
    EXPECT_FALSE(find_recovery_stop(wal, at(3650), 5 * kSize, end));
    EXPECT_FALSE(find_recovery_stop(wal, at(600), 5 * kSize, 5 * kSize));
}

TEST_F(RecoveryStopTest, ReadsAFewSegments) {
    NotedWal wal(builder, 36);
    find_recovery_stop(wal, at(2020), 5 * kSize, 37 * kSize);
    EXPECT_LE(wal.read.size(), 9U);
}

// Two that ended at the same moment, in the other order.
TEST(RecoveryStop, NeighboursOutOfOrder) {
    WalBuilder builder(5);
    builder.add_commit(1, 100);
    const Lsn late = builder.add_commit(2, 201);
    builder.fill_segment();
    builder.add_commit(3, 200);
    builder.add_commit(4, 300);
    builder.fill_segment();
    NotedWal wal(builder, 6);
    EXPECT_EQ(find_recovery_stop(wal, at(200), 5 * kSize, 7 * kSize)->lsn, late);
}

TEST(RecoveryStop, SegmentsWithoutATransaction) {
    WalBuilder builder(5);
    builder.add_commit(1, 100);
    for (int i = 0; i < 20; ++i)
        builder.fill_segment();
    const Lsn last = builder.add_commit(2, 200);
    builder.fill_segment();
    NotedWal wal(builder, 25);
    EXPECT_EQ(find_recovery_stop(wal, at(150), 5 * kSize, 26 * kSize)->lsn, last);
    EXPECT_EQ(find_recovery_stop(wal, at(50), 5 * kSize, 26 * kSize)->next, at(100));
}

// Four segments of the largest size are a question's share.
class LargeWal final : public WalSource {
 public:
    uint64_t segment_size() const override { return 1 << 30; }
    std::optional<ByteView> read_segment(uint64_t /*number*/) override { return ByteView(); }
    std::optional<uint64_t> last_contiguous(uint64_t /*first*/) override { return 99; }
};

TEST(LimitedWal, EndsAndSaysSo) {
    LargeWal source;
    LimitedWal wal(source, 30);
    EXPECT_EQ(wal.last_contiguous(5), 30U);
    EXPECT_FALSE(wal.last_contiguous(31));
    EXPECT_FALSE(wal.read_segment(31));
    for (const uint64_t number : {30, 29, 28, 27, 30, 27})
        EXPECT_TRUE(wal.read_segment(number));
    EXPECT_FALSE(wal.is_exhausted());
    EXPECT_FALSE(wal.read_segment(26));
    EXPECT_TRUE(wal.is_exhausted());
    EXPECT_TRUE(wal.read_segment(30));
}

}  // namespace
}  // namespace ark
