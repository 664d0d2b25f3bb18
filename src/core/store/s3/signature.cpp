#include "core/store/s3/signature.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <map>

#include "core/http/crypto.hpp"

namespace ark {

namespace {

std::string basic_time(int64_t unix_seconds) {
    const time_t seconds = unix_seconds;
    struct tm parts {};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> out{};
    const size_t length = strftime(out.data(), out.size(), "%Y%m%dT%H%M%SZ", &parts);
    return {out.data(), length};
}

std::string canonical_query(const HttpRequest& request) {
    std::vector<std::pair<std::string, std::string>> parts;
    for (const auto& [name, value] : request.query)
        parts.emplace_back(percent_encode(name, false), percent_encode(value.value_or(""), false));
    std::ranges::sort(parts);
    std::string out;
    for (const auto& [name, value] : parts)
        out += (out.empty() ? "" : "&") + name + "=" + value;
    return out;
}

// Inner runs of blanks count as one; no header of ours has any at its ends.
std::string canonical_value(const std::string& value) {
    std::string out;
    for (const char c : value) {
        if (c != ' ' || out.empty() || out.back() != ' ')
            out.push_back(c);
    }
    return out;
}

}  // namespace

void sign_request(HttpRequest& request, const SignatureStyle& style, const SigningKey& key,
                  const std::string& region, int64_t unix_seconds) {
    const std::string prefix = style.header_prefix;
    const std::string time = basic_time(unix_seconds);
    const bool unsigned_payload = style.may_omit_payload && request.origin.starts_with("https://");
    const std::string payload =
        unsigned_payload ? "UNSIGNED-PAYLOAD" : to_hex(sha256(request.body));
    request.set_header(prefix + "date", time);
    request.set_header(prefix + "content-sha256", payload);
    if (!key.session_token.empty())
        request.set_header(prefix + "security-token", key.session_token);

    std::map<std::string, std::string> signed_headers{{"host", host_header(request.origin)}};
    for (const auto& [name, value] : request.headers) {
        if (name.starts_with(prefix) || name == "content-md5" || name == "content-type" ||
            name == "if-none-match")
            signed_headers[name] = canonical_value(value);
    }
    std::string header_lines;
    std::string header_names;
    for (const auto& [name, value] : signed_headers) {
        header_lines += name + ":" + value + "\n";
        header_names += (header_names.empty() ? "" : ";") + name;
    }

    const std::string canonical = request.method + "\n" + percent_encode(request.path, true) +
                                  "\n" + canonical_query(request) + "\n" + header_lines + "\n" +
                                  header_names + "\n" + payload;
    const std::string day = time.substr(0, 8);
    const std::string scope = day + "/" + region + "/" + style.service + "/" + style.terminator;
    const std::string to_sign = std::string(style.algorithm) + "\n" + time + "\n" + scope + "\n" +
                                to_hex(sha256(as_bytes(canonical)));
    Bytes signing_key = hmac_sha256(as_bytes(style.key_prefix + key.secret_key), day);
    for (const std::string_view step : {std::string_view(region), std::string_view(style.service),
                                        std::string_view(style.terminator)})
        signing_key = hmac_sha256(signing_key, step);
    request.set_header("authorization",
                       std::string(style.algorithm) + " Credential=" + key.access_key + "/" +
                           scope + ", SignedHeaders=" + header_names +
                           ", Signature=" + to_hex(hmac_sha256(signing_key, to_sign)));
}

}  // namespace ark
