#include "core/archive/wal_source.hpp"

#include <algorithm>
#include <set>

#include "core/archive/fetch.hpp"
#include "core/base/error.hpp"
#include "core/repo/stored_segments.hpp"

namespace ark {

namespace {

// Two small segments, so that a record across their border costs no second download; one large one.
constexpr uint64_t kCacheBytes = 256 << 20;

}  // namespace

RepositoryWal::RepositoryWal(Repository& repository, std::string cluster, uint64_t segment_size,
                             TimelineHistory history)
    : repository_(repository),
      cluster_(std::move(cluster)),
      segment_size_(segment_size),
      history_(std::move(history)) {}

// The newest timeline that the way has entered by the segment's end holds its ancestors' bytes as
// well; where it was not archived an older one serves up to its fork, as the server tries them too
// (XLogFileReadAnyTLI).
std::optional<Bytes> RepositoryWal::fetch(uint64_t number) {
    const FetchContext context{repository_, cluster_, std::nullopt, &history_};
    std::vector<TimelineId> timelines = history_.timelines();
    std::ranges::reverse(timelines);
    for (const TimelineId timeline : timelines) {
        if (history_.begin_of(timeline) / segment_size_ > number)
            continue;
        auto bytes = fetch_segment(context, segment_name({timeline, number}, segment_size_));
        if (!bytes)
            continue;
        if (bytes->size() == segment_size_)
            return bytes;
        throw Error(ErrorCode::corrupt,
                    "WAL segment \"" + segment_name({timeline, number}, segment_size_) +
                        "\" has the wrong size",
                    "It has " + std::to_string(bytes->size()) +
                        " bytes, the backup's segments have " + std::to_string(segment_size_) +
                        ".");
    }
    return std::nullopt;
}

std::optional<ByteView> RepositoryWal::read_segment(uint64_t number) {
    const auto cached = std::ranges::find(cache_, number, &std::pair<uint64_t, Bytes>::first);
    if (cached != cache_.end()) {
        cache_.splice(cache_.begin(), cache_, cached);
        return ByteView(cache_.front().second);
    }
    const size_t keep = 2 * segment_size_ <= kCacheBytes ? 1 : 0;
    while (cache_.size() > keep)
        cache_.pop_back();
    std::optional<Bytes> bytes = fetch(number);
    if (!bytes)
        return std::nullopt;
    cache_.emplace_front(number, std::move(*bytes));
    return ByteView(cache_.front().second);
}

// A listing is good enough here: what it misses makes restore promise less, never more.
std::optional<uint64_t> RepositoryWal::last_contiguous(uint64_t first) {
    const std::set<uint64_t> numbers = listed(first);
    uint64_t next = first;
    while (numbers.contains(next))
        ++next;
    // What an ancestor has of the segment that holds the fork counts, and ends there.
    if (holds_fork(next) && read_segment(next))
        ++next;
    return next == first ? std::nullopt : std::optional(next - 1);
}

std::set<uint64_t> RepositoryWal::listed(uint64_t first) {
    std::set<uint64_t> numbers;
    for (const TimelineId timeline : history_.timelines())
        add_segments(timeline, first, numbers);
    return numbers;
}

// The complete segments of one timeline that the way takes to their end.
void RepositoryWal::add_segments(TimelineId timeline, uint64_t first, std::set<uint64_t>& numbers) {
    const uint64_t from = std::max(first, history_.begin_of(timeline) / segment_size_);
    const Lsn end = history_.end_of(timeline);
    find_stored_segments(repository_, {cluster_, timeline, segment_size_, from},
                         [&](uint64_t number) {
                             const bool is_on_way = number < end / segment_size_;
                             if (is_on_way)
                                 numbers.insert(number);
                             return is_on_way;
                         });
}

bool RepositoryWal::holds_fork(uint64_t number) const {
    return std::ranges::any_of(history_.forks(), [&](const TimelineFork& fork) {
        return fork.switch_point / segment_size_ == number;
    });
}

TimelineHistory load_timeline_history(Repository& repository, const std::string& cluster,
                                      TimelineId timeline) {
    const auto content = fetch_history({repository, cluster, std::nullopt, nullptr}, timeline);
    if (content)
        return TimelineHistory::parse(timeline, as_text(*content));
    if (timeline == 1)
        return TimelineHistory(1);
    throw Error(ErrorCode::not_found,
                "the history of timeline " + std::to_string(timeline) + " is not in the repository",
                "There is no object \"" + cluster + "/" + place::history(timeline) + "\".",
                "Name another timeline with --target-timeline.");
}

TimelineId find_newest_timeline(Repository& repository, const std::string& cluster,
                                TimelineId start) {
    TimelineId newest = start;
    while (fetch_history({repository, cluster, std::nullopt, nullptr}, newest + 1))
        ++newest;
    return newest;
}

}  // namespace ark
