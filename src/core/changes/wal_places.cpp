#include "core/changes/wal_places.hpp"

#include <utility>

#include "core/base/cancellation.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

// A record may be as long as a thousand small ones.
constexpr uint64_t kRemembered = 2000;

}  // namespace

WalPlaces::WalPlaces(std::optional<LiveWal> live, WalReader::SegmentFunction archived,
                     uint64_t segment_size, uint64_t max_archived_bytes)
    : live_(std::move(live)),
      archived_(std::move(archived)),
      segment_size_(segment_size),
      max_archived_bytes_(max_archived_bytes) {}

void WalPlaces::set_flushed(Lsn flushed) {
    if (live_)
        live_->set_flushed(flushed);
}

void WalPlaces::hold(uint64_t first, size_t most) {
    if (live_)
        live_->hold(first, most);
}

std::optional<ByteView> WalPlaces::read(uint64_t number) {
    if (cancellation_time() != 0)
        throw Error(ErrorCode::cancelled, "reading WAL was cancelled");
    forget_before(number < kRemembered ? 0 : number - kRemembered);
    if (auto bytes = read_live(number))
        return bytes;
    if (!from_archive_.contains(number)) {
        if ((archived_segments_ + 1) * segment_size_ > max_archived_bytes_)
            return std::nullopt;
        from_archive_.insert(number);
        ++archived_segments_;
    }
    return archived_(number);
}

std::optional<ByteView> WalPlaces::read_live(uint64_t number) {
    if (!live_ || given_up_.contains(number))
        return std::nullopt;
    try {
        if (auto bytes = live_->read(number)) {
            if (from_live_.insert(number).second)
                ++live_segments_;
            return bytes;
        }
    } catch (const Error& error) {
        if (error.code != ErrorCode::io_error)
            throw;
    }
    from_live_.erase(number);
    return std::nullopt;
}

uint64_t WalPlaces::not_live(Lsn from, Lsn to) const {
    uint64_t count = 0;
    const uint64_t last = last_segment_number_before(to, segment_size_);
    for (uint64_t number = from / segment_size_; number <= last; ++number)
        count += is_live(number) ? 0 : 1;
    return count;
}

bool WalPlaces::give_up_live(uint64_t number) {
    return from_live_.contains(number) && given_up_.insert(number).second;
}

void WalPlaces::forget_before(uint64_t number) {
    for (std::set<uint64_t>* set : {&from_live_, &given_up_, &from_archive_})
        set->erase(set->begin(), set->lower_bound(number));
}

}  // namespace ark
