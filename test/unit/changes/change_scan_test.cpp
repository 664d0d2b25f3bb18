#include "core/changes/change_scan.hpp"

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/unit/changes/change_wal.hpp"

namespace ark {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr RelationId kTable{1663, 5, 16384};
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

// What a builder has made so far, cut where the server has flushed to.
struct Wal {
    explicit Wal(WalBuilder& wal_in) : wal(wal_in) {}

    std::optional<ByteView> read(uint64_t number) {
        if (number * kSize >= flushed)
            return std::nullopt;
        bytes = wal.segment(number);
        bytes.resize(std::min<uint64_t>(kSize, (flushed - number * kSize) / 8192 * 8192));
        return bytes;
    }
    WalReader::SegmentFunction function() {
        return [this](uint64_t number) { return read(number); };
    }

    WalBuilder& wal;
    Lsn flushed = kMaxLsn;
    Bytes bytes;

    static constexpr Lsn kMaxLsn = 1ULL << 40;
};

std::vector<uint64_t> blocks_of(const ChangeTable& table) {
    std::vector<uint64_t> out;
    if (const RelationChanges* changes = table.find(kTable)) {
        changes->blocks.for_each_run(0, UINT32_MAX, [&](uint64_t first, uint64_t n) {
            for (uint64_t i = 0; i < n; ++i)
                out.push_back(first + i);
        });
    }
    return out;
}

TEST(ChangeScan, TakesRecordsWhereTheyBegin) {
    WalBuilder builder(1);
    const Lsn first = add_blocks(builder, {{kTable, 1}});
    builder.fill_segment_but(512);
    // This one begins in segment 1 and ends in segment 2.
    const Lsn across = builder.add_body(10, 0, 700, body_of({{kTable, 2}}, 5000));
    const Lsn behind = add_blocks(builder, {{kTable, 3}});
    builder.fill_segment();
    ASSERT_LT(across, 2 * kSize);
    ASSERT_GT(behind, 2 * kSize);
    Wal wal(builder);
    ChangeScan scan(1, kSize, kSize, wal.function());
    ASSERT_TRUE(scan.read_to(2 * kSize));
    EXPECT_EQ(scan.position(), behind);
    const RangeChanges one = scan.take();
    EXPECT_EQ(one.range, (ChangeRange{1, kSize, 2 * kSize}));
    EXPECT_EQ(one.system_identifier, WalBuilder::kSystemIdentifier);
    EXPECT_EQ(one.previous_record, 0U);
    EXPECT_EQ(one.last_record, across);
    EXPECT_EQ(blocks_of(one.table), (std::vector<uint64_t>{1, 2}));
    ASSERT_TRUE(scan.read_to(3 * kSize));
    const RangeChanges two = scan.take();
    EXPECT_EQ(two.range, (ChangeRange{1, 2 * kSize, 3 * kSize}));
    EXPECT_EQ(two.previous_record, across);
    EXPECT_EQ(blocks_of(two.table), (std::vector<uint64_t>{3}));
    // Begun anywhere else the table of a range is the same, byte by byte.
    ChangeScan again(1, 2 * kSize, kSize, wal.function());
    ASSERT_TRUE(again.read_to(3 * kSize));
    EXPECT_EQ(encode_changes(again.take()), encode_changes(two));
    EXPECT_GT(first, kSize);
}

TEST(ChangeScan, GoesOnAsWalGrows) {
    WalBuilder builder(1);
    ChangeScan* scan = nullptr;
    Wal wal(builder);
    wal.flushed = kSize + 8192;
    ChangeScan live(1, kSize, kSize, wal.function());
    scan = &live;
    uint32_t block = 0;
    for (int i = 0; i < 400; ++i) {
        add_blocks(builder, {{kTable, block++}});
        builder.add_of_size(i % 50 == 0 ? 20000 : 1000);
        // Up to the page that holds the end, of which the rest is zeros.
        wal.flushed = (builder.position() + 8191) / 8192 * 8192;
        if (i % 7 == 0) {
            ASSERT_FALSE(scan->read_to(4 * kSize)) << i;
            ASSERT_EQ(scan->position(), builder.position()) << scan->stop().reason;
            ASSERT_EQ(scan->peek().range.to, builder.position());
            ASSERT_EQ(scan->table().blocks(), block);
        }
    }
    EXPECT_EQ(scan->peek().table.blocks(), 400U);
    ASSERT_LT(builder.position(), 2 * kSize);
    expect_error(ErrorCode::internal, [&] { return scan->take(); });
    builder.fill_segment();
    wal.flushed = builder.position();
    ASSERT_TRUE(scan->read_to(2 * kSize));
    const RangeChanges grown = scan->take();
    ChangeScan once(1, kSize, kSize, wal.function());
    ASSERT_TRUE(once.read_to(2 * kSize));
    EXPECT_EQ(once.take(), grown);
}

TEST(ChangeScan, ARecordThatIsNotWholeIsWaitedFor) {
    WalBuilder builder(1);
    builder.fill_segment_but(512);
    const Lsn across = builder.add_body(10, 0, 700, body_of({{kTable, 2}}, 5000));
    Wal wal(builder);
    wal.flushed = 2 * kSize;
    ChangeScan scan(1, kSize, kSize, wal.function());
    EXPECT_FALSE(scan.read_to(2 * kSize));
    EXPECT_EQ(scan.position(), across);
    EXPECT_EQ(scan.stop().kind, WalStopKind::missing_segment);
    wal.flushed = Wal::kMaxLsn;
    EXPECT_TRUE(scan.read_to(2 * kSize));
    EXPECT_EQ(blocks_of(scan.take().table), (std::vector<uint64_t>{2}));
}

// At a timeline's end nothing is waited for: what is not whole there was never made.
TEST(ChangeScan, ATimelineEndsWhereItEnds) {
    WalBuilder builder(1);
    add_blocks(builder, {{kTable, 1}});
    builder.fill_segment_but(512);
    builder.add_body(10, 0, 700, body_of({{kTable, 2}}, 5000));
    Wal wal(builder);
    wal.flushed = 2 * kSize;
    ChangeScan scan(1, kSize, kSize, wal.function());
    EXPECT_TRUE(scan.read_to(2 * kSize, ScanEnd::of_timeline));
    EXPECT_EQ(blocks_of(scan.take().table), (std::vector<uint64_t>{1}));
    // Where WAL is missing before it, it has not ended.
    ChangeScan cut(1, kSize, kSize, wal.function());
    wal.flushed = 2 * kSize - 16384;
    EXPECT_FALSE(cut.read_to(2 * kSize, ScanEnd::of_timeline));
}

TEST(ChangeScan, ATimelineGoesOnInsideASegment) {
    WalBuilder builder(1);
    add_blocks(builder, {{kTable, 1}});
    const Lsn last = add_blocks(builder, {{kTable, 2}});
    const Lsn fork = builder.position();
    builder.set_timeline(2);
    add_blocks(builder, {{kTable, 3}});
    builder.fill_segment();
    Wal wal(builder);
    ChangeScan parent(1, kSize, kSize, wal.function());
    ASSERT_TRUE(parent.read_to(fork, ScanEnd::of_timeline));
    const RangeChanges before = parent.take();
    EXPECT_EQ(blocks_of(before.table), (std::vector<uint64_t>{1, 2}));
    EXPECT_EQ(before.last_record, last);
    ChangeScan child(2, fork, kSize, wal.function());
    ASSERT_TRUE(child.read_to(2 * kSize));
    const RangeChanges after = child.take();
    EXPECT_EQ(blocks_of(after.table), (std::vector<uint64_t>{3}));
    EXPECT_EQ(after.previous_record, last);
    // Its pages are none of the parent's.
    ChangeScan wrong(1, fork, kSize, wal.function());
    expect_error(ErrorCode::corrupt, [&] { return wrong.read_to(2 * kSize); });
}

TEST(ChangeScan, AnAbandonedRecordChangesNothing) {
    WalBuilder builder(1);
    builder.add_of_size(100);
    builder.add_abandoned(9000);
    add_blocks(builder, {{kTable, 5}});
    builder.fill_segment();
    Wal wal(builder);
    ChangeScan scan(1, kSize, kSize, wal.function());
    ASSERT_TRUE(scan.read_to(2 * kSize));
    EXPECT_EQ(blocks_of(scan.take().table), (std::vector<uint64_t>{5}));
}

TEST(ChangeScan, ASwitchEndsASegment) {
    WalBuilder builder(1);
    add_blocks(builder, {{kTable, 1}});
    builder.add_switch();
    add_blocks(builder, {{kTable, 2}});
    Wal wal(builder);
    ChangeScan scan(1, kSize, kSize, wal.function());
    ASSERT_TRUE(scan.read_to(2 * kSize));
    EXPECT_EQ(blocks_of(scan.take().table), (std::vector<uint64_t>{1}));
}

TEST(ChangeScan, ALargeRecordLeavesASegmentEmpty) {
    WalBuilder builder(1);
    const Lsn large = builder.add_of_size(3 << 20);
    ASSERT_LT(large, 2 * kSize);
    const Lsn next = add_blocks(builder, {{kTable, 2}});
    builder.fill_segment();
    Wal wal(builder);
    ChangeScan scan(1, kSize, kSize, wal.function());
    std::vector<RangeChanges> tables;
    for (uint64_t number = 1; number <= 4; ++number) {
        ASSERT_TRUE(scan.read_to((number + 1) * kSize));
        tables.push_back(scan.take());
        ASSERT_EQ(decode_changes(encode_changes(tables.back()), "x"), tables.back());
    }
    EXPECT_EQ(tables[1].last_record, 0U);
    EXPECT_TRUE(tables[1].table.empty());
    EXPECT_EQ(tables[next / kSize - 1].previous_record, large);
}

TEST(ChangeScan, MinimalWalIsNoted) {
    WalBuilder builder(1);
    add_wal_level(builder, 0);
    const Lsn second = add_wal_level(builder, 0);
    add_wal_level(builder, 1);
    builder.fill_segment();
    Wal wal(builder);
    ChangeScan scan(1, kSize, kSize, wal.function());
    ASSERT_TRUE(scan.read_to(2 * kSize));
    EXPECT_EQ(scan.take().minimal_at, second);
}

TEST(ChangeScan, OtherWalIsNoticed) {
    WalBuilder builder(1);
    add_blocks(builder, {{kTable, 1}});
    builder.fill_segment();
    WalBuilder other(2);  // begins anew: names no record before it
    add_blocks(other, {{kTable, 2}});
    other.fill_segment();
    Bytes bytes;
    const auto segments = [&](uint64_t number) {
        bytes = number == 1 ? builder.segment(1) : other.segment(number);
        return std::optional(ByteView(bytes));
    };
    ChangeScan scan(1, kSize, kSize, segments);
    ASSERT_TRUE(scan.read_to(2 * kSize));
    expect_error(ErrorCode::corrupt, [&] { return scan.read_to(3 * kSize); });
    other.system_identifier = 5;
    WalBuilder foreign(2);
    foreign.system_identifier = 5;
    add_blocks(foreign, {{kTable, 2}});
    other = foreign;
    ChangeScan second(1, kSize, kSize, segments);
    ASSERT_TRUE(second.read_to(2 * kSize));
    expect_error(ErrorCode::corrupt, [&] { return second.read_to(3 * kSize); });
}

TEST(ChangeScan, DoesNotGoBack) {
    WalBuilder builder(1);
    add_blocks(builder, {{kTable, 1}});
    const Lsn last = add_blocks(builder, {{kTable, 1}});
    builder.fill_segment();
    Wal wal(builder);
    ChangeScan scan(1, kSize, kSize, wal.function());
    ASSERT_TRUE(scan.read_to(last));
    ASSERT_TRUE(scan.read_to(2 * kSize));
    expect_error(ErrorCode::internal, [&] { return scan.read_to(last); });
}

}  // namespace
}  // namespace ark
