#include "core/recoverability/limited_wal.hpp"

#include <algorithm>

#include "core/base/cancellation.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

// Some seconds from object storage.
constexpr uint64_t kMostBytes = 1ULL << 30;
constexpr uint64_t kFewestSegments = 4;

}  // namespace

LimitedWal::LimitedWal(WalSource& source, uint64_t last)
    : source_(source),
      last_(last),
      most_segments_(std::max(kMostBytes / source.segment_size(), kFewestSegments)) {}

std::optional<ByteView> LimitedWal::read_segment(uint64_t number) {
    if (cancellation_time() != 0)
        throw Error(ErrorCode::cancelled, "nobody waits for the answer any more");
    if (number > last_)
        return std::nullopt;
    if (!seen_.contains(number)) {
        exhausted_ = exhausted_ || seen_.size() >= most_segments_;
        if (exhausted_)
            return std::nullopt;
        seen_.insert(number);
    }
    return source_.read_segment(number);
}

std::optional<uint64_t> LimitedWal::last_contiguous(uint64_t first) {
    return first > last_ ? std::nullopt : std::optional(last_);
}

}  // namespace ark
