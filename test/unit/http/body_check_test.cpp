#include "core/http/body_check.hpp"

#include <gtest/gtest.h>

#include "core/http/failure.hpp"

namespace ark {
namespace {

HttpRequest get(const char* range = nullptr) {
    HttpRequest request;
    request.method = "GET";
    request.path = "/o";
    request.wants_length = true;
    if (range != nullptr)
        request.set_header("range", range);
    return request;
}

HttpResponse answer(int status, size_t received, HeaderList headers) {
    HttpResponse response;
    response.status = status;
    response.received = received;
    response.headers = std::move(headers);
    return response;
}

std::string failure_name(const HttpRequest& request, const HttpResponse& response) {
    try {
        check_body(request, response);
    } catch (const HttpFailure& failure) {
        EXPECT_TRUE(failure.retryable);
        return rule_of(failure.failure).name;
    }
    return "";
}

TEST(BodyCheck, WholeObject) {
    EXPECT_EQ(failure_name(get(), answer(200, 10, {{"content-length", "10"}})), "");
    EXPECT_EQ(failure_name(get(), answer(200, 0, {{"content-length", "0"}})), "");
    EXPECT_EQ(failure_name(get(), answer(200, 9, {{"content-length", "10"}})), "truncated");
    EXPECT_EQ(failure_name(get(), answer(200, 9, {{"content-length", "nine"}})), "truncated");
    EXPECT_EQ(failure_name(get(), answer(200, 10, {})), "malformed");
}

TEST(BodyCheck, Ranges) {
    const auto with = [](size_t received, const std::string& range) {
        return answer(206, received,
                      {{"content-length", std::to_string(received)}, {"content-range", range}});
    };
    const HttpRequest request = get("bytes=10-19");
    EXPECT_EQ(failure_name(request, with(10, "bytes 10-19/100")), "");
    EXPECT_EQ(failure_name(request, with(5, "bytes 10-14/15")), "") << "the object's end";
    EXPECT_EQ(failure_name(request, with(5, "bytes 10-14/100")), "malformed") << "not its end";
    EXPECT_EQ(failure_name(request, with(10, "bytes 0-9/100")), "malformed");
    EXPECT_EQ(failure_name(request, with(11, "bytes 10-20/100")), "malformed");
    EXPECT_EQ(failure_name(request, with(9, "bytes 10-19/100")), "truncated");
    EXPECT_EQ(failure_name(request, with(10, "bytes 10-19/*")), "malformed");
    EXPECT_EQ(failure_name(request, with(10, "")), "malformed");
    EXPECT_EQ(failure_name(request, answer(200, 100, {{"content-length", "100"}})), "malformed")
        << "the whole object instead";
}

TEST(BodyCheck, LooksAtNothingElse) {
    EXPECT_EQ(failure_name(get("bytes=0-1"), answer(404, 7, {})), "");
    HttpRequest put = get();
    put.method = "PUT";
    EXPECT_EQ(failure_name(put, answer(200, 0, {})), "");
}

}  // namespace
}  // namespace ark
