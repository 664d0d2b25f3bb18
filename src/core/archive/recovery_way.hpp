#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/pgdata/timeline_history.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// The directory in the repository of the cluster that recovers: `wanted` where it is given, else
/// the one named after its system identifier, else the only one. Error: as resolve_cluster.
std::string choose_cluster(Repository& repository, const std::string& wanted,
                           std::optional<uint64_t> system_identifier);

/// The way to the target ("latest", a number, or empty: none) as far as it matters to who asks for
/// WAL of timeline `asked`: nullopt where nothing of that timeline has to be left out. Error:
/// invalid_argument for a target that is none of these, not_found where the repository lacks the
/// target's history.
std::optional<TimelineHistory> choose_way(Repository& repository, const std::string& cluster,
                                          const std::string& target, TimelineId asked);

}  // namespace ark
