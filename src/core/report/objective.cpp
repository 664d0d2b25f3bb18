#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"
#include "core/report/drill_facts.hpp"

namespace ark {

namespace {

[[noreturn]] void refuse(const std::string& text) {
    throw Error(ErrorCode::invalid_argument, "invalid objective \"" + text + "\"", {},
                "Write it as TIER=RPO/RTO, for example critical=15min/1h; - stands for none.");
}

// "15min", "1h", "90" (seconds); "-": none.
std::optional<double> parse_duration(std::string_view text, const std::string& whole) {
    struct Unit {
        std::string_view name;
        double seconds;
    };
    static constexpr std::array kUnits{Unit{"", 1},     Unit{"s", 1},    Unit{"m", 60},
                                       Unit{"min", 60}, Unit{"h", 3600}, Unit{"d", 86400}};
    if (text == "-")
        return std::nullopt;
    double number = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end.ec != std::errc() || !std::isfinite(number) || number <= 0)
        refuse(whole);
    const std::string_view unit = text.substr(static_cast<size_t>(end.ptr - text.data()));
    for (const auto& [name, seconds] : kUnits) {
        if (unit == name)
            return number * seconds;
    }
    refuse(whole);
}

}  // namespace

ReportObjective parse_objective(const std::string& text) {
    const size_t equals = text.rfind('=');
    const size_t slash = text.rfind('/');
    if (equals == std::string::npos || equals == 0 || slash == std::string::npos || slash < equals)
        refuse(text);
    const std::string_view view = text;
    ReportObjective out;
    out.tier = text.substr(0, equals);
    out.rpo = parse_duration(view.substr(equals + 1, slash - equals - 1), text);
    out.rto = parse_duration(view.substr(slash + 1), text);
    if (!out.rpo && !out.rto)
        refuse(text);
    return out;
}

}  // namespace ark
