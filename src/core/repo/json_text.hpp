#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/json.hpp"

namespace ark {

/// JSON carries UTF-8 only; file names and reasons may be anything. Such text is {"hex": "…"}.
inline nlohmann::json json_of_text(const std::string& text) {
    if (text.empty() || is_utf8(text))
        return text;
    return {{"hex", to_hex(text)}};
}

inline std::string text_of_json(const nlohmann::json& value) {
    if (value.is_object())
        return text_from_hex(value.at("hex").get<std::string>());
    return value.get<std::string>();
}

/// A value as T, and nothing that merely converts to it: the library takes true, 1.5 and -1 for an
/// unsigned number. Throws the library's type_error, for with_parsed_json.
template <typename T>
T strict_value(const nlohmann::json& value) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        const bool fits = value.is_number_unsigned()  ? std::in_range<T>(value.get<uint64_t>())
                          : value.is_number_integer() ? std::in_range<T>(value.get<int64_t>())
                                                      : false;
        if (!fits) {
            throw nlohmann::json::type_error::create(302, "not a number in range: " + value.dump(),
                                                     nullptr);
        }
    }
    return value.get<T>();
}

/// `read` of the member `key`; what it throws for the value's type names the key.
template <typename Function>
auto read_member(const nlohmann::json& object, const char* key, const Function& read) {
    try {
        return read(object.at(key));
    } catch (const nlohmann::json::type_error& e) {
        throw nlohmann::json::type_error::create(302, std::string(key) + ": " + e.what(), nullptr);
    }
}

template <typename T>
T member(const nlohmann::json& object, const char* key) {
    return read_member(object, key, strict_value<T>);
}
inline std::string text_member(const nlohmann::json& object, const char* key) {
    return read_member(object, key, text_of_json);
}

/// Runs `read` over the parsed text; whatever is missing or of another type is an Error (corrupt).
template <typename Function>
auto with_parsed_json(std::string_view text, const std::string& name, const Function& read) {
    const auto invalid = [&](const std::string& why) {
        return Error(ErrorCode::corrupt, "invalid content in \"" + name + "\"", why);
    };
    if (is_nested_too_deep(text))
        throw invalid("It is nested too deep.");
    try {
        return read(nlohmann::json::parse(text));
    } catch (const nlohmann::json::exception& e) {
        throw invalid(e.what());
    } catch (const Error& e) {
        if (e.code != ErrorCode::invalid_argument)
            throw;
        throw invalid(e.message + ".");  // {"hex": "…"} with something else in it
    }
}

}  // namespace ark
