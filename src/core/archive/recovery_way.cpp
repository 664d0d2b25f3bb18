#include "core/archive/recovery_way.hpp"

#include <algorithm>
#include <charconv>

#include "core/archive/wal_source.hpp"
#include "core/base/error.hpp"

namespace ark {

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

std::optional<TimelineHistory> choose_way(Repository& repository, const std::string& cluster,
                                          const std::string& target, TimelineId asked) {
    if (target.empty())
        return std::nullopt;
    TimelineId timeline = 0;
    if (target == "latest") {
        timeline = find_newest_timeline(repository, cluster, asked);
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
