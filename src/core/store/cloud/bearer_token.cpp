#include "core/store/cloud/bearer_token.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/base/file.hpp"
#include "core/base/json.hpp"

namespace ark {

namespace {

// RFC 6749: a lifetime that is not told. Every service here tells it.
constexpr int64_t kUntoldSeconds = 900;
// What is added to a time has to stay one; a double can hold it exactly.
constexpr double kMostSeconds = 1e12;
constexpr size_t kMaxTokenFile = 64 * 1024;

std::string text_of(const nlohmann::json& j, const char* name) {
    return j.is_object() && j.contains(name) && j[name].is_string() ? j[name].get<std::string>()
                                                                    : std::string();
}

// Some services write their numbers as text.
std::optional<int64_t> number_of(const nlohmann::json& j, const char* name) {
    if (!j.is_object() || !j.contains(name))
        return std::nullopt;
    if (j[name].is_number())
        return static_cast<int64_t>(std::clamp(j[name].get<double>(), 0.0, kMostSeconds));
    const std::string text = text_of(j, name);
    int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end)
        return std::nullopt;
    return std::clamp<int64_t>(value, 0, static_cast<int64_t>(kMostSeconds));
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

BearerToken parse_token_answer(const HttpResponse& response, const std::string& service) {
    const nlohmann::json j = parse_json(as_text(response.body));
    if (!response.ok()) {
        std::string detail = "It answered with status " + std::to_string(response.status);
        if (const std::string code = text_of(j, "error"); !code.empty())
            detail += " " + code + ": " + first_line(text_of(j, "error_description"));
        throw Error(ErrorCode::permission_denied, service + " gave no token",
                    detail + (detail.ends_with('.') ? "" : "."),
                    "Check the identity, and what it is allowed.");
    }
    BearerToken out{text_of(j, "access_token"), std::nullopt};
    if (out.token.empty() || out.token.find_first_of("\r\n") != std::string::npos) {
        throw Error(ErrorCode::permission_denied, service + " gave no token",
                    "Its answer is not the JSON document that it should be.");
    }
    const int64_t now = time(nullptr);
    if (const auto seconds = number_of(j, "expires_in"))
        out.expires = now + *seconds;
    else
        out.expires = number_of(j, "expires_on").value_or(now + kUntoldSeconds);
    return out;
}

void check_token_url(const std::string& url) {
    const std::string origin = parse_url("POST", url).origin;
    std::string host = origin.substr(origin.find("://") + 3);
    host = host.substr(0, host.rfind(':'));
    if (!origin.starts_with("https://") && host != "127.0.0.1" && host != "localhost" &&
        host != "[::1]") {
        throw Error(ErrorCode::invalid_argument, "credentials would be sent in clear text",
                    "The token service \"" + origin + "\" is not one with https://.",
                    "Look at who set this address (the credentials file, the environment); it may "
                    "have been meant as harm.");
    }
}

HttpRequest form_request(const std::string& url, const std::string& body) {
    check_token_url(url);
    HttpRequest request = parse_url("POST", url);
    request.body = as_bytes(body);
    request.set_header("content-type", "application/x-www-form-urlencoded");
    return request;
}

std::string read_token_file(const std::string& path) {
    const auto content = read_file_if_exists(path, kMaxTokenFile);
    if (!content) {
        throw Error(ErrorCode::permission_denied, "token file \"" + path + "\" does not exist");
    }
    std::string text(as_text(*content));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    return text;
}

}  // namespace ark
