#include "core/pgdata/wal_reader.hpp"

#include <gtest/gtest.h>

#include "test/unit/wal_builder.hpp"

namespace ark {
namespace {

using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

// A reader over some segments that a builder made, held in memory.
class Wal {
 public:
    Wal(const WalBuilder& builder, uint64_t first, uint64_t last) {
        for (uint64_t n = first; n <= last; ++n)
            segments[n] = builder.segment(n);
    }
    WalReader reader(WalChecks checks = WalChecks::all) {
        return {kSize,
                [this](uint64_t number) -> std::optional<ByteView> {
                    const auto found = segments.find(number);
                    if (found == segments.end())
                        return std::nullopt;
                    return ByteView(found->second);
                },
                checks};
    }
    std::map<uint64_t, Bytes> segments;
};

std::vector<Lsn> read_all(WalReader& reader, Lsn from) {
    std::vector<Lsn> out;
    reader.seek(from);
    while (const auto record = reader.next())
        out.push_back(record->lsn);
    return out;
}

TEST(WalReader, GivesEveryRecordAcrossPagesAndSegments) {
    WalBuilder builder;
    std::vector<Lsn> expected;
    std::vector<uint32_t> sizes;
    for (uint32_t i = 0; i < 3000; ++i) {
        sizes.push_back(27 + i * 37 % 1500);
        expected.push_back(builder.add_of_size(sizes.back()));
    }
    Wal wal(builder, 1, builder.position() / kSize);
    WalReader reader = wal.reader();
    reader.seek(kSize);
    for (size_t i = 0; i < expected.size(); ++i) {
        const auto record = reader.next();
        ASSERT_TRUE(record) << i << ": " << reader.stop().reason;
        EXPECT_EQ(record->lsn, expected[i]);
        EXPECT_EQ(record->bytes.size(), sizes[i]);
        EXPECT_EQ(record->timeline, 1U);
    }
    EXPECT_FALSE(reader.next());
    EXPECT_EQ(reader.stop().kind, WalStopKind::empty_page);
    EXPECT_EQ(reader.position(), builder.position());
    EXPECT_FALSE(reader.next());
}

TEST(WalReader, AssemblesARecordLargerThanASegment) {
    WalBuilder builder;
    builder.add_of_size(500);
    const Lsn large = builder.add_of_size(3 * kSize);
    const Lsn after = builder.add_of_size(100);
    Wal wal(builder, 1, builder.position() / kSize);
    WalReader reader = wal.reader();
    EXPECT_EQ(read_all(reader, large), (std::vector<Lsn>{large, after}));
    // A search that begins inside it ends behind it.
    EXPECT_EQ(read_all(reader, large + 1), std::vector<Lsn>{after});
    EXPECT_EQ(read_all(reader, 2 * kSize), std::vector<Lsn>{after});
}

TEST(WalReader, SeeksToTheFirstRecordAtOrBehindAPosition) {
    WalBuilder builder;
    std::vector<Lsn> records;
    while (builder.position() < kSize + 40000)
        records.push_back(builder.add_of_size(700));
    Wal wal(builder, 1, 1);
    WalReader reader = wal.reader();
    for (Lsn from = kSize; from < kSize + 39000; from += 97) {
        reader.seek(from);
        const auto record = reader.next();
        ASSERT_TRUE(record);
        EXPECT_EQ(record->lsn, *std::ranges::lower_bound(records, from)) << from;
    }
}

TEST(WalReader, EndsWhereASegmentIsMissing) {
    WalBuilder builder;
    builder.fill_segment();
    builder.fill_segment();
    Wal wal(builder, 1, 1);
    WalReader reader = wal.reader();
    EXPECT_FALSE(read_all(reader, kSize).empty());
    EXPECT_EQ(reader.stop().kind, WalStopKind::missing_segment);
    EXPECT_EQ(reader.stop().at, 2 * kSize);
    EXPECT_EQ(reader.position(), 2 * kSize);
}

TEST(WalReader, ARecordWhoseRestIsMissingIsNotGiven) {
    WalBuilder builder;
    builder.add_of_size(100);
    const Lsn large = builder.add_of_size(2 * kSize);
    Wal wal(builder, 1, 2);
    wal.segments.erase(2);
    WalReader reader = wal.reader();
    EXPECT_EQ(read_all(reader, kSize).size(), 1U);
    EXPECT_EQ(reader.stop().kind, WalStopKind::missing_segment);
    EXPECT_EQ(reader.position(), large);
}

TEST(WalReader, GoesOnInTheNextSegmentAfterASwitch) {
    WalBuilder builder;
    builder.add_of_size(100);
    const Lsn switched = builder.add_switch();
    const Lsn after = builder.add_of_size(100);
    Wal wal(builder, 1, 2);
    WalReader reader = wal.reader();
    EXPECT_EQ(read_all(reader, switched), (std::vector<Lsn>{switched, after}));
}

TEST(WalReader, ASwitchRecordMayEndItsSegmentExactly) {
    WalBuilder builder;
    builder.fill_segment();
    // Rebuild the same segment with room for exactly the switch at its end.
    WalBuilder exact;
    while (exact.position() < 2 * kSize - 8192)
        exact.add_of_size(1000);
    const uint64_t left = 2 * kSize - exact.position();
    exact.add_of_size(static_cast<uint32_t>(left - 24));
    ASSERT_EQ(exact.position(), 2 * kSize - 24);
    const Lsn switched = exact.add_switch();
    EXPECT_EQ(exact.position(), 2 * kSize);
    const Lsn after = exact.add_of_size(100);
    Wal wal(exact, 1, 2);
    WalReader reader = wal.reader();
    EXPECT_EQ(read_all(reader, switched), (std::vector<Lsn>{switched, after}));
}

TEST(WalReader, PassesOverARecordThatACrashCutOff) {
    WalBuilder builder;
    const Lsn first = builder.add_of_size(100);
    builder.add_abandoned(30000);
    const Lsn second = builder.add_of_size(200);
    const Lsn third = builder.add_of_size(300);
    Wal wal(builder, 1, 1);
    WalReader reader = wal.reader();
    EXPECT_EQ(read_all(reader, kSize), (std::vector<Lsn>{first, second, third}));
}

TEST(WalReader, EndsAtARecordThatDoesNotMatchItsChecksum) {
    WalBuilder builder;
    const Lsn first = builder.add_of_size(100);
    const Lsn second = builder.add_of_size(100);
    builder.add_of_size(100);
    Wal wal(builder, 1, 1);
    wal.segments[1][second - kSize + 60] ^= std::byte{1};
    WalReader reader = wal.reader();
    EXPECT_EQ(read_all(reader, kSize), std::vector<Lsn>{first});
    EXPECT_EQ(reader.stop().kind, WalStopKind::bad_checksum);
    EXPECT_EQ(reader.stop().at, second);
    EXPECT_EQ(reader.stop().reason, "a record does not match its checksum");
    EXPECT_EQ(reader.position(), second);
    WalReader structure = wal.reader(WalChecks::structure);
    EXPECT_EQ(read_all(structure, kSize).size(), 3U);
}

// Bytes of an earlier use can look like records; what they call the record before them gives them
// away.
TEST(WalReader, EndsAtARecordThatIsNotLinkedToTheOneBefore) {
    WalBuilder builder;
    builder.add_of_size(100);
    const Lsn second = builder.add_of_size(100);
    WalBuilder other;
    other.add_of_size(48);
    other.add_of_size(56);
    ASSERT_EQ(other.add_of_size(100), second);
    Wal wal(builder, 1, 1);
    const Bytes stale = other.segment(1);
    std::copy(stale.begin() + static_cast<ptrdiff_t>(second - kSize), stale.end(),
              wal.segments[1].begin() + static_cast<ptrdiff_t>(second - kSize));
    for (const WalChecks checks : {WalChecks::all, WalChecks::structure}) {
        WalReader reader = wal.reader(checks);
        EXPECT_EQ(read_all(reader, kSize).size(), 1U);
        EXPECT_EQ(reader.stop().kind, WalStopKind::bad_record);
    }
}

TEST(WalReader, EndsAtAPageOfAnEarlierUse) {
    WalBuilder builder(7);
    while (builder.position() < 7 * kSize + 30000)
        builder.add_of_size(500);
    WalBuilder earlier(3);
    earlier.fill_segment();
    Wal wal(builder, 7, 7);
    const Bytes old = earlier.segment(3);
    std::copy(old.begin() + 16384, old.begin() + 24576, wal.segments[7].begin() + 16384);
    WalReader reader = wal.reader();
    read_all(reader, 7 * kSize);
    EXPECT_EQ(reader.stop().kind, WalStopKind::bad_page);
    EXPECT_EQ(reader.stop().at, 7 * kSize + 16384);
    EXPECT_NE(reader.stop().reason.find("0/304000"), std::string::npos) << reader.stop().reason;
}

TEST(WalReader, TimelinesOnlyGoUp) {
    WalBuilder builder;
    while (builder.position() < kSize + 20000)
        builder.add_of_size(500);
    builder.set_timeline(2);
    while (builder.position() < kSize + 40000)
        builder.add_of_size(500);
    Wal wal(builder, 1, 1);
    WalReader reader = wal.reader();
    const size_t all = read_all(reader, kSize).size();
    EXPECT_EQ(reader.timeline(), 2U);
    store<uint32_t>(wal.segments[1], 4 * 8192 + 4,
                    1);  // a page of the parent behind one of the child
    WalReader again = wal.reader();
    EXPECT_LT(read_all(again, kSize).size(), all);
    EXPECT_EQ(again.stop().kind, WalStopKind::bad_page);
    EXPECT_EQ(again.stop().at, kSize + 4 * 8192);
}

TEST(WalReader, RefusesALengthThatCannotBe) {
    for (const uint32_t length : {1U, 23U, 0x7FFFFFFFU}) {
        WalBuilder builder;
        builder.add_of_size(100);
        const Lsn second = builder.add_of_size(100);
        Wal wal(builder, 1, 1);
        store<uint32_t>(wal.segments[1], second - kSize, length);
        WalReader reader = wal.reader();
        EXPECT_EQ(read_all(reader, kSize).size(), 1U);
        EXPECT_EQ(reader.stop().kind, WalStopKind::bad_record);
    }
}

TEST(WalReader, RefusesASegmentOfAnotherCluster) {
    WalBuilder builder;
    builder.fill_segment();
    WalBuilder other(2);
    other.system_identifier = 1;
    other.fill_segment();
    Wal wal(builder, 1, 1);
    wal.segments[2] = other.segment(2);
    WalReader reader = wal.reader();
    read_all(reader, kSize);
    EXPECT_EQ(reader.stop().kind, WalStopKind::bad_page);
    EXPECT_EQ(reader.stop().at, 2 * kSize);
}

TEST(WalReader, ReadsNothingFromNothing) {
    WalReader reader(kSize, [](uint64_t) { return std::optional<ByteView>(); });
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(read_all(reader, 5 * kSize + 100).empty());
    EXPECT_EQ(reader.stop().kind, WalStopKind::missing_segment);
    EXPECT_EQ(reader.position(), 5 * kSize + 100);
    // Half a segment is read as far as it goes.
    WalBuilder builder;
    builder.fill_segment();
    const Bytes segment = builder.segment(1);
    WalReader half(kSize, [&](uint64_t number) {
        return number == 1 ? std::optional(ByteView(segment).first(kSize / 2)) : std::nullopt;
    });
    EXPECT_FALSE(read_all(half, kSize).empty());
    EXPECT_EQ(half.stop().kind, WalStopKind::missing_segment);
    EXPECT_EQ(half.stop().at, kSize + kSize / 2);
}

}  // namespace
}  // namespace ark
