#include "core/store/azure/shared_key.hpp"

#include <gtest/gtest.h>

#include "core/http/crypto.hpp"

namespace ark {
namespace {

// The key that every emulator has.
const char* const kKey =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

HttpRequest request(const char* method, const std::string& url) {
    HttpRequest out = parse_url(method, url);
    out.set_header("x-ms-version", "2015-02-21");
    out.set_header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
    return out;
}

// The example of Microsoft's "Authorize with Shared Key".
TEST(SharedKey, MicrosoftsExample) {
    HttpRequest metadata = request("GET",
                                   "https://myaccount.blob.core.windows.net/mycontainer"
                                   "?timeout=20&restype=container&comp=metadata");
    EXPECT_EQ(shared_key_string(metadata, "myaccount"),
              "GET\n\n\n\n\n\n\n\n\n\n\n\n"
              "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
              "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
    sign_shared_key(metadata, "myaccount", from_base64(kKey));
    EXPECT_EQ(*metadata.header("authorization"),
              "SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
}

TEST(SharedKey, TheAccountTwiceWhereThePathNamesIt) {
    const HttpRequest get =
        request("GET", "http://127.0.0.1:10000/devstoreaccount1/container/a/b.zst");
    EXPECT_TRUE(shared_key_string(get, "devstoreaccount1")
                    .ends_with("\n/devstoreaccount1/devstoreaccount1/container/a/b.zst"));
}

TEST(SharedKey, EveryHeaderInItsPlace) {
    const std::string body = "12345";
    HttpRequest put = request("PUT", "https://a.blob.core.windows.net/c/k");
    put.body = as_bytes(body);
    put.set_header("content-type", "t");
    put.set_header("content-md5", "m");
    put.set_header("if-none-match", "*");
    put.set_header("x-ms-meta-pgarktoken", "k");
    put.set_header("x-ms-blob-type", "BlockBlob");
    EXPECT_EQ(shared_key_string(put, "a"),
              "PUT\n\n\n5\nm\nt\n\n\n\n*\n\n\n"
              "x-ms-blob-type:BlockBlob\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
              "x-ms-meta-pgarktoken:k\nx-ms-version:2015-02-21\n/a/c/k");
    HttpRequest range = request("GET", "https://a.blob.core.windows.net/c/k");
    range.set_header("range", "bytes=0-9");
    range.set_header("if-match", "e");
    EXPECT_TRUE(
        shared_key_string(range, "a").starts_with("GET\n\n\n\n\n\n\n\ne\n\n\nbytes=0-9\nx-ms-"));
}

TEST(SharedKey, AnEmptyBodyHasNoLength) {
    EXPECT_TRUE(shared_key_string(request("PUT", "https://a.blob.core.windows.net/c/k"), "a")
                    .starts_with("PUT\n\n\n\n\n"));
}

TEST(SharedKey, ParametersAreDecodedSortedAndJoined) {
    HttpRequest list = request("GET", "https://a.blob.core.windows.net/c?Prefix=a%2Fb&x=2&x=1");
    EXPECT_TRUE(shared_key_string(list, "a").ends_with("\n/a/c\nprefix:a/b\nx:1,2"));
}

}  // namespace
}  // namespace ark
