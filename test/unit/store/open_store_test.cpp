#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/store/object_store.hpp"

namespace ark {
namespace {

TEST(OpenStore, FileUrls) {
    EXPECT_EQ(open_store("file:///srv/backup")->url(), "file:///srv/backup");
    EXPECT_EQ(open_store("file://localhost/srv/backup")->url(), "file:///srv/backup");
    EXPECT_EQ(open_store("file:///srv/backup///")->url(), "file:///srv/backup");
    EXPECT_EQ(open_store("file:///srv/a%20b")->url(), "file:///srv/a%20b");
    EXPECT_EQ(open_store("file:///srv/a b")->url(), "file:///srv/a%20b");
    EXPECT_EQ(open_store("file:///srv/%c3%A9.d")->url(), "file:///srv/%c3%a9.d");
}

TEST(OpenStore, UrlsItCannotRead) {
    for (const char* url :
         {"", "/srv/backup", "file:/srv", "file://", "file:///", "file://host/srv", "file://srv",
          "file:///srv?x=1", "file:///srv#x", "file:///srv/%2", "file:///srv/%zz",
          "file:///srv/%00", "file:///srv/../etc", "file:///./srv", "http://host/x", "://x"}) {
        try {
            open_store(url);
            ADD_FAILURE() << url << " was taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::invalid_argument) << url;
            EXPECT_NE(error.message.find(url), std::string::npos);
        }
    }
}

// Said at once, and with what to do instead: a past that is not read must not look empty.
TEST(OpenStore, APastThatIsNotKept) {
    for (const char* url :
         {"file:///srv/backup", "azure://container/p?account=a", "gs://bucket/p"}) {
        try {
            open_store(url, {.as_of = 1000000});
            ADD_FAILURE() << url << " was taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::unsupported) << url;
            const std::string text(url);
            EXPECT_EQ(error.message, "--as-of-bucket-time is not supported for " +
                                         text.substr(0, text.find("://")) + "://");
            EXPECT_FALSE(error.hint.empty());
        }
    }
    const auto past = open_store("s3://bucket/p?region=eu-west-1", {.as_of = 1000000});
    EXPECT_EQ(past->as_of(), 1000000);
    EXPECT_EQ(open_store("s3://bucket/p?region=eu-west-1")->as_of(), std::nullopt);
}

}  // namespace
}  // namespace ark
