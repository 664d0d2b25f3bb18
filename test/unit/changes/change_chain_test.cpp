#include "core/changes/change_chain.hpp"

#include <map>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

using test::mentions;

constexpr RelationId kTable{1663, 5, 16384};
constexpr uint64_t kSystem = 7;
using Ranges = std::vector<ChangeRange>;

// 1 was left for 2 at 0x500, 2 for 3 at 0x900.
TimelineHistory third() {
    return TimelineHistory::parse(3, "1\t0/500\tx\n2\t0/900\tx\n");
}

TEST(ChangeCover, TakesAsFewAsItCan) {
    const TimelineHistory way(1);
    const Ranges available{{1, 0x300, 0x400}, {1, 0x100, 0x200}, {1, 0x200, 0x300},
                           {1, 0x200, 0x400}, {1, 0x400, 0x900}, {1, 0, 0x100}};
    EXPECT_EQ(cover(way, 0x180, 0x500, available),
              (ChangeCover{{{1, 0x100, 0x200}, {1, 0x200, 0x400}, {1, 0x400, 0x900}}, {}}));
    EXPECT_EQ(cover(way, 0x200, 0x400, available), (ChangeCover{{{1, 0x200, 0x400}}, {}}));
    EXPECT_EQ(cover(way, 0x200, 0x200, available), ChangeCover{});
}

TEST(ChangeCover, NamesEveryGap) {
    const TimelineHistory way(1);
    const Ranges available{{1, 0x200, 0x300}, {1, 0x500, 0x600}};
    EXPECT_EQ(cover(way, 0x100, 0x700, available).gaps,
              (Ranges{{1, 0x100, 0x200}, {1, 0x300, 0x500}, {1, 0x600, 0x700}}));
    EXPECT_EQ(cover(way, 0x100, 0x101, {}).gaps, (Ranges{{1, 0x100, 0x101}}));
    EXPECT_TRUE(cover(way, 0x2FF, 0x300, available).gaps.empty());
    EXPECT_EQ(cover(way, 0x2FF, 0x301, available).gaps, (Ranges{{1, 0x300, 0x301}}));
}

TEST(ChangeCover, FollowsTheWay) {
    const Ranges available{
        {1, 0x300, 0x500}, {2, 0x500, 0x600}, {2, 0x600, 0x900}, {3, 0x900, 0xA00}};
    EXPECT_EQ(cover(third(), 0x400, 0xA00, available), (ChangeCover{available, {}}));
    // What the old primary wrote behind the fork is of WAL that was abandoned.
    const Ranges beyond{{1, 0x300, 0x600}, {2, 0x500, 0xB00}, {3, 0x900, 0xA00}};
    EXPECT_EQ(cover(third(), 0x400, 0xA00, beyond).gaps,
              (Ranges{{1, 0x400, 0x500}, {2, 0x500, 0x900}}));
    // Nor does another timeline's table count for this one.
    const Ranges other{{1, 0x300, 0x500}, {1, 0x500, 0x900}, {3, 0x900, 0xA00}};
    EXPECT_EQ(cover(third(), 0x400, 0xA00, other).gaps, (Ranges{{2, 0x500, 0x900}}));
}

class Combining : public ::testing::Test {
 protected:
    // A table with one block for each 0x100 of its range, linked as records are.
    void add(TimelineId timeline, Lsn from, Lsn to) {
        RangeChanges changes;
        changes.range = {timeline, from, to};
        changes.system_identifier = kSystem;
        changes.previous_record = from - 0x80;
        changes.last_record = to - 0x80;
        if (from <= question.parent.stop - 8 && to > question.parent.stop - 8)
            changes.backups = {{question.parent.start, question.parent.stop}};
        for (Lsn at = from; at < to; at += 0x100)
            changes.table.add_block(kTable, static_cast<uint32_t>(at / 0x100));
        stored[changes.range] = changes;
    }
    ChangeAnswer ask() {
        Ranges available;
        for (const auto& [range, changes] : stored)
            available.push_back(range);
        return combine_changes(question, available, [&](const ChangeRange& range) {
            const auto found = stored.find(range);
            return range == gone ? std::nullopt : std::optional(found->second);
        });
    }
    std::vector<uint64_t> blocks(const ChangeAnswer& answer) {
        std::vector<uint64_t> out;
        if (!answer.table)
            return out;
        answer.table->find(kTable)->blocks.for_each_run(0, UINT32_MAX,
                                                        [&](uint64_t first, uint64_t n) {
                                                            for (uint64_t i = 0; i < n; ++i)
                                                                out.push_back(first + i);
                                                        });
        return out;
    }

    std::map<ChangeRange, RangeChanges> stored;
    ChangeRange gone;
    ChangeQuestion question{third(), kSystem, {1, 0x240, 0x2C0}, 0xA80};
};

TEST_F(Combining, JoinsWhatLiesOnTheWay) {
    add(1, 0x100, 0x300);
    add(1, 0x300, 0x500);
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    add(1, 0x500, 0x900);  // abandoned
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(blocks(answer), (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
}

// The server was set back to an older copy of its files: its WAL has the same places, and another
// content.
TEST_F(Combining, WalThatDoesNotHaveTheParentsEndIsOtherWal) {
    add(1, 0x100, 0x300);
    add(1, 0x300, 0x500);
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    RangeChanges& first = stored.at({1, 0x100, 0x300});
    const std::vector<EndedBackup> right = first.backups;
    ASSERT_EQ(right.size(), 1U);
    for (const std::vector<EndedBackup>& backups :
         {std::vector<EndedBackup>{}, {{0x240, 0x2C8}}, {{0x238, 0x2C0}}, {{0x110, 0x200}}}) {
        first.backups = backups;
        const ChangeAnswer answer = ask();
        EXPECT_FALSE(answer.table);
        EXPECT_TRUE(mentions(answer.why_not, "does not have the end of the parent at 0/2C0"))
            << answer.why_not;
    }
    first.backups = {{0x110, 0x200}, right[0], {0x110, 0x2F0}};
    EXPECT_TRUE(ask().table);
}

TEST_F(Combining, AGapIsNamed) {
    add(1, 0x100, 0x300);
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    EXPECT_TRUE(mentions(ask().why_not, "not tracked for WAL from 0/300")) << ask().why_not;
    add(1, 0x300, 0x500);
    EXPECT_TRUE(ask().table);
    gone = {2, 0x500, 0x900};
    EXPECT_TRUE(mentions(ask().why_not, "not there any more")) << ask().why_not;
}

// A backup on the old timeline that ended behind the promotion: its pages may be of abandoned WAL.
TEST_F(Combining, AParentThatCrossesAForkIsNone) {
    add(1, 0x100, 0x300);
    add(1, 0x300, 0x500);
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    question.parent.stop = 0x501;
    EXPECT_TRUE(mentions(ask().why_not, "not part of this server's history")) << ask().why_not;
    question.parent.stop = 0x500;
    stored.at({1, 0x300, 0x500}).backups = {{0x240, 0x500}};
    EXPECT_TRUE(ask().table);
    question.parent = {4, 0x240, 0x2C0};
    EXPECT_FALSE(ask().table);
    question.parent = {2, 0x4FF, 0x600};
    EXPECT_FALSE(ask().table);
    question.parent = {3, 0xA00, 0xA90};  // the server was set back
    EXPECT_TRUE(mentions(ask().why_not, "before the parent's end")) << ask().why_not;
}

TEST_F(Combining, TablesOfOtherWalAreNotJoined) {
    add(1, 0x100, 0x300);
    add(1, 0x300, 0x500);
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    stored[{2, 0x500, 0x900}].previous_record = 0x488;
    EXPECT_TRUE(mentions(ask().why_not, "does not follow")) << ask().why_not;
    stored[{2, 0x500, 0x900}].previous_record = 0x480;
    EXPECT_TRUE(ask().table);
    stored[{2, 0x500, 0x900}].system_identifier = 8;
    EXPECT_TRUE(mentions(ask().why_not, "something else")) << ask().why_not;
    stored[{2, 0x500, 0x900}].system_identifier = kSystem;
    stored[{2, 0x500, 0x900}].range.to = 0x800;
    EXPECT_FALSE(ask().table);
}

// A stretch in which no record begins passes the link on.
TEST_F(Combining, AStretchWithoutARecordIsNoGap) {
    add(1, 0x100, 0x300);
    RangeChanges empty;
    empty.range = {1, 0x300, 0x400};
    empty.system_identifier = kSystem;
    stored[empty.range] = empty;
    add(1, 0x400, 0x500);
    stored[{1, 0x400, 0x500}].previous_record = 0x280;
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    EXPECT_TRUE(ask().table) << ask().why_not;
    stored[{1, 0x400, 0x500}].previous_record = 0x288;
    EXPECT_FALSE(ask().table);
}

TEST_F(Combining, MinimalWalSinceTheParentIsAReason) {
    add(1, 0x100, 0x500);
    add(2, 0x500, 0x900);
    add(3, 0x900, 0xC00);
    stored[{1, 0x100, 0x500}].minimal_at = 0x238;
    EXPECT_TRUE(ask().table) << "it was raised before the parent began";
    stored[{1, 0x100, 0x500}].minimal_at = 0x240;
    EXPECT_TRUE(mentions(ask().why_not, "wal_level was minimal at 0/240")) << ask().why_not;
}

TEST_F(Combining, DamageIsAReasonAndAnAbsentRepositoryAnError) {
    add(1, 0x100, 0x500);
    const Ranges available{{1, 0x100, 0x500}};
    question.start = 0x400;
    const ChangeAnswer answer =
        combine_changes(question, available, [](const ChangeRange&) -> std::optional<RangeChanges> {
            throw Error(ErrorCode::corrupt, "it is damaged");
        });
    EXPECT_EQ(answer.why_not, "it is damaged");
    EXPECT_FALSE(answer.table);
    test::expect_error(ErrorCode::unavailable, [&] {
        return combine_changes(question, available,
                               [](const ChangeRange&) -> std::optional<RangeChanges> {
                                   throw Error(ErrorCode::unavailable, "away");
                               });
    });
}

}  // namespace
}  // namespace ark
