#include "core/restore/resolve.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/store/object_store.hpp"

namespace ark {
namespace {

constexpr uint64_t kSegment = 16 << 20;
constexpr UnixMicros kSecond = 1000000;

constexpr Lsn at(uint64_t segment, uint64_t offset = 0) {
    return segment * kSegment + offset;
}

// An archive that is described, not read: which segments there are, what happens where.
class DescribedWal final : public ArchivedWal {
 public:
    TimelineHistory history_of(TimelineId timeline) override {
        if (timeline == 1)
            return TimelineHistory(1);
        const auto found = histories.find(timeline);
        if (found == histories.end())
            throw Error(ErrorCode::not_found, "no history");
        return TimelineHistory::parse(timeline, found->second);
    }
    TimelineId newest_timeline(TimelineId start) override {
        while (histories.contains(start + 1))
            ++start;
        return start;
    }
    std::unique_ptr<WalOnWay> along(const TimelineHistory& /*way*/, uint64_t /*segment_size*/,
                                    uint64_t last_segment) override {
        return std::make_unique<Way>(*this, last_segment);
    }

    std::map<TimelineId, std::string> histories;
    std::set<uint64_t> segments;
    Lsn end = 0;
    Lsn last_record = 0;  ///< where it begins
    std::map<uint32_t, WalMoment> transactions;
    std::multimap<std::string, WalMoment> points;
    std::optional<uint64_t> unfinished;  ///< only the beginning of this segment is there
    std::optional<Error> damage;
    std::optional<uint64_t> damaged;  ///< cannot be passed

 private:
    class Way final : public WalOnWay {
     public:
        Way(DescribedWal& wal, uint64_t last) : wal_(wal), last_(last) {}
        std::optional<uint64_t> last_contiguous(uint64_t first) override {
            if (!wal_.segments.contains(first))
                return std::nullopt;
            while (first < last_ && wal_.segments.contains(first + 1)) {
                ++first;
                if (first == wal_.damaged)
                    throw Error(ErrorCode::corrupt, "damaged pieces");
            }
            return first;
        }
        std::optional<uint64_t> last_readable(uint64_t first,
                                              std::optional<Error>& damage) override {
            try {
                return last_contiguous(first);
            } catch (const Error& error) {
                damage = error;
                return *wal_.damaged == first ? std::nullopt : std::optional(*wal_.damaged - 1);
            }
        }
        bool ends_inside(uint64_t number) const override { return wal_.unfinished == number; }
        std::optional<Error> damage() const override { return wal_.damage; }
        Lsn end(Lsn from) override {
            const uint64_t last = *last_contiguous(from / kSegment);
            return std::min(wal_.end, (last + 1) * kSegment);
        }
        bool has_record_from(Lsn lsn) override {
            return lsn <= wal_.last_record && wal_.segments.contains(lsn / kSegment);
        }
        std::optional<WalMoment> last_transaction(Lsn from) override {
            std::optional<WalMoment> found;
            for (const auto& [xid, moment] : wal_.transactions) {
                if (moment.lsn >= from && moment.lsn < end(from) &&
                    (!found || moment.lsn > found->lsn)) {
                    found = moment;
                }
            }
            return found;
        }
        std::optional<WalMoment> first_transaction_after(UnixMicros /*time*/, bool /*or_at*/,
                                                         Lsn /*from*/) override {
            return std::nullopt;
        }
        std::optional<WalMoment> end_of_transaction(uint32_t xid, Lsn from) override {
            const auto found = wal_.transactions.find(xid);
            if (found == wal_.transactions.end() || found->second.lsn < from ||
                found->second.lsn >= end(from))
                return std::nullopt;
            return found->second;
        }
        std::optional<WalMoment> restore_point(const std::string& name, Lsn from) override {
            const auto [begin, end] = wal_.points.equal_range(name);
            for (auto it = begin; it != end; ++it) {
                if (it->second.lsn >= from && it->second.lsn / kSegment <= last_)
                    return it->second;
            }
            return std::nullopt;
        }
        std::vector<LaterTablespace> tablespaces_created(Lsn /*from*/, Lsn /*to*/) override {
            return {};
        }

     private:
        DescribedWal& wal_;
        uint64_t last_;
    };
};

class ResolveTest : public testing::Test {
 protected:
    ResolveTest() {
        // Backups in segments 10 and 20, WAL to the middle of 30.
        add("monday", 1, 10, 1000);
        add("tuesday", 1, 20, 2000);
        for (uint64_t n = 10; n <= 30; ++n)
            wal.segments.insert(n);
        wal.end = at(30, 5000);
        wal.last_record = at(30, 4900);
        wal.transactions[700] = {at(15), at(15, 50), 1500 * kSecond};
        wal.transactions[701] = {at(25), at(25, 50), 2500 * kSecond};
        wal.transactions[702] = {at(29), at(29, 50), 2900 * kSecond};
    }

    BackupMarker add(const std::string& id, TimelineId timeline, uint64_t segment,
                     int64_t seconds) {
        BackupMarker b;
        b.backup_id = id;
        b.cluster = "c";
        b.timeline = timeline;
        b.start_lsn = at(segment, 40);
        b.stop_lsn = at(segment, 4000);
        b.start_segment = segment_name({timeline, segment}, kSegment);
        b.stop_segment = b.start_segment;
        b.stopped_at = seconds * kSecond;
        b.stop_snapshot = segment < 20 ? "700:700:" : "701:701:";
        b.wal_segment_size = kSegment;
        b.relation_segment_blocks = 131072;
        b.block_size = 8192;
        repository->store().put_if_absent("c/" + place::marker(id), as_bytes(to_json(b)));
        return b;
    }
    Resolved resolve() { return resolve_wish(*repository, wal, "c", wish); }
    void expect_unreachable(const std::string& pattern,
                            ErrorCode code = ErrorCode::target_unreachable) {
        try {
            const Resolved found = resolve();
            ADD_FAILURE() << "resolved to " << found.backup.backup_id;
        } catch (const Error& error) {
            const std::string text = error.message + " | " + error.detail + " | " + error.hint;
            EXPECT_EQ(error.code, code) << text;
            EXPECT_NE(text.find(pattern), std::string::npos) << text;
        }
    }
    void target_time(int64_t seconds, bool exclusive = false) {
        wish.target = {};
        wish.target.kind = TargetKind::time;
        wish.target.time = seconds * kSecond;
        wish.target.exclusive = exclusive;
    }
    void target_lsn(Lsn lsn) {
        wish.target = {};
        wish.target.kind = TargetKind::lsn;
        wish.target.lsn = lsn;
    }
    void target_xid(uint64_t xid) {
        wish.target = {};
        wish.target.kind = TargetKind::xid;
        wish.target.xid = xid;
    }
    void target_name(const std::string& name) {
        wish.target = {};
        wish.target.kind = TargetKind::name;
        wish.target.name = name;
    }

    void store(const std::string& place) {
        repository->store().put_if_absent("c/" + place, as_bytes("x"));
    }

    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    DescribedWal wal;
    RestoreWish wish;
};

TEST_F(ResolveTest, LatestTakesTheNewestBackup) {
    const Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_EQ(found.way.timeline(), 1U);
    EXPECT_EQ(found.wal_end, at(30, 5000));
    EXPECT_EQ(found.first_segment, "000000010000000000000014");
    EXPECT_EQ(found.last_segment, "00000001000000000000001E");
    EXPECT_EQ(found.wal_segments, 11U);
    ASSERT_TRUE(found.stops_at_transaction);
    EXPECT_EQ(found.stops_at_transaction->time, 2900 * kSecond);
    EXPECT_TRUE(found.warnings.empty());
}

TEST_F(ResolveTest, Times) {
    target_time(2600);
    EXPECT_EQ(resolve().backup.backup_id, "tuesday");
    target_time(1999);
    EXPECT_EQ(resolve().backup.backup_id, "monday");
    target_time(999);
    expect_unreachable("monday");
}

// Recovery stops only before a transaction that is later than the target.
TEST_F(ResolveTest, TimeAfterTheLastTransaction) {
    target_time(2899);
    EXPECT_NO_THROW(resolve());
    target_time(2900);
    expect_unreachable("--target latest");
    target_time(2900, true);
    EXPECT_NO_THROW(resolve());
    target_time(2901, true);
    expect_unreachable("1970-01-01 00:48:20+00");  // the last one's time
}

TEST_F(ResolveTest, Lsns) {
    target_lsn(at(25));
    Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_EQ(found.last_segment, "000000010000000000000019");
    target_lsn(at(12));
    EXPECT_EQ(resolve().backup.backup_id, "monday");
    target_lsn(at(10, 100));
    expect_unreachable("monday");
    target_lsn(at(30, 5000));
    expect_unreachable("does not reach");
    target_lsn(at(31));
    expect_unreachable("does not reach");
}

// PostgreSQL stops at the first record that begins at the target or later.
// Recovery stops before it: no damage behind the target is in its way.
TEST_F(ResolveTest, LsnBeforeDamage) {
    wal.damaged = 26;
    target_lsn(at(25, 100));
    EXPECT_EQ(resolve().last_segment, "000000010000000000000019");
    target_lsn(at(26, 100));
    EXPECT_THROW(resolve(), Error);
    wish.target = {};
    EXPECT_THROW(resolve(), Error);
}

// That a target lies before the damage has to be seen in what can be read.
TEST_F(ResolveTest, OtherTargetsBeforeDamage) {
    wal.damaged = 26;
    wal.points.emplace("early", WalMoment{at(24), at(24, 100), 2450 * kSecond});
    const auto reaches = [&] {
        const Resolved found = resolve();
        EXPECT_FALSE(found.can_look_ahead);
        EXPECT_EQ(found.wal_end, at(26));
        ASSERT_EQ(found.warnings.size(), 1U);
        EXPECT_NE(found.warnings[0].find("damaged pieces: recovery cannot pass it"),
                  std::string::npos)
            << found.warnings[0];
    };
    target_time(2499);
    reaches();
    target_xid(701);
    reaches();
    target_name("early");
    reaches();
    target_time(2500);  // the transaction at 2500 is the last that can be read
    expect_unreachable("damaged pieces", ErrorCode::corrupt);
    target_xid(702);
    expect_unreachable("damaged pieces", ErrorCode::corrupt);
    // A backup's own WAL.
    wal.damaged = 21;
    BackupMarker b = add("long", 1, 20, 2100);
    repository->store().remove("c/" + place::marker("long"));
    b.stop_lsn = at(22);
    repository->store().put_if_absent("c/" + place::marker("long"), as_bytes(to_json(b)));
    wish.backup_id = "long";
    target_time(2499);
    expect_unreachable("damaged pieces", ErrorCode::corrupt);
}

TEST_F(ResolveTest, LsnInsideTheLastRecord) {
    target_lsn(at(30, 4900));
    EXPECT_EQ(resolve().backup.backup_id, "tuesday");
    target_lsn(at(30, 4901));
    expect_unreachable("does not reach LSN");
}

TEST_F(ResolveTest, Xids) {
    target_xid(701);
    Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_EQ(found.last_segment, "000000010000000000000019");
    target_xid(700);
    EXPECT_EQ(resolve().backup.backup_id, "monday");
    target_xid(699);
    expect_unreachable("no backup leads");
    target_xid(5000);
    expect_unreachable("not in the archived WAL");
}

TEST_F(ResolveTest, RestorePoints) {
    wal.points.insert({"early", {at(12), at(12, 9), 1200 * kSecond}});
    wal.points.insert({"twice", {at(13), at(13, 9), 1300 * kSecond}});
    wal.points.insert({"twice", {at(24), at(24, 9), 2400 * kSecond}});
    wal.points.insert({"lost", {at(5), at(5, 9), 500 * kSecond}});
    target_name("early");
    Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "monday");
    EXPECT_EQ(found.target.lsn, at(12));
    target_name("twice");
    found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_EQ(found.restore_point->time, 2400 * kSecond);
    wish.backup_id = "monday";
    EXPECT_EQ(resolve().restore_point->time, 1300 * kSecond);
    wish.backup_id.clear();
    target_name("lost");
    expect_unreachable("not found");
    target_name("never made");
    expect_unreachable("never made");
}

TEST_F(ResolveTest, NamedBackup) {
    wish.backup_id = "monday";
    EXPECT_EQ(resolve().backup.backup_id, "monday");
    target_time(1500);
    wish.backup_id = "tuesday";
    expect_unreachable("tuesday");
    wish.backup_id = "sunday";
    expect_unreachable("monday, tuesday", ErrorCode::not_found);
}

// ---- timelines: 2 left 1 in segment 22, 3 left 2 in segment 40

class ResolveTimelines : public ResolveTest {
 protected:
    ResolveTimelines() {
        wal.histories[2] = "1\t0/16000100\tpromoted\n";
        add("abandoned", 1, 25, 2600);
    }
};

TEST_F(ResolveTimelines, LatestFollowsTheNewest) {
    const Resolved found = resolve();
    EXPECT_EQ(found.way.timeline(), 2U);
    EXPECT_EQ(found.backup.backup_id, "tuesday");  // "abandoned" is newer, and not on the way
    EXPECT_EQ(found.first_segment, "000000010000000000000014");
    EXPECT_EQ(found.last_segment, "00000002000000000000001E");
}

TEST_F(ResolveTest, NewestTimelineWithoutTheNewestBackupIsTold) {
    const auto told = [&] {
        const auto warnings = resolve().warnings;
        return std::any_of(warnings.begin(), warnings.end(), [](const std::string& text) {
            return text.find("tuesday") != std::string::npos &&
                   text.find("--target-timeline 1") != std::string::npos;
        });
    };
    wal.histories[2] = "1\t" + to_text(at(15)) + "\tbefore tuesday\n";
    EXPECT_EQ(resolve().backup.backup_id, "monday");
    EXPECT_TRUE(told());
    wish.timeline = {TimelineWish::Kind::number, 2};
    EXPECT_FALSE(told());
}

TEST_F(ResolveTimelines, OlderTimelineWhenAskedFor) {
    wish.timeline = {TimelineWish::Kind::number, 1};
    EXPECT_EQ(resolve().backup.backup_id, "abandoned");
    EXPECT_EQ(resolve().way.timeline(), 1U);
}

TEST_F(ResolveTimelines, NamedBackupOffTheWay) {
    wish.backup_id = "abandoned";
    expect_unreachable("--target-timeline current");
    wish.timeline.kind = TimelineWish::Kind::current;
    EXPECT_EQ(resolve().backup.backup_id, "abandoned");
    EXPECT_EQ(resolve().way.timeline(), 1U);
}

TEST_F(ResolveTimelines, ImmediateStaysOnTheBackupsTimeline) {
    wish.backup_id = "abandoned";
    wish.target.kind = TargetKind::immediate;
    const Resolved found = resolve();
    EXPECT_EQ(found.way.timeline(), 1U);
    EXPECT_EQ(found.wal_segments, 1U);
}

TEST_F(ResolveTimelines, UnknownTimeline) {
    wish.timeline = {TimelineWish::Kind::number, 7};
    expect_unreachable("00000007.history", ErrorCode::not_found);
}

TEST_F(ResolveTimelines, NoBackupOnTheWay) {
    wal.histories[2] = "1\t0/5000000\tlong before\n";
    expect_unreachable("no backup lies on the way to timeline 2");
}

// ---- holes and damage

TEST_F(ResolveTest, WalOfTheBackupItselfIsMissing) {
    wal.segments.erase(20);
    expect_unreachable("000000010000000000000014");
    wal.segments.insert(20);
    wal.end = at(20, 3000);
    expect_unreachable("cannot be read");
}

TEST_F(ResolveTest, HoleBeforeTheTarget) {
    wal.segments.erase(24);
    // What the listing shows.
    for (const uint64_t n : {23, 25}) {
        repository->store().put_if_absent("c/" + place::segment(segment_name({1, n}, kSegment)),
                                          as_bytes("x"));
    }
    target_lsn(at(27));
    expect_unreachable("000000010000000000000018 is missing");
    target_time(2600);
    expect_unreachable("000000010000000000000018 is missing");
    // The latest: only what comes before the hole could be had, and that has to be asked for.
    wish.target = {};
    expect_unreachable("\"000000010000000000000018\" is missing");
    repository->store().put_if_absent("c/" + place::segment(segment_name({1, 24}, kSegment)),
                                      as_bytes("x"));
    EXPECT_EQ(resolve().wal_end, at(24));  // it has come since
}

TEST_F(ResolveTest, AnUnfinishedSegmentIsTheEnd) {
    wal.unfinished = 30;
    store(place::tail(segment_name({1, 30}, kSegment), 0));
    store(place::tail(segment_name({1, 12}, kSegment), 0));  // left behind, long whole
    const Resolved found = resolve();
    EXPECT_EQ(found.wal_end, at(30, 5000));
    EXPECT_EQ(found.last_segment, "00000001000000000000001E");
    EXPECT_TRUE(found.warnings.empty());
}

TEST_F(ResolveTest, AnUnfinishedSegmentBeforeALaterOneIsAHole) {
    wal.unfinished = 30;
    store(place::segment(segment_name({1, 31}, kSegment)));
    expect_unreachable(
        "\"00000001000000000000001E\" is missing, although "
        "\"00000001000000000000001F\"");
    target_lsn(at(31));
    expect_unreachable("00000001000000000000001E is missing");
}

TEST_F(ResolveTest, PiecesBehindAHole) {
    store(place::tail(segment_name({1, 33}, kSegment), 0));
    store(place::tail(segment_name({1, 32}, kSegment), 0));
    expect_unreachable(
        "\"00000001000000000000001F\" is missing, although "
        "\"000000010000000000000020\"");
}

TEST_F(ResolveTest, ATornEndIsTold) {
    wal.unfinished = 30;
    wal.damage = Error(ErrorCode::corrupt, "the last piece cannot be read", "It is torn.");
    const Resolved found = resolve();
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_NE(found.warnings[0].find("the last piece cannot be read"), std::string::npos);
    EXPECT_NE(found.warnings[0].find(to_text(at(30, 5000))), std::string::npos);
}

TEST_F(ResolveTest, LostHistoryOfPieces) {
    store(place::tail(segment_name({3, 30}, kSegment), 0));
    expect_unreachable("00000002.history");
}

TEST_F(ResolveTest, LostHistory) {
    repository->store().put_if_absent("c/" + place::segment(segment_name({3, 30}, kSegment)),
                                      as_bytes("x"));
    expect_unreachable("00000002.history");
    wish.timeline.kind = TimelineWish::Kind::current;
    EXPECT_EQ(resolve().way.timeline(), 1U);
}

TEST_F(ResolveTest, HoleBehindTheTargetDoesNotMatter) {
    wal.segments.erase(28);
    target_lsn(at(25));
    EXPECT_NO_THROW(resolve());
    target_time(2400);
    EXPECT_TRUE(resolve().can_look_ahead);
    // wal-get stops a server that asks for what is missing, though it has no need of it.
    store(place::segment(segment_name({1, 29}, kSegment)));
    EXPECT_FALSE(resolve().can_look_ahead);
    wish.target = {};
    wish.target.kind = TargetKind::immediate;
    EXPECT_FALSE(resolve().can_look_ahead);
    wal.segments.insert(28);
    EXPECT_TRUE(resolve().can_look_ahead);
}

// On the way there as at its end.
TEST_F(ResolveTimelines, HoleBeforeAFork) {
    wal.segments = {10, 11, 12, 14};
    wish.backup_id = "monday";
    EXPECT_NO_THROW(resolve());
    // What lies behind the fork is not on the way.
    store(place::segment(segment_name({1, 23}, kSegment)));
    EXPECT_NO_THROW(resolve());
    store(place::segment(segment_name({1, 14}, kSegment)));
    expect_unreachable("\"00000001000000000000000D\" is missing, although");
}

class ResolveChains : public ResolveTest {
 protected:
    void add_incremental(const std::string& id, const std::string& parent, uint64_t segment,
                         int64_t seconds) {
        BackupMarker b = add(id, 1, segment, seconds);
        b.type = "incremental";
        b.parent = parent;
        repository->store().remove("c/" + place::marker(id));
        repository->store().put_if_absent("c/" + place::marker(id), as_bytes(to_json(b)));
    }
    static bool warned(const Resolved& found, const std::string& part) {
        return std::ranges::any_of(found.warnings, [&](const std::string& text) {
            return text.find(part) != std::string::npos;
        });
    }
};

TEST_F(ResolveChains, OfTheBackupThatIsChosen) {
    add_incremental("wednesday", "tuesday", 25, 2600);
    const Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "wednesday");
    ASSERT_EQ(found.chain.backups.size(), 2U);
    EXPECT_EQ(found.chain.backups[1].backup_id, "tuesday");
    EXPECT_TRUE(found.warnings.empty());
    wish.backup_id = "monday";
    EXPECT_EQ(resolve().chain.backups.size(), 1U);
}

TEST_F(ResolveChains, ABrokenOneIsPassedOverWithAWord) {
    add_incremental("wednesday", "gone", 25, 2600);
    add_incremental("thursday", "wednesday", 26, 2650);
    const Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_EQ(found.chain.tip().backup_id, "tuesday");
    EXPECT_TRUE(warned(found, "backup thursday cannot be restored, an older one is used"));
    EXPECT_TRUE(warned(found, "builds on backup gone, which is missing"));
}

TEST_F(ResolveChains, ABrokenOneThatIsNotWantedDoesNotMatter) {
    add_incremental("wednesday", "gone", 25, 2600);
    target_time(2500, true);
    const Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_TRUE(found.warnings.empty());
}

TEST_F(ResolveChains, ABrokenOneThatIsNamedIsRefused) {
    add_incremental("wednesday", "gone", 25, 2600);
    wish.backup_id = "wednesday";
    expect_unreachable("builds on backup gone, which is missing", ErrorCode::corrupt);
}

TEST_F(ResolveChains, ABrokenOneWithoutAnOlderOneIsRefused) {
    for (const char* id : {"monday", "tuesday"})
        repository->store().remove("c/" + place::marker(id));
    add_incremental("monday", "gone", 10, 1000);
    expect_unreachable("the chain of backup monday is broken", ErrorCode::corrupt);
}

TEST_F(ResolveChains, RestorePointsToo) {
    add_incremental("wednesday", "gone", 25, 2600);
    wal.points.emplace("here", WalMoment{at(27), at(27, 50), 2700 * kSecond});
    wish.target.kind = TargetKind::name;
    wish.target.name = "here";
    const Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    EXPECT_EQ(found.target.lsn, at(27));
    EXPECT_TRUE(warned(found, "backup wednesday cannot be restored"));
}

TEST_F(ResolveTest, NoBackups) {
    for (const char* id : {"monday", "tuesday"}) {
        repository->store().remove("c/" + place::marker(id));
    }
    expect_unreachable("no backup", ErrorCode::not_found);
}

TEST_F(ResolveTest, UnreadableMarkerDoesNotHideTheOthers) {
    repository->store().put_if_absent("c/" + place::marker("broken"), as_bytes("{"));
    const Resolved found = resolve();
    EXPECT_EQ(found.backup.backup_id, "tuesday");
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_NE(found.warnings[0].find("broken"), std::string::npos) << found.warnings[0];
}

TEST_F(ResolveTest, CorruptPagesAreTold) {
    BackupMarker b = add("wednesday", 1, 29, 3000);
    repository->store().remove("c/" + place::marker("wednesday"));
    b.corrupt_page_count = 1;
    b.corrupt_pages = {{"base/5/16384", 7, "checksum"}};
    repository->store().put_if_absent("c/" + place::marker("wednesday"), as_bytes(to_json(b)));
    const Resolved found = resolve();
    ASSERT_EQ(found.warnings.size(), 1U);
    EXPECT_NE(found.warnings[0].find("base/5/16384 block 7"), std::string::npos);
}

}  // namespace
}  // namespace ark
