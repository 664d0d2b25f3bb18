#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// Who sees to it that finished segments become whole objects of the repository: the server's own
/// archiver (archived.hpp), or the receiver itself (received_segments.hpp).
class WholeSegments {
 public:
    WholeSegments() = default;
    WholeSegments(const WholeSegments&) = delete;
    WholeSegments& operator=(const WholeSegments&) = delete;
    virtual ~WholeSegments() = default;

    /// WAL in order, from a segment's begin on. Called by the thread that receives.
    virtual void take(Lsn /*begin*/, ByteView /*wal*/) {}
    /// Whether more than this may not come now: so many segments wait.
    virtual bool is_full() const { return false; }

    /// True when the segment, of which every byte has come, is durable in the repository as a
    /// whole. Asked again every now and then, in order, from a thread of its own; may wait for the
    /// store. Error: what keeps it from becoming so for good.
    virtual bool is_durable(uint64_t number) = 0;
};

}  // namespace ark
