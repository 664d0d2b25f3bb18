#include "core/store/azure/azure_api.hpp"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/http/crypto.hpp"
#include "core/http/failure.hpp"

namespace ark {
namespace {

HttpResponse answer(int status, std::string_view body = {}, HeaderList headers = {}) {
    HttpResponse response;
    response.status = status;
    response.headers = std::move(headers);
    response.body.assign(as_bytes(body).begin(), as_bytes(body).end());
    return response;
}

std::string blob(const std::string& name, int bytes, const std::string& more = {}) {
    return "<Blob><Name>" + name + "</Name><Properties><Content-Length>" + std::to_string(bytes) +
           "</Content-Length>" + more + "</Properties></Blob>";
}

std::string listing(const std::string& blobs, const std::string& next = {}) {
    // Azure begins it with a byte order mark.
    return "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>" +
           blobs + "</Blobs><NextMarker>" + next + "</NextMarker></EnumerationResults>";
}

constexpr const char* kModified = "<Last-Modified>Sat, 21 Nov 2026 18:00:00 GMT</Last-Modified>";

struct AzureApiTest : public testing::Test {
    AzureOptions options{"https://a.blob.test", "/container", true, {{"x-ms-access-tier", "Cool"}}};
    AzureApi api{options};
};

TEST_F(AzureApiTest, APutIsConditionalAndVerified) {
    const HttpRequest put = api.put("p/k", as_bytes("hello"), "token");
    EXPECT_EQ(url_of(put), "https://a.blob.test/container/p/k");
    EXPECT_EQ(*put.header("if-none-match"), "*");
    EXPECT_EQ(*put.header("x-ms-blob-type"), "BlockBlob");
    EXPECT_EQ(*put.header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    EXPECT_EQ(*put.header("x-ms-access-tier"), "Cool");
    EXPECT_EQ(api.token_of(
                  answer(200, "", {{"x-ms-meta-pgarktoken", *put.header("x-ms-meta-pgarktoken")}})),
              "token");
    EXPECT_NO_THROW(put.check(answer(201, "", {{"etag", "\"e\""}})));
    EXPECT_THROW(put.check(answer(200, "", {{"etag", "\"e\""}})), HttpFailure) << "a portal's";
    EXPECT_THROW(put.check(answer(201)), HttpFailure);
    options.create_if_absent = false;
    EXPECT_EQ(AzureApi(options).put("k", {}, "t").header("if-none-match"), nullptr);
}

TEST_F(AzureApiTest, BlocksOfAnUpload) {
    EXPECT_FALSE(api.begin_upload("k", "t"));
    std::vector<BlobPart> parts{{1, {}, {}}, {10000, {}, {}}};
    const std::string id(32, 'f');
    for (BlobPart& part : parts) {
        const HttpRequest put = api.put_part("k", id, part, as_bytes("x"));
        EXPECT_EQ(put.query[0].second, "block");
        EXPECT_EQ(put.query[1].second, part.tag);
        EXPECT_NE(put.header("content-md5"), nullptr);
        EXPECT_LE(from_base64(part.tag).size(), 64U);
    }
    EXPECT_EQ(parts[0].tag.size(), parts[1].tag.size());
    EXPECT_NE(parts[0].tag, parts[1].tag);
    BlobPart other{1, {}, {}};
    api.put_part("k", std::string(32, '0'), other, as_bytes("x"));
    EXPECT_NE(other.tag, parts[0].tag) << "another writer's";
    std::string body;
    const HttpRequest finish = api.finish_upload("k", id, parts, "token", body);
    EXPECT_EQ(as_text(finish.body),
              "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"
              "<Uncommitted>" +
                  parts[0].tag + "</Uncommitted><Uncommitted>" + parts[1].tag +
                  "</Uncommitted></BlockList>");
    EXPECT_EQ(*finish.header("if-none-match"), "*");
    EXPECT_EQ(*finish.header("x-ms-access-tier"), "Cool");
    EXPECT_EQ(*finish.header("x-ms-meta-pgarktoken"), "token");
    EXPECT_FALSE(api.abort_upload("k", id));
}

TEST_F(AzureApiTest, PagesOfAListing) {
    const HttpRequest first = api.list("p/", true, "");
    EXPECT_EQ(
        url_of(first),
        "https://a.blob.test/container?restype=container&comp=list&prefix=p%2F&delimiter=%2F");
    EXPECT_THROW(first.check(answer(200, "<html></html>")), HttpFailure);
    const BlobPage page = api.parse_list(
        answer(200, listing(blob("p/a", 5, kModified) +
                                blob("p/d", 0, "<ResourceType>directory</ResourceType>") +
                                "<BlobPrefix><Name>p/x/</Name></BlobPrefix>",
                            "2!64!more")));
    ASSERT_EQ(page.objects.size(), 1U);
    EXPECT_EQ(page.objects[0].name, "p/a");
    EXPECT_EQ(page.objects[0].size, 5U);
    EXPECT_EQ(page.objects[0].modified, 1795284000000000);
    EXPECT_EQ(page.directories, std::vector<std::string>{"p/x/"});
    EXPECT_EQ(page.next, "2!64!more");
    EXPECT_TRUE(url_of(api.list("p/", false, page.next)).ends_with("&marker=2%2164%21more"));
}

TEST_F(AzureApiTest, UploadsThatWereNotFinishedHaveNoBytes) {
    EXPECT_TRUE(url_of(api.list_uploads("p/", "")).ends_with("&include=uncommittedblobs"));
    std::string next = "x";
    const std::vector<OpenUpload> uploads = api.parse_uploads(
        answer(200, listing(blob("p/whole", 5, kModified) + blob("p/blocks", 0, kModified) +
                            blob("p/ageless", 0))),
        next);
    ASSERT_EQ(uploads.size(), 1U);
    EXPECT_EQ(uploads[0].key, "p/blocks");
    EXPECT_EQ(uploads[0].started, 1795284000000000);
    EXPECT_EQ(next, "");
}

// What the sweep asks, with the answers it gets.
struct SweepTest : public AzureApiTest {
    bool sweep() {
        return api.sweep_upload({"k", {}, 1}, [this](const HttpRequest& request) {
            asked.push_back(request.method);
            if (request.method == "PUT") {
                EXPECT_EQ(*request.header("if-none-match"), "*");
                EXPECT_TRUE(as_text(request.body).ends_with("<BlockList></BlockList>"));
                token = *request.header("x-ms-meta-pgarktoken");
            }
            if (request.method == "DELETE") {
                EXPECT_EQ(*request.header("if-match"), "\"mine\"");
            }
            const HttpResponse response = answers.at(asked.size() - 1)();
            return response;
        });
    }
    using Methods = std::vector<std::string>;
    std::vector<std::function<HttpResponse()>> answers;
    Methods asked;
    std::string token;
};

TEST_F(SweepTest, EmptiesAndRemoves) {
    answers = {[] { return answer(201, "", {{"etag", "\"mine\""}}); }, [] { return answer(202); }};
    EXPECT_TRUE(sweep());
    EXPECT_EQ(asked, (Methods{"PUT", "DELETE"}));
}

TEST_F(SweepTest, SparesWhatWasFinishedMeanwhile) {
    answers = {[] { return answer(409); },
               [] {
                   return answer(200, "", {{"etag", "\"other\""}, {"x-ms-meta-pgarktoken", "t"}});
               }};
    EXPECT_FALSE(sweep());
    EXPECT_EQ(asked, (Methods{"PUT", "HEAD"}));
    asked.clear();
    answers = {[] { return answer(409); }, [] { return answer(404); }};
    EXPECT_FALSE(sweep());
}

TEST_F(SweepTest, KnowsItsOwnWhereAnAnswerWasLost) {
    answers = {[] { return answer(409); },
               [this] {
                   return answer(200, "", {{"etag", "\"mine\""}, {"x-ms-meta-pgarktoken", token}});
               },
               [] { return answer(202); }};
    EXPECT_TRUE(sweep());
}

TEST_F(SweepTest, DoesNothingWhereTheStoreHeedsNoCondition) {
    options.create_if_absent = false;
    EXPECT_FALSE(AzureApi(options).sweep_upload({"k", {}, 1}, [](const HttpRequest&) {
        ADD_FAILURE();
        return HttpResponse{};
    }));
}

}  // namespace
}  // namespace ark
