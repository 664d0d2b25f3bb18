#include "core/changes/change_tracker.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include <gtest/gtest.h>

#include "core/base/file.hpp"
#include "core/changes/changes_between.hpp"
#include "core/changes/known_changes.hpp"
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

class Tracking : public ::testing::Test {
 protected:
    Tracking() {
        ::mkdir((directory.path() + "/pg_wal").c_str(), 0700);
        repository = Repository::open(make_memory_store(), OpenMode::create);
    }

    // The server goes on to the beginning of segment `number`; each segment names its number.
    void write_to(uint64_t number) {
        while (wal.position() / kSize < number) {
            const uint64_t current = wal.position() / kSize;
            add_blocks(wal, {{kTable, static_cast<uint32_t>(current)}});
            wal.fill_segment();
            make_live(current);
        }
        add_blocks(wal, {{kTable, static_cast<uint32_t>(number)}});
        make_live(number);
    }
    std::string live_path(uint64_t number) const {
        return directory.path() + "/pg_wal/" + WalBuilder::name(number, way.timeline());
    }
    // In its place, as the server does.
    void make_live(uint64_t number) {
        File::open(live_path(number), O_WRONLY | O_CREAT, 0600).pwrite_all(wal.segment(number), 0);
    }
    void recycle(uint64_t first, uint64_t last, bool is_archived = true) {
        for (; first <= last; ++first) {
            ::unlink(live_path(first).c_str());
            if (is_archived)
                archived.insert(first);
        }
    }
    void add_backup(const std::string& id, Lsn start, Lsn stop, TimelineId timeline = 1) {
        BackupMarker marker;
        marker.backup_id = id;
        marker.timeline = timeline;
        marker.start_lsn = start;
        marker.stop_lsn = stop;
        marker.wal_segment_size = kSize;
        marker.cluster = "c";
        store_small(repository->store(), "c", ObjectKind::marker, place::marker(id),
                    as_bytes(to_json(marker)), make_writer(""));
    }
    void begin() {
        TrackerSetup setup{*repository,
                           "c",
                           directory.path(),
                           kSize,
                           way,
                           [this](uint64_t number) -> std::optional<ByteView> {
                               if (!archived.contains(number))
                                   return std::nullopt;
                               bytes = wal.segment(number);
                               return bytes;
                           },
                           make_writer("")};
        setup.summary_bytes = summary_bytes;
        setup.most_archived_bytes = most_archived;
        tracker.emplace(std::move(setup),
                        [this](const Error& error) { warnings.push_back(error.message); });
    }
    void run() {
        int steps = 0;
        while (tracker->step(wal.position()))
            ASSERT_LT(++steps, 1000) << "it never rests";
    }
    Ranges stored(TimelineId timeline = 1) {
        return list_changes(repository->store(), "c", timeline);
    }
    ChangeAnswer ask(const BackupRange& parent, ChangeCost* cost = nullptr) {
        const ChangeSources sources{repository->store(),
                                    "c",
                                    directory.path(),
                                    kSize,
                                    [](uint64_t) { return std::nullopt; },
                                    0,
                                    std::nullopt};
        return changes_between(
            sources, {way, WalBuilder::kSystemIdentifier, parent, wal.position(), false}, cost);
    }

    test::TemporaryDirectory directory;
    WalBuilder wal{1};
    TimelineHistory way{1};
    std::unique_ptr<Repository> repository;
    std::set<uint64_t> archived;
    uint64_t summary_bytes = 1 << 20;
    uint64_t most_archived = 100 * kSize;
    std::optional<ChangeTracker> tracker;
    std::vector<std::string> warnings;
    Bytes bytes;
};

TEST_F(Tracking, StoresTablesAsWalGoesOn) {
    write_to(3);
    begin();
    run();
    EXPECT_EQ(tracker->status().position, 3 * kSize);
    EXPECT_TRUE(stored().empty());
    EXPECT_EQ(tracker->count(), std::nullopt);
    write_to(15);
    run();
    EXPECT_EQ(tracker->status().position, 15 * kSize);
    EXPECT_EQ(tracker->status().segments, 12U);
    write_to(40);
    run();
    EXPECT_EQ(stored(), (Ranges{{1, 3 * kSize, kSpan}, {1, kSpan, 2 * kSpan}}));
    EXPECT_EQ(tracker->status().tables, 2U);
    EXPECT_EQ(tracker->status().bytes, 37 * kSize);
    EXPECT_EQ(tracker->status().gaps, 0U);
    EXPECT_TRUE(warnings.empty());
    // They join, and what is behind them is read.
    ChangeCost cost;
    const ChangeAnswer answer = ask({1, 3 * kSize + 40, 4 * kSize}, &cost);
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(answer.table->blocks(), 38U);
    EXPECT_EQ(cost.tables, 2U);
    EXPECT_EQ(cost.live_segments, 9U);
}

TEST_F(Tracking, GoesOnBehindItsTables) {
    write_to(1);
    begin();
    run();
    write_to(20);
    run();
    ASSERT_EQ(stored(), (Ranges{{1, kSize, kSpan}}));
    add_backup("a", 5 * kSize + 40, 6 * kSize);
    recycle(1, 15, false);
    write_to(40);
    begin();
    run();
    EXPECT_EQ(stored(), (Ranges{{1, kSize, kSpan}, {1, kSpan, 2 * kSpan}}));
    EXPECT_EQ(tracker->status().gaps, 0U) << tracker->status().last_gap;
    EXPECT_EQ(tracker->status().segments, 24U);
    EXPECT_EQ(tracker->count(), (ChangeCount{5 * kSize + 40, 1, 39}));
}

TEST_F(Tracking, BeginsAtTheNewestBackup) {
    write_to(20);
    add_backup("a", 2 * kSize + 40, 3 * kSize);
    add_backup("b", 4 * kSize + 40, 5 * kSize);
    add_backup("elsewhere", 7 * kSize + 40, 8 * kSize, 9);
    add_backup("future", 70 * kSize + 40, 71 * kSize);
    recycle(1, 9);
    begin();
    run();
    EXPECT_EQ(stored(), (Ranges{{1, 4 * kSize, kSpan}}));
    EXPECT_EQ(tracker->count(), (ChangeCount{4 * kSize + 40, 1, 16}));
    // A new one: what was before it does not count any more.
    write_to(21);
    tracker->cut();
    write_to(22);
    run();
    EXPECT_EQ(stored(),
              (Ranges{{1, 4 * kSize, kSpan}, {1, kSpan, 21 * kSize}, {1, 21 * kSize, 22 * kSize}}));
    EXPECT_EQ(tracker->status().stored, 22 * kSize);
    add_backup("c", 22 * kSize + 40, 22 * kSize + 100);
    tracker->look_at_backups();
    run();
    EXPECT_EQ(tracker->count(), (ChangeCount{22 * kSize + 40, 0, 0}));
    write_to(25);
    run();
    EXPECT_EQ(tracker->count()->since, 22 * kSize + 40);
    EXPECT_LE(tracker->count()->blocks, 4U);
    EXPECT_GE(tracker->count()->blocks, 3U);
}

// The first backup may end, or the repository be made, when tracking has begun behind its start.
TEST_F(Tracking, GoesBackToABackupThatBeganBeforeIt) {
    write_to(20);
    begin();
    run();
    write_to(40);
    run();
    ASSERT_EQ(stored(), (Ranges{{1, 20 * kSize, 2 * kSpan}}));
    add_backup("a", 18 * kSize + 40, 22 * kSize);
    tracker->look_at_backups();
    run();
    EXPECT_EQ(stored(), (Ranges{{1, 18 * kSize, 20 * kSize}, {1, 20 * kSize, 2 * kSpan}}));
    EXPECT_EQ(tracker->count(), (ChangeCount{18 * kSize + 40, 1, 22}));
    EXPECT_EQ(tracker->status().position, 40 * kSize);
    EXPECT_EQ(tracker->status().gaps, 0U);
    const uint64_t segments = tracker->status().segments;
    tracker->look_at_backups();
    run();
    EXPECT_EQ(tracker->status().segments, segments);
}

TEST_F(Tracking, WhatIsTooMuchToFetchIsAGap) {
    write_to(20);
    add_backup("a", 4 * kSize + 40, 5 * kSize);
    recycle(1, 9);
    most_archived = 6 * kSize - 1;
    begin();
    run();
    EXPECT_EQ(tracker->status().gaps, 1U);
    EXPECT_TRUE(mentions(tracker->status().last_gap, "6 WAL segments"))
        << tracker->status().last_gap;
    EXPECT_EQ(stored(), (Ranges{{1, 10 * kSize, kSpan}}));
    EXPECT_EQ(tracker->count(), std::nullopt);
    EXPECT_EQ(warnings.size(), 1U);
    add_backup("b", 20 * kSize + 40, 20 * kSize + 80);
    write_to(30);
    tracker->look_at_backups();
    run();
    EXPECT_TRUE(tracker->count());
}

TEST_F(Tracking, UnreadableWalIsOneGap) {
    write_to(20);
    add_backup("a", 4 * kSize + 40, 5 * kSize);
    recycle(7, 8, false);
    begin();
    run();
    EXPECT_EQ(tracker->status().gaps, 1U);
    EXPECT_TRUE(mentions(tracker->status().last_gap, to_text(9 * kSize)))
        << tracker->status().last_gap;
    EXPECT_EQ(warnings.size(), 1U);
    EXPECT_EQ(stored(), (Ranges{{1, 9 * kSize, kSpan}}));
    Bytes damaged = wal.segment(18);
    damaged[50000] ^= std::byte{1};
    write_file_durably(live_path(18), damaged, 0600);
    begin();
    run();
    EXPECT_EQ(tracker->status().gaps, 2U);
    EXPECT_TRUE(mentions(tracker->status().last_gap, "checksum")) << tracker->status().last_gap;
    EXPECT_EQ(tracker->status().position, 20 * kSize);
    // What the repository has of it is as good.
    archived = {7, 8, 18};
    begin();
    run();
    EXPECT_EQ(tracker->status().gaps, 0U) << tracker->status().last_gap;
    EXPECT_EQ(stored(), (Ranges{{1, 4 * kSize, 9 * kSize}, {1, 9 * kSize, kSpan}}));
    make_live(18);
    EXPECT_TRUE(ask({1, 4 * kSize + 40, 5 * kSize}).table);
}

TEST_F(Tracking, ARecordThatIsNotFlushedIsWaitedFor) {
    write_to(2);
    begin();
    run();
    wal.fill_segment_but(512);
    const Lsn across = wal.add_body(10, 0, 700, body_of({{kTable, 77}}, 30000));
    const Lsn end = wal.position();
    make_live(2);
    make_live(3);
    ASSERT_LT(across, 3 * kSize);
    EXPECT_FALSE(tracker->step(3 * kSize + 9000));
    EXPECT_FALSE(tracker->step(end));
    EXPECT_EQ(tracker->status().position, 2 * kSize);
    EXPECT_EQ(tracker->status().gaps, 0U);
    write_to(4);
    run();
    EXPECT_EQ(tracker->status().position, 4 * kSize);
    EXPECT_EQ(tracker->status().gaps, 0U);
}

TEST_F(Tracking, APromotionEndsATable) {
    write_to(4);
    add_backup("a", 2 * kSize + 40, 3 * kSize);
    const Lsn fork = wal.position();
    way = TimelineHistory::parse(2, "1\t" + to_text(fork) + "\tx\n");
    wal.set_timeline(2);
    // The new timeline's file of the segment begins with the old one's content.
    write_to(20);
    for (uint64_t number = 1; number <= 3; ++number) {
        write_file_durably(directory.path() + "/pg_wal/" + WalBuilder::name(number, 1),
                           wal.segment(number), 0600);
    }
    begin();
    run();
    EXPECT_EQ(stored(1), (Ranges{{1, 2 * kSize, fork}}));
    EXPECT_EQ(stored(2), (Ranges{{2, fork, kSpan}}));
    EXPECT_EQ(tracker->status().gaps, 0U) << tracker->status().last_gap;
    EXPECT_EQ(tracker->status().timeline, 2U);
    const ChangeAnswer answer = ask({1, 2 * kSize + 40, 3 * kSize});
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_EQ(answer.table->blocks(), 19U);
}

// The server removes a segment as soon as it is archived; a host that cannot read there has no
// other.
TEST_F(Tracking, WhatWasSeenIsHeld) {
    write_to(2);
    begin();
    run();
    write_to(6);
    EXPECT_TRUE(tracker->step(wal.position()));
    recycle(3, 5, false);
    run();
    EXPECT_EQ(tracker->status().position, 6 * kSize);
    EXPECT_EQ(tracker->status().gaps, 0U);
    // Used anew it is no use.
    write_to(10);
    EXPECT_TRUE(tracker->step(wal.position()));
    File::open(live_path(8), O_WRONLY).pwrite_all(wal.segment(3), 0);
    run();
    EXPECT_EQ(tracker->status().position, 10 * kSize);
    EXPECT_EQ(tracker->status().gaps, 1U);
}

// Tables of WAL that it does not have yet are from before it was set back.
TEST_F(Tracking, AServerThatWasSetBackMakesItsOwn) {
    write_to(20);
    add_backup("a", 2 * kSize + 40, 3 * kSize);
    begin();
    run();
    ASSERT_EQ(stored(), (Ranges{{1, 2 * kSize, kSpan}}));
    WalBuilder other(1);
    wal = other;
    write_to(5);
    add_blocks(wal, {{kTable, 1000}});
    begin();
    run();
    write_to(17);
    run();
    EXPECT_EQ(warnings.size(), 1U);
    EXPECT_EQ(LocalChanges(directory.path()).list(), (Ranges{{1, 2 * kSize, kSpan}}));
    const ChangeAnswer answer = ask({1, 2 * kSize + 40, 3 * kSize});
    ASSERT_TRUE(answer.table) << answer.why_not;
    EXPECT_TRUE(answer.table->find(kTable)->blocks.contains(1000));
}

TEST_F(Tracking, ItsMemoryIsBounded) {
    write_to(20);
    add_backup("a", 2 * kSize + 40, 3 * kSize);
    summary_bytes = 100;
    begin();
    run();
    EXPECT_EQ(tracker->count(), std::nullopt);
    EXPECT_EQ(tracker->status().tables, 1U);
}

}  // namespace
}  // namespace ark
