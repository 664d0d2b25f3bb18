#include "core/report/text.hpp"

#include <array>
#include <cmath>
#include <cstdio>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

// The length of the well-formed sequence that begins there, 0 where none does; its character.
size_t sequence_at(std::string_view text, size_t i, uint32_t* character) {
    const auto byte = [&](size_t n) { return static_cast<uint8_t>(text[n]); };
    const uint8_t first = byte(i);
    const size_t length = first < 0x80   ? 1
                          : first < 0xC2 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                          : first < 0xF5 ? 4
                                         : 0;
    if (length == 0 || i + length > text.size())
        return 0;
    if (length == 1) {
        *character = first;
        return 1;
    }
    uint32_t value = first & (0xFFU >> (length + 1));
    for (size_t n = 1; n < length; ++n) {
        if ((byte(i + n) & 0xC0) != 0x80)
            return 0;
        value = (value << 6) | (byte(i + n) & 0x3FU);
    }
    const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
    if (overlong || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *character = value;
    return length;
}

// What nobody sees, or what makes the text around it look like another.
bool misleads(uint32_t c) {
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) || c == 0xAD ||
           c == 0x61C || c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFB) || (c & 0xFFFE) == 0xFFFE || (c >= 0xE0000 && c <= 0xE0FFF);
}

template <typename... Values>
std::string format(const char* pattern, Values... values) {
    std::array<char, 96> buffer{};
    std::snprintf(buffer.data(), buffer.size(), pattern, values...);
    return buffer.data();
}

void append_escaped(std::string& out, uint32_t character, std::string_view bytes) {
    switch (character) {
        case '&':
            out += "&amp;";
            return;
        case '<':
            out += "&lt;";
            return;
        case '>':
            out += "&gt;";
            return;
        case '"':
            out += "&quot;";
            return;
        case '\'':
            out += "&#39;";
            return;
        default:
            break;
    }
    if (!misleads(character))
        out += bytes;
    else if (character < 0x80)
        out += format("\\x%02X", character);
    else
        out += format("\\u{%X}", character);
}

}  // namespace

std::string html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
        uint32_t character = 0;
        const size_t length = sequence_at(text, i, &character);
        if (length == 0) {
            out += format("\\x%02X", static_cast<unsigned>(static_cast<uint8_t>(text[i])));
            ++i;
            continue;
        }
        append_escaped(out, character, text.substr(i, length));
        i += length;
    }
    return out;
}

std::string text_of(const nlohmann::json& value) {
    if (value.is_null())
        return {};
    if (value.is_string())
        return value.get<std::string>();
    if (value.is_object() && value.size() == 1 && at(value, "hex").is_string()) {
        try {
            return text_from_hex(value["hex"].get<std::string>());
        } catch (const Error&) {
            return value.dump();
        }
    }
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const nlohmann::json& at(const nlohmann::json& object, const char* key) {
    static const nlohmann::json nothing;
    if (!object.is_object())
        return nothing;
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
}

std::optional<double> number_at(const nlohmann::json& object, const char* key) {
    const nlohmann::json& value = at(object, key);
    if (!value.is_number())
        return std::nullopt;
    const auto number = value.get<double>();
    return std::isfinite(number) && number >= 0 ? std::optional(number) : std::nullopt;
}

std::optional<UnixMicros> time_at(const nlohmann::json& object, const char* key) {
    const nlohmann::json& value = at(object, key);
    return value.is_string() ? parse_time(value.get_ref<const std::string&>(), false)
                             : std::nullopt;
}

std::string duration_text(double seconds) {
    constexpr double kMinute = 60;
    constexpr double kHour = 3600;
    constexpr double kDay = 86400;
    if (seconds < 0.9995)
        return format("%.0f ms", seconds * 1000);
    if (seconds < kMinute - 0.05)
        return format("%.1f s", seconds);
    const double whole = std::round(seconds);
    // "15 min", not "15 min 00 s".
    const auto two = [&](double large, const char* pattern, const char* alone, double small) {
        const double rest = std::floor(std::fmod(whole, large) / small);
        return rest == 0 ? format(alone, std::floor(whole / large))
                         : format(pattern, std::floor(whole / large), rest);
    };
    if (whole < kHour)
        return two(kMinute, "%.0f min %02.0f s", "%.0f min", 1);
    if (whole < kDay)
        return two(kHour, "%.0f h %02.0f min", "%.0f h", kMinute);
    return two(kDay, "%.0f d %.0f h", "%.0f d", kHour);
}

std::string count_text(double count) {
    const std::string digits = format("%.0f", count);
    std::string out;
    for (size_t i = 0; i < digits.size(); i++) {
        if (i > 0 && (digits.size() - i) % 3 == 0)
            out += ',';
        out += digits[i];
    }
    return out;
}

std::string time_text(UnixMicros time) {
    if (time == 0)
        return {};
    const std::string iso = to_iso8601(time);
    return iso.substr(0, 10) + " " + iso.substr(11, 8) + " UTC";
}

std::string day_text(UnixMicros time) {
    static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::string iso = to_iso8601(time);
    const int month = (iso[5] - '0') * 10 + (iso[6] - '0');
    const int day = (iso[8] - '0') * 10 + (iso[9] - '0');
    if (month < 1 || month > 12)
        return iso.substr(0, 10);
    return std::to_string(day) + " " + kMonths[static_cast<size_t>(month) - 1] + " " +
           iso.substr(0, 4);
}

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) {
        if (!part.empty())
            out += (out.empty() ? "" : ", ") + part;
    }
    return out;
}

}  // namespace ark
