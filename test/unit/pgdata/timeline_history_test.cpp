#include "core/pgdata/timeline_history.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace ark {
namespace {

// What a server wrote that was promoted on the way to timeline 2, before the fork of 2 (a recovery
// target with recovery_target_timeline = 2).
constexpr const char* kDescending =
    "1\t0/4000090\tno recovery target specified\n\n2\t0/3018088\tafter LSN 0/3018048\n";

TEST(TimelineHistory, ReadsWhatTheServerWrites) {
    const auto history = TimelineHistory::parse(
        3,
        "1\t0/4000090\tno recovery target specified\n\n2\t1/A0\tbefore 2026-11-20 14:59:00+00\n");
    ASSERT_EQ(history.forks().size(), 2U);
    EXPECT_EQ(history.forks()[0], (TimelineFork{1, 0x4000090, "no recovery target specified"}));
    EXPECT_EQ(history.forks()[1], (TimelineFork{2, 0x1000000A0, "before 2026-11-20 14:59:00+00"}));
    EXPECT_EQ(history.timelines(), (std::vector<TimelineId>{1, 2, 3}));
}

TEST(TimelineHistory, SkipsCommentsAndBlankLines) {
    const auto history =
        TimelineHistory::parse(2, "# a comment\n\n   \n\t# another\n  1 \t 0/4000090\n");
    ASSERT_EQ(history.forks().size(), 1U);
    EXPECT_EQ(history.forks()[0], (TimelineFork{1, 0x4000090, ""}));
    EXPECT_TRUE(TimelineHistory::parse(2, "").forks().empty());
    EXPECT_EQ(TimelineHistory::parse(2, "1\t0/28\tno newline").forks()[0].reason, "no newline");
}

TEST(TimelineHistory, RefusesWhatIsMalformed) {
    for (const char* content : {
             "x\t0/28\tr\n",           // not a timeline
             "1\n",                    // no switch point
             "1\t28\tr\n",             // not a position
             "1\t0/28x\tr\n",          // rubbish behind it
             "0\t0/28\tr\n",           // there is no timeline 0
             "1\t0/28\n1\t0/30\n",     // twice
             "2\t0/28\n1\t0/30\n",     // going down
             "5\t0/28\tr\n",           // a parent that is its own child
             "6\t0/28\tr\n",           // a parent that is younger
             "4294967296\t0/28\tr\n",  // too large
             "-1\t0/28\tr\n",
             "1\t0/28\tr\n<html>\n",  // an error page in place of the end
         }) {
        try {
            TimelineHistory::parse(5, content);
            ADD_FAILURE() << content;
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt) << content;
            EXPECT_EQ(error.message, "timeline history file \"00000005.history\" is damaged");
        }
    }
}

TEST(TimelineHistory, FormatsWhatItReads) {
    const auto history = TimelineHistory::parse(3, kDescending);
    EXPECT_EQ(history.format(),
              "1\t0/4000090\tno recovery target specified\n2\t0/3018088\tafter LSN 0/3018048\n");
    EXPECT_EQ(TimelineHistory::parse(3, history.format()), history);
}

TEST(TimelineHistory, KnowsWhereTimelinesBeginAndEnd) {
    const auto history = TimelineHistory::parse(7, "1 0/1000 a\n4 0/2000 b\n");
    EXPECT_EQ(history.begin_of(1), 0U);
    EXPECT_EQ(history.end_of(1), 0x1000U);
    EXPECT_EQ(history.begin_of(4), 0x1000U);
    EXPECT_EQ(history.end_of(4), 0x2000U);
    EXPECT_EQ(history.begin_of(7), 0x2000U);
    EXPECT_EQ(history.end_of(7), kMaxLsn);
    EXPECT_FALSE(history.contains(2));
    EXPECT_THROW(history.begin_of(2), Error);
    EXPECT_THROW(history.end_of(8), Error);
}

TEST(TimelineHistory, TellsTheTimelineOfAPosition) {
    const auto history = TimelineHistory::parse(7, "1 0/1000 a\n4 0/2000 b\n");
    EXPECT_EQ(history.timeline_at(0), 1U);
    EXPECT_EQ(history.timeline_at(0xFFF), 1U);
    EXPECT_EQ(history.timeline_at(0x1000), 4U);
    EXPECT_EQ(history.timeline_at(0x1FFF), 4U);
    EXPECT_EQ(history.timeline_at(0x2000), 7U);
    EXPECT_EQ(TimelineHistory(9).timeline_at(5), 9U);
}

TEST(TimelineHistory, EndsEarlierWhereALaterForkLiesBeforeAnEarlierOne) {
    const auto history = TimelineHistory::parse(3, kDescending);
    EXPECT_EQ(history.end_of(1), 0x3018088U);
    EXPECT_EQ(history.end_of(2), 0x3018088U);  // before its own beginning: never entered
    EXPECT_EQ(history.begin_of(3), 0x3018088U);
    EXPECT_EQ(history.timeline_at(0x3018087), 1U);
    EXPECT_EQ(history.timeline_at(0x3018088), 3U);
    EXPECT_EQ(history.timeline_at(0x4000090), 3U);
    EXPECT_FALSE(history.contains_range(1, 0x3018000, 0x3019000));
}

// A backup that touches the boundary after a promotion: the whole range counts, not its start
// alone.
TEST(TimelineHistory, ARangeThatTheWayLeavesInTheMiddleIsNotOnIt) {
    const auto history = TimelineHistory::parse(2, "1 0/2000 r\n");
    EXPECT_TRUE(history.contains_range(1, 0x1000, 0x1FFF));
    EXPECT_TRUE(history.contains_range(1, 0x1000, 0x2000));
    EXPECT_FALSE(history.contains_range(1, 0x1000, 0x2001));
    EXPECT_FALSE(history.contains_range(1, 0x2000, 0x3000));
    EXPECT_TRUE(history.contains_range(2, 0x2000, 0x3000));
    EXPECT_FALSE(history.contains_range(2, 0x1FFF, 0x3000));
    EXPECT_FALSE(history.contains_range(3, 0x2000, 0x3000));
    EXPECT_FALSE(history.contains_range(2, 0x3000, 0x2FFF));
    EXPECT_TRUE(TimelineHistory(1).contains_range(1, 0, kMaxLsn));
}

}  // namespace
}  // namespace ark
