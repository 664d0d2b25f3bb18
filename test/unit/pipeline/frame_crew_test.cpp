#include "core/pipeline/frame_crew.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr int kLevel = 1;

// Another content in each frame, so that none can take another's place unseen.
void fill(MutableByteView frame, size_t number) {
    for (size_t i = 0; i < frame.size(); ++i)
        frame[i] = static_cast<std::byte>(number * 31 + i / 7 + i % (number + 3));
}

// A lane with one file of so many frames.
class Writer {
 public:
    explicit Writer(FrameCrew& crew) : crew_(crew) {}

    void write(size_t frames) {
        FrameRun run(crew_, own_, [&](const FrameTask& task) {
            check(ByteView(task.stored).first(task.stored_bytes));
        });
        for (size_t n = 0; n < frames; ++n) {
            if (run.can_share()) {
                fill(run.room(), n);
                run.add();
                ++shared;
            } else {
                run.finish();
                fill(plain_, n);
                Bytes stored(FrameCompressor::max_frame_bytes());
                check(ByteView(stored).first(own_.compress(plain_, stored)));
            }
        }
        run.finish();
    }

    size_t emitted = 0;
    size_t shared = 0;
    size_t wrong = 0;

 private:
    void check(ByteView stored) {
        Bytes expected(kFrameBytes);
        fill(expected, emitted++);
        Bytes back(kFrameBytes);
        const size_t n = FrameDecompressor().decompress(stored, back, "test");
        if (n != kFrameBytes || back != expected)
            ++wrong;
    }

    FrameCrew& crew_;
    FrameCompressor own_{kLevel};
    Bytes plain_ = Bytes(kFrameBytes);
};

TEST(FrameCrew, AloneNothingIsShared) {
    FrameCrew crew(kLevel);
    FrameCrew::Member member(crew);
    Writer writer(crew);
    writer.write(5);
    EXPECT_EQ(writer.emitted, 5U);
    EXPECT_EQ(writer.shared, 0U);
    EXPECT_EQ(writer.wrong, 0U);
    member.help();  // nobody is busy: it returns
}

TEST(FrameCrew, HelpersCompressAndTheOrderStays) {
    FrameCrew crew(kLevel);
    FrameCrew::Member busy(crew);
    std::vector<std::unique_ptr<FrameCrew::Member>> members;
    for (int i = 0; i < 3; ++i)
        members.push_back(std::make_unique<FrameCrew::Member>(crew));
    std::vector<std::jthread> threads;
    for (const auto& member : members)
        threads.emplace_back([&member] { member->help(); });
    while (crew.helpers() < 3)
        std::this_thread::yield();
    Writer writer(crew);
    writer.write(60);
    writer.write(0);
    EXPECT_EQ(writer.emitted, 60U);
    EXPECT_EQ(writer.shared, 60U);
    EXPECT_EQ(writer.wrong, 0U);
    busy.help();
    threads.clear();
    EXPECT_EQ(crew.helpers(), 0U);
}

// Members become helpers at different times while others still write.
TEST(FrameCrew, LanesThatEndOneAfterAnother) {
    FrameCrew crew(kLevel);
    constexpr size_t kLanes = 4;
    std::vector<std::unique_ptr<FrameCrew::Member>> members;
    std::vector<std::unique_ptr<Writer>> writers;
    for (size_t i = 0; i < kLanes; ++i) {
        members.push_back(std::make_unique<FrameCrew::Member>(crew));
        writers.push_back(std::make_unique<Writer>(crew));
    }
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < kLanes; ++i) {
        threads.emplace_back([&, i] {
            writers[i]->write(10 * i);
            members[i]->help();
        });
    }
    threads.clear();
    for (size_t i = 0; i < kLanes; ++i) {
        EXPECT_EQ(writers[i]->emitted, 10 * i);
        EXPECT_EQ(writers[i]->wrong, 0U);
    }
}

// A lane that fails leaves its frames behind: nobody may touch them any more.
TEST(FrameCrew, AnAbandonedRunIsTakenBack) {
    FrameCrew crew(kLevel);
    FrameCrew::Member busy(crew);
    FrameCrew::Member helper(crew);
    std::jthread thread([&] { helper.help(); });
    while (crew.helpers() == 0)
        std::this_thread::yield();
    FrameCompressor own(kLevel);
    for (int i = 0; i < 50; ++i) {
        FrameRun run(crew, own, [](const FrameTask&) {});
        for (size_t n = 0; n < 3; ++n) {
            ASSERT_TRUE(run.can_share());
            fill(run.room(), n);
            run.add();
        }
    }
    crew.close();
    thread.join();
    EXPECT_EQ(crew.helpers(), 0U);
}

TEST(FrameCrew, CloseSendsHelpersHomeThoughSomebodyIsBusy) {
    FrameCrew crew(kLevel);
    FrameCrew::Member busy(crew);
    FrameCrew::Member helper(crew);
    std::jthread thread([&] { helper.help(); });
    while (crew.helpers() == 0)
        std::this_thread::yield();
    crew.close();
    thread.join();
    Writer writer(crew);
    writer.write(4);
    EXPECT_EQ(writer.shared, 0U);
    EXPECT_EQ(writer.wrong, 0U);
}

TEST(FrameCrew, AMemberThatLeavesIsNotWaitedFor) {
    FrameCrew crew(kLevel);
    auto failing = std::make_unique<FrameCrew::Member>(crew);
    FrameCrew::Member helper(crew);
    std::jthread thread([&] { helper.help(); });
    failing.reset();
    thread.join();
    EXPECT_EQ(crew.helpers(), 0U);
}

TEST(FrameCrew, AFailureToEmitReachesTheCaller) {
    FrameCrew crew(kLevel);
    FrameCrew::Member busy(crew);
    FrameCrew::Member helper(crew);
    std::jthread thread([&] { helper.help(); });
    while (crew.helpers() == 0)
        std::this_thread::yield();
    FrameCompressor own(kLevel);
    FrameRun run(crew, own,
                 [](const FrameTask&) { throw std::runtime_error("the store is full"); });
    ASSERT_TRUE(run.can_share());
    fill(run.room(), 1);
    run.add();
    EXPECT_THROW(run.finish(), std::runtime_error);
    crew.close();
}

}  // namespace
}  // namespace ark
