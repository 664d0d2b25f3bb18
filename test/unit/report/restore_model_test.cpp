#include "core/report/restore_model.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr UnixMicros kDay = 86400LL * 1000000;
constexpr double kMiB = 1024.0 * 1024;

RestorePoint point(int day, double bytes, double fetch, double recover, double wal) {
    return {
        "t" + std::to_string(day), day * kDay, true, bytes, fetch, recover, wal, fetch + recover};
}

TEST(RestoreModel, KnowsNothingOfNothing) {
    EXPECT_FALSE(predict_restore({}, 1e9, 0));
    EXPECT_FALSE(restore_trend({}));
}

TEST(RestoreModel, TakesBytesAtTheirAverageSpeedAndTheShortestStart) {
    const auto seconds =
        predict_restore({point(1, 1e9, 10, 3, 1e6), point(2, 3e9, 30, 2, 1e6)}, 6e9, 0);
    ASSERT_TRUE(seconds);
    EXPECT_DOUBLE_EQ(*seconds, 62);
}

TEST(RestoreModel, SaysNothingOfMuchWalThatNobodyReplayed) {
    EXPECT_FALSE(predict_restore({point(1, 1e9, 10, 3, 1e6)}, 1e9, 64 * kMiB));
    EXPECT_TRUE(predict_restore({point(1, 1e9, 10, 3, 1e6)}, 1e9, 64 * kMiB - 1));
}

TEST(RestoreModel, ReplaysAtTheSpeedOfWhomReplayedMost) {
    const std::vector<RestorePoint> points{point(1, 1e9, 10, 2, 1e6),
                                           point(2, 1e9, 10, 10, 100 * kMiB),
                                           point(3, 1e9, 10, 40, 1000 * kMiB)};
    EXPECT_DOUBLE_EQ(*predict_restore(points, 1e9, 2000 * kMiB), 10 + 80);
    EXPECT_DOUBLE_EQ(*predict_restore(points, 1e9, kMiB), 10 + 2);  // never less than a start
}

TEST(RestoreModel, LooksAtTheNewestTenThatSucceeded) {
    std::vector<RestorePoint> points{point(0, 1e9, 1000, 2, 1e6)};
    for (int day = 1; day <= 10; ++day)
        points.push_back(point(day, 1e9, 10, 2, 1e6));
    RestorePoint failed = point(20, 1e9, 5000, 2, 1e6);
    failed.success = false;
    points.push_back(failed);
    EXPECT_DOUBLE_EQ(*predict_restore(points, 1e9, 0), 12);
}

TEST(RestoreModel, SeesWhereItGoes) {
    std::vector<RestorePoint> points;
    for (int month = 0; month < 6; ++month)
        points.push_back(point(30 * month, 1e9, 10.0 + 5 * month, 2, 1e6));
    ASSERT_TRUE(restore_trend(points));
    EXPECT_NEAR(*restore_trend(points), 5, 1e-9);
    points.resize(2);
    EXPECT_FALSE(restore_trend(points)) << "two are no trend";
}

TEST(RestoreModel, TakesAnHourForNoTrend) {
    std::vector<RestorePoint> points(3, point(1, 1e9, 10, 2, 1e6));
    points[1].at += kDay / 24;
    EXPECT_FALSE(restore_trend(points));
}

}  // namespace
}  // namespace ark
