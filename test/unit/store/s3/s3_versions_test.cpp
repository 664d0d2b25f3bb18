#include "core/store/s3/s3_versions.hpp"

#include <string>

#include <gtest/gtest.h>

#include "core/http/failure.hpp"

namespace ark {
namespace {

HttpResponse answer(const std::string& body, HeaderList headers = {}) {
    HttpResponse response;
    response.status = 200;
    response.headers = std::move(headers);
    response.body.assign(as_bytes(body).begin(), as_bytes(body).end());
    return response;
}

std::string listing(const std::string& entries, const std::string& more = {}) {
    return "<?xml version=\"1.0\"?><ListVersionsResult "
           "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>" +
           more + entries + "</ListVersionsResult>";
}

constexpr const char* kVersion =
    "<Version><Key>a/b</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>"
    "<LastModified>2026-11-20T14:59:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
    "<Size>5</Size></Version>";
constexpr const char* kDeletion =
    "<DeleteMarker><Key>a/b</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>"
    "<LastModified>2026-11-20T14:58:59.125Z</LastModified></DeleteMarker>";

struct S3VersionsTest : public testing::Test {
    S3Versions api{{"https://s3.test", "/bucket/", true, {}, {{"x-amz-request-payer", "me"}}}};
};

TEST_F(S3VersionsTest, WhatIsAsked) {
    EXPECT_EQ(url_of(api.ask_state()), "https://s3.test/bucket/?versioning");
    HttpRequest list = api.list("p/", false, {});
    EXPECT_EQ(url_of(list), "https://s3.test/bucket/?versions&prefix=p%2F&encoding-type=url");
    EXPECT_EQ(*list.header("x-amz-request-payer"), "me");
    list = api.list("p/", true, {"p/k", "v 1"});
    EXPECT_EQ(url_of(list),
              "https://s3.test/bucket/?versions&prefix=p%2F&encoding-type=url&delimiter=%2F&"
              "key-marker=p%2Fk&version-id-marker=v%201");
    EXPECT_EQ(url_of(api.list("p/", false, {"p/k/~", ""})),
              "https://s3.test/bucket/?versions&prefix=p%2F&encoding-type=url&"
              "key-marker=p%2Fk%2F~");
    EXPECT_EQ(url_of(api.get({"p/k", "a+b", 0, 0, false})),
              "https://s3.test/bucket/p/k?versionId=a%2Bb");
}

TEST_F(S3VersionsTest, VersionsAndDeletionsInTheirOrder) {
    const VersionPage page = api.parse_list(
        answer(listing(std::string(kVersion) + kDeletion, "<IsTruncated>false</IsTruncated>")));
    ASSERT_EQ(page.versions.size(), 2U);
    EXPECT_EQ(page.versions[0].key, "a/b");
    EXPECT_EQ(page.versions[0].id, "v2");
    EXPECT_EQ(page.versions[0].size, 5U);
    EXPECT_EQ(page.versions[0].modified, *parse_time("2026-11-20 14:59:00Z", false));
    EXPECT_FALSE(page.versions[0].is_deletion);
    EXPECT_TRUE(page.versions[1].is_deletion);
    EXPECT_EQ(page.versions[1].modified, *parse_time("2026-11-20 14:58:59.125Z", false));
    EXPECT_FALSE(page.next);
}

TEST_F(S3VersionsTest, WhereTheNextPageBegins) {
    const auto next = [&](const std::string& marker, const std::string& encoding = {}) {
        return api
            .parse_list(
                answer(listing(kVersion, encoding + "<IsTruncated>true</IsTruncated>" + marker)))
            .next;
    };
    EXPECT_EQ(next("<NextKeyMarker>a/b</NextKeyMarker><NextVersionIdMarker>v2"
                   "</NextVersionIdMarker>"),
              (VersionPlace{"a/b", "v2"}));
    EXPECT_EQ(next("<NextKeyMarker>a/c/</NextKeyMarker>"), (VersionPlace{"a/c/", ""}));
    const std::string url = "<EncodingType>url</EncodingType>";
    EXPECT_EQ(next("<NextKeyMarker>a%2Fc%25</NextKeyMarker>", url), (VersionPlace{"a/c%", ""}));
    EXPECT_THROW(next(""), HttpFailure) << "it says that it goes on, and not where";
}

// A name may hold anything, also what no XML can: it must not hide what lies beside it.
TEST_F(S3VersionsTest, NamesAreEncodedWhereTheStoreSaysSo) {
    const auto key = [&](const std::string& text, const std::string& more) {
        std::string entry = kVersion;
        entry.replace(entry.find("a/b"), 3, text);
        return api.parse_list(answer(listing(entry, more))).versions.at(0).key;
    };
    const std::string url = "<EncodingType>url</EncodingType>";
    EXPECT_EQ(key("a%2Fb%01%2B+c", url), "a/b\x01+ c");
    EXPECT_EQ(key("a%2Fb", ""), "a%2Fb");
    EXPECT_THROW(key("a%2", url), HttpFailure);
}

// Ceph encodes the names of versions, and not that of the next.
TEST_F(S3VersionsTest, ANextNameThatIsNotEncoded) {
    std::string entry = kVersion;
    entry.replace(entry.find("a/b"), 3, "a%2Fb%2541");
    EXPECT_EQ(api.parse_list(answer(listing(entry,
                                            "<EncodingType>url</EncodingType><IsTruncated>true"
                                            "</IsTruncated><NextKeyMarker>a/b%41</NextKeyMarker>")))
                  .next,
              (VersionPlace{"a/b%41", ""}));
}

TEST_F(S3VersionsTest, WhatIsNoListing) {
    const auto without = [&](const std::string& what, const std::string& instead) {
        std::string entry = kVersion;
        entry.replace(entry.find(what), what.size(), instead);
        return answer(listing(entry));
    };
    EXPECT_NO_THROW(api.parse_list(answer(listing(kVersion))));
    EXPECT_THROW(api.parse_list(without("2026-11-20T14:59:00.000Z", "")), HttpFailure);
    EXPECT_THROW(api.parse_list(without("2026-11-20T14:59:00.000Z", "yesterday")), HttpFailure);
    EXPECT_THROW(api.parse_list(without("v2", "")), HttpFailure);
    EXPECT_THROW(api.parse_list(without("a/b", "")), HttpFailure);
    EXPECT_THROW(api.parse_list(answer("<ListBucketResult/>")), HttpFailure);
    EXPECT_THROW(api.list("p", false, {}).check(answer("<html/>")), HttpFailure);
}

TEST_F(S3VersionsTest, WhetherVersionsAreKept) {
    const auto kept = [&](const std::string& state) {
        return api.keeps_versions(
            answer("<VersioningConfiguration>" + state + "</VersioningConfiguration>"));
    };
    EXPECT_TRUE(kept("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>"));
    EXPECT_TRUE(kept("<Status>Suspended</Status>")) << "those of before are there";
    EXPECT_FALSE(kept(""));
}

// A store that heeds no versionId sends the newest: what an attacker wrote.
TEST_F(S3VersionsTest, AnotherVersionIsNoAnswer) {
    const HttpRequest get = api.get({"p/k", "v1", 0, 0, false});
    EXPECT_NO_THROW(get.check(answer("x", {{"etag", "\"e\""}, {"x-amz-version-id", "v1"}})));
    EXPECT_THROW(get.check(answer("x", {{"etag", "\"e\""}, {"x-amz-version-id", "v2"}})),
                 HttpFailure);
    EXPECT_THROW(get.check(answer("x", {{"etag", "\"e\""}})), HttpFailure);
    EXPECT_THROW(get.check(answer("x", {{"x-amz-version-id", "v1"}})), HttpFailure) << "a page";
    // What was put before the bucket kept versions.
    const HttpRequest first = api.get({"p/k", "null", 0, 0, false});
    EXPECT_NO_THROW(first.check(answer("x", {{"etag", "\"e\""}})));
    EXPECT_THROW(first.check(answer("x", {{"etag", "\"e\""}, {"x-amz-version-id", "v2"}})),
                 HttpFailure);
}

}  // namespace
}  // namespace ark
