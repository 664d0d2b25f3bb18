#include "server/wal_position.hpp"

#include "server/clone.hpp"
#include "server/known_repository.hpp"
#include "server/preconditions.hpp"
#include "server/settings.hpp"
#include "server/wal_status.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "utils/timestamp.h"
}

namespace ark {
namespace {

// By the archiver's own account: everything before the first segment that waits, or before the one
// that is being written.
XLogRecPtr archived_end(const WaitingFiles& waiting, XLogRecPtr flushed) {
    if (!archives_with_pg_ark() || is_clone() || settings.repositories[0] == '\0' ||
        known_repository_id() == nullptr)
        return InvalidXLogRecPtr;
    return waiting.first != InvalidXLogRecPtr
               ? waiting.first
               : flushed - XLogSegmentOffset(flushed, wal_segment_size);
}

// Under the lock. A clock that was set back begins another piece, as an hour that is over does.
UnprotectedHour* piece_of(TimestampTz now) {
    UnprotectedHour* piece =
        &shared
             ->unprotected[(shared->unprotected_count + kUnprotectedHours - 1) % kUnprotectedHours];
    if (shared->unprotected_count > 0 && now >= piece->until && now - piece->from < USECS_PER_HOUR)
        return piece;
    piece = &shared->unprotected[shared->unprotected_count++ % kUnprotectedHours];
    *piece = {now, now, -1, 0};
    return piece;
}

}  // namespace

WalPosition wal_position(const WalStatus& status, const WaitingFiles& waiting) {
    if (RecoveryInProgress())
        return {};
    WalPosition position = {true, GetFlushRecPtr(nullptr), InvalidXLogRecPtr};
    const XLogRecPtr archived = archived_end(waiting, position.flushed);
    // Behind a hole nothing counts, and the archiver does not know of it.
    position.durable = status.missing[0] != '\0' || archived == InvalidXLogRecPtr
                           ? status.durable
                           : Max(status.durable, archived);
    return position;
}

void note_unprotected() {
    WalStatus* status = copy_of_wal_status();
    const WalPosition position = wal_position(*status, waiting_files(status->timeline));
    const TimestampTz now = GetCurrentTimestamp();
    const bool all_safe =
        position.durable != InvalidXLogRecPtr && position.flushed <= position.durable;
    const TimestampTz since = all_safe || position.durable == InvalidXLogRecPtr
                                  ? 0
                                  : unprotected_since(*status, position.durable);
    lock_shared(LW_EXCLUSIVE);
    UnprotectedHour* piece = piece_of(now);
    piece->until = now;
    if (all_safe || since != 0)
        piece->worst = Max(piece->worst, all_safe ? 0 : now - since);
    else
        piece->unknown_at = now;
    unlock_shared();
    pfree(status);
}

const UnprotectedHour* unprotected_hours(int* count) {
    auto* copy = static_cast<UnprotectedHour*>(palloc(sizeof(UnprotectedHour) * kUnprotectedHours));
    lock_shared(LW_SHARED);
    const uint64 all = shared->unprotected_count;
    *count = static_cast<int>(Min(all, static_cast<uint64>(kUnprotectedHours)));
    for (int i = 0; i < *count; i++)
        copy[i] = shared->unprotected[(all - static_cast<uint64>(*count - i)) % kUnprotectedHours];
    unlock_shared();
    // What came before a long rest of the server counts no more.
    const TimestampTz oldest = GetCurrentTimestamp() - USECS_PER_DAY - USECS_PER_HOUR;
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        if (copy[i].until >= oldest)
            copy[kept++] = copy[i];
    }
    *count = kept;
    return copy;
}

}  // namespace ark
