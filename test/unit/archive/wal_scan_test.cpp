#include "core/archive/wal_scan.hpp"

#include <gtest/gtest.h>

#include "test/unit/wal_builder.hpp"

namespace ark {
namespace {

using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

// Segments straight from a builder; counts what is read.
class BuiltWal final : public WalSource {
 public:
    BuiltWal(const WalBuilder& builder, uint64_t first, uint64_t last)
        : builder_(builder), first_(first), last_(last) {}
    uint64_t segment_size() const override { return kSize; }
    std::optional<ByteView> read_segment(uint64_t number) override {
        if (number < first_ || number > last_)
            return std::nullopt;
        ++reads;
        current_ = builder_.segment(number);
        return ByteView(current_);
    }
    std::optional<uint64_t> last_contiguous(uint64_t first) override {
        if (first < first_ || first > last_)
            return std::nullopt;
        return last_;
    }
    int reads = 0;

 private:
    const WalBuilder& builder_;
    uint64_t first_;
    uint64_t last_;
    Bytes current_;
};

TEST(WalScan, FindsARestorePointByItsName) {
    WalBuilder builder(5);
    builder.add_restore_point("other", 1);
    builder.fill_segment();
    builder.add_of_size(300);
    const Lsn lsn = builder.add_restore_point("before migration", 12345);
    const Lsn end = builder.position();
    builder.add_restore_point("before migration", 99999);
    BuiltWal wal(builder, 5, 6);
    EXPECT_EQ(find_restore_point(wal, "before migration", 5 * kSize),
              (RestorePoint{lsn, end, from_postgres_time(12345)}));
    EXPECT_NE(find_restore_point(wal, "before migration", lsn + 1)->lsn, lsn);
    EXPECT_FALSE(find_restore_point(wal, "before", 5 * kSize));
    EXPECT_FALSE(find_restore_point(wal, "other", 5 * kSize + 100));
}

TEST(WalScan, FindsTheLastTransactionReadingBackwards) {
    WalBuilder builder(5);
    builder.add_commit(1, 100);
    builder.fill_segment();
    builder.add_commit(2, 200);
    const Lsn lsn = builder.add_abort(3, 300);
    const Lsn end = builder.position();
    for (int i = 0; i < 4; ++i)
        builder.fill_segment();
    BuiltWal wal(builder, 5, 8);
    EXPECT_EQ(last_transaction(wal, 5 * kSize),
              (TransactionEnd{lsn, end, 3, false, from_postgres_time(300)}));
    EXPECT_LE(wal.reads, 6);
    EXPECT_FALSE(last_transaction(wal, end));
    EXPECT_FALSE(last_transaction(wal, 100 * kSize));
}

TEST(WalScan, FindsACommitThatBeginsInOneSegmentAndEndsInTheNext) {
    WalBuilder builder(5);
    builder.add_commit(1, 100);
    while (builder.position() < 6 * kSize - 8192)
        builder.add_of_size(1000);
    builder.add_of_size(static_cast<uint32_t>(6 * kSize - builder.position() - 16));
    const Lsn lsn = builder.add_commit(2, 200);
    ASSERT_EQ(lsn, 6 * kSize - 16);
    builder.fill_segment();
    BuiltWal wal(builder, 5, 6);
    EXPECT_EQ(last_transaction(wal, 5 * kSize)->lsn, lsn);
    // Its rest is not there: it never happened, as far as recovery can know.
    BuiltWal cut(builder, 5, 5);
    EXPECT_EQ(last_transaction(cut, 5 * kSize)->xid, 1U);
    EXPECT_EQ(end_of_wal(cut, 5 * kSize), lsn);
}

TEST(WalScan, FindsATransactionsEnd) {
    WalBuilder builder(5);
    builder.add_commit(10, 100);
    const Lsn lsn = builder.add_abort(11, 200);
    BuiltWal wal(builder, 5, 5);
    EXPECT_EQ(find_transaction(wal, 11, 5 * kSize)->lsn, lsn);
    EXPECT_FALSE(find_transaction(wal, 11, 5 * kSize)->committed);
    EXPECT_FALSE(find_transaction(wal, 12, 5 * kSize));
}

TEST(WalScan, ListsTablespacesCreatedInARange) {
    WalBuilder builder(5);
    const Lsn first = builder.add_tablespace(16400, "/srv/one");
    builder.fill_segment();
    const Lsn second = builder.add_tablespace(16401, "");
    BuiltWal wal(builder, 5, 6);
    EXPECT_EQ(tablespaces_created(wal, 5 * kSize),
              (std::vector<CreatedTablespace>{{first, 16400, "/srv/one"}, {second, 16401, ""}}));
    EXPECT_EQ(tablespaces_created(wal, 5 * kSize, second).size(), 1U);
    EXPECT_EQ(tablespaces_created(wal, first + 1).size(), 1U);
}

TEST(WalScan, KnowsWhetherARecordFollows) {
    WalBuilder builder(5);
    builder.add_of_size(100);
    builder.add_switch();
    const Lsn last = builder.add_commit(1, 100);
    BuiltWal wal(builder, 5, 6);
    EXPECT_TRUE(has_record_from(wal, 5 * kSize));
    // In what the switch has left empty: recovery goes on in the next segment.
    EXPECT_TRUE(has_record_from(wal, 5 * kSize + 100000));
    EXPECT_TRUE(has_record_from(wal, 6 * kSize - 1));
    EXPECT_TRUE(has_record_from(wal, last));
    EXPECT_FALSE(has_record_from(wal, last + 1));
    BuiltWal cut(builder, 5, 5);
    EXPECT_FALSE(has_record_from(cut, 5 * kSize + 100000));
}

TEST(WalScan, KnowsWhereReplayEnds) {
    WalBuilder builder(5);
    builder.fill_segment();
    builder.add_of_size(1000);
    const Lsn end = builder.position();
    BuiltWal wal(builder, 5, 6);
    EXPECT_EQ(end_of_wal(wal, 5 * kSize), end);
    WalBuilder switched(5);
    switched.add_of_size(100);
    switched.add_switch();
    BuiltWal whole(switched, 5, 5);
    EXPECT_EQ(end_of_wal(whole, 5 * kSize), 6 * kSize);
    // One record larger than the last segments, and not whole: nothing of it counts.
    WalBuilder large(5);
    large.add_of_size(100);
    const Lsn begin = large.position();
    large.add_of_size(4 * kSize);
    BuiltWal cut(large, 5, 7);
    EXPECT_EQ(end_of_wal(cut, 5 * kSize), begin);
}

}  // namespace
}  // namespace ark
