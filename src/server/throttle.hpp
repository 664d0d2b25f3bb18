#pragma once
#include "server/pg_version.hpp"

extern "C" {
#include "common/hashfn.h"
#include "utils/timestamp.h"
}

namespace ark {

/// Lets the same text pass once a minute, or as often as it is told to.
struct Throttle {
    TimestampTz last;
    uint32 hash;
};

inline bool throttle_passes(Throttle* throttle, const char* text, int interval_ms = 60 * 1000) {
    const uint32 hash = string_hash(text, strlen(text) + 1);
    const TimestampTz now = GetCurrentTimestamp();
    if (throttle->last != 0 && throttle->hash == hash &&
        !TimestampDifferenceExceeds(throttle->last, now, interval_ms))
        return false;
    throttle->last = now;
    throttle->hash = hash;
    return true;
}

}  // namespace ark
