#include "core/base/json.hpp"

#include <cstddef>

namespace ark {

namespace {

constexpr size_t kDeepest = 64;

}  // namespace

bool is_nested_too_deep(std::string_view text) {
    if (text.size() <= kDeepest)
        return false;
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            i += c == '\\' ? 1 : 0;
        } else if (c == '[' || c == '{') {
            if (++depth > kDeepest)
                return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return false;
}

std::optional<std::string_view> plain_member(std::string_view object, std::string_view name) {
    size_t depth = 0;
    for (size_t i = 0; i < object.size(); ++i) {
        const char c = object[i];
        if (c == '[' || c == '{') {
            ++depth;
        } else if (c == ']' || c == '}') {
            if (depth == 0)
                return std::nullopt;
            --depth;
        } else if (c == '"') {
            const size_t end = object.find_first_of("\"\\", i + 1);
            if (end == std::string_view::npos || object[end] != '"')
                return std::nullopt;
            const std::string_view before = object.substr(0, i);
            if (depth == 1 && before.ends_with(':') &&
                before.substr(0, before.size() - 1).ends_with(name))
                return object.substr(i + 1, end - i - 1);
            i = end;
        }
    }
    return std::nullopt;
}

nlohmann::json parse_json(std::string_view text) {
    if (is_nested_too_deep(text))
        return nlohmann::json::value_t::discarded;
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace ark
