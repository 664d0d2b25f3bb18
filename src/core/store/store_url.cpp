#include "core/store/store_url.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "core/http/message.hpp"
#include "core/store/name.hpp"

namespace ark {

namespace {

Error bad_url(const std::string& scheme, const std::string& why) {
    return {ErrorCode::invalid_argument, "invalid repository URL", why,
            "Write it as " + scheme +
                "://bucket/prefix?option=value. Credentials never stand in "
                "it: see docs/object-storage.md."};
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names)
        out += (out.empty() ? "" : ", ") + name;
    return out;
}

void parse_options(StoreUrl& url, std::string_view query, const std::vector<std::string>& known) {
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        const std::string_view part = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const size_t equals = part.find('=');
        const auto name = percent_decode(part.substr(0, equals));
        const auto value = equals == std::string_view::npos
                               ? std::nullopt
                               : percent_decode(part.substr(equals + 1));
        if (!name || std::ranges::find(known, *name) == known.end()) {
            throw bad_url(url.scheme,
                          "It has an option that is not known. Known are " + joined(known) + ".");
        }
        if (!value || value->empty() || value->find_first_of("\r\n") != std::string::npos ||
            value->find('\0') != std::string::npos)
            throw bad_url(url.scheme, "Its option \"" + *name + "\" has no value, or a wrong one.");
        if (!url.options.emplace(*name, *value).second)
            throw bad_url(url.scheme, "Its option \"" + *name + "\" is there twice.");
    }
}

}  // namespace

std::string StoreUrl::option(const std::string& name, const std::string& otherwise) const {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : found->second;
}

bool StoreUrl::flag(const std::string& name, bool otherwise) const {
    const std::string value = option(name, otherwise ? "on" : "off");
    if (value == "on" || value == "true" || value == "yes" || value == "1")
        return true;
    if (value == "off" || value == "false" || value == "no" || value == "0")
        return false;
    throw bad_url(scheme, "Its option \"" + name + "\" is neither on nor off.");
}

std::string StoreUrl::key_of(std::string_view name) const {
    if (prefix.empty())
        return std::string(name);
    return name.empty() ? prefix : prefix + "/" + std::string(name);
}

std::string StoreUrl::directory_key(std::string_view name) const {
    std::string key = key_of(name);
    return key.empty() ? key : key + "/";
}

std::optional<std::string> StoreUrl::name_of(std::string_view key) const {
    const size_t skip = prefix.empty() ? 0 : prefix.size() + 1;
    if (key.size() <= skip || !key.starts_with(directory_key({})))
        return std::nullopt;
    key.remove_prefix(skip);
    try {
        check_object_name(key);
    } catch (const Error&) {
        return std::nullopt;
    }
    return std::string(key);
}

StoreUrl parse_store_url(const std::string& text, const std::vector<std::string>& known_options) {
    StoreUrl url;
    url.text = text;
    const size_t colon = text.find("://");
    if (colon == std::string::npos)
        throw bad_url("scheme", "It has no \"://\".");
    url.scheme = text.substr(0, colon);
    std::string_view rest = std::string_view(text).substr(colon + 3);
    if (rest.find('#') != std::string_view::npos)
        throw bad_url(url.scheme, "It has a fragment (#).");
    if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
        parse_options(url, rest.substr(mark + 1), known_options);
        rest = rest.substr(0, mark);
    }
    if (rest.find('@') != std::string_view::npos)
        throw bad_url(url.scheme, "It has a user name or password in it.");
    const size_t slash = std::min(rest.find('/'), rest.size());
    url.bucket = rest.substr(0, slash);
    std::string_view prefix = rest.substr(std::min(slash + 1, rest.size()));
    while (prefix.ends_with('/'))
        prefix.remove_suffix(1);
    url.prefix = prefix;
    if (!is_object_name_part(url.bucket))
        throw bad_url(url.scheme, "Its bucket has no name, or an impossible one.");
    try {
        check_object_prefix(url.prefix);
    } catch (const Error&) {
        throw bad_url(
            url.scheme,
            "Its prefix may have letters, digits, \".\", \"_\", \"-\" and single slashes.");
    }
    return url;
}

}  // namespace ark
