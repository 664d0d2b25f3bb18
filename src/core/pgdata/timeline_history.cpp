#include "core/pgdata/timeline_history.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/error.hpp"

namespace ark {

namespace {

// What C's isspace takes, in the C locale: the server skips the same.
constexpr std::string_view kSpace = " \t\n\v\f\r";

std::string_view skip_space(std::string_view text) {
    const size_t begin = text.find_first_not_of(kSpace);
    return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
}

std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find_first_of(kSpace));
    text = skip_space(text.substr(word.size()));
    return word;
}

Error bad_line(TimelineId timeline, std::string_view line, const std::string& why) {
    return {ErrorCode::corrupt,
            "timeline history file \"" + history_name(timeline) + "\" is damaged",
            why + " Line: \"" + std::string(line) + "\"."};
}

TimelineFork parse_line(TimelineId timeline, std::string_view line) {
    std::string_view rest = line;
    const std::string_view tli_text = take_word(rest);
    TimelineFork fork;
    const char* end = tli_text.data() + tli_text.size();
    const auto parsed = std::from_chars(tli_text.data(), end, fork.parent);
    if (parsed.ec != std::errc{} || parsed.ptr != end || fork.parent == 0) {
        throw bad_line(timeline, line, "Expected a numeric timeline id.");
    }
    const auto lsn = parse_lsn(take_word(rest));
    if (!lsn)
        throw bad_line(timeline, line, "Expected a write-ahead log switch point.");
    fork.switch_point = *lsn;
    fork.reason = std::string(rest);
    return fork;
}

}  // namespace

TimelineHistory::TimelineHistory(TimelineId timeline) : timeline_(timeline) {}

TimelineHistory TimelineHistory::parse(TimelineId timeline, std::string_view content) {
    TimelineHistory history(timeline);
    while (!content.empty()) {
        const std::string_view whole = content.substr(0, content.find('\n'));
        content.remove_prefix(std::min(content.size(), whole.size() + 1));
        std::string_view line = skip_space(whole);
        line = line.substr(0, line.find_last_not_of(kSpace) + 1);
        if (line.empty() || line.front() == '#')
            continue;
        TimelineFork fork = parse_line(timeline, line);
        if (!history.forks_.empty() && fork.parent <= history.forks_.back().parent) {
            throw bad_line(timeline, line, "Timeline ids must be in increasing sequence.");
        }
        if (fork.parent >= timeline) {
            throw bad_line(timeline, line, "Timeline ids must be less than the child's.");
        }
        history.forks_.push_back(std::move(fork));
    }
    return history;
}

std::string TimelineHistory::format() const {
    std::string text;
    for (const TimelineFork& fork : forks_) {
        // The server puts an empty line between what it copied and what it adds; readers skip it.
        text += std::to_string(fork.parent) + "\t" + to_text(fork.switch_point) + "\t" +
                fork.reason + "\n";
    }
    return text;
}

std::vector<TimelineId> TimelineHistory::timelines() const {
    std::vector<TimelineId> out;
    for (const TimelineFork& fork : forks_)
        out.push_back(fork.parent);
    out.push_back(timeline_);
    return out;
}

bool TimelineHistory::contains(TimelineId timeline) const {
    return timeline == timeline_ ||
           std::ranges::find(forks_, timeline, &TimelineFork::parent) != forks_.end();
}

// forks_.size() for the timeline itself.
size_t TimelineHistory::index_of(TimelineId timeline) const {
    if (timeline == timeline_)
        return forks_.size();
    const auto found = std::ranges::find(forks_, timeline, &TimelineFork::parent);
    if (found == forks_.end()) {
        throw Error(ErrorCode::invalid_argument, "timeline " + std::to_string(timeline) +
                                                     " is not in the history of timeline " +
                                                     std::to_string(timeline_));
    }
    return static_cast<size_t>(found - forks_.begin());
}

Lsn TimelineHistory::begin_of(TimelineId timeline) const {
    const size_t index = index_of(timeline);
    return index == 0 ? 0 : forks_[index - 1].switch_point;
}

Lsn TimelineHistory::end_of(TimelineId timeline) const {
    Lsn end = kMaxLsn;
    for (size_t i = index_of(timeline); i < forks_.size(); ++i) {
        end = std::min(end, forks_[i].switch_point);
    }
    return end;
}

bool TimelineHistory::contains_range(TimelineId on, Lsn start, Lsn stop) const {
    return contains(on) && start <= stop && start >= begin_of(on) && stop <= end_of(on);
}

TimelineId TimelineHistory::timeline_at(Lsn lsn) const {
    for (size_t i = forks_.size(); i > 0; --i) {
        if (forks_[i - 1].switch_point <= lsn) {
            return i == forks_.size() ? timeline_ : forks_[i].parent;
        }
    }
    return forks_.empty() ? timeline_ : forks_.front().parent;
}

}  // namespace ark
