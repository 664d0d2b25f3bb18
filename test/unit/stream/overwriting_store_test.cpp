#include <gtest/gtest.h>

#include "core/stream/receive_job.hpp"
#include "core/stream/stream_job.hpp"
#include "test/unit/stream/fixture.hpp"

namespace ark {
namespace {

using test::error_of;

class Nobody final : public StreamJobListener {
 public:
    void connected(int /*process_id*/, TimelineId /*timeline*/, Lsn /*start*/) override {}
    void status(const StreamStatus& /*status*/) override {}
    void warning(const Error& /*warning*/) override {}
    // Nothing is tried again.
    void failed(const Error& error) override { throw Error(error); }
};

// A store to which the user has said create_if_absent=off.
class OverwritingStoreTest : public test::StreamFixture {
 protected:
    OverwritingStoreTest() {
        auto store = std::make_unique<test::StoreDecorator>(
            base, [this](const std::string& call, const std::string& name) { hook(call, name); });
        store->atomic = false;
        repository = Repository::open(std::move(store), OpenMode::write);
    }
    WakeUp wake;
    Nobody listener;
};

// What may happen there: a piece of a process that was killed arrives when the next one has stored
// a longer one under the same name, and takes its place.
TEST_F(OverwritingStoreTest, NoPieceIsWritten) {
    EXPECT_EQ(error_of([&] { TailWriter(target(), 1, 0, [] {}); }), ErrorCode::unsupported);
    EXPECT_TRUE(base->list_parts(test::kCluster + "/tail").empty());
}

// Before anything else, and not to be tried again.
TEST_F(OverwritingStoreTest, StreamingSaysWhyItIsNot) {
    const std::atomic<bool> synchronous = false;
    StreamRequest request;
    request.conninfo = "host=/nowhere";
    request.timeline = 1;
    StreamJob job(*repository, target(), request, listener, synchronous, wake);
    try {
        job.run();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::unsupported) << error.message;
        EXPECT_FALSE(error.retryable);
        EXPECT_NE(error.message.find("create_if_absent=off"), std::string::npos) << error.message;
    }
}

TEST_F(OverwritingStoreTest, ReceivingSaysWhyItIsNot) {
    ReceiveRequest request;
    request.conninfo = "host=/nowhere";
    ReceiveJob job(*repository, request, listener, wake);
    EXPECT_EQ(error_of([&] { job.run(); }), ErrorCode::unsupported);
}

}  // namespace
}  // namespace ark
