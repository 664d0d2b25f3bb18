#include "core/http/body_check.hpp"

#include <charconv>

#include "core/http/failure.hpp"

namespace ark {

namespace {

std::optional<uint64_t> take_number(std::string_view& text, char stop) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end == text.data())
        return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (stop == '\0')
        return text.empty() ? std::optional(value) : std::nullopt;
    if (text.empty() || text[0] != stop)
        return std::nullopt;
    text.remove_prefix(1);
    return value;
}

[[noreturn]] void fail(Failure failure, const HttpRequest& request, const std::string& why) {
    throw HttpFailure(failure,
                      request.method + " of \"" + request.origin + request.path + "\" failed", why);
}

void check_range(const HttpRequest& request, const HttpResponse& response,
                 const std::string& asked) {
    if (response.status != 206)
        fail(Failure::malformed, request, "The store answered a range with the whole object.");
    std::string_view text = std::string_view(asked).substr(std::string_view("bytes=").size());
    const auto first = take_number(text, '-');
    const auto last = take_number(text, '\0');
    const auto range = parse_content_range(response.header_or("content-range", ""));
    if (!first || !last || !range || range->first != *first || range->last > *last ||
        range->last < range->first || range->last >= range->total ||
        (range->last < *last && range->last + 1 != range->total)) {
        fail(Failure::malformed, request, "The store answered with another range than asked for.");
    }
    if (response.received != range->last - range->first + 1)
        fail(Failure::truncated, request, "The answer has fewer bytes than its range says.");
}

}  // namespace

std::optional<ContentRange> parse_content_range(const std::string& header) {
    std::string_view text = header;
    if (!text.starts_with("bytes "))
        return std::nullopt;
    text.remove_prefix(std::string_view("bytes ").size());
    const auto first = take_number(text, '-');
    const auto last = first ? take_number(text, '/') : std::nullopt;
    const auto total = last ? take_number(text, '\0') : std::nullopt;
    if (!total)
        return std::nullopt;
    return ContentRange{*first, *last, *total};
}

void check_body(const HttpRequest& request, const HttpResponse& response) {
    if (request.method != "GET" || !response.ok())
        return;
    if (const std::string* length = response.header("content-length")) {
        std::string_view text = *length;
        const auto bytes = take_number(text, '\0');
        if (!bytes || *bytes != response.received)
            fail(Failure::truncated, request, "The answer has fewer bytes than it says.");
    } else if (request.wants_length) {
        fail(Failure::malformed, request, "The answer does not say how many bytes it has.");
    }
    if (const std::string* range = request.header("range"); range != nullptr)
        check_range(request, response, *range);
}

}  // namespace ark
