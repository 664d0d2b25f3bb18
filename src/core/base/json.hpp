#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace ark {

/// Whether arrays and objects stand in one another deeper than anything that is read here. The
/// library copies and prints values by recursion: a megabyte of "[" would use up the stack, which
/// ends the process. To be asked before text of others becomes a value.
bool is_nested_too_deep(std::string_view text);

/// The text of an object's member where it is a string without escapes; nullopt where it is
/// something else, or not there, and where the text is no object as far as was looked. Much faster
/// than to parse it all. `name`: with its quotes.
std::optional<std::string_view> plain_member(std::string_view object, std::string_view name);

/// The value of the text; a discarded one (is_discarded) where it is no JSON, or nested too deep.
nlohmann::json parse_json(std::string_view text);

}  // namespace ark
