#pragma once

#include "core/http/message.hpp"

namespace ark {

/// What holds of every successful answer with an object's bytes: it has as many as it says, and
/// those that were asked for. A cache or a proxy that answers with something else is caught here.
/// Error: HttpFailure (truncated, malformed), which may be tried again.
void check_body(const HttpRequest& request, const HttpResponse& response);

/// "bytes 0-9/100" of a partial answer.
struct ContentRange {
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t total = 0;
};
std::optional<ContentRange> parse_content_range(const std::string& header);

}  // namespace ark
