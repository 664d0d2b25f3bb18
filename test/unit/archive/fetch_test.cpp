#include "core/archive/fetch.hpp"

#include <gtest/gtest.h>

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

class Fetch : public ::testing::Test {
 protected:
    FetchContext context(const TimelineHistory* target = nullptr) {
        return {*repo.repository, kCluster, WalBuilder::kSystemIdentifier, target};
    }
    static void cut_to(Bytes& bytes, Lsn end) {
        std::fill(bytes.begin() + static_cast<ptrdiff_t>(end % kSize), bytes.end(), std::byte{0});
    }
    TestRepository repo;
    ForkedWal wal;
    TimelineHistory target = TimelineHistory::parse(2, ForkedWal().history);
};

TEST_F(Fetch, GivesASegmentAsItWas) {
    repo.put_segment(name(5), wal.parent.segment(5));
    EXPECT_EQ(fetch_segment(context(), name(5)), wal.parent.segment(5));
    EXPECT_FALSE(fetch_segment(context(), name(9)));
}

TEST_F(Fetch, NeverGivesDamagedBytes) {
    repo.put_segment(name(5), wal.parent.segment(5));
    repo.damage(place::segment(name(5)));
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::corrupt);
    // Good bytes under the wrong name, or of another cluster.
    repo.put_segment(name(7), wal.parent.segment(6));
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(), name(7)); }), ErrorCode::corrupt);
    repo.put_segment(name(6), wal.parent.segment(6));
    FetchContext other = context();
    other.system_identifier = 1;
    EXPECT_EQ(test::error_of([&] { fetch_segment(other, name(6)); }), ErrorCode::corrupt);
    repo.put_segment(name(8), Bytes(100));
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(), name(8)); }), ErrorCode::corrupt);
}

TEST_F(Fetch, AFailureIsNotAnAbsence) {
    repo.hooks->broken = true;
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(), name(5)); }), ErrorCode::unavailable);
    EXPECT_EQ(test::error_of([&] { fetch_history(context(), 2); }), ErrorCode::unavailable);
}

// An abandoned commit must not come back: the parent went on behind the fork.
TEST_F(Fetch, CutsTheParentAtTheFork) {
    repo.put_segment(name(6), wal.parent.segment(6));
    repo.put_segment(name(7), wal.parent.segment(7));
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
    EXPECT_FALSE(fetch_segment(context(&target), name(7)));
    EXPECT_EQ(fetch_segment(context(), name(6)), wal.parent.segment(6));
    EXPECT_EQ(fetch_segment(context(), name(7)), wal.parent.segment(7));
}

TEST_F(Fetch, LeavesTheTargetAndStrangersAsTheyAre) {
    repo.put_segment(name(6, 2), wal.child.segment(6));
    repo.put_segment(name(7, 2), wal.child.segment(7));
    EXPECT_EQ(fetch_segment(context(&target), name(6, 2)), wal.child.segment(6));
    EXPECT_EQ(fetch_segment(context(&target), name(7, 2)), wal.child.segment(7));
    const auto stranger = TimelineHistory::parse(9, "4 0/100 x\n");
    EXPECT_EQ(fetch_segment(context(&stranger), name(7, 2)), wal.child.segment(7));
}

TEST_F(Fetch, AForkAtASegmentsBeginningNeedsNothingOfIt) {
    const auto at_border = TimelineHistory::parse(2, "1 " + to_text(6 * kSize) + " x\n");
    repo.put_segment(name(5), wal.parent.segment(5));
    repo.put_segment(name(6), wal.parent.segment(6));
    EXPECT_EQ(fetch_segment(context(&at_border), name(5)), wal.parent.segment(5));
    EXPECT_FALSE(fetch_segment(context(&at_border), name(6)));
}

TEST_F(Fetch, TakesAPartialWhereTheParentsSegmentIsMissing) {
    const std::string place = repo.put_partial(name(6), wal.partial());
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
    EXPECT_FALSE(fetch_segment(context(), name(6)));  // no target: it is not what was asked for
    EXPECT_FALSE(fetch_segment(context(&target), name(5)));
    repo.damage(place);
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(&target), name(6)); }),
              ErrorCode::corrupt);
}

TEST_F(Fetch, TakesTheCompleteSegmentBeforeAPartial) {
    repo.put_segment(name(6), wal.parent.segment(6));
    repo.damage(repo.put_partial(name(6), wal.partial()));
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
}

TEST_F(Fetch, ChoosesThePartialThatReachesTheFork) {
    Bytes shorter = wal.partial();
    cut_to(shorter, wal.fork - 5000);
    repo.put_partial(name(6), shorter);
    EXPECT_FALSE(fetch_segment(context(&target), name(6)));
    // Longer than the fork is good, too: another promotion of the same timeline, later.
    Bytes longer = wal.parent.segment(6);
    cut_to(longer, wal.fork + 5000);
    repo.put_partial(name(6), longer);
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
    // A damaged one does no harm where another will do.
    repo.damage(repo.put_partial(name(6), wal.partial()));
    EXPECT_EQ(fetch_segment(context(&target), name(6)), wal.partial());
}

TEST_F(Fetch, RefusesToChooseBetweenPartialsThatDisagree) {
    repo.put_partial(name(6), wal.partial());
    WalBuilder other(5);
    other.fill_segment();
    other.add_commit(1, 1);
    other.fill_segment();
    repo.put_partial(name(6), other.segment(6));
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(&target), name(6)); }),
              ErrorCode::conflict);
}

// A record that the parent began before the fork and never finished.
TEST_F(Fetch, TakesAPartialThatEndsInsideARecordAtTheFork) {
    WalBuilder builder(6);
    builder.add_of_size(100);
    builder.add_abandoned(30000);
    const auto cut = TimelineHistory::parse(2, "1 " + to_text(builder.position()) + " x\n");
    repo.put_partial(name(6), builder.segment(6));
    EXPECT_EQ(fetch_segment(context(&cut), name(6)), builder.segment(6));
}

TEST_F(Fetch, GivesHistoriesThatCanBeRead) {
    repo.put_history(2, wal.history);
    EXPECT_EQ(as_text(fetch_history(context(), 2).value()), wal.history);
    EXPECT_FALSE(fetch_history(context(), 3));
    repo.put_history(4, "<html>502 Bad Gateway</html>\n");
    EXPECT_EQ(test::error_of([&] { fetch_history(context(), 4); }), ErrorCode::corrupt);
}

TEST_F(Fetch, GivesTheFullestPartial) {
    Bytes shorter = wal.partial();
    cut_to(shorter, wal.fork - 5000);
    repo.put_partial(name(6), shorter);
    repo.put_partial(name(6), wal.partial());
    EXPECT_EQ(fetch_partial(context(), name(6) + ".partial"), wal.partial());
    EXPECT_FALSE(fetch_partial(context(), name(7) + ".partial"));
}

TEST_F(Fetch, RefusesOtherNames) {
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(), "00000002.history"); }),
              ErrorCode::invalid_argument);
    EXPECT_EQ(test::error_of([&] { fetch_segment(context(), "../../etc/passwd"); }),
              ErrorCode::invalid_argument);
    EXPECT_EQ(test::error_of([&] { fetch_partial(context(), name(6)); }),
              ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace ark
