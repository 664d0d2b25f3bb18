#include "core/store/s3/s3_transport.hpp"

#include <ctime>

#include <gtest/gtest.h>

#include "test/support/scripted_transport.hpp"

namespace ark {
namespace {

std::string error_body(const std::string& code, const std::string& more = {}) {
    return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>text</Message>" + more +
           "</Error>";
}

struct S3TransportTest : public testing::Test {
    HttpFailure fail_with(const HttpRequest& request) {
        try {
            transport.perform(request);
        } catch (const HttpFailure& failure) {
            return failure;
        }
        ADD_FAILURE() << "no failure";
        return HttpFailure(Failure::local, "none");
    }
    HttpFailure answered(int status, const std::string& body, HeaderList headers = {}) {
        inner->answer(status, body, std::move(headers));
        return fail_with(get);
    }

    std::shared_ptr<test::ScriptedTransport> inner = std::make_shared<test::ScriptedTransport>();
    int credentials_asked = 0;
    std::shared_ptr<CredentialCache> credentials = std::make_shared<CredentialCache>([this] {
        ++credentials_asked;
        return S3Credentials{{"key" + std::to_string(credentials_asked), "secret", ""},
                             std::nullopt};
    });
    S3Transport transport{
        inner, std::make_shared<KeySigner>(credentials, kAwsS3Style),
        S3Endpoint{"home", [](const std::string& region) { return "http://" + region + ".test"; }}};
    HttpRequest get = [] {
        HttpRequest request;
        request.method = "GET";
        request.path = "/bucket/key";
        return request;
    }();
};

TEST_F(S3TransportTest, HandsOnWhatIsAnAnswer) {
    inner->answer(200, "content", {{"content-length", "7"}});
    EXPECT_EQ(transport.perform(get).status, 200);
    inner->answer(404, error_body("NoSuchKey"));
    EXPECT_EQ(transport.perform(get).status, 404);
    inner->answer(404, error_body("NoSuchUpload"));
    EXPECT_EQ(transport.perform(get).status, 404);
    HttpRequest put = get;
    put.method = "PUT";
    inner->answer(412);
    EXPECT_EQ(transport.perform(put).status, 412);
    HttpRequest range = get;
    range.set_header("range", "bytes=5-9");
    inner->answer(416);
    EXPECT_EQ(transport.perform(range).status, 416);
}

TEST_F(S3TransportTest, WhatAnswersNothingThatWasAskedIsNoAnswer) {
    HttpRequest head = get;
    head.method = "HEAD";
    for (const int status : {412, 416}) {
        inner->answer(status);
        EXPECT_FALSE(fail_with(get).message.empty()) << status;
        inner->answer(status);
        inner->answer(status);
        EXPECT_FALSE(fail_with(head).message.empty()) << status;
    }
}

TEST_F(S3TransportTest, RetryAfterIsANumberOrNothing) {
    for (const char* odd : {"nan", "inf", "-5", "1e9", "Fri, 21 Nov 2025 18:00:00 GMT", ""})
        EXPECT_EQ(answered(503, "", {{"retry-after", odd}}).retry_after, 0) << odd;
}

TEST_F(S3TransportTest, ClassesByCodeThenByStatus) {
    const std::vector<std::tuple<int, std::string, Failure>> cases{
        {403, "AccessDenied", Failure::access_denied},
        {403, "SignatureDoesNotMatch", Failure::access_denied},
        {404, "NoSuchBucket", Failure::no_such_bucket},
        {400, "CrcMismatch", Failure::checksum_mismatch},
        {400, "UserProjectMissing", Failure::access_denied},
        {401, "AuthenticationRequired", Failure::expired_credentials},
        {401, "", Failure::expired_credentials},
        {400, "BadDigest", Failure::checksum_mismatch},
        {400, "XAmzContentSHA256Mismatch", Failure::checksum_mismatch},
        {400, "RequestTimeout", Failure::timeout},
        {400, "EntityTooSmall", Failure::rejected},
        {409, "ConditionalRequestConflict", Failure::conflict_in_progress},
        {429, "", Failure::throttled},
        {503, "SlowDown", Failure::throttled},
        {503, "", Failure::server_error},
        {500, "InternalError", Failure::server_error},
        {501, "NotImplemented", Failure::not_implemented},
        {504, "", Failure::server_error},
    };
    for (const auto& [status, code, expected] : cases) {
        const HttpFailure failure = answered(status, code.empty() ? "" : error_body(code));
        EXPECT_EQ(failure.failure, expected) << status << " " << code;
        EXPECT_NE(failure.detail.find(std::to_string(status)), std::string::npos);
    }
}

TEST_F(S3TransportTest, ANotFoundThatIsNotTheStoresIsNoAbsence) {
    for (const char* body : {"", "<html><body>404 Not Found</body></html>", "{\"error\":1}"}) {
        const HttpFailure failure = answered(404, body);
        EXPECT_EQ(failure.failure, Failure::malformed) << body;
        EXPECT_TRUE(failure.retryable);
    }
}

TEST_F(S3TransportTest, AnAbsentHeadIsConfirmedByGet) {
    HttpRequest head = get;
    head.method = "HEAD";
    inner->answer(404);
    inner->answer(404, error_body("NoSuchKey"));
    EXPECT_EQ(transport.perform(head).status, 404);
    inner->answer(404);
    inner->answer(404, error_body("NoSuchBucket"));
    EXPECT_EQ(fail_with(head).failure, Failure::no_such_bucket);
    inner->answer(403);
    inner->answer(403, error_body("AccessDenied"));
    EXPECT_EQ(fail_with(head).failure, Failure::access_denied);
    inner->answer(400);
    inner->answer(400, error_body("ExpiredToken"));
    EXPECT_EQ(fail_with(head).failure, Failure::expired_credentials);
}

TEST_F(S3TransportTest, FreshCredentialsAfterExpiry) {
    EXPECT_EQ(answered(400, error_body("ExpiredToken")).failure, Failure::expired_credentials);
    inner->answer(200, "", {{"content-length", "0"}});
    transport.perform(get);
    EXPECT_NE(inner->requests.back().header("authorization")->find("Credential=key2/"),
              std::string::npos);
}

TEST_F(S3TransportTest, ATokenThatWasTakenBackIsAskedForAgainAlsoForAHead) {
    HttpRequest head = get;
    head.method = "HEAD";
    inner->answer(401);
    inner->answer(401, error_body("AuthenticationRequired"), {{"x-guploader-uploadid", "id-7"}});
    const HttpFailure failure = fail_with(head);
    EXPECT_EQ(failure.failure, Failure::expired_credentials);
    EXPECT_TRUE(failure.retryable);
    EXPECT_NE(failure.detail.find("id-7"), std::string::npos);
    inner->answer(200, "", {{"content-length", "0"}});
    transport.perform(get);
    EXPECT_EQ(credentials_asked, 2);
}

TEST_F(S3TransportTest, SignsByTheStoresClockOnceItHasComplained) {
    const HttpFailure failure = answered(403, error_body("RequestTimeTooSkewed"),
                                         {{"date", to_http_date(time(nullptr) + 7200)}});
    EXPECT_EQ(failure.failure, Failure::clock_skew);
    EXPECT_TRUE(failure.retryable);
    EXPECT_NEAR(static_cast<double>(transport.clock_skew()), 7200, 5);
    const std::string before = *inner->requests.back().header("x-amz-date");
    inner->answer(200, "", {{"content-length", "0"}});
    transport.perform(get);
    EXPECT_NE(inner->requests.back().header("x-amz-date")->substr(0, 11), before.substr(0, 11));
}

TEST_F(S3TransportTest, FollowsTheBucketToItsRegion) {
    EXPECT_TRUE(answered(301, error_body("PermanentRedirect"), {{"x-amz-bucket-region", "away"}})
                    .retryable);
    inner->answer(200, "", {{"content-length", "0"}});
    transport.perform(get);
    EXPECT_EQ(inner->requests.back().origin, "http://away.test");
    EXPECT_NE(inner->requests.back().header("authorization")->find("/away/s3/"), std::string::npos);
    const HttpFailure again =
        answered(400, error_body("AuthorizationHeaderMalformed", "<Region>away</Region>"));
    EXPECT_EQ(again.failure, Failure::other_region);
    EXPECT_FALSE(again.retryable) << "it named the region that was used";
}

TEST_F(S3TransportTest, RetryAfterAndWhetherItMayBeDone) {
    HttpRequest put = get;
    put.method = "PUT";
    put.changes_something = true;
    inner->answer(503, error_body("SlowDown"), {{"retry-after", "7"}});
    const HttpFailure slow = fail_with(put);
    EXPECT_DOUBLE_EQ(slow.retry_after, 7);
    EXPECT_TRUE(slow.maybe_done);
    inner->answer(400, error_body("BadDigest"));
    EXPECT_FALSE(fail_with(put).maybe_done);
}

TEST_F(S3TransportTest, AnErrorNeverTellsSecrets) {
    const HttpFailure failure =
        answered(403, error_body("SignatureDoesNotMatch", "<StringToSign>secret</StringToSign>"));
    EXPECT_EQ((failure.message + failure.detail + failure.hint).find("secret"), std::string::npos);
    EXPECT_EQ((failure.message + failure.detail).find("key1"), std::string::npos);
}

}  // namespace
}  // namespace ark
