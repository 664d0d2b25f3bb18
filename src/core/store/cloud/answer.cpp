#include "core/store/cloud/answer.hpp"

#include <charconv>
#include <string>
#include <system_error>

namespace ark {

namespace {

// Whole seconds; a date, or anything else, counts as none.
double retry_after_of(const HttpResponse& response) {
    const std::string text = response.header_or("retry-after", "");
    unsigned seconds = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, seconds);
    return parsed.ec == std::errc() && parsed.ptr == end ? seconds : 0;
}

}  // namespace

bool answers_condition(const HttpRequest& request, int status) {
    return status == 412 && (request.method == "PUT" || request.method == "POST");
}

bool answers_range(const HttpRequest& request, int status) {
    return status == 416 && request.header("range") != nullptr;
}

void require_tag(const HttpResponse& response) {
    if (response.header("etag") == nullptr)
        throw HttpFailure(Failure::malformed, "the store speaks of an object and names no ETag");
}

HttpFailure failure_of_answer(Failure failure, const HttpRequest& request,
                              const HttpResponse& response, const XmlError& error,
                              const char* id_header) {
    std::string detail = "The store answered with status " + std::to_string(response.status);
    if (!error.code.empty())
        detail += " " + error.code + (error.message.empty() ? "" : ": " + error.message);
    if (!detail.ends_with('.'))
        detail += ".";
    if (const std::string* id = response.header(id_header))
        detail += " Its id of the request is " + *id + ".";
    HttpFailure out(
        failure, request.method + " of \"" + request.origin + request.path + "\" failed", detail);
    out.retry_after = retry_after_of(response);
    // A gateway that gave up waiting says nothing about what the store did with it.
    out.maybe_done = request.changes_something && response.status >= 500;
    return out;
}

}  // namespace ark
