#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// What is known of the WAL that is asked for.
struct FetchContext {
    Repository& repository;
    std::string cluster;                             ///< its directory in the repository
    std::optional<uint64_t> system_identifier = {};  ///< checked where it is known
    const TimelineHistory* target = nullptr;  ///< the way that recovery takes; none: as it is
    /// Hears of a damaged last piece, before which the WAL that is given out ends.
    std::function<void(const Error&)> warn = {};
};

}  // namespace ark
