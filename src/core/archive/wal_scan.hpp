#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/archive/wal_source.hpp"
#include "core/base/clock.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

// Questions that restore asks of archived WAL before it starts. All of them read from `from` (any
// position; the first record that begins at or after it counts) to the end of contiguous, valid
// WAL, or to `to`. Errors: corrupt and what the store throws; WAL that ends is no error.

/// pg_create_restore_point's record.
struct RestorePoint {
    Lsn lsn = 0;  ///< where the record begins
    Lsn end = 0;  ///< where it ends: what replay has reached when it stops there
    UnixMicros time = 0;

    bool operator==(const RestorePoint&) const = default;
};
/// The first restore point of this name, as recovery_target_name finds it. nullopt when there is
/// none.
std::optional<RestorePoint> find_restore_point(WalSource& source, const std::string& name,
                                               Lsn from);

/// A commit or abort, prepared transactions' included.
struct TransactionEnd {
    Lsn lsn = 0;
    Lsn end = 0;
    uint32_t xid = 0;
    bool committed = false;
    UnixMicros time = 0;

    bool operator==(const TransactionEnd&) const = default;
};
/// The last one, by position, in [from, end of WAL): segments are read backwards until one has it.
/// recovery_target_time can only be reached where this (or an earlier end, should clocks have gone
/// back) is later than the target. nullopt where no transaction ended.
std::optional<TransactionEnd> last_transaction(WalSource& source, Lsn from);
/// The end of transaction `xid`: what recovery_target_xid stops at. nullopt when it isn't there.
std::optional<TransactionEnd> find_transaction(WalSource& source, uint32_t xid, Lsn from);

/// CREATE TABLESPACE, as replay will do it again at the same absolute path.
struct CreatedTablespace {
    Lsn lsn = 0;
    uint32_t oid = 0;
    std::string location;  ///< empty for an in-place tablespace

    bool operator==(const CreatedTablespace&) const = default;
};
/// Those whose records begin in [from, to), in WAL order.
std::vector<CreatedTablespace> tablespaces_created(WalSource& source, Lsn from, Lsn to = kMaxLsn);

/// True when a record begins at `lsn` or later, also where `lsn` lies in what a switch has left
/// empty of its segment: recovery goes on behind it.
bool has_record_from(WalSource& source, Lsn lsn);

/// Where replay that begins at `from` can get to: the end of the last whole, valid record of the
/// contiguous segments (only the last ones are read). `from` where nothing can be read.
Lsn end_of_wal(WalSource& source, Lsn from);

}  // namespace ark
