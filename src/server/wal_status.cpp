#include "server/wal_status.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace ark {
namespace {

constexpr int kMinuteMs = 60 * 1000;
// A rate over less says nothing.
constexpr int64 kLeastMs = INT64CONST(2) * kRateSampleMs - 1000;

// The newest of the samples that are not behind `durable`, or -1.
int last_within(const WalStatus& status, XLogRecPtr durable) {
    int found = -1;
    for (int i = 0; i < status.flushed_count && status.flushed[i].lsn <= durable; i++)
        found = i;
    return found;
}

void forget_before(WalStatus* status, int first) {
    if (first <= 0)
        return;
    status->flushed_count -= first;
    memmove(status->flushed, status->flushed + first, sizeof(FlushSample) * status->flushed_count);
}

// Every second one goes: the older, the coarser. What is left out makes bytes seem older, never
// younger.
void thin_out(WalStatus* status) {
    int kept = 0;
    for (int i = 0; i < status->flushed_count; i += 2)
        status->flushed[kept++] = status->flushed[i];
    status->flushed_count = kept;
}

const RateSample& sample_back(const WalStatus& status, uint64 back) {
    return status.rates[(status.rates_count - 1 - back) % kRateSamples];
}

double per_minute(uint64 newer, uint64 older, int64 ms) {
    // A counter that went back is of another start of a process.
    return newer >= older ? static_cast<double>(newer - older) * kMinuteMs / static_cast<double>(ms)
                          : 0;
}

}  // namespace

WalStatus* copy_of_wal_status() {
    auto* copy = static_cast<WalStatus*>(palloc(sizeof(WalStatus)));
    lock_shared(LW_SHARED);
    *copy = shared->wal;
    unlock_shared();
    return copy;
}

void note_flushed(XLogRecPtr flushed, XLogRecPtr durable) {
    const TimestampTz now = GetCurrentTimestamp();
    lock_shared(LW_EXCLUSIVE);
    WalStatus* status = &shared->wal;
    const int count = status->flushed_count;
    if (count > 0 && status->flushed[count - 1].lsn >= flushed) {
        status->flushed[count - 1].last_seen = now;
    } else {
        if (count == kFlushSamples)
            thin_out(status);
        status->flushed[status->flushed_count++] = {flushed, now};
    }
    forget_before(status, last_within(*status, durable));
    unlock_shared();
}

void note_rates(uint64 wal_bytes) {
    lock_shared(LW_EXCLUSIVE);
    WalStatus* status = &shared->wal;
    status->rates[status->rates_count++ % kRateSamples] = {
        GetCurrentTimestamp(), status->pieces, shared->archiver.stored_count, wal_bytes};
    unlock_shared();
}

TimestampTz unprotected_since(const WalStatus& status, XLogRecPtr durable) {
    if (status.flushed_count == 0)
        return 0;
    const int last = last_within(status, durable);
    return status.flushed[last < 0 ? 0 : last].last_seen;
}

WalRates wal_rates(const WalStatus& status) {
    const uint64 count = Min(status.rates_count, static_cast<uint64>(kRateSamples));
    if (count < 2)
        return {};
    const RateSample& newest = sample_back(status, 0);
    const RateSample& oldest = sample_back(status, count - 1);
    uint64 back = 1;
    while (back < count - 1 &&
           TimestampDifferenceMilliseconds(sample_back(status, back).at, newest.at) < kMinuteMs)
        back++;
    const RateSample& then = sample_back(status, back);
    const int64 ms = TimestampDifferenceMilliseconds(then.at, newest.at);
    const int64 all_ms = TimestampDifferenceMilliseconds(oldest.at, newest.at);
    if (ms < kRateSampleMs / 2 || all_ms < kLeastMs)
        return {};
    return {true, per_minute(newest.pieces, then.pieces, ms),
            per_minute(newest.stored, then.stored, ms),
            (static_cast<double>(newest.wal_bytes) - static_cast<double>(oldest.wal_bytes)) * 1000 /
                static_cast<double>(all_ms)};
}

}  // namespace ark
