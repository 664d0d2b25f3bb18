#include "core/archive/recovery_way.hpp"

#include <algorithm>
#include <charconv>

#include "core/archive/wal_source.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

// rescanLatestTimeLine looks at the newest one alone, and takes no other in its place.
TimelineId newest_to_follow(Repository& repository, const std::string& cluster, TimelineId asked,
                            const ReplayedWal& replayed) {
    const TimelineId newest = find_newest_timeline(repository, cluster, asked);
    if (replayed.timeline == 0 || newest <= replayed.timeline)
        return newest;
    const TimelineHistory way = load_timeline_history(repository, cluster, newest);
    const bool follows =
        way.contains(replayed.timeline) && replayed.end <= way.end_of(replayed.timeline);
    return follows ? newest : replayed.timeline;
}

}  // namespace

std::string choose_cluster(Repository& repository, const std::string& wanted,
                           std::optional<uint64_t> system_identifier) {
    if (!wanted.empty())
        return wanted;
    if (system_identifier) {
        std::string name = std::to_string(*system_identifier);
        if (std::ranges::count(repository.clusters(), name) != 0)
            return name;
    }
    return repository.resolve_cluster("");
}

ReplayedWal replayed_by(const ControlFile& control) {
    return {control.min_recovery_timeline, control.min_recovery_point};
}

std::optional<TimelineHistory> choose_way(Repository& repository, const std::string& cluster,
                                          const std::string& target, TimelineId asked,
                                          const ReplayedWal& replayed) {
    if (target.empty())
        return std::nullopt;
    TimelineId timeline = 0;
    if (target == "latest") {
        timeline = newest_to_follow(repository, cluster, asked, replayed);
    } else {
        const char* end = target.data() + target.size();
        const auto parsed = std::from_chars(target.data(), end, timeline);
        if (parsed.ec != std::errc{} || parsed.ptr != end || timeline == 0) {
            throw Error(ErrorCode::invalid_argument,
                        "invalid value for --target-timeline: \"" + target + "\"", {},
                        "Give a timeline's number, or latest.");
        }
    }
    // The way leaves only what lies before its target; a target needs no history for itself.
    if (asked >= timeline)
        return std::nullopt;
    return load_timeline_history(repository, cluster, timeline);
}

}  // namespace ark
