#include "core/backup/wal_wait.hpp"

#include "test/support/archived_wal.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/scripted_host.hpp"

namespace ark {
namespace {

class WalWait : public testing::Test {
 protected:
    WalWait() {
        for (const uint64_t number : {2, 3, 4})
            segments[number] = segment_name({1, number}, 16 << 20);
    }
    void wait() { wait_for_wal(*repository, request, host.begun, host.ended, 16 << 20, {}, host); }
    Error timeout() {
        return test::expect_error(ErrorCode::timeout, [&] {
            wait();
            return 0;
        });
    }
    void archive(uint64_t number, bool stored = true, bool done = true) {
        test::archive_segment(repository->store(), cluster, number, stored, done);
    }
    void history(TimelineId timeline, const std::string& content) {
        cluster.add("pg_wal/" + history_name(timeline), content);
    }
    std::optional<Bytes> stored_history(TimelineId timeline) {
        return repository->store().get("main/" + place::history(timeline), 1 << 20);
    }

    test::FakeCluster cluster;
    BackupRequest request = test::request_for(cluster);
    test::ScriptedHost host;
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    std::map<uint64_t, std::string> segments;
};

TEST_F(WalWait, EndsWhenEverySegmentFromStartToStopIsThere) {
    for (const uint64_t number : {2, 3, 4})
        archive(number);
    wait();
    EXPECT_EQ(host.calls["wait"], 0);
}

TEST_F(WalWait, NamesTheSegmentThatIsMissing) {
    archive(2);
    archive(4);
    const Error error = timeout();
    EXPECT_TRUE(test::mentions(error.message, segments[3])) << error.message;
    EXPECT_TRUE(test::mentions(error.detail, "pg_ark.wal_timeout"));
    EXPECT_EQ(host.last_progress.segment, segments[3]);
    EXPECT_EQ(host.last_progress.phase, BackupPhase::waiting_for_wal);
}

TEST_F(WalWait, TheSegmentOfTheStopIsNeeded) {
    archive(2);
    archive(3);
    EXPECT_TRUE(test::mentions(timeout().message, segments[4]));
}

// The stop LSN stands at the beginning of a segment that may never be filled.
TEST_F(WalWait, AStopOnABoundaryNeedsTheSegmentBefore) {
    host.ended.lsn = 0x4000000;
    archive(2);
    archive(3);
    wait();
}

TEST_F(WalWait, GoesOnWhenTheArchiverHasCaughtUp) {
    request.wal_timeout_seconds = 60;
    archive(2);
    int waits = 0;
    host.before = [&](const std::string& call) {
        if (call == "wait")
            archive(static_cast<uint64_t>(2 + ++waits));
    };
    wait();
    EXPECT_EQ(waits, 2);
}

// An object of that name may be another cluster's: only the own archiver's word counts.
TEST_F(WalWait, AnObjectThatTheArchiverDoesNotKnowDoesNotCount) {
    archive(2);
    archive(3, true, false);  // .ready
    archive(4);
    EXPECT_TRUE(test::mentions(timeout().message, segments[3]));
    const std::string ready = cluster.path("pg_wal/archive_status/" + segments[3] + ".ready");
    std::filesystem::remove(ready);
    EXPECT_TRUE(test::mentions(timeout().message, segments[3])) << "neither mark, segment there";
    std::filesystem::remove(cluster.path("pg_wal/" + segments[3]));
    test::write_file(ready, "");
    EXPECT_TRUE(test::mentions(timeout().message, segments[3])) << "its mark outlives the segment";
    std::filesystem::remove(ready);
    wait();  // recycled after it was archived
}

TEST_F(WalWait, TheArchiversWordWithoutTheObjectDoesNotCount) {
    archive(2);
    archive(3, false, true);
    archive(4);
    EXPECT_TRUE(test::mentions(timeout().message, segments[3]));
}

TEST_F(WalWait, CancellingEndsTheWait) {
    request.wal_timeout_seconds = 60;
    host.before = [&](const std::string& call) {
        if (call == "wait")
            throw Error(ErrorCode::cancelled, "the server has ended the job");
    };
    test::expect_error(ErrorCode::cancelled, [&] {
        wait();
        return 0;
    });
}

class Histories : public WalWait {
 protected:
    Histories() {
        host.begun.timeline = host.ended.timeline = 3;
        host.ended.lsn = host.begun.lsn + 1;
        const std::string segment = segment_name({3, 2}, 16 << 20);
        cluster.add("pg_wal/archive_status/" + segment + ".done", "");
        repository->store().put_if_absent("main/" + place::segment(segment), as_bytes("x"));
    }
    const std::string second = "1\t0/1000000\tno reason\n";
    const std::string third = "1\t0/1000000\tno reason\n2\t0/2000000\tno reason\n";
};

// Without it a restore ends on the old timeline and says nothing.
TEST_F(Histories, ThatTheRepositoryLacksArePushed) {
    history(2, second);
    history(3, third);
    wait();
    EXPECT_EQ(as_text(*stored_history(2)), second);
    EXPECT_EQ(as_text(*stored_history(3)), third);
    EXPECT_FALSE(stored_history(1));
    wait();
}

TEST_F(Histories, OnlyTheOwnOneIsNeeded) {
    history(3, third);
    wait();
    EXPECT_FALSE(stored_history(2));
}

TEST_F(Histories, OneThatIsInTheRepositoryAlreadyWillDo) {
    repository->store().put_if_absent("main/" + place::history(3), as_bytes(third));
    wait();
}

TEST_F(Histories, OneThatIsNowhereIsAnError) {
    const Error error = test::expect_error(ErrorCode::not_found, [&] {
        wait();
        return 0;
    });
    EXPECT_TRUE(test::mentions(error.message, "00000003.history"));
}

TEST_F(Histories, AnotherOneIsNeverOverwritten) {
    history(3, third);
    repository->store().put_if_absent("main/" + place::history(3), as_bytes(second));
    test::expect_error(ErrorCode::conflict, [&] {
        wait();
        return 0;
    });
    EXPECT_EQ(as_text(*stored_history(3)), second);
}

// What is stored under a name stays there: a damaged file would keep the right one out for ever.
TEST_F(Histories, ADamagedOneIsNotStored) {
    history(3, "half a li");
    test::expect_error(ErrorCode::corrupt, [&] {
        wait();
        return 0;
    });
    EXPECT_FALSE(stored_history(3));
}

}  // namespace
}  // namespace ark
