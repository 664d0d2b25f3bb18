#include "core/archive/wal_source.hpp"

#include <gtest/gtest.h>

#include "core/archive/wal_scan.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::ForkedWal;
using test::kCluster;
using test::TestRepository;
using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

std::string name(uint64_t number, TimelineId timeline = 1) {
    return WalBuilder::name(number, timeline);
}

class WalSourceTest : public ::testing::Test {
 protected:
    void put(const WalBuilder& builder, uint64_t first, uint64_t last, TimelineId timeline = 1) {
        for (uint64_t n = first; n <= last; ++n)
            repo.put_segment(name(n, timeline), builder.segment(n));
    }
    RepositoryWal source(const TimelineHistory& history = TimelineHistory(1)) {
        return {*repo.repository, kCluster, kSize, history};
    }
    TestRepository repo;
};

TEST_F(WalSourceTest, FollowsTheWayAcrossAFork) {
    const ForkedWal wal;
    put(wal.parent, 5, 7);
    put(wal.child, 6, 7, 2);
    RepositoryWal way = source(TimelineHistory::parse(2, wal.history));
    EXPECT_EQ(way.last_contiguous(5), 7U);
    EXPECT_TRUE(std::ranges::equal(*way.read_segment(5), wal.parent.segment(5)));
    EXPECT_TRUE(std::ranges::equal(*way.read_segment(6), wal.child.segment(6)));
    EXPECT_TRUE(std::ranges::equal(*way.read_segment(7), wal.child.segment(7)));
    EXPECT_TRUE(find_transaction(way, 777, 5 * kSize));
    EXPECT_FALSE(find_transaction(way, 666, 5 * kSize));
    RepositoryWal old = source();
    EXPECT_TRUE(find_transaction(old, 666, 5 * kSize));
    EXPECT_EQ(old.last_contiguous(5), 7U);
}

TEST_F(WalSourceTest, EndsAtTheForkWhereTheChildWasNotArchived) {
    const ForkedWal wal;
    put(wal.parent, 5, 7);
    put(wal.child, 7, 7, 2);
    RepositoryWal way = source(TimelineHistory::parse(2, wal.history));
    EXPECT_EQ(way.last_contiguous(5), 6U);  // not 7: between them there is a hole
    EXPECT_EQ(end_of_wal(way, 5 * kSize), wal.fork);
    EXPECT_FALSE(find_transaction(way, 666, 5 * kSize));
    EXPECT_TRUE(std::ranges::equal(*way.read_segment(6), wal.partial()));
}

TEST_F(WalSourceTest, TakesAPartialForTheParentsLastSegment) {
    const ForkedWal wal;
    put(wal.parent, 5, 5);
    repo.put_partial(name(6), wal.partial());
    RepositoryWal way = source(TimelineHistory::parse(2, wal.history));
    EXPECT_EQ(way.last_contiguous(5), 6U);
    EXPECT_EQ(end_of_wal(way, 5 * kSize), wal.fork);
}

TEST_F(WalSourceTest, AHoleEndsWhatCanBeReached) {
    WalBuilder builder(5);
    for (int i = 0; i < 5; ++i)
        builder.fill_segment();
    put(builder, 5, 6);
    put(builder, 8, 9);
    RepositoryWal way = source();
    EXPECT_EQ(way.last_contiguous(5), 6U);
    EXPECT_EQ(way.last_contiguous(8), 9U);
    EXPECT_EQ(way.last_contiguous(7), std::nullopt);
    EXPECT_EQ(way.last_contiguous(1), std::nullopt);
    EXPECT_EQ(end_of_wal(way, 5 * kSize + 100), 7 * kSize);
    EXPECT_EQ(end_of_wal(way, 7 * kSize + 100), 7 * kSize + 100);
}

// The target's timeline was named but never reached: the way goes from 1 to 3 directly.
TEST_F(WalSourceTest, AForkBeforeTheForkOfAnAncestorCounts) {
    const ForkedWal wal;
    put(wal.parent, 5, 7);
    put(wal.child, 6, 7, 2);
    const std::string early =
        "1\t" + to_text(wal.fork) + "\tx\n2\t" + to_text(5 * kSize + 40) + "\ty\n";
    RepositoryWal way = source(TimelineHistory::parse(3, early));
    EXPECT_FALSE(way.read_segment(6));
    EXPECT_EQ(way.last_contiguous(5), 5U);
    EXPECT_TRUE(is_all_zero(way.read_segment(5)->subspan(40)));
}

// ---- pieces

class WalSourceTail : public WalSourceTest {
 protected:
    WalSourceTail() : builder(5) {
        for (int i = 0; i < 5; ++i)
            builder.fill_segment();
    }
    void put_pieces(uint64_t number, std::vector<uint64_t> cuts) {
        for (size_t i = 1; i < cuts.size(); ++i)
            repo.put_piece(name(number), builder.segment(number), cuts[i - 1], cuts[i]);
    }
    WalBuilder builder;
};

TEST_F(WalSourceTail, EndsInsideTheNewestSegment) {
    put(builder, 5, 6);
    put_pieces(7, {0, 30000, 60001});
    RepositoryWal way = source();
    EXPECT_EQ(way.last_contiguous(5), 7U);
    EXPECT_EQ(way.end_inside(7), 7 * kSize + 60001);
    EXPECT_EQ(way.end_inside(6), std::nullopt);
    EXPECT_TRUE(std::ranges::equal(*way.read_segment(7), test::cut_at(builder.segment(7), 60001)));
    // The end of the last record that is whole.
    const Lsn end = end_of_wal(way, 5 * kSize);
    EXPECT_LE(end, 7 * kSize + 60001);
    EXPECT_GT(end, 7 * kSize + 58000);
    EXPECT_FALSE(way.damage());
}

TEST_F(WalSourceTail, CompleteChainsAreSegments) {
    put(builder, 5, 5);
    put_pieces(6, {0, kSize});
    put(builder, 7, 7);
    put_pieces(8, {0, 10, kSize});
    put_pieces(9, {0, 5000});
    RepositoryWal way = source();
    EXPECT_EQ(way.last_contiguous(5), 9U);
    EXPECT_EQ(way.end_inside(8), std::nullopt);
}

TEST_F(WalSourceTail, PiecesOfTheFirstSegmentAreEnough) {
    put_pieces(5, {0, 60000});
    EXPECT_EQ(source().last_contiguous(5), 5U);
}

TEST_F(WalSourceTail, AnUnfinishedSegmentBeforeALaterOneIsAHole) {
    put(builder, 5, 5);
    put_pieces(6, {0, 60000});
    put(builder, 7, 7);
    RepositoryWal way = source();
    EXPECT_EQ(way.last_contiguous(5), 5U);
    EXPECT_FALSE(way.read_segment(6));
    // The record that goes on in it is not whole either.
    EXPECT_LE(end_of_wal(way, 5 * kSize), 6 * kSize);
}

TEST_F(WalSourceTail, TellsOfATornEnd) {
    put(builder, 5, 5);
    put_pieces(6, {0, 30000});
    repo.damage(repo.put_piece(name(6), builder.segment(6), 30000, 60000));
    RepositoryWal way = source();
    EXPECT_EQ(way.last_contiguous(5), 6U);
    EXPECT_EQ(way.end_inside(6), 6 * kSize + 30000);
    EXPECT_TRUE(way.damage());
}

// A target before it is reached whatever state the newest WAL is in.
constexpr uint64_t kNoEnd = std::numeric_limits<uint64_t>::max();
TEST_F(WalSourceTail, LooksNoFurtherThanItIsAsked) {
    put(builder, 5, 6);
    put_pieces(7, {0, 30000});
    repo.damage(place::tail(name(7), 0));
    put_pieces(7, {30000, 40000});
    EXPECT_EQ(source().last_contiguous(5, 6), 6U);
    EXPECT_EQ(source().last_contiguous(5, 5), 5U);
    EXPECT_EQ(test::error_of([&] { source().last_contiguous(5); }), ErrorCode::corrupt);
    std::optional<Error> damage;
    EXPECT_EQ(source().last_readable(5, kNoEnd, damage), 6U);
    ASSERT_TRUE(damage);
    EXPECT_NE(damage->message.find(place::tail(name(7), 0)), std::string::npos) << damage->message;
    damage.reset();
    EXPECT_EQ(source().last_readable(5, 6, damage), 6U);
    EXPECT_FALSE(damage);
    EXPECT_EQ(source().last_readable(7, kNoEnd, damage), std::nullopt);
    EXPECT_TRUE(damage);
}

TEST_F(WalSourceTail, AnswersForOneStateOfTheArchive) {
    put(builder, 5, 6);
    put_pieces(7, {0, 30000});
    RepositoryWal way = source();
    EXPECT_EQ(way.last_contiguous(5), 7U);
    const int before = repo.hooks->gets;
    EXPECT_EQ(way.last_contiguous(6), 7U);
    EXPECT_EQ(end_of_wal(way, 7 * kSize) / kSize, 7U);
    EXPECT_LE(repo.hooks->gets - before, 6);  // what comes behind it is looked for
    EXPECT_EQ(way.last_contiguous(5), 7U);
    way.forget(7);
    put(builder, 7, 7);
    EXPECT_TRUE(way.read_segment(7));
    EXPECT_EQ(way.end_inside(7), std::nullopt);
}

// The way left the old timeline: it is not asked for later segments.
TEST_F(WalSourceTest, AsksOnlyTimelinesThatReachTheSegment) {
    const ForkedWal wal;
    put(wal.parent, 5, 7);
    put(wal.child, 6, 6, 2);
    repo.put_piece(name(7, 2), wal.child.segment(7), 0, 50000);
    RepositoryWal way = source(TimelineHistory::parse(2, wal.history));
    EXPECT_EQ(way.last_contiguous(5), 7U);
    EXPECT_TRUE(
        std::ranges::equal(*way.read_segment(7), test::cut_at(wal.child.segment(7), 50000)));
    const int before = repo.hooks->gets;
    EXPECT_FALSE(way.read_segment(8));
    EXPECT_EQ(repo.hooks->gets - before, 3);
}

TEST_F(WalSourceTest, TheOldTimelineServesWhereTheNewOnesPiecesEndTooEarly) {
    const ForkedWal wal;
    put(wal.parent, 5, 6);
    repo.put_piece(name(6, 2), wal.child.segment(6), 0, wal.fork % kSize);
    RepositoryWal way = source(TimelineHistory::parse(2, wal.history));
    EXPECT_EQ(way.last_contiguous(5), 6U);
    EXPECT_EQ(way.end_inside(6), wal.fork);
    EXPECT_EQ(end_of_wal(way, 5 * kSize), wal.fork);
}

TEST_F(WalSourceTest, ReadsAPairOfSegmentsOnce) {
    WalBuilder builder(5);
    for (int i = 0; i < 3; ++i)
        builder.fill_segment();
    put(builder, 5, 7);
    RepositoryWal way = source();
    const int before = repo.hooks->gets;
    for (int i = 0; i < 5; ++i) {
        way.read_segment(5);
        way.read_segment(6);
    }
    EXPECT_EQ(repo.hooks->gets - before, 2);
}

TEST_F(WalSourceTest, LoadsHistories) {
    const ForkedWal wal;
    repo.put_history(2, wal.history);
    EXPECT_EQ(load_timeline_history(*repo.repository, kCluster, 2),
              TimelineHistory::parse(2, wal.history));
    EXPECT_EQ(load_timeline_history(*repo.repository, kCluster, 1), TimelineHistory(1));
    EXPECT_EQ(test::error_of([&] { load_timeline_history(*repo.repository, kCluster, 3); }),
              ErrorCode::not_found);
    repo.put_history(3, "2 0/100 x\n");
    repo.put_history(5, "2 0/100 x\n");
    EXPECT_EQ(find_newest_timeline(*repo.repository, kCluster, 1), 3U);
    EXPECT_EQ(find_newest_timeline(*repo.repository, kCluster, 3), 3U);
    repo.hooks->broken = true;
    EXPECT_EQ(test::error_of([&] { find_newest_timeline(*repo.repository, kCluster, 1); }),
              ErrorCode::unavailable);
}

}  // namespace
}  // namespace ark
