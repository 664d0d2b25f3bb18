#include "core/store/cloud/bearer_token.hpp"

#include <ctime>
#include <fstream>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

HttpResponse answer(int status, std::string_view body) {
    HttpResponse response;
    response.status = status;
    response.body.assign(as_bytes(body).begin(), as_bytes(body).end());
    return response;
}

TEST(BearerToken, LifetimesAreNumbersOrText) {
    const auto parse = [](const char* body) {
        return parse_token_answer(answer(200, body), "the service");
    };
    const auto near = [](const BearerToken& token, int64_t seconds) {
        EXPECT_NEAR(static_cast<double>(*token.expires - time(nullptr)),
                    static_cast<double>(seconds), 2);
    };
    EXPECT_EQ(parse(R"({"access_token":"t","expires_in":3599})").token, "t");
    near(parse(R"({"access_token":"t","expires_in":3599})"), 3599);
    near(parse(R"({"access_token":"t","expires_in":"86399","expires_on":"1"})"), 86399);
    EXPECT_EQ(parse(R"({"access_token":"t","expires_on":"1779876543"})").expires, 1779876543);
    near(parse(R"({"access_token":"t","expires_on":"tomorrow"})"), 900);
    near(parse(R"({"access_token":"t","expires_in":3599.5})"), 3599);
}

// They are added to the time that it is.
TEST(BearerToken, NoLifetimeLeadsOutOfTime) {
    for (const char* seconds :
         {"9223372036854775807", "18446744073709551615", "1e300", "\"9223372036854775807\""}) {
        const BearerToken token = parse_token_answer(
            answer(200, std::string(R"({"access_token":"t","expires_in":)") + seconds + "}"), "x");
        EXPECT_GT(*token.expires, time(nullptr) + 1000000) << seconds;
    }
    for (const char* seconds : {"-9223372036854775808", "-1e300", "-1"}) {
        const BearerToken token = parse_token_answer(
            answer(200, std::string(R"({"access_token":"t","expires_in":)") + seconds + "}"), "x");
        EXPECT_NEAR(static_cast<double>(*token.expires - time(nullptr)), 0, 2) << seconds;
    }
}

TEST(BearerToken, WhatIsNoneIsRefusedInTheServicesWords) {
    const auto refused = [](int status, const char* body) {
        return test::expect_error(ErrorCode::permission_denied, [&] {
            return parse_token_answer(answer(status, body), "the service");
        });
    };
    const Error error =
        refused(401, R"({"error":"invalid_client","error_description":"AADSTS7000215: no.\r\nx"})");
    EXPECT_EQ(error.message, "the service gave no token");
    EXPECT_EQ(error.detail, "It answered with status 401 invalid_client: AADSTS7000215: no.");
    for (const char* body : {"", "<html></html>", "[]", R"({"access_token":7})",
                             R"({"access_token":""})", R"({"access_token":"a\r\nb"})"})
        EXPECT_FALSE(refused(200, body).detail.empty()) << body;
}

TEST(BearerToken, FromAFile) {
    const test::TemporaryDirectory directory;
    std::ofstream(directory / "token") << "abc.def\n";
    EXPECT_EQ(read_token_file(directory / "token"), "abc.def");
    test::expect_error(ErrorCode::permission_denied,
                       [&] { return read_token_file(directory / "none"); });
}

TEST(ExpiringCache, ASourceThatIsAwayIsNotWaitedForByEveryRequest) {
    int asked = 0;
    bool down = false;
    BearerTokenCache cache([&] {
        ++asked;
        if (down)
            throw Error(ErrorCode::unavailable, "down");
        return BearerToken{"t", time(nullptr) + 200};
    });
    cache.get();
    down = true;
    EXPECT_EQ(cache.get().token, "t");
    EXPECT_EQ(cache.get().token, "t");
    EXPECT_EQ(asked, 2);
    cache.invalidate();
    EXPECT_THROW(cache.get(), Error);
}

TEST(ExpiringCache, RenewsAsEarlyAsItIsTold) {
    int asked = 0;
    const auto source = [&] {
        ++asked;
        return BearerToken{"t", time(nullptr) + 250};
    };
    BearerTokenCache late(source, 225);
    late.get();
    late.get();
    EXPECT_EQ(asked, 1);
    BearerTokenCache early(source);
    early.get();
    early.get();
    EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace ark
