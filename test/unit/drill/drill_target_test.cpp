#include "core/drill/drill_target.hpp"

#include <set>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

RecoverableRange range_of(TimelineId timeline, Lsn from, Lsn until, UnixMicros from_time,
                          UnixMicros until_time) {
    RecoverableRange range;
    range.timeline = timeline;
    range.from_lsn = from;
    range.until_lsn = until;
    range.from_time = from_time;
    range.until_time = until_time;
    return range;
}

TEST(DrillTarget, IsAWordOrATime) {
    constexpr UnixMicros kNow = 1795140800000000;
    EXPECT_EQ(parse_drill_target("consistency", kNow).kind, DrillTarget::Kind::consistency);
    EXPECT_EQ(parse_drill_target("latest", kNow).kind, DrillTarget::Kind::latest);
    EXPECT_EQ(parse_drill_target("random", kNow).kind, DrillTarget::Kind::random);
    const DrillTarget time = parse_drill_target("2025-11-20 02:15:00+00", kNow);
    EXPECT_EQ(time.kind, DrillTarget::Kind::time);
    EXPECT_EQ(time.time, *parse_time("2025-11-20 02:15:00+00", false));
    EXPECT_EQ(time.asked, "2025-11-20 02:15:00+00");
    test::expect_error(ErrorCode::invalid_argument,
                       [&] { return parse_drill_target("immediate", kNow); });
    test::expect_error(ErrorCode::target_unreachable,
                       [&] { return parse_drill_target("2999-01-01 00:00:00+00", kNow); });
}

TEST(DrillTarget, RandomPointsLieInTheRanges) {
    const std::vector<RecoverableRange> ranges{range_of(1, 1000, 2000, 10, 20),
                                               range_of(3, 5000, 14000, 100, 200)};
    std::set<TimelineId> timelines;
    std::set<TargetKind> kinds;
    for (uint64_t seed = 0; seed < 1000; ++seed) {
        const auto point = draw_point(ranges, seed);
        ASSERT_TRUE(point);
        timelines.insert(point->timeline);
        kinds.insert(point->target.kind);
        const RecoverableRange& range = ranges[point->timeline == 1 ? 0 : 1];
        if (point->target.kind == TargetKind::lsn) {
            EXPECT_GE(point->target.lsn, range.from_lsn);
            EXPECT_LT(point->target.lsn, *range.until_lsn);
        } else {
            EXPECT_GE(point->target.time, range.from_time);
            EXPECT_LT(point->target.time, *range.until_time);
        }
        EXPECT_EQ(draw_point(ranges, seed)->target, point->target);
    }
    EXPECT_EQ(timelines, (std::set<TimelineId>{1, 3}));
    EXPECT_EQ(kinds, (std::set{TargetKind::lsn, TargetKind::time}));
}

TEST(DrillTarget, ARangeOfOnePointIsThatPoint) {
    EXPECT_FALSE(draw_point({}, 1));
    const auto point = draw_point({range_of(2, 1000, 1000, 10, 10)}, 7);
    ASSERT_TRUE(point);
    EXPECT_EQ(point->target.kind, TargetKind::immediate);
    EXPECT_EQ(point->timeline, 2U);
    // Where the last transaction was not found the WAL's end counts.
    RecoverableRange open = range_of(1, 1000, 0, 10, 0);
    open.until_lsn.reset();
    open.until_time.reset();
    open.wal_end = 3000;
    for (uint64_t seed = 0; seed < 100; ++seed)
        EXPECT_EQ(draw_point({open}, seed)->target.kind, TargetKind::lsn);
}

Resolved resolved_for(TargetKind kind) {
    Resolved source;
    source.backup.stop_lsn = 1000;
    source.target.kind = kind;
    source.target.lsn = 5000;
    source.target.time = *parse_time("2026-11-20 02:15:00+00", false);
    source.wal_end = 9000;
    return source;
}

TEST(DrillTarget, KnowsWhetherItWasReached) {
    const ReachedPoint end{9000, 1, "no recovery target specified", std::nullopt};
    EXPECT_FALSE(why_not_reached(resolved_for(TargetKind::latest), end));
    EXPECT_TRUE(why_not_reached(resolved_for(TargetKind::latest),
                                {8999, 1, "no recovery target specified", std::nullopt}));
    EXPECT_TRUE(why_not_reached(resolved_for(TargetKind::immediate),
                                {999, 1, "reached consistency", std::nullopt}));
    EXPECT_TRUE(why_not_reached(resolved_for(TargetKind::immediate),
                                {1000, 2, "reached consistency", std::nullopt}));
    EXPECT_FALSE(why_not_reached(resolved_for(TargetKind::immediate),
                                 {1000, 1, "reached consistency", std::nullopt}));
    EXPECT_TRUE(why_not_reached(resolved_for(TargetKind::lsn),
                                {5000, 1, "after LSN 0/1388", std::nullopt}));
    EXPECT_FALSE(why_not_reached(resolved_for(TargetKind::lsn),
                                 {5001, 1, "after LSN 0/1388", std::nullopt}));
    const Resolved time = resolved_for(TargetKind::time);
    const std::string before = "before 2026-11-20 02:15:01.5+00";
    EXPECT_FALSE(why_not_reached(time, {6000, 1, before, "2026-11-20 02:15:00+00"}));
    EXPECT_TRUE(why_not_reached(time, {6000, 1, before, "2026-11-20 02:15:00.000001+00"}));
    EXPECT_TRUE(why_not_reached(time, {6000, 1, "before 2026-11-20 02:14:59+00", std::nullopt}));
    EXPECT_TRUE(why_not_reached(time, end));
}

TEST(DrillTarget, ReadsTheLogForTheLastTransaction) {
    EXPECT_EQ(last_transaction_in("LOG:  redo done\nLOG:  last completed transaction was at log "
                                  "time 2026-11-20 02:15:00.5+00\nLOG:  more\n"),
              "2026-11-20 02:15:00.5+00");
    EXPECT_FALSE(last_transaction_in("LOG:  redo done\n"));
}

}  // namespace
}  // namespace ark
