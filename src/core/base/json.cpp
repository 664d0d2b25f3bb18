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

nlohmann::json parse_json(std::string_view text) {
    if (is_nested_too_deep(text))
        return nlohmann::json::value_t::discarded;
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace ark
