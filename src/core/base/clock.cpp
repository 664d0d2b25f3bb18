#include "core/base/clock.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace ark {

namespace {

constexpr int64_t kMicros = 1000000;
constexpr int64_t kFirstYear = -62167219200;       // 0000-01-01 00:00:00
constexpr int64_t kBehindLastYear = 253402300800;  // 10000-01-01 00:00:00

struct SplitTime {
    std::tm tm{};
    int micros = 0;
};

SplitTime split_utc(UnixMicros time) {
    SplitTime out;
    int64_t seconds = time / kMicros;
    int64_t rest = time % kMicros;
    if (rest < 0) {
        rest += kMicros;
        --seconds;
    }
    const time_t whole = seconds;
    gmtime_r(&whole, &out.tm);
    out.micros = static_cast<int>(rest);
    return out;
}

// A cursor over the text of a time: each take_ function advances only on success.
class TimeText {
 public:
    explicit TimeText(std::string_view text) : rest_(text) {}

    bool take_number(size_t digits, int& out) {
        if (rest_.size() < digits)
            return false;
        const auto result = std::from_chars(rest_.data(), rest_.data() + digits, out);
        if (result.ec != std::errc{} || result.ptr != rest_.data() + digits || rest_[0] == '-')
            return false;
        rest_.remove_prefix(digits);
        return true;
    }
    bool take_one_of(std::string_view set, char* which = nullptr) {
        if (rest_.empty() || set.find(rest_[0]) == std::string_view::npos)
            return false;
        if (which != nullptr)
            *which = rest_[0];
        rest_.remove_prefix(1);
        return true;
    }
    // Digits after the decimal point, as microseconds; further ones are dropped.
    int take_fraction() {
        int micros = 0;
        int scale = 100000;
        while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
            micros += (rest_[0] - '0') * scale;
            scale /= 10;
            rest_.remove_prefix(1);
        }
        return micros;
    }
    void skip_spaces() {
        while (!rest_.empty() && rest_[0] == ' ')
            rest_.remove_prefix(1);
    }
    bool take_word(std::string_view word) {
        if (!rest_.starts_with(word))
            return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    bool done() const { return rest_.empty(); }

 private:
    std::string_view rest_;
};

bool take_date(TimeText& text, std::tm& tm) {
    int year = 0;
    int month = 0;
    int day = 0;
    if (!text.take_number(4, year) || !text.take_one_of("-") || !text.take_number(2, month) ||
        !text.take_one_of("-") || !text.take_number(2, day)) {
        return false;
    }
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    // timegm would take February 30 for March 2: a recovery target that nobody asked for.
    return std::chrono::year_month_day(std::chrono::year(year),
                                       std::chrono::month(static_cast<unsigned>(month)),
                                       std::chrono::day(static_cast<unsigned>(day)))
        .ok();
}

bool take_date_and_time(TimeText& text, SplitTime& out) {
    std::tm& tm = out.tm;
    if (!take_date(text, tm))
        return false;
    if (text.done())
        return true;  // a date alone is midnight
    if (!text.take_one_of("T ") || !text.take_number(2, tm.tm_hour) || !text.take_one_of(":") ||
        !text.take_number(2, tm.tm_min)) {
        return false;
    }
    if (text.take_one_of(":") && !text.take_number(2, tm.tm_sec))
        return false;
    if (text.take_one_of(".,"))
        out.micros = text.take_fraction();
    return tm.tm_hour < 24 && tm.tm_min < 60 && tm.tm_sec <= 60;
}

// False where something that is no zone follows. `east` is in seconds, nullopt where nothing
// follows.
bool take_zone(TimeText& text, std::optional<int>& east) {
    text.skip_spaces();
    if (text.done())
        return true;
    if (text.take_word("Z") || text.take_word("UTC") || text.take_word("GMT")) {
        east = 0;
        return text.done();
    }
    char sign = '+';
    int hours = 0;
    int minutes = 0;
    if (!text.take_one_of("+-", &sign) || !text.take_number(2, hours))
        return false;
    const bool colon = text.take_one_of(":");
    if ((colon || !text.done()) && !text.take_number(2, minutes))
        return false;
    const int seconds = hours * 3600 + minutes * 60;
    east = sign == '-' ? -seconds : seconds;
    // No place is further from UTC; the server's own limit is about the same.
    return text.done() && hours < 16 && minutes < 60;
}

}  // namespace

UnixMicros now_micros() {
    timespec ts{};
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * kMicros + ts.tv_nsec / 1000;
}

int64_t monotonic_nanos() {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

std::string to_iso8601(UnixMicros time) {
    const SplitTime t = split_utc(time);
    std::array<char, 96> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                  t.tm.tm_year + 1900, t.tm.tm_mon + 1, t.tm.tm_mday, t.tm.tm_hour, t.tm.tm_min,
                  t.tm.tm_sec, t.micros);
    return buffer.data();
}

std::string to_manifest_time(UnixMicros time) {
    const SplitTime t = split_utc(time);
    std::array<char, 96> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%04d-%02d-%02d %02d:%02d:%02d GMT",
                  t.tm.tm_year + 1900, t.tm.tm_mon + 1, t.tm.tm_mday, t.tm.tm_hour, t.tm.tm_min,
                  t.tm.tm_sec);
    return buffer.data();
}

std::optional<UnixMicros> parse_time(std::string_view input, bool local_without_zone) {
    TimeText text(input);
    SplitTime split;
    if (!take_date_and_time(text, split))
        return std::nullopt;
    std::optional<int> zone;
    if (!take_zone(text, zone) || (!zone && !local_without_zone))
        return std::nullopt;
    time_t seconds = 0;
    if (zone) {
        seconds = timegm(&split.tm) - *zone;
    } else {
        split.tm.tm_isdst = -1;
        seconds = mktime(&split.tm);
    }
    // A zone may lead out of the years that can be written.
    if (seconds < kFirstYear || seconds >= kBehindLastYear)
        return std::nullopt;
    return static_cast<int64_t>(seconds) * kMicros + split.micros;
}

}  // namespace ark
