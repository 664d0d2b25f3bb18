#include "cli/child/channel.hpp"

#include <unistd.h>

#include <array>
#include <thread>

#include "core/base/cancellation.hpp"
#include "core/base/file.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

// A channel reads standard input: a pipe takes its place for the test.
class ChannelTest : public testing::Test {
 protected:
    ChannelTest() : saved_(dup(STDIN_FILENO)) {
        std::array<int, 2> ends{};
        EXPECT_EQ(pipe(ends.data()), 0);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        server = File(ends[1], "pipe");
    }
    ~ChannelTest() override {
        server.close();
        if (writer.joinable())
            writer.join();
        dup2(saved_, STDIN_FILENO);
        close(saved_);
        forget_cancellation();
    }
    void write_later(std::string text) {
        writer = std::thread([this, text = std::move(text)] { server.write_all(as_bytes(text)); });
    }

    File server;
    std::thread writer;
    Channel channel;

 private:
    int saved_;
};

TEST_F(ChannelTest, WaitingTellsWholeLinesOnly) {
    server.write_all(as_bytes("ready a=b"));
    EXPECT_FALSE(channel.wait(10));
    server.write_all(as_bytes("c\nnext\n"));
    EXPECT_TRUE(channel.wait(1000));
    EXPECT_EQ(channel.receive()->token("a"), "bc");
    EXPECT_EQ(channel.expect("next").verb(), "next");
}

// While a job works it only waits: a line without end must not fill its memory.
TEST_F(ChannelTest, ALineWithoutEndIsRefusedByEveryWayToRead) {
    write_later("x" + std::string(3 << 19, '0'));
    test::expect_error(ErrorCode::protocol_violation, [&] {
        while (!channel.wait(1000)) {
        }
    });
    test::expect_error(ErrorCode::protocol_violation, [&] { return channel.receive(); });
    // Let the writer end.
    std::array<char, 65536> rest{};
    while (read(STDIN_FILENO, rest.data(), rest.size()) == static_cast<ssize_t>(rest.size())) {
    }
}

TEST_F(ChannelTest, TheOtherSidesGoingIsTold) {
    server.close();
    test::expect_error(ErrorCode::cancelled, [&] { return channel.wait(1000); });
    EXPECT_FALSE(channel.receive());
}

}  // namespace
}  // namespace ark
