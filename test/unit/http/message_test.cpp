#include "core/http/message.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"

namespace ark {
namespace {

TEST(HttpMessage, EncodesWhatASignatureEncodes) {
    EXPECT_EQ(percent_encode("a-b_c.d~e/f g+h=ü", false), "a-b_c.d~e%2Ff%20g%2Bh%3D%C3%BC");
    EXPECT_EQ(percent_encode("/a b/c", true), "/a%20b/c");
}

TEST(HttpMessage, QueryKeepsNamesWithoutValues) {
    EXPECT_EQ(encode_query({{"uploads", std::nullopt}, {"prefix", "a/b c"}, {"empty", ""}}),
              "uploads&prefix=a%2Fb%20c&empty=");
}

TEST(HttpMessage, UrlHasAllItsParts) {
    HttpRequest request;
    request.origin = "https://host:8443";
    request.path = "/bucket/a b";
    EXPECT_EQ(url_of(request), "https://host:8443/bucket/a%20b");
    request.query = {{"x", "1"}};
    EXPECT_EQ(url_of(request), "https://host:8443/bucket/a%20b?x=1");
}

TEST(HttpMessage, HostHeaderLeavesOutTheSchemesPort) {
    EXPECT_EQ(host_header("https://host:443"), "host");
    EXPECT_EQ(host_header("http://host:80"), "host");
    EXPECT_EQ(host_header("http://host:443"), "host:443");
    EXPECT_EQ(host_header("https://host"), "host");
}

TEST(HttpMessage, HeadersAreReplacedNotRepeated) {
    HttpRequest request;
    request.set_header("a", "1");
    request.set_header("a", "2");
    ASSERT_NE(request.header("a"), nullptr);
    EXPECT_EQ(*request.header("a"), "2");
    EXPECT_EQ(request.headers.size(), 1U);
    EXPECT_EQ(request.header("b"), nullptr);
}

TEST(HttpMessage, DatesOfBothForms) {
    EXPECT_EQ(to_http_date(1763748000), "Fri, 21 Nov 2025 18:00:00 GMT");
    EXPECT_EQ(parse_http_date("Fri, 21 Nov 2025 18:00:00 GMT"), 1763748000);
    EXPECT_EQ(parse_http_date("2025-11-21T18:00:00.000Z"), 1763748000);
    EXPECT_EQ(parse_http_date("yesterday"), std::nullopt);
    EXPECT_EQ(parse_http_date(""), std::nullopt);
}

TEST(HttpMessage, AUrlInParts) {
    const HttpRequest request = parse_url("GET", "http://127.0.0.1:1/a%20b/c?x=1%2F2&y");
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.origin, "http://127.0.0.1:1");
    EXPECT_EQ(request.path, "/a b/c");
    EXPECT_EQ(url_of(request), "http://127.0.0.1:1/a%20b/c?x=1%2F2&y");
    EXPECT_EQ(url_of(parse_url("GET", "https://host")), "https://host/");
    EXPECT_EQ(url_of(parse_url("GET", "https://host?a=b")), "https://host/?a=b");
    for (const char* text : {"", "host/x", "ftp://host/x", "http://", "http:///x"})
        EXPECT_THROW(parse_url("GET", text), Error) << text;
}

}  // namespace
}  // namespace ark
