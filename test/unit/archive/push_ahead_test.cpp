#include "core/archive/push_ahead.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "core/archive/fetch.hpp"
#include "core/base/clock.hpp"
#include "test/unit/archive/data_directory.hpp"
#include "test/unit/archive/fixture.hpp"

namespace ark {
namespace {

using test::kCluster;
using test::WalBuilder;
constexpr uint64_t kSize = WalBuilder::kSegmentSize;
constexpr std::chrono::milliseconds kLong(60000);

class PushAheadTest : public ::testing::Test {
 protected:
    PushAheadTest() : wal(1) {
        for (int i = 0; i < 12; ++i)
            wal.fill_segment();
    }
    void offer(uint64_t first, uint64_t last) {
        for (uint64_t n = first; n <= last; ++n)
            data.add_wal(WalBuilder::name(n), wal.segment(n));
    }
    void begin(PushAheadOptions options = {.data_directory = "", .threads = 2, .limit = 64}) {
        options.data_directory = data.path();
        const PushTarget target{repo.store(), kCluster, WalBuilder::kSystemIdentifier,
                                kSize,        1,        {"host", "boot", data.path(), 0}};
        pool = std::make_unique<PushAhead>(target, options);
    }
    PushResult push(uint64_t number) {
        pool->start(WalBuilder::name(number), data.wal(WalBuilder::name(number)));
        const PushResult result = pool->wait(kLong).value();
        data.mark_done(WalBuilder::name(number));
        return result;
    }
    bool is_stored(uint64_t number) {
        return repo.base->head(kCluster + "/" + place::segment(WalBuilder::name(number)))
            .has_value();
    }
    template <typename Condition>
    static bool eventually(const Condition& condition, int64_t millis = 30000) {
        const int64_t deadline = monotonic_nanos() + millis * 1000000;
        while (!condition()) {
            if (monotonic_nanos() > deadline)
                return false;
            std::this_thread::yield();
        }
        return true;
    }

    test::TestRepository repo;
    test::DataDirectory data;
    WalBuilder wal;
    std::unique_ptr<PushAhead> pool;
};

TEST_F(PushAheadTest, StoresWhatWillBeAskedFor) {
    offer(1, 5);
    begin();
    EXPECT_EQ(push(1), PushResult::stored);
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 4; }));
    for (uint64_t n = 1; n <= 5; ++n) {
        EXPECT_EQ(fetch_segment({*repo.repository, kCluster}, WalBuilder::name(n)), wal.segment(n));
    }
    const int puts = repo.hooks->puts;
    for (uint64_t n = 2; n <= 5; ++n)
        EXPECT_EQ(push(n), PushResult::stored);
    EXPECT_EQ(pool->ahead(), 0U);
    EXPECT_EQ(repo.hooks->puts, puts);
}

// What nobody has stored before is one request, also where the memory for a segment was given back
// since the last one.
TEST_F(PushAheadTest, LooksForASegmentOnlyAtFirst) {
    begin();
    offer(1, 1);
    EXPECT_EQ(push(1), PushResult::stored);
    const int looks = repo.hooks->ranges;
    for (uint64_t n = 2; n <= 6; ++n) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        offer(n, n);
        EXPECT_EQ(push(n), PushResult::stored);
    }
    // The other thread's first.
    EXPECT_LE(repo.hooks->ranges, looks + 1);
}

TEST_F(PushAheadTest, NeverTouchesArchiveStatus) {
    offer(1, 5);
    begin();
    push(1);
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 4; }));
    for (uint64_t n = 2; n <= 5; ++n) {
        EXPECT_TRUE(std::filesystem::exists(data.ready(WalBuilder::name(n))));
    }
}

TEST_F(PushAheadTest, StaysWithinItsLimit) {
    offer(1, 12);
    begin({.data_directory = "", .threads = 2, .limit = 3});
    push(1);
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 3; }));
    pool->stop(kLong);
    EXPECT_TRUE(is_stored(4));
    EXPECT_FALSE(is_stored(5));
}

// While the store is waited for, the memory that the segment was read into serves the next one.
TEST_F(PushAheadTest, HasMoreInFlightThanItCompresses) {
    offer(1, 4);
    std::atomic<int> waiting = 0;
    std::atomic<bool> go_on = false;
    repo.hooks->before_put = [&](const std::string& name) {
        if (name.find(WalBuilder::name(1)) != std::string::npos)
            return;
        ++waiting;
        eventually([&] { return go_on.load(); });
    };
    begin({.data_directory = "", .threads = 3, .compressors = 1, .limit = 64});
    push(1);
    EXPECT_TRUE(eventually([&] { return waiting == 3; }));
    go_on = true;
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 3; }));
    for (uint64_t n = 1; n <= 4; ++n)
        EXPECT_EQ(fetch_segment({*repo.repository, kCluster}, WalBuilder::name(n)), wal.segment(n));
}

TEST_F(PushAheadTest, FindsMoreWhenWhatItFoundIsStored) {
    offer(1, 3);
    std::atomic<bool> added = false;
    repo.hooks->before_put = [&](const std::string& name) {
        if (name.find(WalBuilder::name(3)) != std::string::npos && !added.exchange(true))
            offer(4, 6);
    };
    begin();
    push(1);
    EXPECT_TRUE(eventually([&] { return is_stored(6); }));
}

// A file that was stored ahead and is another one by the time it is asked for.
TEST_F(PushAheadTest, LooksAtTheFileAgainWhenItIsAskedFor) {
    offer(1, 2);
    begin();
    push(1);
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 1; }));
    WalBuilder other(2);
    other.add_commit(1, 1);
    other.fill_segment();
    std::filesystem::remove(data.wal(WalBuilder::name(2)));
    data.add_wal(WalBuilder::name(2), other.segment(2));
    EXPECT_EQ(test::error_of([&] { push(2); }), ErrorCode::conflict);
}

TEST_F(PushAheadTest, ASegmentThatIsAskedForWhileItIsStoredAheadIsStoredOnce) {
    offer(1, 2);
    std::atomic<bool> reached = false;
    std::atomic<bool> go = false;
    repo.hooks->before_put = [&](const std::string& name) {
        if (name.find(WalBuilder::name(2)) == std::string::npos)
            return;
        reached = true;
        eventually([&] { return go.load(); });
    };
    begin();
    push(1);
    ASSERT_TRUE(eventually([&] { return reached.load(); }));
    pool->start(WalBuilder::name(2), data.wal(WalBuilder::name(2)));
    EXPECT_EQ(pool->wait(std::chrono::milliseconds(20)), std::nullopt);
    go = true;
    EXPECT_EQ(pool->wait(kLong), PushResult::stored);
    EXPECT_EQ(repo.hooks->puts, 3);  // ark.json and two segments
}

// A copy of a server beside it: they differ from segment 2 on, which the other one has stored.
class TwoServersTest : public PushAheadTest {
 protected:
    TwoServersTest() {
        WalBuilder other(2);
        other.add_commit(1, 1);
        other.fill_segment();
        repo.put_segment(WalBuilder::name(1), wal.segment(1));
        repo.put_segment(WalBuilder::name(2), other.segment(2));
        // What would be stored meanwhile is.
        repo.hooks->before_range = [this](const std::string& name) {
            if (name.find(WalBuilder::name(2)) != std::string::npos)
                eventually([&] { return is_stored(3); }, 200);
        };
    }
    void expect_nothing_behind() {
        EXPECT_EQ(test::error_of([&] { push(2); }), ErrorCode::conflict);
        EXPECT_EQ(test::error_of([&] { push(2); }), ErrorCode::conflict);
        pool->stop(kLong);
        for (uint64_t n = 3; n <= 6; ++n)
            EXPECT_FALSE(is_stored(n)) << n;
    }
};

TEST_F(TwoServersTest, NothingIsStoredBehindASegmentThatDiffers) {
    offer(1, 6);
    begin({.data_directory = "", .threads = 4, .limit = 64});
    EXPECT_EQ(push(1), PushResult::present);
    expect_nothing_behind();
}

TEST_F(TwoServersTest, ATimelinesHistoryComparesNothing) {
    offer(2, 6);
    begin({.data_directory = "", .threads = 4, .limit = 64});
    test::write_text(data.path() + "/pg_wal/00000002.history", "1\t0/28\tx\n");
    pool->start("00000002.history", data.path() + "/pg_wal/00000002.history");
    EXPECT_EQ(pool->wait(kLong), PushResult::stored);
    expect_nothing_behind();
}

TEST_F(TwoServersTest, NorWhatTheArchiverAsksForMeanwhile) {
    repo.base->remove(kCluster + "/" + place::segment(WalBuilder::name(2)));
    repo.put_segment(WalBuilder::name(2), wal.segment(2));
    offer(1, 2);
    std::atomic<bool> reached = false;
    std::atomic<bool> go = false;
    repo.hooks->before_range = [&](const std::string& name) {
        if (name.find(WalBuilder::name(2)) == std::string::npos)
            return;
        reached = true;
        eventually([&] { return go.load(); });
    };
    begin({.data_directory = "", .threads = 4, .limit = 64});
    EXPECT_EQ(push(1), PushResult::present);
    ASSERT_TRUE(eventually([&] { return reached.load(); }));
    offer(3, 3);
    pool->start(WalBuilder::name(3), data.wal(WalBuilder::name(3)));
    EXPECT_EQ(pool->wait(std::chrono::milliseconds(50)), std::nullopt);
    EXPECT_FALSE(is_stored(3));
    go = true;
    EXPECT_EQ(pool->wait(kLong), PushResult::stored);
}

// What was on its way beside it is stored; nothing is begun any more.
TEST_F(TwoServersTest, WhatWasOnItsWayBesideItIsTheEnd) {
    repo.base->remove(kCluster + "/" + place::segment(WalBuilder::name(1)));
    repo.base->remove(kCluster + "/" + place::segment(WalBuilder::name(2)));
    offer(1, 8);
    std::atomic<bool> go = false;
    WalBuilder other(3);
    other.add_commit(1, 1);
    other.fill_segment();
    std::atomic<bool> is_others = false;
    std::atomic<bool> is_compared = false;
    repo.hooks->before_range = [&](const std::string& name) {
        if (is_others && name.find(WalBuilder::name(3)) != std::string::npos)
            is_compared = true;
    };
    repo.hooks->before_put = [&](const std::string& name) {
        if (name.find(WalBuilder::name(2)) != std::string::npos)
            eventually([&] { return go.load(); });
        if (name.find(WalBuilder::name(3)) != std::string::npos) {
            repo.put_segment(WalBuilder::name(3), other.segment(3));
            is_others = true;
        }
    };
    begin();
    EXPECT_EQ(push(1), PushResult::stored);
    ASSERT_TRUE(eventually([&] { return is_compared.load(); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // a busy machine's
    go = true;
    ASSERT_TRUE(eventually([&] { return is_stored(2); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(push(2), PushResult::stored);
    EXPECT_EQ(test::error_of([&] { push(3); }), ErrorCode::conflict);
    pool->stop(kLong);
    for (uint64_t n = 4; n <= 8; ++n)
        EXPECT_FALSE(is_stored(n)) << n;
}

// Behind what this server was the first to store several are on their way again.
TEST_F(TwoServersTest, ASegmentThatNobodyHadEndsIt) {
    repo.base->remove(kCluster + "/" + place::segment(WalBuilder::name(2)));
    offer(1, 5);
    std::atomic<int> waiting = 0;
    std::atomic<bool> go_on = false;
    repo.hooks->before_range = [](const std::string&) {};
    repo.hooks->before_put = [&](const std::string& name) {
        if (name.find(WalBuilder::name(2)) != std::string::npos)
            return;
        ++waiting;
        eventually([&] { return go_on.load(); });
    };
    begin({.data_directory = "", .threads = 3, .limit = 64});
    EXPECT_EQ(push(1), PushResult::present);
    EXPECT_TRUE(eventually([&] { return waiting == 3; }));
    go_on = true;
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 4; }));
}

TEST_F(PushAheadTest, AStoreThatIsAwayIsNotTriedByItself) {
    offer(1, 6);
    begin();
    std::atomic<int> tries = 0;
    repo.hooks->before_put = [&](const std::string&) {
        if (++tries > 1)
            throw Error(ErrorCode::unavailable, "gone");
    };
    push(1);
    EXPECT_TRUE(eventually([&] { return tries >= 2; }));
    EXPECT_EQ(test::error_of([&] { push(2); }), ErrorCode::unavailable);
    // What may still have been under way is one try a thread.
    pool->stop(kLong);
    EXPECT_LE(tries, 1 + 2 + 1);
    EXPECT_EQ(pool->ahead(), 0U);
}

TEST_F(PushAheadTest, RecoversWhenTheStoreIsBack) {
    offer(1, 4);
    begin();
    repo.hooks->broken = true;
    EXPECT_EQ(test::error_of([&] { push(1); }), ErrorCode::unavailable);
    repo.hooks->broken = false;
    EXPECT_EQ(push(1), PushResult::stored);
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 3; }));
}

TEST_F(PushAheadTest, ABadSegmentIsReportedWhenItIsAskedFor) {
    offer(1, 4);
    Bytes torn = wal.segment(3);
    std::fill(torn.begin() + kSize / 2, torn.end(), std::byte{0});
    data.add_wal(WalBuilder::name(3), torn);
    begin();
    EXPECT_EQ(push(1), PushResult::stored);
    EXPECT_EQ(push(2), PushResult::stored);
    EXPECT_EQ(test::error_of([&] { push(3); }), ErrorCode::corrupt);
    EXPECT_EQ(test::error_of([&] { push(3); }), ErrorCode::corrupt);
    EXPECT_FALSE(is_stored(3));
}

TEST_F(PushAheadTest, ForgetsWhatTheServerNoLongerOffers) {
    offer(1, 3);
    begin();
    push(1);
    EXPECT_TRUE(eventually([&] { return pool->ahead() == 2; }));
    data.mark_done(WalBuilder::name(2));
    offer(7, 7);
    push(3);
    EXPECT_TRUE(eventually([&] { return is_stored(7) && pool->ahead() == 1; }));
}

TEST_F(PushAheadTest, ServesOtherFilesAndRefusesTheRest) {
    begin();
    test::write_text(data.path() + "/pg_wal/00000002.history", "1\t0/28\tx\n");
    pool->start("00000002.history", data.path() + "/pg_wal/00000002.history");
    EXPECT_EQ(pool->wait(kLong), PushResult::stored);
    pool->start("postgresql.conf", data.path() + "/postgresql.conf");
    EXPECT_EQ(test::error_of([&] { pool->wait(kLong); }), ErrorCode::invalid_argument);
    // An error is an answer: the next request may follow.
    offer(1, 1);
    EXPECT_EQ(push(1), PushResult::stored);
}

TEST_F(PushAheadTest, DoesNotWaitLongForAStoreThatHangs) {
    offer(1, 1);
    std::atomic<bool> reached = false;
    std::atomic<bool> go = false;
    repo.hooks->before_put = [&](const std::string&) {
        reached = true;
        eventually([&] { return go.load(); });
    };
    begin();
    pool->start(WalBuilder::name(1), data.wal(WalBuilder::name(1)));
    ASSERT_TRUE(eventually([&] { return reached.load(); }));
    EXPECT_FALSE(pool->stop(std::chrono::milliseconds(10)));
    go = true;
    EXPECT_TRUE(pool->stop(kLong));
}

}  // namespace
}  // namespace ark
