#include "core/store/azure/azure_transport.hpp"

#include <ctime>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/scripted_transport.hpp"

namespace ark {
namespace {

HeaderList with_code(const std::string& code, HeaderList more = {}) {
    if (!code.empty())
        more.emplace_back("x-ms-error-code", code);
    return more;
}

struct AzureTransportTest : public testing::Test {
    HttpFailure fail_with(const HttpRequest& request) {
        try {
            transport.perform(request);
        } catch (const HttpFailure& failure) {
            return failure;
        }
        ADD_FAILURE() << "no failure";
        return HttpFailure(Failure::local, "none");
    }
    HttpFailure answered(int status, const std::string& code, HeaderList headers = {}) {
        inner->answer(status, "", with_code(code, std::move(headers)));
        return fail_with(get);
    }
    HttpRequest request(const char* method) const {
        HttpRequest out = get;
        out.method = method;
        return out;
    }

    std::shared_ptr<test::ScriptedTransport> inner = std::make_shared<test::ScriptedTransport>();
    int credentials_asked = 0;
    AzureCredentials found{Bytes(16), {}, {}, std::nullopt};
    std::shared_ptr<AzureCredentialCache> credentials =
        std::make_shared<AzureCredentialCache>([this] {
            ++credentials_asked;
            return found;
        });
    AzureTransport transport{inner, credentials, "account"};
    HttpRequest get = parse_url("GET", "https://account.blob.test/container/key");
};

TEST_F(AzureTransportTest, HandsOnWhatIsAnAnswer) {
    inner->answer(200, "content", {{"content-length", "7"}});
    EXPECT_EQ(transport.perform(get).status, 200);
    inner->answer(404, "", with_code("BlobNotFound"));
    EXPECT_EQ(transport.perform(get).status, 404);
    inner->answer(404, "<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code></Error>");
    EXPECT_EQ(transport.perform(get).status, 404);
    inner->answer(404, "", with_code("BlobNotFound"));
    EXPECT_EQ(transport.perform(request("HEAD")).status, 404);
    HttpRequest range = get;
    range.set_header("range", "bytes=5-9");
    inner->answer(416, "", with_code("InvalidRange"));
    EXPECT_EQ(transport.perform(range).status, 416);
}

TEST_F(AzureTransportTest, ThatABlobIsThereIsSaidInManyWays) {
    HttpRequest put = request("PUT");
    put.set_header("if-none-match", "*");
    for (const auto& [status, code] : {std::pair{409, "BlobAlreadyExists"},
                                       {412, "ConditionNotMet"},
                                       {403, "UnauthorizedBlobOverwrite"},
                                       {409, "BlobImmutableDueToPolicy"}}) {
        inner->answer(status, "", with_code(code));
        EXPECT_EQ(transport.perform(put).status, status) << code;
        // Nobody asked.
        inner->answer(status, "", with_code(code));
        EXPECT_FALSE(fail_with(get).message.empty()) << code;
        inner->answer(status, "", with_code(code));
        EXPECT_FALSE(fail_with(request("HEAD")).message.empty()) << code;
    }
    for (const char* code : {"LeaseIdMissing", "ContainerBeingDeleted", ""}) {
        inner->answer(412, "", with_code(code));
        EXPECT_FALSE(fail_with(put).message.empty()) << code;
    }
    inner->answer(400, "", with_code("InvalidBlockList"));
    EXPECT_EQ(transport.perform(put).status, 400) << "its blocks may be committed already";
}

TEST_F(AzureTransportTest, ARangeOfNothing) {
    HttpRequest range = get;
    range.set_header("range", "bytes=0-9");
    inner->answer(206, "", {{"content-length", "0"}, {"content-range", "bytes 0--1/0"}});
    EXPECT_EQ(transport.perform(range).status, 416);
    HttpRequest end = get;
    end.set_header("range", "bytes=10-19");
    inner->answer(206, "", {{"content-length", "0"}, {"content-range", "bytes 10-9/10"}});
    EXPECT_EQ(transport.perform(end).status, 416);
    inner->answer(206, "", {{"content-length", "0"}, {"content-range", "bytes 10-9/20"}});
    EXPECT_EQ(fail_with(end).failure, Failure::malformed);
    inner->answer(206, "", {{"content-length", "0"}, {"content-range", "bytes 0-9/100"}});
    EXPECT_EQ(fail_with(range).failure, Failure::truncated) << "half of the bytes, and a lie";
}

TEST_F(AzureTransportTest, ClassesByCodeThenByStatus) {
    const std::vector<std::tuple<int, std::string, Failure, bool>> cases{
        {403, "AuthenticationFailed", Failure::expired_credentials, true},
        {401, "InvalidAuthenticationInfo", Failure::expired_credentials, true},
        {403, "AuthorizationPermissionMismatch", Failure::access_denied, false},
        {403, "AuthorizationFailure", Failure::access_denied, false},
        {403, "AuthorizationSourceIPMismatch", Failure::access_denied, false},
        {403, "AccountIsDisabled", Failure::access_denied, false},
        {409, "PublicAccessNotPermitted", Failure::access_denied, false},
        {404, "ContainerNotFound", Failure::no_such_bucket, false},
        {409, "ContainerBeingDeleted", Failure::no_such_bucket, false},
        {409, "AccountBeingCreated", Failure::conflict_in_progress, true},
        {503, "ServerBusy", Failure::throttled, true},
        {500, "OperationTimedOut", Failure::timeout, true},
        {500, "InternalError", Failure::server_error, true},
        {429, "", Failure::throttled, true},
        {502, "", Failure::server_error, true},
        {400, "Md5Mismatch", Failure::checksum_mismatch, true},
        {409, "LeaseAlreadyPresent", Failure::rejected, false},
        {412, "LeaseIdMissing", Failure::rejected, false},
        {409, "BlobArchived", Failure::rejected, false},
        {409, "SnapshotsPresent", Failure::rejected, false},
        {400, "InvalidHeaderValue", Failure::rejected, false},
        {404, "", Failure::malformed, true},
        {302, "", Failure::malformed, true},
    };
    for (const auto& [status, code, expected, retryable] : cases) {
        const HttpFailure failure = answered(status, code);
        EXPECT_EQ(failure.failure, expected) << status << " " << code;
        EXPECT_EQ(failure.retryable, retryable) << status << " " << code;
        EXPECT_NE(failure.detail.find(std::to_string(status)), std::string::npos);
    }
}

TEST_F(AzureTransportTest, FreshCredentialsAfterARefusal) {
    answered(403, "AuthenticationFailed");
    answered(403, "AuthorizationPermissionMismatch");
    inner->answer(200, "", {{"content-length", "0"}});
    transport.perform(get);
    transport.perform(([this] {
        inner->answer(200, "", {{"content-length", "0"}});
        return get;
    })());
    EXPECT_EQ(credentials_asked, 3);
}

TEST_F(AzureTransportTest, SignsByTheStoresClockOnceItHasComplained) {
    const HttpFailure failure =
        answered(403, "AuthenticationFailed", {{"date", to_http_date(time(nullptr) + 7200)}});
    EXPECT_EQ(failure.failure, Failure::clock_skew);
    EXPECT_NEAR(static_cast<double>(transport.clock_skew()), 7200, 5);
    EXPECT_EQ(answered(403, "AuthenticationFailed", {{"date", to_http_date(time(nullptr) + 7200)}})
                  .failure,
              Failure::expired_credentials)
        << "the clock is right now: the key is wrong";
    const auto date = parse_http_date(*inner->requests.back().header("x-ms-date"));
    EXPECT_NEAR(static_cast<double>(*date - time(nullptr)), 7200, 5);
}

TEST_F(AzureTransportTest, RetryAfterAndWhetherItMayBeDone) {
    HttpRequest put = request("PUT");
    put.changes_something = true;
    inner->answer(503, "", with_code("ServerBusy", {{"retry-after", "7"}}));
    const HttpFailure busy = fail_with(put);
    EXPECT_DOUBLE_EQ(busy.retry_after, 7);
    EXPECT_TRUE(busy.maybe_done);
    inner->answer(400, "", with_code("Md5Mismatch"));
    EXPECT_FALSE(fail_with(put).maybe_done);
}

TEST_F(AzureTransportTest, WhatARequestProvesItsRightWith) {
    const auto sent = [&] {
        credentials->invalidate();
        inner->answer(200, "", {{"content-length", "0"}});
        transport.perform(get);
        return inner->requests.back();
    };
    EXPECT_TRUE(sent().header("authorization")->starts_with("SharedKey account:"));
    EXPECT_NE(sent().header("x-ms-version"), nullptr);
    found = {{}, {{"sv", "2021-12-02"}, {"sig", "a+b/c="}}, {}, std::nullopt};
    EXPECT_EQ(sent().header("authorization"), nullptr);
    EXPECT_TRUE(url_of(sent()).ends_with("/container/key?sv=2021-12-02&sig=a%2Bb%2Fc%3D"));
    found = {{}, {}, "token", std::nullopt};
    EXPECT_EQ(*sent().header("authorization"), "Bearer token");
    get.origin = "http://account.blob.test";
    test::expect_error(ErrorCode::permission_denied, [&] { return transport.perform(get); });
}

TEST_F(AzureTransportTest, AnErrorNeverTellsSecrets) {
    found = {{}, {{"sig", "hunter2"}}, {}, std::nullopt};
    inner->answer(
        403,
        "<Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:x"
        "</Message><AuthenticationErrorDetail>hunter2</AuthenticationErrorDetail></Error>");
    const HttpFailure failure = fail_with(get);
    EXPECT_EQ((failure.message + failure.detail + failure.hint).find("hunter2"), std::string::npos);
    EXPECT_EQ(failure.detail,
              "The store answered with status 403 AuthenticationFailed: Server failed.");
}

}  // namespace
}  // namespace ark
