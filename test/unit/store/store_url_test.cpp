#include "core/store/store_url.hpp"

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

const std::vector<std::string> kKnown{"region", "endpoint", "path_style"};

TEST(StoreUrl, Parts) {
    const StoreUrl url =
        parse_store_url("s3://bucket/a/b/?region=eu&endpoint=http%3A%2F%2Fh%3A1", kKnown);
    EXPECT_EQ(url.scheme, "s3");
    EXPECT_EQ(url.bucket, "bucket");
    EXPECT_EQ(url.prefix, "a/b");
    EXPECT_EQ(url.option("region"), "eu");
    EXPECT_EQ(url.option("endpoint"), "http://h:1");
    EXPECT_EQ(url.option("path_style", "x"), "x");
    EXPECT_EQ(url.key_of("c/d"), "a/b/c/d");
    EXPECT_EQ(parse_store_url("s3://bucket", kKnown).key_of("c"), "c");
    EXPECT_EQ(parse_store_url("s3://bucket/", kKnown).prefix, "");
}

TEST(StoreUrl, Flags) {
    EXPECT_TRUE(parse_store_url("s3://b?path_style=on", kKnown).flag("path_style", false));
    EXPECT_FALSE(parse_store_url("s3://b?path_style=0", kKnown).flag("path_style", true));
    EXPECT_TRUE(parse_store_url("s3://b", kKnown).flag("path_style", true));
    test::expect_error(ErrorCode::invalid_argument, [] {
        return parse_store_url("s3://b?path_style=maybe", kKnown).flag("path_style", true);
    });
}

TEST(StoreUrl, RefusesWithoutRepeatingSecrets) {
    for (const char* text : {"s3://",
                             "s3:///prefix",
                             "s3://b/a//b",
                             "s3://b/../a",
                             "s3://b/a b",
                             "s3://b/a%2Fb",
                             "s3://user:hunter2@b/a",
                             "s3://b/a#f",
                             "s3://b?secret_key=hunter2",
                             "s3://b?region",
                             "s3://b?region=",
                             "s3://b?region=a&region=b",
                             "s3://b?region=%0d%0ax",
                             "s3://b?region=%zz",
                             "s3://b?%00=1",
                             "s3://..",
                             "",
                             "s",
                             "s3:/b",
                             "hunter2"}) {
        const Error error = test::expect_error(
            ErrorCode::invalid_argument, [&] { return parse_store_url(text, kKnown); }, text);
        EXPECT_EQ((error.message + error.detail + error.hint).find("hunter2"), std::string::npos);
        EXPECT_FALSE(error.hint.empty());
    }
}

}  // namespace
}  // namespace ark
