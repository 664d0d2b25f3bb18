#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/repo/repository.hpp"

namespace ark {

struct ProbeResult {
    bool writable = false;
    bool create_if_absent = false;       ///< a second put of the name was refused
    std::optional<uint64_t> free_bytes;  ///< absent where the store has no such limit
    std::string detail;                  ///< what went wrong, empty when nothing did
};

/// Writes, writes again, reads and removes a small object with a random name below kProbeDirectory.
/// Never throws for what the store answers: that is the result.
ProbeResult probe_repository(Repository& repository);

/// What the store's clock says now, by an object that is put there for a moment. Error: the
/// store's.
UnixMicros store_time(Repository& repository);

}  // namespace ark
