#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/clock.hpp"

namespace ark {

/// Any bytes as text that can stand between tags and in a quoted attribute of an HTML page, and
/// that looks like what it is: markup is escaped, and what is no UTF-8, controls, or changes the
/// direction of the text around it is spelled out (\x07, \u{202E}).
std::string html(std::string_view text);

/// A value of the evidence as text: {"hex": "…"} as the bytes that it stands for, null as "", other
/// things as JSON. Never throws.
std::string text_of(const nlohmann::json& value);

/// The member of that name; null where there is none, or `object` is none.
const nlohmann::json& at(const nlohmann::json& object, const char* key);
/// nullopt where it is no number, or not finite, or negative.
std::optional<double> number_at(const nlohmann::json& object, const char* key);
std::optional<UnixMicros> time_at(const nlohmann::json& object, const char* key);

/// "850 ms", "12.3 s", "4 min 12 s", "1 h 02 min", "3 d 4 h".
std::string duration_text(double seconds);
/// "1,234,567"
std::string count_text(double count);
/// "2026-11-20 02:15:00 UTC"; "" for 0.
std::string time_text(UnixMicros time);

/// Those that are not empty, with commas between them.
std::string joined(const std::vector<std::string>& parts);
/// "20 Nov 2026"
std::string day_text(UnixMicros time);

}  // namespace ark
