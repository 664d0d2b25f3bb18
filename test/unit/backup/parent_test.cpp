// Which backup an incremental one builds on, and why not on another: what is taken here wrongly is
// a wrong restore.
#include "core/backup/parent.hpp"

#include <map>

#include "test/support/archived_wal.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

using test::mentions;

constexpr uint64_t kSegment = 16 << 20;

class Parent : public testing::Test {
 protected:
    Parent() : repository(Repository::open(make_memory_store(), OpenMode::create)) {
        request.type = kTypeIncremental;
        request.cluster = "main";
        request.system_identifier = test::kFakeSystemIdentifier;
        request.pg_version_num = 150008;
    }

    // A backup that fits, of the 20th of November at so many o'clock; its WAL is [hour, hour + 1/2)
    // segments.
    BackupMarker backup(int hour, const std::string& type = "full") const {
        char id[64];
        std::snprintf(id, sizeof(id), "%s_20261120_%02d0000_00000000", type.c_str(), hour);
        BackupMarker m;
        m.backup_id = id;
        m.type = type;
        m.backup_type = type;
        m.timeline = 1;
        m.start_lsn = static_cast<uint64_t>(hour) * kSegment + 40;
        m.stop_lsn = static_cast<uint64_t>(hour) * kSegment + kSegment / 2;
        m.system_identifier = test::kFakeSystemIdentifier;
        m.cluster = "main";
        m.pg_version_num = 150004;
        m.catalog_version = control.catalog_version;
        m.block_size = 8192;
        m.relation_segment_blocks = 131072;
        m.wal_segment_size = kSegment;
        m.data_checksum_version = 1;
        m.index_sha256 = "index of " + m.backup_id;
        return m;
    }
    BackupMarker child_of(const BackupMarker& parent, int hour,
                          const std::string& type = "incremental") const {
        BackupMarker m = backup(hour, type);
        m.parent = parent.backup_id;
        m.parent_index_sha256 = parent.index_sha256;
        return m;
    }
    BackupMarker add(BackupMarker marker) {
        add_name(marker.backup_id);
        return markers[marker.backup_id] = std::move(marker);
    }
    // What a backup that is under way has, or one that was removed by halves.
    void add_name(const std::string& id) {
        repository->store().put_if_absent("main/" + place::pack(id, 0), as_bytes("x"));
    }

    ParentQuestion question() const { return {request, control, start, way, encrypts}; }
    ParentAnswer choose() {
        asked.clear();
        return choose_parent(*repository, question(), [this](const std::string& id) {
            asked.push_back(id);
            if (damaged.contains(id))
                throw Error(damaged.at(id), "marker of " + id + " is bad");
            const auto found = markers.find(id);
            return found == markers.end() ? std::nullopt : std::optional(found->second);
        });
    }
    std::string chosen() {
        const ParentAnswer answer = choose();
        EXPECT_EQ(answer.parent.has_value(), answer.why_not.empty() || answer.parent.has_value());
        return answer.parent ? answer.parent->backup_id : "none: " + answer.why_not;
    }
    void expect_unfit(const BackupMarker& m, const std::string& reason) const {
        const auto why = unfit_parent(m, question());
        ASSERT_TRUE(why) << reason;
        EXPECT_TRUE(mentions(*why, reason)) << *why;
        EXPECT_TRUE(mentions(*why, m.backup_id)) << *why;
    }

    std::unique_ptr<Repository> repository;
    BackupRequest request;
    ControlFile control = parse_control_file(test::make_control_file());
    BackupStart start{100 * kSegment + 40, 1};
    TimelineHistory way{1};
    bool encrypts = false;
    std::map<std::string, BackupMarker> markers;
    std::map<std::string, ErrorCode> damaged;
    std::vector<std::string> asked;
};

TEST_F(Parent, OneOfThisServerAsItIsFits) {
    EXPECT_EQ(unfit_parent(backup(3), question()), std::nullopt);
    EXPECT_EQ(unfit_parent(child_of(backup(3), 4), question()), std::nullopt);
    // Up to the new one's start: nothing lies between.
    BackupMarker m = backup(3);
    m.stop_lsn = start.lsn;
    EXPECT_EQ(unfit_parent(m, question()), std::nullopt);
    // Another minor version, of either side.
    request.pg_version_num = 150000;
    EXPECT_EQ(unfit_parent(m, question()), std::nullopt);
}

TEST_F(Parent, EveryDifferenceBetweenItAndTheServerIsAReason) {
    const auto with = [&](const std::function<void(BackupMarker&)>& change) {
        BackupMarker m = backup(3);
        change(m);
        return m;
    };
    using M = BackupMarker;
    expect_unfit(with([](M& m) { m.system_identifier ^= 1; }), "is of another cluster");
    expect_unfit(with([](M& m) { m.pg_version_num = 160004; }), "another version of PostgreSQL");
    expect_unfit(with([](M& m) { m.pg_version_num = 140099; }), "another version of PostgreSQL");
    expect_unfit(with([](M& m) { ++m.catalog_version; }), "another version of PostgreSQL");
    expect_unfit(with([](M& m) { m.block_size = 4096; }), "other sizes");
    expect_unfit(with([](M& m) { m.relation_segment_blocks /= 2; }), "other sizes");
    expect_unfit(with([](M& m) { m.wal_segment_size *= 2; }), "other sizes");
    expect_unfit(with([](M& m) { m.data_checksum_version = 0; }), "checksums were turned on");
    expect_unfit(with([](M& m) { m.stop_lsn = 100 * kSegment + 41; }), "before the end of");
    expect_unfit(with([](M& m) { m.is_encrypted = true; }), "encryption was turned off");
    expect_unfit(with([](M& m) { m.corrupt_page_count = 1; }), "more corrupt pages than it names");
    expect_unfit(with([](M& m) { m.timeline = 2; }), "not part of this server's history");

    control.data_checksum_version = 0;
    expect_unfit(backup(3), "checksums were turned off");
    control.data_checksum_version = 1;
    encrypts = true;
    expect_unfit(backup(3), "encryption was turned on");
    encrypts = false;
    request.distrusted = {backup(3).backup_id};
    expect_unfit(backup(3), "did not pass its last verification or restore test");
    EXPECT_EQ(unfit_parent(backup(4), question()), std::nullopt);
}

TEST_F(Parent, CorruptPagesThatAreAllNamedAreNoReason) {
    BackupMarker m = backup(3);
    m.corrupt_page_count = 1;
    m.corrupt_pages = {{"base/1/1", 7, "checksum mismatch"}};
    EXPECT_EQ(unfit_parent(m, question()), std::nullopt);
}

// Pages of a backup that ended on the abandoned part of a timeline are of a future that never was.
TEST_F(Parent, AllOfItsWalHasToLieOnTheWay) {
    way = TimelineHistory::parse(3, "1\t0/5000000\tx\n2\t0/8000000\tx\n");
    const auto fits = [&](TimelineId timeline, Lsn from, Lsn to) {
        BackupMarker m = backup(3);
        m.timeline = timeline;
        m.start_lsn = from;
        m.stop_lsn = to;
        return !unfit_parent(m, question());
    };
    EXPECT_TRUE(fits(1, 0x3000028, 0x4FFFFFF));
    EXPECT_TRUE(fits(1, 0x3000028, 0x5000000)) << "up to the fork, and not behind it";
    EXPECT_FALSE(fits(1, 0x3000028, 0x5000001));
    EXPECT_FALSE(fits(1, 0x5000028, 0x6000000));
    EXPECT_FALSE(fits(2, 0x4000028, 0x6000000)) << "a timeline has no WAL before its fork";
    EXPECT_TRUE(fits(2, 0x5000000, 0x8000000));
    EXPECT_FALSE(fits(2, 0x7000000, 0x8000100));
    EXPECT_TRUE(fits(3, 0x8000028, 0x9000000));
    EXPECT_FALSE(fits(4, 0x8000028, 0x9000000));
}

TEST_F(Parent, TheNewestIsTaken) {
    EXPECT_EQ(chosen(), "none: there is no backup yet");
    const auto full = add(backup(3));
    const auto second = add(child_of(full, 5));
    EXPECT_EQ(chosen(), second.backup_id);
    // By the time in the name, not the name: "manual" is behind "incremental" in the alphabet.
    const auto manual = add(backup(4, "manual"));
    EXPECT_EQ(chosen(), second.backup_id);
    const auto last = add(child_of(second, 6, "differential"));
    EXPECT_EQ(chosen(), last.backup_id);
}

TEST_F(Parent, WhatHasNoMarkerOrAnotherKindOfNameIsNone) {
    add_name("full_20261120_090000_00000000");
    add_name("by_hand");
    EXPECT_EQ(chosen(), "none: there is no backup yet");
    EXPECT_EQ(asked, std::vector<std::string>{"full_20261120_090000_00000000"});
    const auto full = add(backup(3));
    EXPECT_EQ(chosen(), full.backup_id);
}

// A backup of another name is asked for by nobody: a differential one is built on a full one.
TEST_F(Parent, ADifferentialOneIsBuiltOnAFullOne) {
    request.type = kTypeDifferential;
    BackupMarker only = backup(2, "incremental");
    only.parent = "gone";
    add(only);
    EXPECT_EQ(chosen(), "none: there is no full backup yet");
    const auto full = add(backup(3));
    const auto second = add(child_of(full, 5));
    EXPECT_EQ(chosen(), full.backup_id);
    // What was asked for as something else and became a full one is one.
    BackupMarker became_full = backup(6, "incremental");
    became_full.type = kTypeFull;
    add(became_full);
    EXPECT_EQ(chosen(), became_full.backup_id);
}

TEST_F(Parent, WhatDoesNotFitIsSteppedOver) {
    const auto full = add(backup(3));
    const auto second = add(child_of(full, 5));
    BackupMarker other = backup(6);
    other.data_checksum_version = 0;
    add(other);
    BackupMarker later = backup(7);
    later.stop_lsn = 101 * kSegment;
    add(later);
    EXPECT_EQ(chosen(), second.backup_id);
    // The sentence is about the newest.
    markers.erase(full.backup_id);
    const std::string why = chosen();
    EXPECT_TRUE(mentions(why, "none: the server's WAL is at")) << why;
    EXPECT_TRUE(mentions(why, later.backup_id)) << why;
}

TEST_F(Parent, AChainIsLookedAfterDownToItsFullBackup) {
    const auto full = add(backup(1));
    const auto second = add(child_of(full, 2));
    const auto third = add(child_of(second, 3));
    const auto fourth = add(child_of(third, 4));
    EXPECT_EQ(chosen(), fourth.backup_id);
    EXPECT_EQ(asked.back(), full.backup_id);

    markers.erase(second.backup_id);
    std::string why = chosen();
    EXPECT_EQ(why, full.backup_id) << "the full one is whole by itself";
    markers.erase(full.backup_id);
    why = chosen();
    EXPECT_TRUE(mentions(why, "backup " + second.backup_id + ", which " + third.backup_id +
                                  " builds on, is not in the repository any more"))
        << why;
}

TEST_F(Parent, ABackupInTheChainThatFailedATestBreaksIt) {
    const auto full = add(backup(1));
    const auto second = add(child_of(full, 2));
    const auto third = add(child_of(second, 3));
    request.distrusted = {second.backup_id};
    EXPECT_EQ(chosen(), full.backup_id);
    request.distrusted = {full.backup_id};
    const std::string why = chosen();
    EXPECT_TRUE(mentions(why, full.backup_id + ", which " + third.backup_id)) << why;
    EXPECT_TRUE(mentions(why, "did not pass")) << why;
}

// The name was given again: the child's blocks lie over another backup's files.
TEST_F(Parent, AnotherBackupOfTheParentsNameBreaksTheChain) {
    auto full = add(backup(1));
    const auto second = add(child_of(full, 2));
    const auto third = add(child_of(second, 3));
    full.index_sha256 = "another";
    full.start_lsn = kSegment + 100;
    markers[full.backup_id] = full;
    EXPECT_EQ(chosen(), full.backup_id) << "by itself it is a good one";
    request.distrusted = {full.backup_id};
    const std::string why = chosen();
    EXPECT_TRUE(mentions(why, "is not the one that " + second.backup_id + " was built on")) << why;
}

// Nobody but a forger writes such markers; they must not keep a backup busy for ever.
TEST_F(Parent, AChainThatGoesInACircleEnds) {
    BackupMarker first = backup(3, "incremental");
    first.parent = first.backup_id;
    first.parent_index_sha256 = first.index_sha256;
    add(first);
    const std::string why = chosen();
    EXPECT_TRUE(mentions(why, "none: ")) << why;
    EXPECT_LT(asked.size(), 10U);
    BackupMarker a = backup(4, "incremental");
    const BackupMarker b = child_of(a, 5);
    a.parent = b.backup_id;
    a.parent_index_sha256 = b.index_sha256;
    add(a);
    add(b);
    EXPECT_TRUE(mentions(chosen(), "none: "));
}

// A child says what changed since its parent's start: one that lies behind has no such answer.
TEST_F(Parent, AParentThatIsNotBeforeItsChildBreaksTheChain) {
    BackupMarker full = backup(1);
    full.start_lsn = 2 * kSegment + 40;
    full.stop_lsn = 2 * kSegment + 80;
    add(full);
    add(child_of(full, 2));
    EXPECT_EQ(chosen(), full.backup_id);
}

TEST_F(Parent, ADamagedMarkerIsSteppedOverAndTold) {
    const auto full = add(backup(3));
    const auto second = add(child_of(full, 5));
    damaged[second.backup_id] = ErrorCode::corrupt;
    EXPECT_EQ(chosen(), full.backup_id);
    damaged[second.backup_id] = ErrorCode::unsupported;
    EXPECT_EQ(chosen(), full.backup_id);
    damaged[full.backup_id] = ErrorCode::corrupt;
    EXPECT_EQ(chosen(), "none: marker of " + second.backup_id + " is bad");
    // Below a sound one it breaks the chain.
    damaged.erase(second.backup_id);
    EXPECT_EQ(chosen(), "none: marker of " + full.backup_id + " is bad");
}

// Each full backup that nobody asked for costs: a store that is away for a moment is no reason.
TEST_F(Parent, AStoreThatIsAwayIsAnError) {
    const auto full = add(backup(3));
    for (const ErrorCode code : {ErrorCode::unavailable, ErrorCode::timeout}) {
        damaged[full.backup_id] = code;
        test::expect_error(code, [&] { return choose(); });
    }
}

TEST_F(Parent, NotEveryBackupOfYearsIsAskedFor) {
    for (int i = 0; i < 100; ++i) {
        char id[64];
        std::snprintf(id, sizeof(id), "full_202511%02d_%02d0000_00000000", 1 + i / 24, i % 24);
        BackupMarker m = backup(3);
        m.backup_id = id;
        m.data_checksum_version = 0;
        add(m);
    }
    EXPECT_TRUE(mentions(chosen(), "checksums were turned on since backup full_20251105_03"));
    EXPECT_EQ(asked.size(), 64U);
}

TEST(OwnHistory, IsThatOfPgWal) {
    const test::FakeCluster cluster;
    EXPECT_EQ(own_history(cluster.path(), 1), TimelineHistory(1));
    cluster.add("pg_wal/00000003.history", "1\t0/5000000\tx\n2\t0/8000000\tx\n");
    EXPECT_EQ(own_history(cluster.path(), 3).timelines(), (std::vector<TimelineId>{1, 2, 3}));
    cluster.add("pg_wal/00000004.history", "1\t0/50");
    cluster.add("pg_wal/00000005.history", "7\t0/5000000\tx\n");
    test::expect_error(ErrorCode::corrupt, [&] { return own_history(cluster.path(), 5); });
}

// A server goes on without it as well, from a copy that somebody put there by hand; it says so of
// its timeline that it has no ancestors (readTimeLineHistory).
TEST(OwnHistory, OneThatIsNotThereHasNoAncestors) {
    const test::FakeCluster cluster;
    EXPECT_EQ(own_history(cluster.path(), 2), TimelineHistory(2));
}

}  // namespace
}  // namespace ark
