#include "core/store/azure/shared_key.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string_view>

#include "core/http/crypto.hpp"

namespace ark {

namespace {

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::string canonical_headers(const HttpRequest& request) {
    std::map<std::string, std::string> sorted;
    for (const auto& [name, value] : request.headers) {
        if (name.starts_with("x-ms-"))
            sorted[name] = value;
    }
    std::string out;
    for (const auto& [name, value] : sorted)
        out += name + ":" + value + "\n";
    return out;
}

// The account, the path as the URL has it, and the decoded parameters. Where the path begins with
// the account, as an emulator's does, the account is there twice.
std::string canonical_resource(const HttpRequest& request, const std::string& account) {
    std::map<std::string, std::multiset<std::string>> sorted;
    for (const auto& [name, value] : request.query)
        sorted[lower(name)].insert(value.value_or(""));
    std::string out = "/" + account + percent_encode(request.path, true);
    for (const auto& [name, values] : sorted) {
        std::string joined;
        for (const std::string& value : values)
            joined += (joined.empty() ? "" : ",") + value;
        out += "\n" + name + ":" + joined;
    }
    return out;
}

}  // namespace

std::string shared_key_string(const HttpRequest& request, const std::string& account) {
    const auto header = [&](std::string_view name) {
        const std::string* value = request.header(name);
        return (value != nullptr ? *value : "") + "\n";
    };
    const std::string length = request.body.empty() ? "" : std::to_string(request.body.size());
    return request.method + "\n" + header("content-encoding") + header("content-language") +
           length + "\n" + header("content-md5") + header("content-type") + header("date") +
           header("if-modified-since") + header("if-match") + header("if-none-match") +
           header("if-unmodified-since") + header("range") + canonical_headers(request) +
           canonical_resource(request, account);
}

void sign_shared_key(HttpRequest& request, const std::string& account, ByteView key) {
    const std::string signature = to_base64(hmac_sha256(key, shared_key_string(request, account)));
    request.set_header("authorization", "SharedKey " + account + ":" + signature);
}

}  // namespace ark
