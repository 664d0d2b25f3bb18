#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "core/archive/push.hpp"
#include "core/stream/whole_segments.hpp"

namespace ark {

/// Keeps what has come of each segment, and stores it when it is whole: where no archiver does. One
/// segment that is being received and two that wait for the store are in memory at most.
class ReceivedSegments final : public WholeSegments {
 public:
    ReceivedSegments(PushTarget target, TimelineId timeline);

    void take(Lsn begin, ByteView wal) override;
    bool is_full() const override;
    bool is_durable(uint64_t number) override;

 private:
    const PushTarget target_;
    const TimelineId timeline_;
    Bytes current_;  ///< of the thread that receives

    mutable std::mutex mutex_;
    std::deque<std::shared_ptr<Bytes>> finished_;  ///< under the lock; in order
    PushBuffers buffers_;                          ///< of the thread that stores
};

}  // namespace ark
