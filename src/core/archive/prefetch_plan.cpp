#include "core/archive/prefetch_plan.hpp"

#include <algorithm>

namespace ark {

namespace {

constexpr size_t kSegments = 8;
constexpr uint64_t kBytes = 256 << 20;
constexpr size_t kThreads = 4;
constexpr uint64_t kBytesInMemory = 128 << 20;
constexpr size_t kFirstWindow = 2;
constexpr uint64_t kLargestMargin = 5ULL << 30;
constexpr uint64_t kSegmentsOfReplay = 4;

// The server looks for a segment on the newest timeline that the way has entered by its end
// (XLogFileReadAnyTLI).
TimelineId timeline_of(uint64_t number, const TimelineHistory& way, uint64_t segment_size) {
    std::vector<TimelineId> timelines = way.timelines();
    std::ranges::reverse(timelines);
    for (const TimelineId timeline : timelines) {
        if (way.begin_of(timeline) / segment_size <= number)
            return timeline;
    }
    return timelines.back();
}

}  // namespace

size_t prefetch_depth(int wanted, uint64_t segment_size) {
    if (wanted > 0)
        return static_cast<size_t>(wanted);
    return std::clamp<size_t>(kBytes / segment_size, 1, kSegments);
}

size_t prefetch_threads(size_t depth, uint64_t segment_size) {
    const size_t fitting = std::clamp<size_t>(kBytesInMemory / (2 * segment_size), 1, kThreads);
    return std::min(depth, fitting);
}

size_t next_window(size_t window, size_t depth, bool taken_from_spool) {
    const size_t wider = taken_from_spool ? window * 2 : window;
    return std::min(std::max(wider, kFirstWindow), depth);
}

std::vector<std::string> segments_ahead(WalSegment position, size_t window,
                                        const TimelineHistory* way, uint64_t segment_size) {
    const bool follows = way != nullptr && way->contains(position.timeline);
    std::vector<std::string> names;
    for (uint64_t number = position.number + 1; number <= position.number + window; ++number) {
        TimelineId timeline = position.timeline;
        if (follows) {
            timeline = timeline_of(number, *way, segment_size);
            const Lsn end = way->end_of(timeline);
            if (end != kMaxLsn && end < (number + 1) * segment_size)
                break;
        }
        names.push_back(segment_name({timeline, number}, segment_size));
    }
    return names;
}

bool has_room_for_segment(uint64_t free, uint64_t total, size_t coming, uint64_t segment_size) {
    constexpr uint64_t kShare = 20;
    const uint64_t margin =
        std::max(std::min(total / kShare, kLargestMargin), kSegmentsOfReplay * segment_size);
    return free >= margin + (coming + 1) * segment_size;
}

int64_t idle_seconds(bool spool_is_empty, uint64_t segment_size) {
    constexpr int64_t kShort = 10;
    constexpr int64_t kLong = 60;
    constexpr uint64_t kPerStep = 64 << 20;
    constexpr int64_t kSteps = 16;
    if (spool_is_empty)
        return kShort;
    return kLong * std::clamp<int64_t>(static_cast<int64_t>(segment_size / kPerStep), 1, kSteps);
}

}  // namespace ark
