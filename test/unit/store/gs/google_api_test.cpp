// What Google's flavour of the S3 API puts on its requests.

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "core/store/s3/s3_api.hpp"
#include "core/store/s3/signature.hpp"

namespace ark {
namespace {

S3Options options() {
    S3Options out;
    out.origin = "https://storage.googleapis.com";
    out.base_path = "/bucket/";
    out.object_headers = {{"x-goog-storage-class", "NEARLINE"}};
    out.request_headers = {{"x-goog-user-project", "payer"}};
    return out;
}

bool mentions_amazon(const HttpRequest& request) {
    for (const auto& [name, value] : request.headers) {
        if (name.starts_with("x-amz-") || name.starts_with("if-"))
            return true;
    }
    return false;
}

TEST(GoogleApi, PutCarriesConditionChecksumsAndToken) {
    S3Api api(options(), kGoogleFlavor);
    const HttpRequest put = api.put("a/b", as_bytes("123456789"), "mine");
    EXPECT_EQ(put.path, "/bucket/a/b");
    EXPECT_EQ(*put.header("x-goog-if-generation-match"), "0");
    EXPECT_EQ(*put.header("x-goog-hash"), "crc32c=4waSgw==");  // the check value of CRC-32C
    EXPECT_EQ(*put.header("content-md5"), "JfnnlDI7RTiF9RgfG2JNCw==");
    EXPECT_EQ(*put.header("x-goog-meta-pg-ark-token"), "mine");
    EXPECT_EQ(*put.header("x-goog-storage-class"), "NEARLINE");
    EXPECT_EQ(*put.header("x-goog-user-project"), "payer");
    EXPECT_FALSE(mentions_amazon(put));
}

TEST(GoogleApi, Md5IsLeftOutOnceTheStoreHasRepeatedACrc32c) {
    S3Api api(options(), kGoogleFlavor);
    HttpResponse answer;
    answer.headers = {{"x-goog-hash", "md5=JfnnlDI7RTiF9RgfG2JNCw=="}};
    api.note_upload(answer);
    EXPECT_NE(api.put("a", as_bytes("x"), "t").header("content-md5"), nullptr);
    answer.headers.emplace_back("x-goog-hash", "crc32c=4waSgw==");
    api.note_upload(answer);
    const HttpRequest put = api.put("a", as_bytes("x"), "t");
    EXPECT_EQ(put.header("content-md5"), nullptr);
    EXPECT_NE(put.header("x-goog-hash"), nullptr);
}

TEST(GoogleApi, AnUploadInPartsHasNoPreconditionAnywhere) {
    S3Api api(options(), kGoogleFlavor);
    const HttpRequest begin = *api.begin_upload("a", "mine");
    EXPECT_EQ(*begin.header("x-goog-meta-pg-ark-token"), "mine");
    EXPECT_EQ(*begin.header("x-goog-storage-class"), "NEARLINE");
    HttpResponse begun;
    const std::string document =
        "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>";
    begun.body.assign(as_bytes(document).begin(), as_bytes(document).end());
    const std::string id = api.upload_id(begun);
    BlobPart part{1, "\"tag\"", {}};
    const HttpRequest sent = api.put_part("a", id, part, as_bytes("123456789"));
    ASSERT_NE(sent.header("x-goog-hash"), nullptr);
    EXPECT_EQ(*sent.header("x-goog-hash"), "crc32c=4waSgw==");
    std::string body;
    const HttpRequest finish = api.finish_upload("a", id, {part}, "mine", body);
    EXPECT_GE(finish.quiet_seconds, 300) << "Google may take minutes";
    EXPECT_NE(body.find("<Part><PartNumber>1</PartNumber><ETag>&quot;tag&quot;</ETag></Part>"),
              std::string::npos);
    for (const HttpRequest* request : {&begin, &sent, &finish}) {
        EXPECT_EQ(request->header("x-goog-if-generation-match"), nullptr);
        EXPECT_EQ(*request->header("x-goog-user-project"), "payer");
        EXPECT_FALSE(mentions_amazon(*request));
    }
}

// Computed by another program from Google's description of the V4 signing process.
TEST(GoogleApi, SignatureWithAnHmacKey) {
    HttpRequest put;
    put.method = "PUT";
    put.origin = "http://storage.googleapis.com";
    put.path = "/bucket/a b";
    put.body = as_bytes("abc");
    put.set_header("content-type", "application/octet-stream");
    put.set_header("content-md5", "kAFQmDzST7DWlj99KOF/cg==");
    put.set_header("x-goog-hash", "crc32c=Nks/tw==");
    put.set_header("x-goog-if-generation-match", "0");
    sign_request(put, kGoogleStyle, {"GOOG1EID", "secret", ""}, "auto", 1369353600);
    EXPECT_EQ(*put.header("authorization"),
              "GOOG4-HMAC-SHA256 Credential=GOOG1EID/20130524/auto/storage/goog4_request, "
              "SignedHeaders=content-md5;content-type;host;x-goog-content-sha256;x-goog-date;"
              "x-goog-hash;x-goog-if-generation-match, "
              "Signature=f2df4a135641c90a04e425c6dcb7d16cb033bf5c0cbbe598d06aabb454cb1eef");
}

}  // namespace
}  // namespace ark
