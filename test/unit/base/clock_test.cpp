#include "core/base/clock.hpp"

#include <stdlib.h>
#include <time.h>

#include <limits>

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr int64_t kSecond = 1000000;

std::optional<UnixMicros> utc(const char* text) {
    return parse_time(text, false);
}

TEST(Clock, FormatsKnownTimes) {
    EXPECT_EQ(to_iso8601(0), "1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(to_iso8601(1795140900123456), "2026-11-20T02:15:00.123456Z");
    EXPECT_EQ(to_iso8601(-1), "1969-12-31T23:59:59.999999Z");
    EXPECT_EQ(to_manifest_time(1795140900999999), "2026-11-20 02:15:00 GMT");
    EXPECT_EQ(from_postgres_time(0), utc("2000-01-01T00:00:00Z"));
}

TEST(Clock, ParsesWhatItFormats) {
    for (const UnixMicros time :
         {UnixMicros{0}, UnixMicros{-1}, UnixMicros{1}, UnixMicros{1795140900123456},
          UnixMicros{253402300799999999}, now_micros()}) {
        EXPECT_EQ(utc(to_iso8601(time).c_str()), time) << to_iso8601(time);
    }
}

TEST(Clock, ZonesMoveTheTimeTheRightWay) {
    const auto noon = utc("2026-11-20T12:00:00Z");
    ASSERT_TRUE(noon);
    for (const char* text :
         {"2026-11-20 12:00:00+00", "2026-11-20 14:00:00+02", "2026-11-20 14:00:00 +02:00",
          "2026-11-20 14:00:00+0200", "2026-11-20 06:30:00-0530", "2026-11-20 06:30:00.000-05:30",
          "2026-11-20 12:00 UTC", "2026-11-20T12:00GMT", "2026-11-21 02:00:00+14",
          "2026-11-20 00:00:00-12"}) {
        EXPECT_EQ(utc(text), noon) << text;
    }
    EXPECT_EQ(utc("2026-11-20T12:00:00.5Z"), *noon + kSecond / 2);
    EXPECT_EQ(utc("2026-11-20T12:00:00,25Z"), *noon + kSecond / 4);
    EXPECT_EQ(utc("2026-11-20T12:00:00.1234569Z"), *noon + 123456);
    EXPECT_EQ(utc("2024-02-29T00:00:00Z"), 1709164800 * kSecond);
}

// A recovery target that is silently another time loses or keeps the wrong transactions.
TEST(Clock, RefusesTimesThatDoNotExist) {
    for (const char* text : {"2026-00-10T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z",
                             "2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z",
                             "2026-04-31T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
                             "2026-01-01T00:00:61Z", "2026-13-45", "2026-02-31", "2026-00-00"}) {
        EXPECT_FALSE(parse_time(text, true)) << text;
    }
}

// WAL may hold anything; "infinity" is the largest number.
TEST(Clock, NoTimeOfPostgresIsTooLate) {
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    EXPECT_EQ(from_postgres_time(kMost), kMost);
    EXPECT_EQ(from_postgres_time(kMost - kPostgresEpochMicros), kMost);
    EXPECT_EQ(from_postgres_time(kMost - kPostgresEpochMicros - 1), kMost - 1);
    EXPECT_EQ(from_postgres_time(std::numeric_limits<int64_t>::min()),
              std::numeric_limits<int64_t>::min() + kPostgresEpochMicros);
}

TEST(Clock, AZoneLeadsToNoYearThatCannotBeWritten) {
    EXPECT_FALSE(utc("0000-01-01T00:00:00+01"));
    EXPECT_FALSE(utc("9999-12-31T23:59:59-01"));
    for (const char* text : {"0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"})
        EXPECT_EQ(to_iso8601(utc(text).value()).substr(0, 19), std::string(text).substr(0, 19));
}

TEST(Clock, RefusesWhatIsNotATime) {
    for (const char* text : {"",
                             " ",
                             "now",
                             "2026",
                             "2026-1-1T00:00:00Z",
                             "26-01-01",
                             "2026-01-01T",
                             "2026-01-01T1:00",
                             "2026-01-01T00:00:0Z",
                             "2026-01-01T00:00:00Zjunk",
                             "2026-01-01T00:00:00+",
                             "-026-01-01",
                             "2026-01-01T00:00:00-",
                             "2026-01-01T00:00:00+1",
                             "2026-01-01T00:00:00+1:00",
                             "2026-01-01T00:00:00+05:",
                             "2026-01-01T00:00:00+05:3",
                             "2026-01-01T00:00:00+99:99",
                             "2026-01-01T00:00:00+05:60",
                             "2026-01-01T00:00:00 Europe/Berlin",
                             "2026--1-01",
                             "2026-01-01T-0:00:00Z",
                             "2026-01-01T00:00:00Z ",
                             "2026-01-01T00:00:+5Z"}) {
        EXPECT_FALSE(parse_time(text, true)) << text;
    }
}

TEST(Clock, ATimeWithoutZoneNeedsPermission) {
    EXPECT_FALSE(parse_time("2026-11-20 12:00:00", false));
    setenv("TZ", "Asia/Kolkata", 1);
    tzset();
    EXPECT_EQ(parse_time("2026-11-20 12:00:00", true), utc("2026-11-20T06:30:00Z"));
    EXPECT_EQ(parse_time("2026-11-20", true), utc("2026-11-19T18:30:00Z"));
    unsetenv("TZ");
    tzset();
}

TEST(Clock, MonotonicNeverGoesBack) {
    int64_t last = monotonic_nanos();
    for (int i = 0; i < 1000; ++i) {
        const int64_t next = monotonic_nanos();
        ASSERT_GE(next, last);
        last = next;
    }
}

}  // namespace
}  // namespace ark
