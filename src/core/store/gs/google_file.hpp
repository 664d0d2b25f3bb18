#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ark {

/// A text of a credentials file. `need`: Error: invalid_argument, which names the member, where it
/// has none.
std::string text_in(const nlohmann::json& file, const char* name);
std::string need_text(const nlohmann::json& file, const char* name);

}  // namespace ark
