#include "core/changes/changes_between.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/changes/change_scan.hpp"
#include "core/changes/local_changes.hpp"
#include "core/changes/stored_changes.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/changes/change_wal.hpp"

namespace ark {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr RelationId kTable{1663, 5, 16384};
constexpr uint64_t kSize = WalBuilder::kSegmentSize;
constexpr uint64_t kSpan = 16 * kSize;
using Ranges = std::vector<ChangeRange>;

TEST(ChangeSpan, IsBounded) {
    EXPECT_EQ(change_span(1 << 20), 16U << 20);
    EXPECT_EQ(change_span(16 << 20), 256U << 20);
    EXPECT_EQ(change_span(64 << 20), 256U << 20);
    EXPECT_EQ(change_span(1 << 30), 1U << 30);
}

// A server on timeline 1, which has written 20 segments; the block in each is its number.
class Between : public ::testing::Test {
 protected:
    Between() {
        ::mkdir((directory.path() + "/pg_wal").c_str(), 0700);
        for (uint64_t number = 1; number <= 20; ++number) {
            starts.push_back(add_blocks(wal, {{kTable, static_cast<uint32_t>(number)}}));
            if (number == 3) {
                add_backup_end(wal, starts[1]);
                question.parent = {1, starts[1], wal.position()};
            }
            if (number < 20)
                wal.fill_segment();
        }
        add_blocks(wal, {{kTable, 1000}});
        question.start = wal.position();
    }

    void archive(uint64_t first, uint64_t last) {
        for (; first <= last; ++first)
            in_repository.insert(first);
    }
    std::string live_path(uint64_t number, TimelineId timeline = 1) const {
        return directory.path() + "/pg_wal/" + WalBuilder::name(number, timeline);
    }
    void make_live(uint64_t first, uint64_t last, TimelineId timeline = 1) {
        for (; first <= last; ++first)
            write_file_durably(live_path(first, timeline), wal.segment(first), 0600);
    }
    RangeChanges table_of(Lsn from, Lsn to, TimelineId timeline = 1) {
        ChangeScan scan(timeline, from, kSize, [this](uint64_t number) {
            bytes = wal.segment(number);
            return std::optional(ByteView(bytes));
        });
        EXPECT_TRUE(scan.read_to(to));
        return scan.take();
    }
    void store(const RangeChanges& changes) {
        store_changes(*repository, "c", changes, make_writer(""));
    }
    ChangeAnswer ask() {
        cost = {};
        const ChangeSources sources{*repository,
                                    "c",
                                    directory.path(),
                                    kSize,
                                    [this](uint64_t number) -> std::optional<ByteView> {
                                        if (!in_repository.contains(number))
                                            return std::nullopt;
                                        bytes = wal.segment(number);
                                        return bytes;
                                    },
                                    max_archived,
                                    writer};
        return changes_between(sources, question, &cost);
    }
    static std::set<uint64_t> blocks_of(const ChangeAnswer& answer) {
        std::set<uint64_t> out;
        if (!answer.table || answer.table->find(kTable) == nullptr)
            return out;
        answer.table->find(kTable)->blocks.for_each_run(0, UINT32_MAX,
                                                        [&](uint64_t first, uint64_t n) {
                                                            for (uint64_t i = 0; i < n; ++i)
                                                                out.insert(first + i);
                                                        });
        return out;
    }
    std::set<uint64_t> everything() const {
        std::set<uint64_t> out{1000};
        for (uint64_t number = 2; number <= 20; ++number)
            out.insert(number);
        return out;
    }

    test::TemporaryDirectory directory;
    WalBuilder wal{1};
    std::vector<Lsn> starts;
    std::unique_ptr<ObjectStore> repository = make_memory_store();
    std::set<uint64_t> in_repository;
    uint64_t max_archived = 100 * kSize;
    std::optional<Writer> writer = make_writer("");
    ChangeQuestion question{TimelineHistory(1), WalBuilder::kSystemIdentifier, {}, 0};
    ChangeCost cost;
    Bytes bytes;
};

TEST_F(Between, ReadsWhatIsLiveWithoutTheRepository) {
    make_live(1, 20);
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(blocks_of(answer), everything());
    EXPECT_EQ(cost.archived_segments, 0U);
    EXPECT_EQ(cost.tables, 0U);
    // What ends at a segment's end is stored for the next one, and is what the tracker would store.
    EXPECT_EQ(list_changes(*repository, "c", 1), (Ranges{{1, 2 * kSize, kSpan}}));
    EXPECT_EQ(load_changes(*repository, "c", {1, 2 * kSize, kSpan}), table_of(2 * kSize, kSpan));
    const ChangeAnswer again = ask();
    ASSERT_TRUE(again.table) << again.why_not;
    EXPECT_EQ(*again.table, *answer.table);
    EXPECT_EQ(cost.tables, 1U);
    EXPECT_LT(cost.live_segments, 10U);
}

TEST_F(Between, ReadsTheRepositoryWhereNothingIsLive) {
    make_live(19, 20);
    archive(1, 18);
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(blocks_of(answer), everything());
    EXPECT_EQ(cost.archived_segments, 17U);
}

TEST_F(Between, TablesSaveTheReading) {
    make_live(17, 20);
    store(table_of(kSize, kSpan));
    store(table_of(kSpan, kSpan + 2 * kSize));
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    std::set<uint64_t> expected = everything();
    expected.insert(1);  // too much is no harm
    EXPECT_EQ(blocks_of(answer), expected);
    EXPECT_EQ(cost.tables, 2U);
    EXPECT_EQ(cost.archived_segments, 0U);
}

TEST_F(Between, NoMoreThanItMayIsReadInTheRepository) {
    make_live(19, 20);
    archive(1, 18);
    max_archived = 17 * kSize;
    EXPECT_TRUE(ask().table);
    for (const ChangeRange& range : list_changes(*repository, "c", 1))
        repository->remove("c/" + place::changes(1, range.from, range.to));
    max_archived = 17 * kSize - 1;
    const ChangeAnswer answer = ask();
    EXPECT_FALSE(answer.table);
    EXPECT_TRUE(mentions(answer.why_not, "17 WAL segments would have to be read"))
        << answer.why_not;
    EXPECT_TRUE(mentions(answer.why_not, to_text(question.parent.start))) << answer.why_not;
    EXPECT_EQ(cost.archived_segments, 0U);
}

TEST_F(Between, WalThatNobodyHasIsAReason) {
    make_live(9, 20);
    archive(1, 7);
    const ChangeAnswer answer = ask();
    EXPECT_FALSE(answer.table);
    EXPECT_TRUE(mentions(answer.why_not, "cannot be read now")) << answer.why_not;
}

TEST_F(Between, ADamagedTableIsMadeAgain) {
    make_live(1, 20);
    store(table_of(kSize, kSpan));
    const std::string name = "c/" + place::changes(1, kSize, kSpan);
    Bytes stored = repository->get(name, 1 << 20).value();
    repository->remove(name);
    stored[stored.size() - 9] ^= std::byte{1};
    repository->put_if_absent(name, stored);
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(blocks_of(answer), everything());
}

TEST_F(Between, ALocalTableServesWhereTheRepositoryHasNone) {
    make_live(17, 20);
    LocalChanges(directory.path()).store(table_of(kSize, kSpan + kSize));
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(cost.tables, 1U);
    EXPECT_TRUE(blocks_of(answer).contains(9));
}

TEST_F(Between, TablesOfOtherWalAreNotJoined) {
    make_live(17, 20);
    RangeChanges other = table_of(kSize, kSpan + kSize);
    other.last_record -= 8;
    store(other);
    EXPECT_TRUE(mentions(ask().why_not, "does not follow")) << ask().why_not;
}

// The server uses the file anew while it is read: its first page is right, others are not.
TEST_F(Between, AFileThatIsUsedAnewIsReadInTheRepository) {
    make_live(1, 20);
    Bytes torn = wal.segment(5);
    const Bytes later = wal.segment(15);
    std::copy(later.begin() + 8192, later.begin() + 65536, torn.begin() + 8192);
    write_file_durably(live_path(5), torn, 0600);
    // One that is not written to yet is seen by its first page.
    write_file_durably(live_path(6), wal.segment(2), 0600);
    EXPECT_FALSE(ask().table);
    archive(5, 6);
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(blocks_of(answer), everything());
    EXPECT_EQ(cost.archived_segments, 2U);
}

// What is not flushed may be written anew after a crash: it is not read.
TEST_F(Between, ReadsNoFurtherThanTheStart) {
    make_live(1, 20);
    question.start = starts[19];
    const std::set<uint64_t> before = blocks_of(ask());
    EXPECT_TRUE(before.contains(19));
    EXPECT_FALSE(before.contains(20));
    // A start right behind a segment's header: nothing of that segment is needed.
    add_blocks(wal, {{kTable, 77}});
    wal.add_switch();
    question.start = wal.position() + 40;
    make_live(20, 20);
    Bytes header = wal.segment(21);
    ASSERT_TRUE(is_all_zero(header));
    EXPECT_TRUE(blocks_of(ask()).contains(77));
    // The same where tables go up to there, and the segment is where the reading begins.
    store(table_of(kSize, 21 * kSize));
    add_blocks(wal, {{kTable, 78}});
    header = wal.segment(21);
    std::fill(header.begin() + 40, header.end(), std::byte{0x11});
    write_file_durably(live_path(21), header, 0600);
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_TRUE(blocks_of(answer).contains(77));
    EXPECT_FALSE(blocks_of(answer).contains(78));
    EXPECT_EQ(cost.tables, 1U);
}

class BetweenTimelines : public Between {
 protected:
    // Timeline 2 begins in segment 20, where the old primary went on by itself.
    BetweenTimelines() {
        fork = wal.position();
        WalBuilder old = wal;
        add_blocks(old, {{kTable, 5000}});
        old.fill_segment();
        write_file_durably(live_path(20), old.segment(20), 0600);
        wal.set_timeline(2);
        add_blocks(wal, {{kTable, 2000}});
        wal.fill_segment();
        add_blocks(wal, {{kTable, 2001}});
        make_live(1, 19);
        make_live(20, 21, 2);
        question.way = TimelineHistory::parse(2, "1\t" + to_text(fork) + "\tx\n");
        question.start = wal.position();
    }
    Lsn fork = 0;
};

TEST_F(BetweenTimelines, CrossesThem) {
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    std::set<uint64_t> expected = everything();
    expected.insert({2000, 2001});
    EXPECT_EQ(blocks_of(answer), expected);
    EXPECT_EQ(list_changes(*repository, "c", 1), (Ranges{{1, 2 * kSize, kSpan}, {1, kSpan, fork}}));
    EXPECT_TRUE(list_changes(*repository, "c", 2).empty());
}

// The old timeline's file has what was abandoned.
TEST_F(BetweenTimelines, AbandonedWalIsNotRead) {
    ::unlink(live_path(20, 2).c_str());
    EXPECT_FALSE(ask().table);
    archive(20, 20);
    const ChangeAnswer answer = ask();
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_FALSE(blocks_of(answer).contains(5000));
    EXPECT_TRUE(blocks_of(answer).contains(2000));
}

TEST_F(BetweenTimelines, AParentOfAbandonedWalIsNone) {
    question.parent.stop = fork + 8;
    EXPECT_TRUE(mentions(ask().why_not, "not part of this server's history"));
    EXPECT_EQ(cost.live_segments, 0U);
}

}  // namespace
}  // namespace ark
