#include "core/restore/target.hpp"

#include <stdlib.h>
#include <time.h>

#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace ark {
namespace {

constexpr UnixMicros kSecond = 1000000;
constexpr UnixMicros kNow = 1795600000 * kSecond;  // 2026-11-25

ErrorCode code_of(const TargetWords& words) {
    try {
        parse_target(words, kNow);
    } catch (const Error& error) {
        return error.code;
    }
    ADD_FAILURE() << "it was taken";
    return ErrorCode::internal;
}

class LocalZone {
 public:
    explicit LocalZone(const char* zone) {
        ::setenv("TZ", zone, 1);
        ::tzset();
    }
    ~LocalZone() {
        ::unsetenv("TZ");
        ::tzset();
    }
    LocalZone(const LocalZone&) = delete;
    LocalZone& operator=(const LocalZone&) = delete;
};

TEST(Target, NothingSaidIsTheEnd) {
    EXPECT_EQ(parse_target({}, kNow), RecoveryTarget{});
    EXPECT_EQ(parse_target({.target = "latest"}, kNow).kind, TargetKind::latest);
    EXPECT_EQ(parse_target({.target = "immediate"}, kNow).kind, TargetKind::immediate);
}

TEST(Target, TimeWithZone) {
    const auto target = parse_target({.time = "2026-11-20 14:03:05.25+02"}, kNow);
    EXPECT_EQ(target.kind, TargetKind::time);
    EXPECT_EQ(to_postgres_time(target.time), "2026-11-20 12:03:05.250000+00");
}

TEST(Target, TimeWithoutZoneIsTheCallers) {
    const LocalZone zone("EST5");
    const auto target = parse_target({.time = "2026-11-20 14:03:05"}, kNow);
    EXPECT_EQ(to_postgres_time(target.time), "2026-11-20 19:03:05+00");
}

TEST(Target, TimesItCannotRead) {
    for (const char* text : {"", "yesterday", "2026-13-01", "2026-11-20 25:00", "14:03", "now",
                             "2026-11-20 14:03 Europe/Berlin"}) {
        EXPECT_EQ(code_of({.time = text}), ErrorCode::invalid_argument) << text;
    }
}

TEST(Target, TimeInTheFuture) {
    EXPECT_EQ(code_of({.time = "2099-01-01 00:00+00"}), ErrorCode::target_unreachable);
    EXPECT_NO_THROW(parse_target({.time = to_postgres_time(kNow)}, kNow));
}

TEST(Target, Xid) {
    const auto target = parse_target({.xid = "731", .exclusive = true}, kNow);
    EXPECT_EQ(target.kind, TargetKind::xid);
    EXPECT_EQ(target.xid, 731U);
    EXPECT_TRUE(target.exclusive);
    EXPECT_EQ(parse_target({.xid = "4294968027"}, kNow).xid, 4294968027U);
    for (const char* text : {"", "0", "2", "twelve", "12x", "-5", "99999999999999999999999"}) {
        EXPECT_EQ(code_of({.xid = text}), ErrorCode::invalid_argument) << text;
    }
}

TEST(Target, Lsn) {
    EXPECT_EQ(parse_target({.lsn = "1/A0000028"}, kNow).lsn, 0x1A0000028U);
    for (const char* text : {"", "12", "0-3", "0/", "/3", "0/3x", "0/123456789"}) {
        EXPECT_EQ(code_of({.lsn = text}), ErrorCode::invalid_argument) << text;
    }
}

TEST(Target, Name) {
    EXPECT_EQ(parse_target({.name = "it's"}, kNow).name, "it's");
    EXPECT_EQ(code_of({.name = ""}), ErrorCode::invalid_argument);
    EXPECT_NO_THROW(parse_target({.name = std::string(63, 'x')}, kNow));
    EXPECT_EQ(code_of({.name = std::string(64, 'x')}), ErrorCode::invalid_argument);
}

TEST(Target, OnlyOne) {
    EXPECT_EQ(code_of({.lsn = "0/3000000", .name = "x"}), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of({.time = "2026-11-20 14:03+00", .target = "latest"}),
              ErrorCode::invalid_argument);
    EXPECT_EQ(code_of({.target = "sideways"}), ErrorCode::invalid_argument);
}

TEST(Target, ExclusiveNeedsSomethingToExclude) {
    EXPECT_EQ(code_of({.exclusive = true}), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of({.name = "x", .exclusive = true}), ErrorCode::invalid_argument);
    EXPECT_EQ(code_of({.target = "immediate", .exclusive = true}), ErrorCode::invalid_argument);
    EXPECT_TRUE(parse_target({.lsn = "0/3000000", .exclusive = true}, kNow).exclusive);
}

TEST(Target, PostgresTime) {
    EXPECT_EQ(to_postgres_time(0), "1970-01-01 00:00:00+00");
    EXPECT_EQ(to_postgres_time(1), "1970-01-01 00:00:00.000001+00");
}

TEST(Timeline, Words) {
    using Kind = TimelineWish::Kind;
    EXPECT_EQ(parse_timeline("latest"), (TimelineWish{Kind::latest, 0}));
    EXPECT_EQ(parse_timeline("current"), (TimelineWish{Kind::current, 0}));
    EXPECT_EQ(parse_timeline("12"), (TimelineWish{Kind::number, 12}));
    EXPECT_EQ(parse_timeline("0x1F"), (TimelineWish{Kind::number, 31}));
    for (const char* text : {"", "0", "-1", "newest", "1.5", "0x", "4294967296"}) {
        EXPECT_THROW(parse_timeline(text), Error) << text;
    }
}

}  // namespace
}  // namespace ark
