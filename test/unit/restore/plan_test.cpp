#include "core/restore/plan.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace ark {
namespace {

constexpr uint64_t kEpoch = 1ULL << 32;

BackupMarker backup(const std::string& id, TimelineId timeline, Lsn start, Lsn stop,
                    UnixMicros stopped_at, const std::string& snapshot = "100:100:") {
    BackupMarker b;
    b.backup_id = id;
    b.timeline = timeline;
    b.start_lsn = start;
    b.stop_lsn = stop;
    b.stopped_at = stopped_at;
    b.stop_snapshot = snapshot;
    return b;
}

RecoveryTarget at_time(UnixMicros time, bool exclusive = false) {
    RecoveryTarget target;
    target.kind = TargetKind::time;
    target.time = time;
    target.exclusive = exclusive;
    return target;
}
RecoveryTarget at_lsn(Lsn lsn) {
    RecoveryTarget target;
    target.kind = TargetKind::lsn;
    target.lsn = lsn;
    return target;
}
RecoveryTarget at_xid(uint64_t xid) {
    RecoveryTarget target;
    target.kind = TargetKind::xid;
    target.xid = xid;
    return target;
}

// ---- snapshots

TEST(SnapshotText, Parsed) {
    const auto s = parse_snapshot("10:20:11,15");
    ASSERT_TRUE(s);
    EXPECT_EQ(s->xmin, 10U);
    EXPECT_EQ(s->xmax, 20U);
    EXPECT_EQ(s->running, (std::vector<uint64_t>{11, 15}));
    EXPECT_TRUE(parse_snapshot("10:10:"));
}

TEST(SnapshotText, Refused) {
    for (const char* text : {"", "10", "10:20", "a:20:", "10:20:11,", "10:20:11;12", "10:20:11 "}) {
        EXPECT_FALSE(parse_snapshot(text)) << text;
    }
}

TEST(EndsAfter, RunningAndLaterTransactions) {
    const auto s = *parse_snapshot("10:20:11,15");
    EXPECT_FALSE(ends_after(s, 9));
    EXPECT_FALSE(ends_after(s, 10));
    EXPECT_TRUE(ends_after(s, 11));
    EXPECT_FALSE(ends_after(s, 12));
    EXPECT_TRUE(ends_after(s, 15));
    EXPECT_FALSE(ends_after(s, 19));
    EXPECT_TRUE(ends_after(s, 20));
    EXPECT_TRUE(ends_after(s, 4000));
}

// The user's number may have 32 bits while the snapshot's have 64.
TEST(EndsAfter, EpochsAreTakenFromTheSnapshot) {
    const auto s =
        *parse_snapshot(std::to_string(3 * kEpoch + 10) + ":" + std::to_string(3 * kEpoch + 20) +
                        ":" + std::to_string(3 * kEpoch + 12));
    EXPECT_FALSE(ends_after(s, 11));
    EXPECT_TRUE(ends_after(s, 12));
    EXPECT_TRUE(ends_after(s, 20));
    EXPECT_FALSE(ends_after(s, kEpoch - 5));  // just before the epoch's turn
    EXPECT_TRUE(ends_after(s, 3 * kEpoch + 25));
    EXPECT_FALSE(ends_after(s, 2 * kEpoch + 25));
}

TEST(EndsAfter, TheTurnOfAnEpochAhead) {
    const auto s =
        *parse_snapshot(std::to_string(kEpoch - 3) + ":" + std::to_string(kEpoch - 2) + ":");
    EXPECT_TRUE(ends_after(s, 5));  // epoch 1
    EXPECT_FALSE(ends_after(s, kEpoch - 10));
}

// ---- which backup

struct Reach {
    const char* what;
    RecoveryTarget target;
    bool reached;
};

TEST(WhyNot, Table) {
    const BackupMarker b = backup("b", 1, 100, 200, 5000, "10:20:11");
    RecoveryTarget immediate;
    immediate.kind = TargetKind::immediate;
    RecoveryTarget name;
    name.kind = TargetKind::name;
    name.lsn = 250;
    RecoveryTarget early_name = name;
    early_name.lsn = 150;
    const Reach table[] = {
        {"latest", {}, true},
        {"immediate", immediate, true},
        {"later time", at_time(5001), true},
        {"same time", at_time(5000), true},
        {"same time, exclusive", at_time(5000, true), false},
        {"earlier time", at_time(4999), false},
        {"stop LSN", at_lsn(200), true},
        {"LSN in the backup", at_lsn(199), false},
        {"running xid", at_xid(11), true},
        {"ended xid", at_xid(12), false},
        {"later xid", at_xid(21), true},
        {"later name", name, true},
        {"name in the backup", early_name, false},
    };
    for (const Reach& row : table) {
        EXPECT_EQ(!why_not(b, row.target).has_value(), row.reached) << row.what;
    }
}

TEST(WhyNot, SaysWhenTheBackupEnded) {
    const auto why = why_not(backup("nightly", 1, 0x100, 0x200, 0), at_lsn(0x150));
    ASSERT_TRUE(why);
    EXPECT_NE(why->find("nightly"), std::string::npos);
    EXPECT_NE(why->find("0/200"), std::string::npos);
    EXPECT_NE(why->find("1970-01-01"), std::string::npos);
}

TEST(WhyNot, BackupWithoutASnapshotLeadsToNoXid) {
    EXPECT_TRUE(why_not(backup("b", 1, 1, 2, 3, ""), at_xid(50)));
}

TEST(BackupsOn, WholeRangeMustLieOnTheWay) {
    // Timeline 2 left 1 at 500: a backup that was under way then did not end on this way.
    const TimelineHistory way = TimelineHistory::parse(2, "1\t0/1F4\tpromoted\n");  // 0x1F4 = 500
    const std::vector<BackupMarker> all{
        backup("before", 1, 100, 200, 1), backup("up to the fork", 1, 300, 500, 2),
        backup("across", 1, 400, 600, 3), backup("abandoned", 1, 700, 800, 4),
        backup("after", 2, 600, 700, 5)};
    std::vector<std::string> ids;
    for (const auto& b : backups_on(way, all))
        ids.push_back(b.backup_id);
    EXPECT_EQ(ids, (std::vector<std::string>{"before", "up to the fork", "after"}));
}

TEST(NewestReaching, NewestFirst) {
    const std::vector<BackupMarker> usable{backup("a", 1, 100, 200, 1000),
                                           backup("b", 1, 300, 400, 2000),
                                           backup("c", 1, 500, 600, 3000)};
    EXPECT_EQ(newest_reaching(usable, {}).backup_id, "c");
    EXPECT_EQ(newest_reaching(usable, at_time(2999)).backup_id, "b");
    EXPECT_EQ(newest_reaching(usable, at_time(1999)).backup_id, "a");
    EXPECT_EQ(newest_reaching(usable, at_lsn(450)).backup_id, "b");
}

TEST(NewestReaching, NoneSaysTheEarliest) {
    const std::vector<BackupMarker> usable{backup("first", 1, 100, 0x200, 1000),
                                           backup("b", 1, 300, 400, 2000)};
    try {
        newest_reaching(usable, at_time(999));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::target_unreachable);
        EXPECT_NE(error.detail.find("first"), std::string::npos) << error.detail;
        EXPECT_NE(error.detail.find("0/200"), std::string::npos) << error.detail;
    }
}

TEST(BackupOfId, UnknownOneListsWhatThereIs) {
    const std::vector<BackupMarker> all{backup("one", 1, 1, 2, 3), backup("two", 1, 4, 5, 6)};
    EXPECT_EQ(backup_of_id(all, "two").start_lsn, 4U);
    try {
        backup_of_id(all, "three");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::not_found);
        EXPECT_NE(error.message.find("three"), std::string::npos);
        EXPECT_NE(error.detail.find("one, two"), std::string::npos) << error.detail;
    }
}

// ---- tablespaces

using Map = std::vector<std::pair<std::string, std::string>>;

TEST(TablespaceMap, Text) {
    EXPECT_EQ(parse_tablespace_map("/a/b=/c"), (std::pair<std::string, std::string>("/a/b", "/c")));
    EXPECT_EQ(parse_tablespace_map("/a/=/c//"), (std::pair<std::string, std::string>("/a", "/c")));
    EXPECT_EQ(parse_tablespace_map("/a\\=b=/c=d"),
              (std::pair<std::string, std::string>("/a=b", "/c=d")));
    for (const char* text :
         {"", "nonsense", "/a", "/a=", "=/b", "a=/b", "/a=b", "/a=/", "/a=/b/../c", "/a=/b/.."}) {
        EXPECT_THROW(parse_tablespace_map(text), Error) << text;
    }
}

TEST(MapTablespaces, StaysUnlessMapped) {
    const auto targets =
        map_tablespaces({{1, "/ts/a/"}, {2, "/ts/b"}}, {{"/ts/b", "/new"}}, "/data");
    EXPECT_EQ(targets,
              (std::vector<TablespaceTarget>{{1, "/ts/a/", "/ts/a"}, {2, "/ts/b", "/new"}}));
}

ErrorCode refusal(const std::vector<Tablespace>& tablespaces, const Map& map) {
    try {
        map_tablespaces(tablespaces, map, "/srv/data");
    } catch (const Error& error) {
        return error.code;
    }
    return ErrorCode::internal;
}

TEST(MapTablespaces, Refusals) {
    const std::vector<Tablespace> two{{1, "/ts/a"}, {2, "/ts/b"}};
    EXPECT_EQ(refusal(two, {{"/ts/c", "/x"}}), ErrorCode::invalid_argument);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/x"}, {"/ts/a", "/y"}}), ErrorCode::invalid_argument);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/ts/b"}}), ErrorCode::refused);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/ts/b/c"}}), ErrorCode::refused);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/srv/data/x"}}), ErrorCode::refused);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/srv/data"}}), ErrorCode::refused);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/srv"}}), ErrorCode::refused);
    EXPECT_EQ(refusal(two, {{"/ts/a", "/srv/data2"}}), ErrorCode::internal);  // none
}

TEST(HintToMap, CanBePasted) {
    EXPECT_NE(hint_to_map("/srv/fast").find("--tablespace-map /srv/fast=NEW"), std::string::npos);
    EXPECT_NE(hint_to_map("/srv/my a=b").find("--tablespace-map '/srv/my a\\=b'=NEW"),
              std::string::npos);
}

TEST(IsInside, WholeParts) {
    EXPECT_TRUE(is_inside("/a/b", "/a/b"));
    EXPECT_TRUE(is_inside("/a/b/c", "/a/b"));
    EXPECT_FALSE(is_inside("/a/bc", "/a/b"));
    EXPECT_FALSE(is_inside("/a", "/a/b"));
    EXPECT_TRUE(is_inside("/a", "/"));
}

}  // namespace
}  // namespace ark
