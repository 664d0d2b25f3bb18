#include "core/stream/histories.hpp"

#include "core/base/error.hpp"
#include "core/repo/repository.hpp"

namespace ark {

namespace {

constexpr size_t kHistoryLimit = 16 << 20;

using Find = std::function<std::optional<Bytes>(TimelineId timeline)>;

std::optional<Bytes> store_history(const PushTarget& target, TimelineId timeline, bool is_own,
                                   const Find& find) {
    std::optional<Bytes> content = find(timeline);
    const std::string place = place::history(timeline);
    if (!content) {
        // Whether the repository has an ancestor's is nothing to read it for.
        if (!is_own)
            return std::nullopt;
        return read_small(target.store, target.cluster, ObjectKind::history, place, kHistoryLimit);
    }
    // What is stored is there for good: a damaged file must not get its name.
    static_cast<void>(TimelineHistory::parse(timeline, as_text(*content)));
    Writer writer = target.writer;
    writer.time = now_micros();
    store_small(target.store, target.cluster, ObjectKind::history, place, *content, writer);
    return content;
}

}  // namespace

TimelineHistory store_histories(const PushTarget& target, TimelineId timeline, const Find& find) {
    if (timeline == 1)
        return TimelineHistory(1);
    const std::optional<Bytes> content = store_history(target, timeline, true, find);
    if (!content) {
        throw Error(ErrorCode::not_found,
                    "timeline history file \"" + history_name(timeline) +
                        "\" is neither in pg_wal nor in the repository",
                    "Without it a restore cannot follow the way to timeline " +
                        std::to_string(timeline) + ".",
                    "Copy the file from another server of this cluster into pg_wal.");
    }
    TimelineHistory history = TimelineHistory::parse(timeline, as_text(*content));
    for (const TimelineFork& fork : history.forks()) {
        if (fork.parent >= 2)
            static_cast<void>(store_history(target, fork.parent, false, find));
    }
    return history;
}

}  // namespace ark
