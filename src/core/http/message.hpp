#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"

namespace ark {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse;

/// A request as the store means it: nothing is encoded yet, so that a signer sees what it signs.
struct HttpRequest {
    std::string method;
    std::string origin;  ///< "https://host:port", no slash behind it
    std::string path;    ///< decoded, beginning with a slash
    /// Decoded names and values; a value of nullopt is a name alone ("?uploads").
    std::vector<std::pair<std::string, std::optional<std::string>>> query;
    HeaderList headers;  ///< names in lower case
    ByteView body;       ///< has to live until the answer is there
    /// Where the body of a successful answer goes. Either a fixed place, of which no byte beyond
    /// its end is accepted, or memory that grows up to a limit.
    std::optional<MutableByteView> into;
    uint64_t limit = 16 << 20;
    /// The answer is an object's bytes: one that doesn't say how many there are is none.
    bool wants_length = false;
    /// Seconds in which whoever answers may be silent over it; 0: as long as for any other request.
    double quiet_seconds = 0;
    /// Where the answer is lost the request may have been carried out; sent again it may then say
    /// so ("exists already"). For requests that only read this never matters.
    bool changes_something = false;

    /// Looks at a successful answer and throws HttpFailure where it is none, so that it is asked
    /// for again.
    std::function<void(const HttpResponse&)> check;

    void set_header(std::string_view name, std::string value);
    const std::string* header(std::string_view name) const;
};

struct HttpResponse {
    int status = 0;
    HeaderList headers;  ///< names in lower case
    Bytes body;          ///< empty where it went into the request's own place
    size_t received = 0;
    /// An earlier try of this request ended without an answer, and may have been carried out.
    bool maybe_done_before = false;

    const std::string* header(std::string_view name) const;
    std::string header_or(std::string_view name, const std::string& otherwise) const;
    bool ok() const { return status >= 200 && status < 300; }
};

/// Percent-encodes all but A-Z a-z 0-9 - . _ ~ (RFC 3986 "unreserved"), and slashes where
/// `keep_slashes`: what each vendor's signature is computed over.
std::string percent_encode(std::string_view text, bool keep_slashes);

/// "a=b&c=d", encoded, in the order given; what stands behind the question mark.
std::string encode_query(
    const std::vector<std::pair<std::string, std::optional<std::string>>>& query);

/// %XX decoded. nullopt where a percent sign is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text);

/// The whole URL of a request.
std::string url_of(const HttpRequest& request);
/// The inverse: a request to this URL. Error: invalid_argument.
HttpRequest parse_url(const char* method, const std::string& url);

/// "host:port" of an origin, as the Host header has it (the port only where it is not the
/// scheme's).
std::string host_header(const std::string& origin);

/// "Sat, 21 Nov 2026 18:00:00 GMT" (RFC 9110).
std::string to_http_date(int64_t unix_seconds);
/// The inverse, also of ISO 8601; nullopt for anything else.
std::optional<int64_t> parse_http_date(const std::string& text);

}  // namespace ark
