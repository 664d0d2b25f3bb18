#include "cli/progress_bar.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"

namespace ark {

namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kTerminalInterval = kSecond / 5;
constexpr int64_t kLogInterval = 5 * kSecond;

std::string duration(int64_t seconds) {
    const auto two = [](int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    if (seconds >= 3600) {
        return std::to_string(seconds / 3600) + ":" + two(seconds / 60 % 60) + ":" +
               two(seconds % 60);
    }
    return std::to_string(seconds / 60) + ":" + two(seconds % 60);
}

}  // namespace

ProgressBar::ProgressBar() : terminal_(::isatty(STDERR_FILENO) == 1) {}

bool ProgressBar::due(bool changed, bool as_text) {
    const int64_t now = monotonic_nanos();
    if (!changed && now < next_)
        return false;
    next_ = now + (as_text && terminal_ ? kTerminalInterval : kLogInterval);
    return true;
}

void ProgressBar::show(double share, const std::string& text) const {
    if (!terminal_) {
        std::fprintf(stderr, "pg_ark: %s\n", text.c_str());
        return;
    }
    constexpr int kBar = 30;
    const auto filled = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * kBar);
    std::fprintf(stderr, "\r\033[K[%s%s] %s", std::string(filled, '#').c_str(),
                 std::string(kBar - filled, '.').c_str(), text.c_str());
}

void ProgressBar::clear() const {
    if (terminal_)
        std::fprintf(stderr, "\r\033[K");
}

uint64_t per_second(uint64_t bytes, int64_t nanos) {
    return nanos > 0 ? static_cast<uint64_t>(static_cast<double>(bytes) * kSecond /
                                             static_cast<double>(nanos))
                     : 0;
}

double share_of(uint64_t done, uint64_t total) {
    return total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
}

nlohmann::json progress_event(const char* phase, uint64_t done, uint64_t total, int64_t nanos) {
    const uint64_t rate = per_second(done, nanos);
    nlohmann::json event{
        {"event", "progress"},  {"phase", phase},           {"bytes", done},
        {"bytes_total", total}, {"bytes_per_second", rate}, {"seconds_left", nullptr}};
    if (rate > 0)
        event["seconds_left"] = (total - std::min(done, total)) / rate;
    return event;
}

std::string describe_progress(uint64_t done, uint64_t total, int64_t nanos) {
    std::string text = std::to_string(static_cast<int>(share_of(done, total) * 100)) + " %, " +
                       human_bytes(done) + " of " + human_bytes(total);
    if (const uint64_t rate = per_second(done, nanos); rate > 0) {
        text += ", " + human_bytes(rate) + "/s, " +
                duration(static_cast<int64_t>((total - std::min(done, total)) / rate)) + " left";
    }
    return text;
}

}  // namespace ark
