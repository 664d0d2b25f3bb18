#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/pgdata/control_file.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// The directory in the repository of the cluster that recovers: `wanted` where it is given, else
/// the one named after its system identifier, else the only one. Error: as resolve_cluster.
std::string choose_cluster(Repository& repository, const std::string& wanted,
                           std::optional<uint64_t> system_identifier);

/// WAL that a recovering server has replayed for certain. Timeline 0: nothing is known.
struct ReplayedWal {
    TimelineId timeline = 0;
    Lsn end = 0;
};
/// As the server's pg_control has it.
ReplayedWal replayed_by(const ControlFile& control);

/// The way to the target ("latest", a number, or empty: none) as far as it matters to who asks for
/// WAL of timeline `asked`: nullopt where nothing of that timeline has to be left out. As the
/// server does, "latest" stays on the timeline that was replayed where the newest one is no child
/// of it, or left it before the place that replay has come to. Error: invalid_argument for a target
/// that is none of these, not_found where the repository lacks the target's history.
std::optional<TimelineHistory> choose_way(Repository& repository, const std::string& cluster,
                                          const std::string& target, TimelineId asked,
                                          const ReplayedWal& replayed);

}  // namespace ark
