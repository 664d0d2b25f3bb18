#include "core/archive/prefetch_plan.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSize = 16 * kMiB;

using Names = std::vector<std::string>;

TEST(PrefetchPlan, DepthIsBoundedBySegmentsAndBytes) {
    EXPECT_EQ(prefetch_depth(0, kMiB), 8U);
    EXPECT_EQ(prefetch_depth(0, kSize), 8U);
    EXPECT_EQ(prefetch_depth(0, 64 * kMiB), 4U);
    EXPECT_EQ(prefetch_depth(0, 1024 * kMiB), 1U);
    EXPECT_EQ(prefetch_depth(20, kSize), 20U);
}

TEST(PrefetchPlan, ThreadsAreBoundedByMemory) {
    EXPECT_EQ(prefetch_threads(8, kSize), 4U);
    EXPECT_EQ(prefetch_threads(2, kSize), 2U);
    EXPECT_EQ(prefetch_threads(256, 64 * kMiB), 1U);
    EXPECT_EQ(prefetch_threads(1, 1024 * kMiB), 1U);
}

TEST(PrefetchPlan, TheWindowOpensWithEachSegmentThatIsTaken) {
    EXPECT_EQ(next_window(0, 8, false), 2U);
    EXPECT_EQ(next_window(0, 8, true), 2U);
    EXPECT_EQ(next_window(2, 8, true), 4U);
    EXPECT_EQ(next_window(4, 8, false), 4U);
    EXPECT_EQ(next_window(8, 8, true), 8U);
    EXPECT_EQ(next_window(0, 1, false), 1U);
}

TEST(PrefetchPlan, NamesAreThoseThatTheServerAsksFor) {
    EXPECT_EQ(segments_ahead({1, 5}, 2, nullptr, kSize),
              (Names{"000000010000000000000006", "000000010000000000000007"}));
    EXPECT_EQ(segments_ahead({1, 0xFE}, 2, nullptr, kSize),
              (Names{"0000000100000000000000FF", "000000010000000100000000"}));
    EXPECT_TRUE(segments_ahead({1, 5}, 0, nullptr, kSize).empty());
}

TEST(PrefetchPlan, TheWayLeadsToTheNewTimelineInTheForksSegment) {
    const TimelineHistory way = TimelineHistory::parse(2, "1\t0/7000100\tx\n");
    EXPECT_EQ(segments_ahead({1, 5}, 3, &way, kSize),
              (Names{"000000010000000000000006", "000000020000000000000007",
                     "000000020000000000000008"}));
    // At a segment's border nothing is cut.
    const TimelineHistory border = TimelineHistory::parse(2, "1\t0/7000000\tx\n");
    EXPECT_EQ(segments_ahead({1, 5}, 2, &border, kSize),
              (Names{"000000010000000000000006", "000000020000000000000007"}));
    // Of a timeline that the way does not know everything is given out as it is.
    EXPECT_EQ(segments_ahead({9, 5}, 1, &way, kSize), Names{"000000090000000000000006"});
}

// Switch points may go down: timeline 2 was left before it was entered.
TEST(PrefetchPlan, NothingIsFetchedThatWouldHaveToBeCut) {
    const TimelineHistory way = TimelineHistory::parse(3, "1\t0/9000000\tx\n2\t0/7000100\ty\n");
    for (const std::string& name : segments_ahead({1, 5}, 4, &way, kSize)) {
        const auto parsed = parse_wal_file_name(name);
        const Lsn end = way.end_of(parsed->timeline);
        EXPECT_TRUE(end == kMaxLsn || end >= (parsed->segment_number(kSize) + 1) * kSize) << name;
    }
}

TEST(PrefetchPlan, RoomIsLeftForReplay) {
    const uint64_t total = 1000 * kMiB;
    EXPECT_TRUE(has_room_for_segment(80 * kMiB, total, 0, kSize));
    EXPECT_FALSE(has_room_for_segment(80 * kMiB - 1, total, 0, kSize));
    EXPECT_FALSE(has_room_for_segment(80 * kMiB, total, 1, kSize));
    EXPECT_FALSE(has_room_for_segment(0, 0, 0, kSize));
    const uint64_t large = 100ULL << 40;
    EXPECT_TRUE(has_room_for_segment((5ULL << 30) + kSize, large, 0, kSize));
    EXPECT_FALSE(has_room_for_segment(5ULL << 30, large, 0, kSize));
}

TEST(PrefetchPlan, PatienceGrowsWithWhatWouldBeLost) {
    EXPECT_EQ(idle_seconds(true, kSize), 10);
    EXPECT_EQ(idle_seconds(false, kSize), 60);
    EXPECT_EQ(idle_seconds(false, 1024 * kMiB), 960);
}

}  // namespace
}  // namespace ark
