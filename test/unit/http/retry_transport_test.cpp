#include "core/http/retry_transport.hpp"

#include <thread>

#include <gtest/gtest.h>

#include "core/base/cancellation.hpp"
#include "core/base/clock.hpp"
#include "test/support/scripted_transport.hpp"

namespace ark {
namespace {

struct RetryTransportTest : public testing::Test {
    std::shared_ptr<test::ScriptedTransport> inner = std::make_shared<test::ScriptedTransport>();
    void TearDown() override { forget_cancellation(); }

    std::shared_ptr<Patience> patience = std::make_shared<Patience>(5, 0.2);
    std::vector<double> waits;
    RetryTransport retry{inner, patience,
                         [this](const HttpFailure&, int, double wait) { waits.push_back(wait); }};
};

TEST_F(RetryTransportTest, TriesAgainAndSaysThatItMayHaveBeenDone) {
    inner->fail(HttpFailure(Failure::connect, "a"));
    inner->answer(200);
    EXPECT_FALSE(retry.perform({}).maybe_done_before);
    inner->fail(HttpFailure(Failure::reset, "a", "", true));
    inner->fail(HttpFailure(Failure::connect, "a"));
    inner->answer(412);
    const HttpResponse response = retry.perform({});
    EXPECT_EQ(response.status, 412);
    EXPECT_TRUE(response.maybe_done_before);
    EXPECT_EQ(waits.size(), 3U);
}

TEST_F(RetryTransportTest, SomeThingsAreFinal) {
    for (const Failure failure : {Failure::certificate, Failure::access_denied, Failure::rejected,
                                  Failure::no_such_bucket, Failure::not_implemented}) {
        inner->fail(HttpFailure(failure, "no"));
        EXPECT_THROW(retry.perform({}), HttpFailure) << rule_of(failure).name;
        EXPECT_TRUE(inner->steps.empty());
    }
    EXPECT_TRUE(waits.empty());
}

TEST_F(RetryTransportTest, GivesUpWithinItsBudgetAndSaysSo) {
    RetryTransport retry{inner, std::make_shared<Patience>(0.5)};
    const int64_t began = monotonic_nanos();
    for (int i = 0; i < 20; ++i)
        inner->fail(HttpFailure(Failure::server_error, "down", "Why."));
    try {
        retry.perform({});
        FAIL() << "no error";
    } catch (const HttpFailure& failure) {
        EXPECT_EQ(failure.code, ErrorCode::unavailable);
        EXPECT_TRUE(failure.retryable);
        EXPECT_NE(failure.detail.find("Why. Tried "), std::string::npos) << failure.detail;
    }
    EXPECT_LT(monotonic_nanos() - began, 2'000'000'000);
}

TEST_F(RetryTransportTest, WaitsAsLongAsTheStoreAsks) {
    HttpFailure failure(Failure::throttled, "slow down");
    failure.retry_after = 1;
    inner->fail(failure);
    inner->answer(200);
    retry.perform({});
    ASSERT_EQ(waits.size(), 1U);
    EXPECT_GE(waits[0], 1);
}

TEST_F(RetryTransportTest, WhatTheSignerMendsNeedsNoWaitButHasAnEnd) {
    for (int i = 0; i < 10; ++i)
        inner->fail(HttpFailure(Failure::expired_credentials, "expired"));
    EXPECT_THROW(retry.perform({}), HttpFailure);
    EXPECT_EQ(inner->requests.size(), 3U);
    EXPECT_EQ(waits, (std::vector<double>{0, 0}));
}

TEST_F(RetryTransportTest, ExpiryAfterAnOutageIsMendedToo) {
    for (int i = 0; i < 3; ++i)
        inner->fail(HttpFailure(Failure::connect, "down"));
    inner->fail(HttpFailure(Failure::expired_credentials, "expired"));
    inner->answer(200);
    EXPECT_EQ(retry.perform({}).status, 200);
}

TEST_F(RetryTransportTest, ACancellationWakesWhoeverSleeps) {
    HttpFailure failure(Failure::throttled, "slow down");
    failure.retry_after = 4;
    inner->fail(failure);
    inner->fail(failure);
    const int64_t began = monotonic_nanos();
    std::thread cancel([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        request_cancellation();
    });
    EXPECT_THROW(retry.perform({}), HttpFailure);
    cancel.join();
    EXPECT_LT(monotonic_nanos() - began, 2'000'000'000);
}

TEST(RetryWait, DoublesToACeiling) {
    EXPECT_DOUBLE_EQ(retry_wait(0, 0, 0), 0.05);
    EXPECT_DOUBLE_EQ(retry_wait(3, 0, 0), 0.4);
    EXPECT_DOUBLE_EQ(retry_wait(30, 0, 0), 5);
    EXPECT_LT(retry_wait(30, 0.999, 0), 10);
    EXPECT_DOUBLE_EQ(retry_wait(0, 0, 7), 7);
}

}  // namespace
}  // namespace ark
