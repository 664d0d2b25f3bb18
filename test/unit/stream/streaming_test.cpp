#include "core/stream/streaming.hpp"

#include <atomic>
#include <deque>
#include <thread>

#include "core/stream/stream_again.hpp"
#include "test/unit/stream/fixture.hpp"

namespace ark {
namespace {

using test::kCluster;
using test::WalBuilder;

// A server as far as streaming sees it. The test's thread fills it, the streaming one reads.
class FakeServer final : public WalStream {
 public:
    explicit FakeServer(const WakeUp& wake) : wake_(wake) {}

    void send(Lsn begin, ByteView wal) {
        push({StreamMessage::Kind::wal, begin, {}, begin + wal.size(), false, {}},
             Bytes(wal.begin(), wal.end()));
    }
    void keepalive() { push({StreamMessage::Kind::keepalive, 0, {}, 0, true, {}}, {}); }
    void end_timeline(TimelineId next, Lsn at) {
        push({StreamMessage::Kind::end_of_timeline, 0, {}, 0, false, NextTimeline{next, at}}, {});
    }
    Lsn acknowledged() const {
        const std::lock_guard lock(mutex_);
        return statuses_.empty() ? 0 : statuses_.back();
    }
    size_t statuses() const {
        const std::lock_guard lock(mutex_);
        return statuses_.size();
    }
    bool is_read() const {
        const std::lock_guard lock(mutex_);
        return messages_.empty();
    }

    std::optional<StreamMessage> receive() override {
        const std::lock_guard lock(mutex_);
        if (messages_.empty())
            return std::nullopt;
        last_ = std::move(messages_.front());
        messages_.pop_front();
        last_.first.bytes = last_.second;
        return last_.first;
    }
    void send_status(Lsn durable) override {
        const std::lock_guard lock(mutex_);
        statuses_.push_back(durable);
    }
    void wait(int millis, bool /*to_read*/) override { wake_.wait(millis); }

 private:
    void push(StreamMessage message, Bytes wal) {
        {
            const std::lock_guard lock(mutex_);
            messages_.emplace_back(std::move(message), std::move(wal));
        }
        wake_.wake();
    }

    const WakeUp& wake_;
    mutable std::mutex mutex_;
    std::deque<std::pair<StreamMessage, Bytes>> messages_;
    std::pair<StreamMessage, Bytes> last_;
    std::vector<Lsn> statuses_;
};

class FakeWholes final : public WholeSegments {
 public:
    bool is_durable(uint64_t number) override { return number <= up_to; }
    std::atomic<uint64_t> up_to = 0;
};

class Listener final : public StreamListener {
 public:
    void connected(int /*process_id*/, TimelineId /*timeline*/, Lsn /*start*/) override {}
    void status(const StreamStatus& status) override {
        const std::lock_guard lock(mutex_);
        status_ = status;
    }
    void warning(const Error& /*warning*/) override {}
    StreamStatus last() const {
        const std::lock_guard lock(mutex_);
        return status_;
    }

 private:
    mutable std::mutex mutex_;
    StreamStatus status_;
};

class StreamingTest : public test::StreamFixture {
 protected:
    StreamingTest() {
        options.interval_ms = 1;
        options.synchronous = &synchronous;
        options.remove_pieces = [this](const std::string& segment) {
            remove_tail(*base, kCluster, segment);
            removed = true;
        };
    }
    ~StreamingTest() override { stop(); }

    void start(std::optional<ArchiveGap> gap = {}) {
        thread = std::thread([this, gap] {
            try {
                TailWriter writer(target(), 1, 0, [this] { wake.wake(); });
                writer.begin(kBegin, read_tail(context(), WalBuilder::name(5)));
                StreamStatus status;
                status.timeline = 1;
                Streaming streaming(server, writer, wholes, listener, status, options, kSize, wake);
                end = streaming.run(gap);
                next = streaming.next();
            } catch (const Error& error) {
                failure = error;
            }
            ended = true;
        });
    }
    void stop() {
        wake.stop();
        if (thread.joinable())
            thread.join();
    }
    void send(Lsn to) {
        while (sent < to) {
            const Lsn stop = std::min(to, sent + 100000);
            server.send(sent, slice(sent, stop));
            sent = stop;
        }
    }
    static bool eventually(const std::function<bool()>& what) {
        for (int i = 0; i < 5000; ++i) {
            if (what())
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return false;
    }
    // Long enough for something to have happened that must not.
    static void a_while() { std::this_thread::sleep_for(std::chrono::milliseconds(150)); }
    bool is_acknowledged(Lsn lsn) {
        return eventually([&] { return server.acknowledged() == lsn; });
    }

    WakeUp wake;
    FakeServer server{wake};
    FakeWholes wholes;
    Listener listener;
    std::atomic<bool> synchronous = false;
    StreamingOptions options;
    Lsn sent = kBegin;
    std::thread thread;
    std::atomic<bool> ended = false;
    std::atomic<bool> removed = false;
    std::optional<Streaming::End> end;
    std::optional<NextTimeline> next;
    std::optional<Error> failure;
};

TEST_F(StreamingTest, TellsTheServerWhatIsDurable) {
    start();
    ASSERT_TRUE(is_acknowledged(kBegin));
    send(kBegin + 1000);
    ASSERT_TRUE(is_acknowledged(kBegin + 1000));
    EXPECT_EQ(chain(5).size(), 1000);
    EXPECT_TRUE(eventually([&] { return listener.last().durable == kBegin + 1000; }));
    const StreamStatus status = listener.last();
    EXPECT_EQ(status.state, StreamState::streaming);
    EXPECT_EQ(status.pieces, 1);
    EXPECT_GT(status.durable_at, 0);
}

TEST_F(StreamingTest, AnIdleServerCostsNothing) {
    start();
    send(kBegin + 1000);
    ASSERT_TRUE(is_acknowledged(kBegin + 1000));
    std::atomic<int> calls = 0;
    at_each_call([&](const std::string&, const std::string&) { ++calls; });
    a_while();
    EXPECT_EQ(calls, 0);
}

TEST_F(StreamingTest, CommitsThatNobodyWaitsForAreCutAfterTheInterval) {
    options.interval_ms = 3600000;
    start();
    send(kBegin + 1000);
    a_while();
    EXPECT_EQ(server.acknowledged(), kBegin);
    synchronous = true;
    wake.wake();
    ASSERT_TRUE(is_acknowledged(kBegin + 1000));
    send(kBegin + 2000);
    ASSERT_TRUE(is_acknowledged(kBegin + 2000));
}

TEST_F(StreamingTest, UnderLoadTheArchiverStoresAndNoPieceIsWritten) {
    options.interval_ms = 3600000;
    const int before = puts_so_far();
    start();
    send(kBegin + 2 * kSize);
    ASSERT_TRUE(eventually([&] { return listener.last().waiting == 2; }));
    EXPECT_EQ(server.acknowledged(), kBegin);
    wholes.up_to = 5;
    ASSERT_TRUE(is_acknowledged(kBegin + kSize));
    wholes.up_to = 6;
    ASSERT_TRUE(is_acknowledged(kBegin + 2 * kSize));
    EXPECT_EQ(puts_so_far(), before);
    EXPECT_TRUE(eventually([&] { return listener.last().segments == 2; }));
    EXPECT_FALSE(removed);
}

// Pieces never lie behind a segment that is not durable.
TEST_F(StreamingTest, WithoutTheWholeTheNextSegmentGetsNoPiece) {
    start();
    send(kBegin + 1000);
    ASSERT_TRUE(is_acknowledged(kBegin + 1000));
    send(kBegin + kSize + 1000);
    a_while();
    EXPECT_TRUE(chain(6).empty());
    EXPECT_LT(server.acknowledged(), kBegin + kSize);
    put_whole(5);
    wholes.up_to = 5;
    ASSERT_TRUE(is_acknowledged(kBegin + kSize + 1000));
    EXPECT_TRUE(eventually([&] { return chain(5).empty(); }));
}

TEST_F(StreamingTest, CommitsDoNotWaitForTheWhole) {
    synchronous = true;
    start();
    send(kBegin + kSize + 1000);
    ASSERT_TRUE(is_acknowledged(kBegin + kSize + 1000));
    EXPECT_EQ(chain(5), wal.segment(5));
    wholes.up_to = 5;
    EXPECT_TRUE(eventually([&] { return chain(5).empty(); }));
    EXPECT_EQ(chain(6).size(), 1000);
}

// Nothing is removed while a piece may still come.
TEST_F(StreamingTest, PiecesGoWhenTheLastOfThemHasCome) {
    synchronous = true;
    gate.hold(piece(5, 0));
    start();
    send(kBegin + 1000);
    send(kBegin + kSize + 10);
    wholes.up_to = 5;
    a_while();
    EXPECT_FALSE(removed);
    gate.let_go(piece(5, 0));
    EXPECT_TRUE(eventually([&] { return chain(5).empty() && removed; }));
    ASSERT_TRUE(is_acknowledged(kBegin + kSize + 10));
}

TEST_F(StreamingTest, BehindAGapNothingIsAcknowledged) {
    start(ArchiveGap{"000000010000000000000003", 3 * kSize});
    send(kBegin + 1000);
    ASSERT_TRUE(eventually([&] { return chain(5).size() == 1000; }));
    ASSERT_TRUE(is_acknowledged(3 * kSize));
    EXPECT_TRUE(eventually([&] { return listener.last().durable == 3 * kSize; }));
    EXPECT_EQ(listener.last().state, StreamState::gap);
    EXPECT_EQ(listener.last().missing, "000000010000000000000003");
}

TEST_F(StreamingTest, AnswersTheServerWhileTheStoreHangs) {
    synchronous = true;
    gate.hold(piece(5, 0));
    start();
    send(kBegin + 1000);
    a_while();
    const size_t before = server.statuses();
    server.keepalive();
    EXPECT_TRUE(eventually([&] { return server.statuses() > before; }));
    EXPECT_EQ(server.acknowledged(), kBegin);
    // And at least every second, asked or not.
    EXPECT_TRUE(eventually([&] { return server.statuses() > before + 1; }));
    gate.let_go(piece(5, 0));
    ASSERT_TRUE(is_acknowledged(kBegin + 1000));
}

TEST_F(StreamingTest, GivesUpWhenTheStoreIsFarBehind) {
    options.interval_ms = 3600000;
    options.gives_up_behind = true;
    options.limit = 2 * kSize;
    start();
    send(kBegin + 2 * kSize + 1000);
    ASSERT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_EQ(end, Streaming::End::behind);
}

// A large segment does not wait for the interval where it would fill the memory.
TEST_F(StreamingTest, LargeSegmentsAreCutBeforeTheyFillTheMemory) {
    options.interval_ms = 3600000;
    options.limit = kSize / 2;
    start();
    send(kBegin + kSize / 4 + 100000);
    EXPECT_TRUE(eventually([&] { return server.acknowledged() > kBegin; }));
}

// But where commits wait for it the server is made to wait.
TEST_F(StreamingTest, HoldsTheServerBackWhereCommitsWait) {
    synchronous = true;
    options.gives_up_behind = true;
    options.limit = kSize / 4;
    gate.hold(piece(5, 0));
    start();
    send(kBegin + kSize + 1000);
    a_while();
    EXPECT_FALSE(ended);
    gate.let_go(piece(5, 0));
    ASSERT_TRUE(is_acknowledged(kBegin + kSize + 1000));
}

TEST_F(StreamingTest, TheEndOfATimelineIsStoredToItsLastByte) {
    options.interval_ms = 3600000;
    start();
    send(kBegin + 5000);
    server.end_timeline(2, kBegin + 5000);
    ASSERT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_EQ(end, Streaming::End::end_of_timeline);
    EXPECT_EQ(next->timeline, 2);
    EXPECT_EQ(chain(5).size(), 5000);
}

// Nobody comes back to a segment of the old timeline whose whole is still on its way.
TEST_F(StreamingTest, TheEndOfATimelineWaitsForTheWholesBeforeIt) {
    start();
    send(kBegin + kSize + 1000);
    server.end_timeline(2, kBegin + kSize + 1000);
    ASSERT_TRUE(eventually([&] { return chain(6).size() == 1000; }));
    a_while();
    EXPECT_FALSE(ended);
    wholes.up_to = 5;
    ASSERT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_EQ(end, Streaming::End::end_of_timeline);
}

class JobListener final : public StreamJobListener {
 public:
    void connected(int /*process_id*/, TimelineId /*timeline*/, Lsn /*start*/) override {}
    void status(const StreamStatus& /*status*/) override {}
    void warning(const Error& /*warning*/) override {}
    void failed(const Error& /*error*/) override {}
};

// As long as the archiver is not done with the segment before, a piece of ours may be in the way
// more than once: no other server has written it.
TEST(StreamAgain, APieceInTheWayIsLookedAtMoreThanOnce) {
    WakeUp wake;
    JobListener listener;
    StreamStatus status;
    int runs = 0;
    const auto error = test::error_of([&] {
        stream_again(status, listener, wake, [&] {
            if (++runs < 4)
                throw PieceInTheWay(Error(ErrorCode::conflict, "other content"));
            wake.stop();
        });
    });
    EXPECT_EQ(error, ErrorCode::cancelled);
    EXPECT_EQ(runs, 4);
}

TEST_F(StreamingTest, AnErrorOfTheStoreEndsIt) {
    at_each_call([](const std::string& call, const std::string&) {
        if (call == "put")
            throw Error(ErrorCode::disk_full, "no room");
    });
    start();
    send(kBegin + 5000);
    ASSERT_TRUE(eventually([&] { return ended.load(); }));
    EXPECT_EQ(failure->code, ErrorCode::disk_full);
}

TEST_F(StreamingTest, EndsWhenItIsToldTo) {
    start();
    send(kBegin + 5000);
    stop();
    EXPECT_EQ(failure->code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace ark
