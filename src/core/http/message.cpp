#include "core/http/message.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

const std::string* find_header(const HeaderList& headers, std::string_view name) {
    const auto found =
        std::ranges::find_if(headers, [&](const auto& header) { return header.first == name; });
    return found == headers.end() ? nullptr : &found->second;
}

bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

}  // namespace

void HttpRequest::set_header(std::string_view name, std::string value) {
    for (auto& header : headers) {
        if (header.first == name) {
            header.second = std::move(value);
            return;
        }
    }
    headers.emplace_back(name, std::move(value));
}

const std::string* HttpRequest::header(std::string_view name) const {
    return find_header(headers, name);
}

const std::string* HttpResponse::header(std::string_view name) const {
    return find_header(headers, name);
}

std::string HttpResponse::header_or(std::string_view name, const std::string& otherwise) const {
    const std::string* value = header(name);
    return value != nullptr ? *value : otherwise;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (is_unreserved(c) || (c == '/' && keep_slashes)) {
            out.push_back(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(kDigits[byte >> 4]);
        out.push_back(kDigits[byte & 15]);
    }
    return out;
}

std::string encode_query(
    const std::vector<std::pair<std::string, std::optional<std::string>>>& query) {
    std::string out;
    for (const auto& [name, value] : query) {
        if (!out.empty())
            out.push_back('&');
        out += percent_encode(name, false);
        if (value)
            out += "=" + percent_encode(*value, false);
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        if (i + 3 > text.size())
            return std::nullopt;
        try {
            out += text_from_hex(text.substr(i + 1, 2));
        } catch (const Error&) {
            return std::nullopt;
        }
        i += 2;
    }
    return out;
}

std::string url_of(const HttpRequest& request) {
    const std::string query = encode_query(request.query);
    return request.origin + percent_encode(request.path, true) + (query.empty() ? "" : "?" + query);
}

HttpRequest parse_url(const char* method, const std::string& url) {
    const size_t scheme = url.find("://");
    const bool known = url.starts_with("https://") || url.starts_with("http://");
    const size_t slash =
        known ? std::min(url.find_first_of("/?", scheme + 3), url.size()) : std::string::npos;
    if (!known || slash == scheme + 3)
        throw Error(ErrorCode::invalid_argument, "not the URL of a service: \"" + url + "\"");
    HttpRequest request;
    request.method = method;
    request.origin = url.substr(0, slash);
    std::string_view rest = std::string_view(url).substr(slash);
    const size_t mark = std::min(rest.find('?'), rest.size());
    request.path = percent_decode(rest.substr(0, mark)).value_or("");
    if (request.path.empty())
        request.path = "/";
    rest.remove_prefix(std::min(mark + 1, rest.size()));
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        const size_t equals = part.find('=');
        std::optional<std::string> value;
        if (equals != std::string_view::npos)
            value = percent_decode(part.substr(equals + 1));
        request.query.emplace_back(percent_decode(part.substr(0, equals)).value_or(""), value);
    }
    return request;
}

std::string host_header(const std::string& origin) {
    std::string host = origin.substr(origin.find("://") + 3);
    const std::string default_port = origin.starts_with("https://") ? ":443" : ":80";
    if (host.ends_with(default_port))
        host.resize(host.size() - default_port.size());
    return host;
}

std::string to_http_date(int64_t unix_seconds) {
    // Not by strftime: its names follow the locale.
    constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t seconds = unix_seconds;
    struct tm parts {};
    gmtime_r(&seconds, &parts);
    std::array<char, 64> out{};
    std::snprintf(out.data(), out.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  kDays[static_cast<size_t>(parts.tm_wday)], parts.tm_mday,
                  kMonths[static_cast<size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                  parts.tm_min, parts.tm_sec);
    return out.data();
}

std::optional<int64_t> parse_http_date(const std::string& text) {
    if (const auto iso = parse_time(text, false))
        return *iso / 1000000;
    struct tm parts {};
    const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == nullptr || *end != '\0')
        return std::nullopt;
    return timegm(&parts);
}

}  // namespace ark
