#include "core/pgdata/timeline_history.hpp"

#include "test/fuzz/target.hpp"

namespace ark::fuzz {
namespace {

std::vector<Bytes> seeds() {
    return seeds_of({"1\t0/2000028\tno recovery target specified\n\n2\t1/0\tbefore 2026\n",
                     "# a comment\n1 0/1\n", "1\tA/BCDEF012\t"});
}

void run(ByteView input) {
    constexpr TimelineId kTimeline = 1000;
    TimelineHistory history(1);
    if (!answers([&] { history = TimelineHistory::parse(kTimeline, as_text(input)); }))
        return;
    const std::string text = history.format();
    require(TimelineHistory::parse(kTimeline, text).format() == text, "a history survives");
    for (const TimelineId timeline : history.timelines()) {
        const Lsn begin = history.begin_of(timeline);
        static_cast<void>(history.contains_range(timeline, begin, history.end_of(timeline)));
        require(history.contains(history.timeline_at(begin)), "a timeline is one of its own");
    }
}

const Target target("timeline_history", seeds, run);

}  // namespace
}  // namespace ark::fuzz
