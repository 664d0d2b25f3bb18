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
std::optional<FetchedSegment> RepositoryWal::fetch(uint64_t number) {
    std::vector<TimelineId> timelines = history_.timelines();
    std::ranges::reverse(timelines);
    try {
        for (const TimelineId timeline : timelines) {
            const bool is_on_way = history_.begin_of(timeline) / segment_size_ <= number &&
                                   history_.end_of(timeline) > number * segment_size_;
            if (!is_on_way)
                continue;
            if (auto segment = fetch_of(timeline, number))
                return segment;
        }
    } catch (const SegmentHole&) {
        return std::nullopt;
    } catch (Error& error) {
        // Who asks here does not wait for what may still come.
        if (error.code == ErrorCode::corrupt)
            error.retryable = false;
        throw;
    }
    return std::nullopt;
}

std::optional<FetchedSegment> RepositoryWal::fetch_of(TimelineId timeline, uint64_t number) {
    const FetchContext context{repository_, cluster_, std::nullopt, &history_,
                               [this](const Error& error) { damage_ = error; }};
    const std::string name = segment_name({timeline, number}, segment_size_);
    auto segment = fetch_segment_and_end(context, name);
    if (!segment || segment->bytes.size() == segment_size_)
        return segment;
    throw Error(ErrorCode::corrupt, "WAL segment \"" + name + "\" has the wrong size",
                "It has " + std::to_string(segment->bytes.size()) +
                    " bytes, the backup's segments have " + std::to_string(segment_size_) + ".");
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
    std::optional<FetchedSegment> segment = fetch(number);
    ends_inside_.erase(number);
    if (!segment)
        return std::nullopt;
    if (segment->end)
        ends_inside_[number] = *segment->end;
    cache_.emplace_front(number, std::move(segment->bytes));
    return ByteView(cache_.front().second);
}

void RepositoryWal::forget(uint64_t number) {
    cache_.remove_if([&](const auto& cached) { return cached.first == number; });
}

std::optional<Lsn> RepositoryWal::end_inside(uint64_t number) const {
    const auto found = ends_inside_.find(number);
    return found == ends_inside_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint64_t> RepositoryWal::last_contiguous(uint64_t first, uint64_t up_to) {
    std::optional<Error> damage;
    const auto last = last_readable(first, up_to, damage);
    if (damage)
        throw Error(*damage);
    return last;
}

// A listing is good enough here: what it misses makes restore promise less, never more.
std::optional<uint64_t> RepositoryWal::last_readable(uint64_t first, uint64_t up_to,
                                                     std::optional<Error>& damage) {
    if (contiguous_ && contiguous_->first <= first && first <= contiguous_->last)
        return contiguous_->last;
    const std::set<uint64_t> numbers = listed(first);
    uint64_t next = first;
    bool ends = false;
    while (!ends && next <= up_to) {
        // What is not listed may be there in pieces; or an ancestor has it, up to a fork.
        const bool is_whole = numbers.contains(next);
        if (!is_whole && !can_be_read(next, damage))
            break;
        ends = !is_whole && end_inside(next);
        ++next;
    }
    if (next == first)
        return std::nullopt;
    if (!damage && (ends || next <= up_to))
        contiguous_ = {first, next - 1};
    return next - 1;
}

bool RepositoryWal::can_be_read(uint64_t number, std::optional<Error>& damage) {
    try {
        return read_segment(number).has_value();
    } catch (const Error& error) {
        if (error.code != ErrorCode::corrupt)
            throw;
        damage = error;
        return false;
    }
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
