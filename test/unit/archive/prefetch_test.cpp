#include "core/archive/prefetch.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "core/archive/wal_get.hpp"
#include "core/base/clock.hpp"
#include "test/unit/archive/data_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::TestRepository;
using test::WalBuilder;
namespace fs = std::filesystem;

bool eventually(const std::function<bool()>& is_true) {
    const int64_t deadline = monotonic_nanos() + 20 * 1000000000LL;
    while (monotonic_nanos() < deadline) {
        if (is_true())
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

// What is true stays so for a while.
bool stays(const std::function<bool()>& is_true) {
    for (int i = 0; i < 100; ++i) {
        if (!is_true())
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

RecoveryProcess this_process() {
    std::string text;
    {
        const File stat = File::open("/proc/self/stat", O_RDONLY);
        Bytes buffer(4096);
        buffer.resize(stat.pread_full(buffer, 0));
        text = as_text(buffer);
    }
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string word;
    for (int i = 0; i < 20; ++i)
        fields >> word;
    return {getpid(), std::stoull(word), false};
}

class Prefetch : public ::testing::Test {
 protected:
    Prefetch() {
        request.path = data.path() + "/pg_wal/RECOVERYXLOG";
        for (int i = 0; i < 12; ++i)
            wal.fill_segment();
        data.write_control(5 * WalBuilder::kSegmentSize);
    }
    ~Prefetch() override { end(); }
    Prefetch(const Prefetch&) = delete;
    Prefetch& operator=(const Prefetch&) = delete;

    void put(uint64_t number) { repo.put_segment(WalBuilder::name(number), wal.segment(number)); }
    void put(uint64_t first, uint64_t last) {
        for (uint64_t number = first; number <= last; ++number)
            put(number);
    }

    WalGetResult get(const std::string& name) {
        request.name = name;
        return wal_get(
            request, [this] { return repo.open(); }, [](const Error&) {}, [](const Error&) {},
            [this](const PrefetchOrder& order, SpoolLock& lock) { start(order, lock); });
    }
    WalGetResult get(uint64_t number) { return get(WalBuilder::name(number)); }

    // As the process would be, in a thread.
    void start(const PrefetchOrder& order, SpoolLock& lock) {
        end();
        ++starts;
        over = false;
        auto own = std::make_shared<SpoolLock>(dup(lock.fd()), spool().directory());
        thread = std::thread([this, order, own] {
            Prefetcher prefetcher(order, [this] { return repo.open(); });
            prefetcher.run([this] { return over.load(); });
            if (!is_killed)
                own->remove_spool();
            ended = true;
        });
    }
    void end() {
        over = true;
        if (thread.joinable())
            thread.join();
    }

    Spool spool() const {
        return {data.path(),
                spool_key({request.repository_url, request.cluster, request.target_timeline,
                           WalBuilder::kSystemIdentifier, request.as_of},
                          request.recovery.value_or(RecoveryProcess{}))};
    }
    std::vector<std::string> spooled() const { return spool().segments(); }
    bool has(uint64_t number) const {
        return std::ranges::count(spooled(), WalBuilder::name(number)) != 0;
    }
    Bytes written() const { return read_file(request.path, 1 << 30); }

    TestRepository repo;
    test::DataDirectory data;
    WalBuilder wal{5};
    WalGetRequest request{.name = "",
                          .path = "",
                          .cluster = test::kCluster,
                          .target_timeline = "",
                          .on_error = OnError::abort,
                          .timeout_s = 20,
                          .working_directory = data.path(),
                          .repository_url = "memory://test",
                          .prefetch = -1,
                          .recovery = this_process()};
    std::atomic<bool> over = false;
    std::atomic<bool> ended = false;
    std::atomic<bool> is_killed = false;  ///< leaves everything behind
    int starts = 0;
    std::thread thread;
};

TEST_F(Prefetch, SegmentsComeFromTheSpool) {
    put(5, 16);
    EXPECT_EQ(get(5), WalGetResult::written);
    for (uint64_t number = 6; number <= 16; ++number) {
        ASSERT_TRUE(eventually([&] { return has(number); })) << number;
        EXPECT_EQ(get(number), WalGetResult::written_from_spool);
        EXPECT_EQ(written(), wal.segment(number));
    }
    EXPECT_EQ(get(17), WalGetResult::not_there);
    EXPECT_EQ(starts, 1);
    end();
    EXPECT_FALSE(fs::exists(spool().directory()));
}

// Neither more than is allowed, nor what has been passed by.
TEST_F(Prefetch, TheSpoolIsBounded) {
    put(5, 16);
    request.prefetch = 3;
    get(5);
    for (uint64_t number = 6; number <= 9; ++number) {
        ASSERT_TRUE(eventually([&] { return has(number); }));
        get(number);
    }
    ASSERT_TRUE(eventually([&] { return has(12); }));
    EXPECT_TRUE(stays([&] { return spooled().size() <= 3 && !has(13) && !has(9); }));
}

TEST_F(Prefetch, NothingIsKeptOfAnAnswerThatItIsNotThere) {
    put(5, 6);
    put(8);
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    request.timeout_s = 0;
    EXPECT_EQ(test::error_of([&] { get(7); }), ErrorCode::corrupt);  // a hole
    EXPECT_EQ(get(9), WalGetResult::not_there);
    put(7);
    EXPECT_NE(get(7), WalGetResult::not_there);
    EXPECT_EQ(written(), wal.segment(7));
}

TEST_F(Prefetch, DamageAheadIsNobodysBusinessYet) {
    put(5, 9);
    repo.damage(place::segment(WalBuilder::name(7)));
    request.timeout_s = 2;
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    ASSERT_TRUE(eventually([&] { return has(8); }));
    EXPECT_FALSE(has(7));
    EXPECT_EQ(test::error_of([&] { get(7); }), ErrorCode::corrupt);
}

TEST_F(Prefetch, AnotherRecoverysSpoolIsIgnoredAndRemoved) {
    put(5, 9);
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    const std::string old = spool().find(WalBuilder::name(6))->path;
    request.repository_url = "memory://other";
    EXPECT_EQ(get(6), WalGetResult::written);
    EXPECT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_FALSE(fs::exists(old));
    EXPECT_EQ(get(7), WalGetResult::written);
    EXPECT_EQ(starts, 2);
    EXPECT_TRUE(eventually([&] { return has(8); }));
}

// What another moment's bucket held is another's, though the URL is the same.
TEST_F(Prefetch, ASpoolOfAnotherMomentIsIgnored) {
    put(5, 9);
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    request.as_of = 1000000;
    EXPECT_EQ(get(6), WalGetResult::written);
    EXPECT_TRUE(eventually([&] { return ended.load(); }));
}

// A machine that crashed may have left anything; so may whoever was killed.
TEST_F(Prefetch, WhatAKilledOneLeftIsTakenIfItIsWhole) {
    put(5, 9);
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6) && has(7); }));
    is_killed = true;
    end();
    test::write_text(spool().find(WalBuilder::name(7))->path, "torn");
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    EXPECT_EQ(written(), wal.segment(6));
    is_killed = false;
    EXPECT_EQ(starts, 2);
    ASSERT_TRUE(eventually([&] { return has(8); }));
    EXPECT_EQ(get(7), WalGetResult::written_from_spool);
    EXPECT_EQ(written(), wal.segment(7));
}

// The repository may have been emptied and made anew since, under the same URL, and have other WAL
// under the same names.
TEST_F(Prefetch, WhatWasFetchedForAnEarlierRecoveryIsNotTaken) {
    put(5, 9);
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6) && has(7); }));
    is_killed = true;
    end();
    is_killed = false;
    repo.store().remove(test::kCluster + "/" + place::segment(WalBuilder::name(6)));
    WalBuilder other(6);
    other.add_commit(1, 1);
    other.fill_segment();
    repo.put_segment(WalBuilder::name(6), other.segment(6));
    request.recovery->start_time += 1;
    EXPECT_EQ(get(6), WalGetResult::written);
    EXPECT_EQ(written(), other.segment(6));
}

TEST_F(Prefetch, ATornSegmentIsFetchedAgain) {
    put(5, 9);
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    is_killed = true;
    end();
    test::write_text(spool().find(WalBuilder::name(6))->path, "torn");
    EXPECT_EQ(get(6), WalGetResult::written);
    EXPECT_EQ(written(), wal.segment(6));
}

TEST_F(Prefetch, OneThatIsComingIsWaitedFor) {
    put(5, 9);
    std::atomic<bool> hold = true;
    std::atomic<int> gets = 0;
    repo.hooks->before_get = [&](const std::string& name) {
        if (!name.ends_with(place::segment(WalBuilder::name(6))))
            return;
        ++gets;
        while (hold)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    get(5);
    ASSERT_TRUE(eventually([&] { return gets == 1; }));
    std::thread release([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        hold = false;
    });
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    release.join();
    EXPECT_EQ(gets, 1);
}

TEST_F(Prefetch, EndsWithTheProcessThatRecovers) {
    put(5, 9);
    request.recovery->start_time += 1;  // another process has its id now
    get(5);
    EXPECT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_FALSE(fs::exists(spool().directory()));
}

TEST_F(Prefetch, NoneWithoutARecoveryOrWhereItIsOff) {
    put(5, 9);
    request.prefetch = 0;
    get(5);
    request.prefetch = -1;
    request.recovery.reset();
    get(6);
    EXPECT_EQ(starts, 0);
    EXPECT_FALSE(fs::exists(spool().directory()));
    fs::create_directory(spool().directory());
    get(7);
    EXPECT_FALSE(fs::exists(spool().directory()));
}

// Timeline 2 leaves timeline 1 inside segment 6.
TEST_F(Prefetch, TheForksSegmentIsNeverTakenFromTheSpool) {
    const test::ForkedWal forked;
    repo.put_segment(WalBuilder::name(5), forked.parent.segment(5));
    repo.put_segment(WalBuilder::name(6), forked.parent.segment(6));
    repo.put_segment(WalBuilder::name(7), forked.parent.segment(7));
    repo.put_history(2, forked.history);
    request.target_timeline = "2";
    EXPECT_EQ(get(5), WalGetResult::written);
    EXPECT_TRUE(stays([&] { return spooled().empty(); }));
    EXPECT_EQ(get(6), WalGetResult::written);
    EXPECT_EQ(written(), forked.partial());
    EXPECT_EQ(get(7), WalGetResult::not_there);
}

// The standby's way: a timeline that comes later makes what lies in the spool void.
TEST_F(Prefetch, ANewTimelineEmptiesTheSpool) {
    const test::ForkedWal forked;
    for (const uint64_t number : {5, 6, 7})
        repo.put_segment(WalBuilder::name(number), forked.parent.segment(number));
    request.target_timeline = "latest";
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6) && has(7); }));
    ASSERT_TRUE(eventually([&] { return spool().was_confirmed(3000000000); }));
    repo.put_history(2, forked.history);
    EXPECT_TRUE(eventually([&] { return spooled().empty(); }));
    EXPECT_EQ(get(6), WalGetResult::written);
    EXPECT_EQ(written(), forked.partial());
}

TEST_F(Prefetch, WithoutAConfirmationTheRepositoryIsAsked) {
    put(5, 9);
    request.target_timeline = "latest";
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6) && spool().was_confirmed(3000000000); }));
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    ASSERT_TRUE(eventually([&] { return has(7); }));
    repo.hooks->before_get = [](const std::string& name) {
        if (name.ends_with(".history"))
            throw Error(ErrorCode::unavailable, "the store is away");
    };
    ASSERT_TRUE(eventually([&] { return !spool().was_confirmed(3000000000); }));
    request.timeout_s = 0;
    EXPECT_EQ(test::error_of([&] { get(7); }), ErrorCode::unavailable);
}

TEST_F(Prefetch, TheGuardOfTablespacesLooksAtSpooledSegmentsToo) {
    const std::string location = data.outside("ts");
    WalBuilder builder(5);
    builder.fill_segment();
    builder.add_tablespace(16400, location);
    builder.fill_segment();
    repo.put_segment(WalBuilder::name(5), builder.segment(5));
    repo.put_segment(WalBuilder::name(6), builder.segment(6));
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    EXPECT_FALSE(spool().find(WalBuilder::name(6))->is_free);
    fs::create_directories(location + "/PG_15_202209061/5");
    EXPECT_EQ(test::error_of([&] { get(6); }), ErrorCode::refused);
    fs::remove_all(location);
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    EXPECT_EQ(written(), builder.segment(6));
}

// Of the record at its end a segment has the first bytes alone, in which its kind is not.
TEST_F(Prefetch, TheNextSegmentTellsOfACutRecord) {
    const std::string location = data.outside("ts");
    WalBuilder builder(5);
    builder.fill_segment();
    builder.fill_segment_but(16);
    builder.add_of_size(200);
    builder.fill_segment_but(8);
    builder.add_tablespace(16400, location);
    builder.fill_segment();
    for (const uint64_t number : {5, 6, 7, 8})
        repo.put_segment(WalBuilder::name(number), builder.segment(number));
    get(5);
    EXPECT_TRUE(eventually([&] { return has(6) && spool().find(WalBuilder::name(6))->is_free; }));
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    ASSERT_TRUE(eventually([&] { return has(7) && has(8); }));
    fs::create_directories(location + "/PG_15_202209061/5");
    EXPECT_EQ(test::error_of([&] { get(7); }), ErrorCode::refused);
    EXPECT_FALSE(spool().find(WalBuilder::name(7))->is_free);
}

TEST_F(Prefetch, ContainedSegmentsAreContainedFromTheSpoolToo) {
    WalBuilder builder(5);
    builder.fill_segment();
    builder.add_tablespace(16400, data.outside("ts"));
    builder.fill_segment();
    repo.put_segment(WalBuilder::name(5), builder.segment(5));
    repo.put_segment(WalBuilder::name(6), builder.segment(6));
    request.contain_tablespaces = true;
    get(5);
    ASSERT_TRUE(eventually([&] { return has(6); }));
    EXPECT_EQ(get(6), WalGetResult::written_from_spool);
    EXPECT_NE(written(), builder.segment(6));
    EXPECT_FALSE(has(6));
}

TEST_F(Prefetch, AServersProcessIsFoundByItsPidFile) {
    // A shell between us and what asks; we stand for the startup process.
    test::write_text(data.path() + "/postmaster.pid", std::to_string(getppid()) + "\n");
    const RecoveryProcess self = this_process();
    const pid_t child = fork();
    if (child == 0) {
        const auto found = find_recovery_process(data.path(), getpid());
        _exit(found && *found == self ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(is_running(this_process()));
    EXPECT_FALSE(is_running({child, 1, false}));
    // In single-user mode the server itself recovers.
    test::write_text(data.path() + "/postmaster.pid", std::to_string(-getppid()) + "\n");
    EXPECT_EQ(find_recovery_process(data.path(), getpid())->pid, getppid());
    test::write_text(data.path() + "/postmaster.pid", std::to_string(getppid()) + "\n");
    EXPECT_FALSE(find_recovery_process(data.path(), getpid()));
    fs::remove(data.path() + "/postmaster.pid");
    EXPECT_FALSE(find_recovery_process(data.path(), getpid()));
}

}  // namespace
}  // namespace ark
