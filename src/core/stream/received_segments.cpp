#include "core/stream/received_segments.hpp"

#include <algorithm>
#include <utility>

namespace ark {

namespace {

constexpr size_t kWaiting = 2;

}  // namespace

ReceivedSegments::ReceivedSegments(PushTarget target, TimelineId timeline)
    : target_(std::move(target)), timeline_(timeline), buffers_(target_.compression_level) {}

void ReceivedSegments::take(Lsn /*begin*/, ByteView wal) {
    while (!wal.empty()) {
        if (current_.empty())
            current_.reserve(target_.segment_size);
        const ByteView part =
            wal.first(std::min<uint64_t>(wal.size(), target_.segment_size - current_.size()));
        current_.insert(current_.end(), part.begin(), part.end());
        wal = wal.subspan(part.size());
        if (current_.size() < target_.segment_size)
            continue;
        const std::lock_guard lock(mutex_);
        finished_.push_back(std::make_shared<Bytes>(std::exchange(current_, Bytes())));
    }
}

bool ReceivedSegments::is_full() const {
    const std::lock_guard lock(mutex_);
    return finished_.size() >= kWaiting;
}

bool ReceivedSegments::is_durable(uint64_t number) {
    std::shared_ptr<Bytes> segment;
    {
        const std::lock_guard lock(mutex_);
        segment = finished_.front();
    }
    buffers_.content = std::move(*segment);
    push_content(target_, segment_name({timeline_, number}, target_.segment_size), buffers_);
    buffers_.content = Bytes();
    const std::lock_guard lock(mutex_);
    finished_.pop_front();
    return true;
}

}  // namespace ark
