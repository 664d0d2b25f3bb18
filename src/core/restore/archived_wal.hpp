#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/base/error.hpp"
#include "core/pgdata/timeline_history.hpp"

namespace ark {

// What a restore asks of the archive before it starts. It sees the archive through these alone, so
// that its decisions can be tested without WAL.

/// A record that recovery can stop at: the end of a transaction, a restore point.
struct WalMoment {
    Lsn lsn = 0;  ///< where the record begins
    Lsn end = 0;  ///< where it ends
    UnixMicros time = 0;
};

/// CREATE TABLESPACE, as replay will do it again at the same path.
struct LaterTablespace {
    Lsn lsn = 0;
    uint32_t oid = 0;
    std::string location;
};

/// WAL along one way through the timelines, up to a segment. Questions begin at `from` and look at
/// contiguous WAL only. Error: corrupt, and what the store throws; WAL that ends is no error.
class WalOnWay {
 public:
    WalOnWay() = default;
    WalOnWay(const WalOnWay&) = delete;
    WalOnWay& operator=(const WalOnWay&) = delete;
    virtual ~WalOnWay() = default;

    /// The last segment such that every one from `first` to it is there; nullopt when `first`
    /// isn't.
    virtual std::optional<uint64_t> last_contiguous(uint64_t first) = 0;
    /// The same, but damage that it comes across ends it instead, and is told.
    virtual std::optional<uint64_t> last_readable(uint64_t first,
                                                  std::optional<Error>& /*damage*/) {
        return last_contiguous(first);
    }
    /// True where only the beginning of this segment, the last contiguous one, is there.
    virtual bool ends_inside(uint64_t /*number*/) const { return false; }
    /// Of the last piece of WAL, where an answer came across it: WAL ends before it.
    virtual std::optional<Error> damage() const { return std::nullopt; }
    /// The end of the last whole record.
    virtual Lsn end(Lsn from) = 0;
    /// True when a record begins at `lsn` or later.
    virtual bool has_record_from(Lsn lsn) = 0;
    /// The last end of a transaction; nullopt when none ended.
    virtual std::optional<WalMoment> last_transaction(Lsn from) = 0;
    /// The first end of a transaction after this time (`or_at`: or at it).
    virtual std::optional<WalMoment> first_transaction_after(UnixMicros time, bool or_at,
                                                             Lsn from) = 0;
    virtual std::optional<WalMoment> end_of_transaction(uint32_t xid, Lsn from) = 0;
    /// The first restore point of this name.
    virtual std::optional<WalMoment> restore_point(const std::string& name, Lsn from) = 0;
    /// Those created in [from, to).
    virtual std::vector<LaterTablespace> tablespaces_created(Lsn from, Lsn to) = 0;
};

constexpr uint64_t kNoLastSegment = std::numeric_limits<uint64_t>::max();

class ArchivedWal {
 public:
    ArchivedWal() = default;
    ArchivedWal(const ArchivedWal&) = delete;
    ArchivedWal& operator=(const ArchivedWal&) = delete;
    virtual ~ArchivedWal() = default;

    /// Error: not_found when the archive does not have the timeline's history file.
    virtual TimelineHistory history_of(TimelineId timeline) = 0;
    /// The newest timeline from `start` on: the last of an unbroken row of history files.
    virtual TimelineId newest_timeline(TimelineId start) = 0;
    /// WAL on this way, as far as `last_segment`.
    virtual std::unique_ptr<WalOnWay> along(const TimelineHistory& way, uint64_t segment_size,
                                            uint64_t last_segment) = 0;
    /// What the archive has of a segment in pieces, from its begin on, as far as it can be read.
    /// Empty where there are none.
    virtual Bytes pieces_of(const std::string& /*segment*/) { return {}; }
};

}  // namespace ark
