#include "core/recoverability/plan.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr uint64_t kSize = 16 << 20;

BackupMarker backup(const std::string& id, uint64_t first, uint64_t last, TimelineId timeline = 1) {
    BackupMarker b;
    b.backup_id = id;
    b.timeline = timeline;
    b.wal_segment_size = kSize;
    b.start_lsn = first * kSize + 40;
    b.stop_lsn = last * kSize + 4000;
    return b;
}

// "1:3-5 a,b" for each.
std::vector<std::string> texts(const std::vector<WalGap>& gaps) {
    std::vector<std::string> out;
    for (const WalGap& gap : gaps) {
        std::string text = std::to_string(gap.timeline) + ":" + std::to_string(gap.first) + "-" +
                           std::to_string(gap.last);
        for (const std::string& id : gap.backups)
            text += " " + id;
        out.push_back(text);
    }
    return out;
}

using Texts = std::vector<std::string>;

class RecoverabilityPlanTest : public testing::Test {
 protected:
    RecoverabilityPlanTest() {
        facts.segment_size = kSize;
        facts.backups = {backup("a", 10, 11), backup("b", 20, 20)};
        add(10, 30);
    }
    void add(uint64_t first, uint64_t last) {
        for (uint64_t n = first; n <= last; ++n)
            facts.present.insert(n);
    }
    void lose(uint64_t first, uint64_t last) {
        for (uint64_t n = first; n <= last; ++n)
            facts.present.erase(n);
    }
    std::vector<BackupRun> runs() const {
        return runs_of(facts, [&](uint64_t first) -> std::optional<uint64_t> {
            uint64_t next = first;
            while (facts.present.contains(next))
                ++next;
            return next == first ? std::nullopt : std::optional(next - 1);
        });
    }
    void write_to(uint64_t number, std::set<uint64_t> waiting = {}) {
        local = {facts.way.timeline(), number * kSize + 1, std::move(waiting)};
        facts.local = &local;
    }

    WayFacts facts;
    LocalWal local;
};

TEST_F(RecoverabilityPlanTest, NothingMissing) {
    EXPECT_TRUE(gaps_of(facts).empty());
    write_to(31);
    EXPECT_TRUE(gaps_of(facts).empty());
    facts.backups.clear();
    EXPECT_TRUE(gaps_of(facts).empty());
}

TEST_F(RecoverabilityPlanTest, AGapNamesTheBackupsThatItStops) {
    lose(15, 17);
    lose(25, 25);
    EXPECT_EQ(texts(gaps_of(facts)), (Texts{"1:15-17 a", "1:25-25 a b"}));
    const WalGap gap = gaps_of(facts).front();
    EXPECT_EQ(gap.segments(), 3U);
    EXPECT_EQ(gap.start(), 15 * kSize);
    EXPECT_EQ(gap.end(), 18 * kSize);
}

TEST_F(RecoverabilityPlanTest, ABackupThatLacksItsOwnWal) {
    lose(10, 10);
    lose(20, 30);
    EXPECT_EQ(texts(gaps_of(facts)), (Texts{"1:10-10 a", "1:20-20 a b"}));
    EXPECT_TRUE(runs().empty());
}

// What the server has finished should be there, unless its archiver has yet to store it.
TEST_F(RecoverabilityPlanTest, TheServersOwnWalCounts) {
    write_to(34);
    EXPECT_EQ(texts(gaps_of(facts)), (Texts{"1:31-33 a b"}));
    write_to(34, {31, 32, 33});
    EXPECT_TRUE(gaps_of(facts).empty());
    write_to(34, {32});
    EXPECT_EQ(texts(gaps_of(facts)), (Texts{"1:31-31 a b", "1:33-33 a b"}));
    // Stored ahead of one that waits.
    lose(28, 29);
    write_to(31, {28, 29});
    EXPECT_TRUE(gaps_of(facts).empty());
}

TEST_F(RecoverabilityPlanTest, AGapIsOfOneTimeline) {
    facts.way = TimelineHistory::parse(2, "1\t" + to_text(20 * kSize + 500) + "\tx\n");
    facts.backups = {backup("a", 10, 11)};
    lose(18, 21);
    EXPECT_EQ(texts(gaps_of(facts)), (Texts{"1:18-19 a", "2:20-21 a"}));
    EXPECT_EQ(name_on(facts.way, 19, kSize), "000000010000000000000013");
    EXPECT_EQ(name_on(facts.way, 20, kSize), "000000020000000000000014");
}

TEST_F(RecoverabilityPlanTest, GapsOfSeveralWaysBecomeOne) {
    const auto gap = [](TimelineId timeline, uint64_t first, uint64_t last, Texts ids) {
        return WalGap{timeline, kSize, first, last, std::move(ids), {}};
    };
    EXPECT_EQ(texts(merge_gaps({gap(2, 20, 21, {"c"}), gap(1, 5, 6, {"a"}),
                                gap(1, 6, 7, {"a", "b"}), gap(1, 9, 9, {"b"})})),
              (Texts{"1:5-7 a b", "1:9-9 b", "2:20-21 c"}));
}

TEST_F(RecoverabilityPlanTest, Runs) {
    ASSERT_EQ(runs().size(), 1U);
    EXPECT_EQ(runs().front().backups.size(), 2U);
    EXPECT_EQ(runs().front().reach, 30U);
    lose(15, 17);
    ASSERT_EQ(runs().size(), 2U);
    EXPECT_EQ(runs()[0].reach, 14U);
    EXPECT_EQ(runs()[0].backups.front().backup_id, "a");
    EXPECT_EQ(runs()[1].reach, 30U);
    EXPECT_EQ(runs()[1].backups.front().backup_id, "b");
    lose(20, 20);
    ASSERT_EQ(runs().size(), 1U);
    EXPECT_EQ(runs()[0].reach, 14U);
    facts.backups.clear();
    EXPECT_TRUE(runs().empty());
}

TEST_F(RecoverabilityPlanTest, ARunIsOpenWhereTheServersWalFollows) {
    EXPECT_FALSE(is_open(facts, runs().front()));
    write_to(31);
    EXPECT_TRUE(is_open(facts, runs().front()));
    write_to(33, {31, 32});
    EXPECT_TRUE(is_open(facts, runs().front()));
    write_to(33, {32});
    EXPECT_FALSE(is_open(facts, runs().front()));
    lose(15, 15);
    write_to(31);
    EXPECT_FALSE(is_open(facts, runs()[0]));
    EXPECT_TRUE(is_open(facts, runs()[1]));
    write_to(31, {15});
    EXPECT_TRUE(is_open(facts, runs()[0]));
}

TEST_F(RecoverabilityPlanTest, ARunThatAnotherTimelineContains) {
    const auto next = TimelineHistory::parse(2, "1\t" + to_text(25 * kSize) + "\tx\n");
    const BackupRun run = runs().front();
    EXPECT_TRUE(goes_on_elsewhere(run, 1, 25 * kSize, next));
    EXPECT_FALSE(goes_on_elsewhere(run, 1, 25 * kSize + 1, next));
    EXPECT_FALSE(goes_on_elsewhere(run, 1, 0, TimelineHistory(1)));
    EXPECT_FALSE(goes_on_elsewhere(run, 2, 0, TimelineHistory(1)));
    const auto early = TimelineHistory::parse(2, "1\t" + to_text(15 * kSize) + "\tx\n");
    EXPECT_FALSE(goes_on_elsewhere(run, 1, 12 * kSize, early));  // backup b is not on it
}

}  // namespace
}  // namespace ark
