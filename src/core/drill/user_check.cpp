#include "core/drill/user_check.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace ark {

namespace {

constexpr const char* kHint =
    "A check begins with \"-- name: ...\"; the other headers are kind, category, severity, "
    "threshold, database, timeout, expected and predicate.";

std::string trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos)
        return {};
    return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

// "name" and "a b" of "-- name: a b".
std::optional<std::pair<std::string, std::string>> header_in(const std::string& line) {
    constexpr std::array<std::string_view, 9> kKeys{"name",     "kind",      "category",
                                                    "severity", "threshold", "database",
                                                    "timeout",  "expected",  "predicate"};
    const std::string text = trimmed(line);
    if (!text.starts_with("--"))
        return std::nullopt;
    const size_t colon = text.find(':');
    if (colon == std::string::npos)
        return std::nullopt;
    const std::string key = trimmed(std::string_view(text).substr(2, colon - 2));
    if (std::ranges::count(kKeys, key) == 0)
        return std::nullopt;
    return std::pair{key, trimmed(std::string_view(text).substr(colon + 1))};
}

std::optional<uint64_t> number_in(std::string_view text) {
    uint64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc{} && result.ptr == text.data() + text.size()
               ? std::optional(value)
               : std::nullopt;
}

class Reader {
 public:
    std::vector<UserCheck> read(const std::string& text) {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            ++number_;
            take(line);
        }
        finish();
        if (checks_.empty())
            throw Error(ErrorCode::invalid_argument, "the file holds no check", {}, kHint);
        return std::move(checks_);
    }

 private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw Error(ErrorCode::invalid_argument, "line " + std::to_string(number_) + ": " + what,
                    {}, kHint);
    }

    void take(const std::string& line) {
        const auto header = header_in(line);
        if (header && header->first == "name") {
            finish();
            begin(header->second);
        } else if (header && open_ && is_blank(check_.sql)) {
            set(header->first, header->second);
        } else if (open_) {
            check_.sql += line + "\n";
        } else if (const std::string text = trimmed(line);
                   !text.empty() && !text.starts_with("--")) {
            refuse("a statement that has no name");
        }
    }

    static bool is_blank(const std::string& sql) {
        return trimmed(sql).find_first_not_of('\n') == std::string::npos;
    }

    void begin(const std::string& name) {
        if (name.empty())
            refuse("the check's name is empty");
        if (!names_.insert(name).second)
            refuse("there are two checks of the name \"" + name + "\"");
        check_ = {};
        check_.name = name;
        open_ = true;
    }

    void finish() {
        if (!open_)
            return;
        if (is_blank(check_.sql))
            refuse("check \"" + check_.name + "\" has no query");
        if (check_.kind == UserCheck::Kind::integrity && (check_.expected || check_.predicate))
            refuse("check \"" + check_.name +
                   "\": expected and predicate belong to \"-- kind: critical\"");
        if (check_.expected && check_.predicate)
            refuse("check \"" + check_.name + "\" has an expected result and a predicate");
        checks_.push_back(std::move(check_));
        open_ = false;
    }

    void set(const std::string& key, const std::string& value) {
        if (key == "kind") {
            check_.kind = one_of(key, value, {"integrity", "critical"}) == "critical"
                              ? UserCheck::Kind::critical
                              : UserCheck::Kind::integrity;
        } else if (key == "category") {
            check_.category = one_of(
                key, value,
                {"referential", "isolation", "validation", "consistency", "performance", "custom"});
        } else if (key == "severity") {
            check_.severity = one_of(key, value, {"info", "warning", "error", "critical"});
        } else if (key == "database") {
            check_.database = value;
        } else if (key == "expected") {
            check_.expected = value;
        } else if (key == "predicate") {
            check_.predicate = value;
        } else {
            set_number(key, value);
        }
    }

    void set_number(const std::string& key, const std::string& value) {
        const auto number = key == "timeout" ? parse_check_timeout(value) : number_in(value);
        if (!number)
            refuse("invalid " + key + " \"" + value + "\"");
        (key == "timeout" ? check_.timeout_ms : check_.threshold) = *number;
    }

    std::string one_of(const std::string& key, const std::string& value,
                       std::initializer_list<std::string_view> words) const {
        if (std::ranges::count(words, value) == 0)
            refuse("unknown " + key + " \"" + value + "\"");
        return value;
    }

    std::vector<UserCheck> checks_;
    std::set<std::string> names_;
    UserCheck check_;
    bool open_ = false;
    int number_ = 0;
};

}  // namespace

std::optional<uint64_t> parse_check_timeout(const std::string& text) {
    constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
        {"ms", 1}, {"min", 60000}, {"s", 1000}, {"h", 3600000}, {"", 1}};
    constexpr uint64_t kMost = 24 * 3600000ULL;
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = number_in(std::string_view(text).substr(0, digits));
    const std::string unit = trimmed(std::string_view(text).substr(digits));
    for (const auto& [name, millis] : kUnits) {
        if (unit == name && number && *number > 0 && *number <= kMost / millis)
            return *number * millis;
    }
    return std::nullopt;
}

std::vector<UserCheck> parse_check_file(const std::string& text) {
    return Reader().read(text);
}

}  // namespace ark
