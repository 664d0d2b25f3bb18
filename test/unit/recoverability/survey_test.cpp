#include "core/recoverability/survey.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "test/support/fake_cluster.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::ForkedWal;
using test::kCluster;
using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;

class SurveyTest : public testing::Test {
 protected:
    void put(const WalBuilder& builder, uint64_t first, uint64_t last, TimelineId timeline = 1) {
        for (uint64_t n = first; n <= last; ++n)
            repo.put_segment(WalBuilder::name(n, timeline), builder.segment(n));
    }
    void remove(uint64_t number, TimelineId timeline = 1) {
        repo.base->remove(kCluster + "/" + place::segment(WalBuilder::name(number, timeline)));
    }
    void add(const std::string& id, Lsn start, Lsn stop, int64_t stopped_at,
             TimelineId timeline = 1, const std::string& parent = "") {
        BackupMarker b;
        b.backup_id = id;
        b.type = parent.empty() ? "full" : "incremental";
        b.parent = parent;
        b.cluster = kCluster;
        b.timeline = timeline;
        b.start_lsn = start;
        b.stop_lsn = stop;
        b.stopped_at = from_postgres_time(stopped_at);
        b.wal_segment_size = kSize;
        b.block_size = 8192;
        b.relation_segment_blocks = 131072;
        repo.base->put_if_absent(kCluster + "/" + place::marker(id), as_bytes(to_json(b)));
    }
    // Segments 5 to 12, a commit at 100 n in each.
    WalBuilder plain() {
        WalBuilder builder(5);
        for (int64_t n = 5; n <= 12; ++n) {
            builder.add_commit(7, 100 * n);
            ends[n] = builder.position();
            builder.fill_segment();
        }
        return builder;
    }
    RecoverabilitySurvey survey(std::optional<ThisServer> server = {}) {
        return {*repo.repository, kCluster, std::move(server)};
    }
    ThisServer server_at(uint64_t number, TimelineId timeline = 1) const {
        return {cluster.path(), timeline, number * kSize + 1, kSize};
    }

    test::TestRepository repo;
    test::FakeCluster cluster;
    std::map<int64_t, Lsn> ends;
};

TEST_F(SurveyTest, AnEmptyRepositoryHasNothing) {
    EXPECT_TRUE(survey().ranges().empty());
    EXPECT_TRUE(survey().gaps().empty());
    put(plain(), 5, 12);
    EXPECT_TRUE(survey(server_at(20)).ranges().empty());
    EXPECT_TRUE(survey(server_at(20)).gaps().empty());
}

TEST_F(SurveyTest, OneRange) {
    put(plain(), 5, 12);
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 510);
    add("b", 8 * kSize + 40, 8 * kSize + 5000, 810);
    const int before = repo.hooks->gets;
    const auto ranges = survey(server_at(13)).ranges();
    // Two markers, a segment or two at the end, and questions for what might be behind it.
    EXPECT_LE(repo.hooks->gets - before, 8);
    ASSERT_EQ(ranges.size(), 1U);
    const RecoverableRange& range = ranges.front();
    EXPECT_EQ(range.timeline, 1U);
    EXPECT_EQ(range.first_backup, "a");
    EXPECT_EQ(range.last_backup, "b");
    EXPECT_EQ(range.backups, 2U);
    EXPECT_EQ(range.from_time, from_postgres_time(510));
    EXPECT_EQ(range.from_lsn, 5 * kSize + 5000);
    EXPECT_EQ(range.until_time, from_postgres_time(1200));
    EXPECT_EQ(range.until_lsn, ends[12]);
    EXPECT_EQ(range.wal_end, 13 * kSize);
    EXPECT_EQ(range.last_segment, WalBuilder::name(12));
    EXPECT_TRUE(range.is_open);
    EXPECT_FALSE(survey().ranges().front().is_open);
}

// From a backup that cannot be restored nothing can be reached.
TEST_F(SurveyTest, ABrokenChainIsNoBackup) {
    put(plain(), 5, 12);
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 510, 1, "gone");
    add("b", 8 * kSize + 40, 8 * kSize + 5000, 810);
    add("c", 9 * kSize + 40, 9 * kSize + 5000, 910, 1, "b");
    RecoverabilitySurvey found = survey();
    const auto ranges = found.ranges();
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges.front().first_backup, "b");
    EXPECT_EQ(ranges.front().last_backup, "c");
    ASSERT_EQ(found.warnings().size(), 1U);
    EXPECT_NE(found.warnings()[0].find("backup gone, which is missing"), std::string::npos);
}

TEST_F(SurveyTest, AHoleMakesTwoRangesAndAGap) {
    put(plain(), 5, 12);
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 510);
    add("b", 8 * kSize + 40, 8 * kSize + 5000, 810);
    remove(7);
    const auto ranges = survey(server_at(13)).ranges();
    ASSERT_EQ(ranges.size(), 2U);
    EXPECT_EQ(ranges[0].until_time, from_postgres_time(600));
    EXPECT_FALSE(ranges[0].is_open);
    EXPECT_EQ(ranges[1].first_backup, "b");
    EXPECT_TRUE(ranges[1].is_open);
    auto gaps = survey(server_at(13)).gaps();
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].first, 7U);
    EXPECT_EQ(gaps[0].last, 7U);
    EXPECT_EQ(gaps[0].backups, std::vector<std::string>{"a"});
    EXPECT_EQ(gaps[0].in_pg_wal, false);
    cluster.add("pg_wal/" + WalBuilder::name(7), std::string(kSize, 'x'));
    EXPECT_EQ(survey(server_at(13)).gaps()[0].in_pg_wal, true);
    // The archiver has it before it.
    cluster.add("pg_wal/archive_status/" + WalBuilder::name(7) + ".ready", "");
    EXPECT_TRUE(survey(server_at(13)).gaps().empty());
    gaps = survey().gaps();
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].in_pg_wal, std::nullopt);
}

TEST_F(SurveyTest, WithoutATransactionTheRangeIsABackupsEnd) {
    WalBuilder builder(5);
    builder.fill_segment();
    put(builder, 5, 5);
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 510);
    const auto ranges = survey().ranges();
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0].until_time, from_postgres_time(510));
    EXPECT_EQ(ranges[0].until_lsn, 5 * kSize + 5000);
}

TEST_F(SurveyTest, AnAbandonedTimelineHasARangeOfItsOwn) {
    const ForkedWal wal;
    put(wal.parent, 5, 7);
    put(wal.child, 6, 7, 2);
    repo.put_history(2, wal.history);
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 1);
    auto ranges = survey(server_at(8, 2)).ranges();
    ASSERT_EQ(ranges.size(), 2U);
    EXPECT_EQ(ranges[0].timeline, 1U);
    EXPECT_EQ(ranges[0].until_time, from_postgres_time(666));
    EXPECT_FALSE(ranges[0].is_open);
    EXPECT_EQ(ranges[1].timeline, 2U);
    EXPECT_EQ(ranges[1].until_time, from_postgres_time(777));
    EXPECT_TRUE(ranges[1].is_open);
    // The backup asks for the newest way, not for what was left behind.
    remove(7);
    EXPECT_TRUE(survey(server_at(8, 2)).gaps().empty());
    remove(6, 2);
    const auto gaps = survey(server_at(8, 2)).gaps();
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].timeline, 2U);
    EXPECT_EQ(gaps[0].first, 6U);
}

TEST_F(SurveyTest, ATimelineThatWasLeftAtItsEndHasNone) {
    const ForkedWal wal;
    put(wal.parent, 5, 5);
    repo.put_partial(WalBuilder::name(6), wal.partial());
    put(wal.child, 6, 7, 2);
    repo.put_history(2, wal.history);
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 1);
    const auto ranges = survey().ranges();
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0].timeline, 2U);
    EXPECT_TRUE(survey().gaps().empty());
}

TEST_F(SurveyTest, DamagedPiecesHideNothingBeforeThem) {
    const WalBuilder builder = plain();
    put(builder, 5, 7);
    add("a", 5 * kSize + 40, 5 * kSize + 200, 1);
    for (const uint64_t from : {0U, 1000U, 2000U})
        repo.put_piece(WalBuilder::name(8), builder.segment(8), from, from + 1000);
    repo.damage(place::tail(WalBuilder::name(8), 1000));
    RecoverabilitySurvey looked = survey();
    const auto ranges = looked.ranges();
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0].last_segment, WalBuilder::name(7));
    EXPECT_EQ(ranges[0].until_lsn, ends[7]);
    ASSERT_EQ(looked.warnings().size(), 1U);
    EXPECT_NE(looked.warnings()[0].find(place::tail(WalBuilder::name(8), 1000)), std::string::npos);
    looked.gaps();
}

// It is where recovery ends, and no failure of the survey.
TEST_F(SurveyTest, ADamagedEndIsTold) {
    const WalBuilder builder = plain();
    put(builder, 5, 7);
    add("a", 5 * kSize + 40, 5 * kSize + 200, 1);
    add("b", 6 * kSize + 40, 6 * kSize + 200, 2);
    for (const uint64_t from : {0U, 1000U})
        repo.put_piece(WalBuilder::name(8), builder.segment(8), from, from + 1000);
    RecoverabilitySurvey whole = survey();
    EXPECT_EQ(whole.ranges().size(), 1U);
    EXPECT_TRUE(whole.damaged_ends().empty());
    repo.damage(place::tail(WalBuilder::name(8), 1000));
    RecoverabilitySurvey looked = survey();
    const auto ranges = looked.ranges();
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0].last_segment, WalBuilder::name(8));
    EXPECT_TRUE(looked.warnings().empty());
    ASSERT_EQ(looked.damaged_ends().size(), 1U);
    const Error& told = looked.damaged_ends()[0];
    EXPECT_NE(told.message.find(WalBuilder::name(8)), std::string::npos) << told.message;
    EXPECT_NE(told.detail.find(place::tail(WalBuilder::name(8), 1000)), std::string::npos)
        << told.detail;
    looked.ranges();
    EXPECT_EQ(looked.damaged_ends().size(), 1U);  // each once
}

TEST_F(SurveyTest, WhatCannotBeReadIsToldAndHidesNothing) {
    const ForkedWal wal;
    put(wal.parent, 5, 7);
    put(wal.child, 6, 7, 2);  // without its history file
    add("a", 5 * kSize + 40, 5 * kSize + 5000, 1);
    repo.base->put_if_absent(kCluster + "/" + place::marker("broken"), as_bytes("x"));
    RecoverabilitySurvey found = survey();
    EXPECT_EQ(found.ranges().size(), 1U);
    EXPECT_EQ(found.warnings().size(), 2U);
    repo.damage(place::segment(WalBuilder::name(7)));
    RecoverabilitySurvey damaged = survey();
    const auto ranges = damaged.ranges();
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0].until_time, std::nullopt);
    EXPECT_EQ(damaged.warnings().size(), 3U);
}

}  // namespace
}  // namespace ark
