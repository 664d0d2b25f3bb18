#include "core/store/s3/signature.hpp"

#include <gtest/gtest.h>

namespace ark {
namespace {

// The examples of Amazon's "Authenticating Requests: Using the Authorization Header".
const SigningKey kKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr int64_t kTime = 1369353600;  // 2013-05-24T00:00:00Z

HttpRequest request(std::vector<std::pair<std::string, std::optional<std::string>>> query) {
    HttpRequest out;
    out.method = "GET";
    out.origin = "http://examplebucket.s3.amazonaws.com";
    out.path = "/";
    out.query = std::move(query);
    return out;
}

TEST(S3Signature, AmazonsExampleOfAQueryWithoutValue) {
    HttpRequest lifecycle = request({{"lifecycle", std::nullopt}});
    sign_request(lifecycle, kAwsS3Style, kKey, "us-east-1", kTime);
    EXPECT_EQ(
        *lifecycle.header("authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    EXPECT_EQ(*lifecycle.header("x-amz-date"), "20130524T000000Z");
}

TEST(S3Signature, AmazonsExampleOfAListing) {
    HttpRequest list = request({{"prefix", "J"}, {"max-keys", "2"}});
    sign_request(list, kAwsS3Style, kKey, "us-east-1", kTime);
    EXPECT_TRUE(
        list.header("authorization")
            ->ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(S3Signature, OverTlsThePayloadIsNotHashed) {
    HttpRequest put = request({});
    put.origin = "https://examplebucket.s3.amazonaws.com";
    sign_request(put, kAwsS3Style, kKey, "us-east-1", kTime);
    EXPECT_EQ(*put.header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    HttpRequest token = put;
    sign_request(token, kAwsStsStyle, kKey, "us-east-1", kTime);
    EXPECT_EQ(token.header("x-amz-content-sha256")->size(), 64U);
}

TEST(S3Signature, CoversTokenConditionAndChecksum) {
    HttpRequest put = request({});
    put.set_header("if-none-match", "*");
    put.set_header("content-md5", "abc");
    put.set_header("user-agent", "x");
    sign_request(put, kAwsS3Style, {"a", "b", "the token"}, "r", kTime);
    EXPECT_EQ(*put.header("x-amz-security-token"), "the token");
    EXPECT_NE(put.header("authorization")
                  ->find("SignedHeaders=content-md5;host;if-none-match;x-amz-content-sha256;"
                         "x-amz-date;x-amz-security-token,"),
              std::string::npos);
}

TEST(S3Signature, GooglesHasItsOwnNames) {
    HttpRequest put = request({});
    sign_request(put, kGoogleStyle, kKey, "auto", kTime);
    EXPECT_TRUE(put.header("authorization")
                    ->starts_with("GOOG4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/auto/"
                                  "storage/goog4_request, SignedHeaders=host;x-goog-content-sha256;"
                                  "x-goog-date, "));
    EXPECT_EQ(put.header("x-amz-date"), nullptr);
}

TEST(S3Signature, SigningAgainReplaces) {
    HttpRequest put = request({});
    sign_request(put, kAwsS3Style, kKey, "us-east-1", kTime);
    const std::string first = *put.header("authorization");
    sign_request(put, kAwsS3Style, kKey, "us-east-1", kTime + 1);
    const HeaderList headers = put.headers;
    EXPECT_NE(*put.header("authorization"), first);
    sign_request(put, kAwsS3Style, kKey, "us-east-1", kTime);
    EXPECT_EQ(*put.header("authorization"), first);
    EXPECT_EQ(put.headers.size(), headers.size());
}

}  // namespace
}  // namespace ark
