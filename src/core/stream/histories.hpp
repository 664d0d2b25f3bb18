#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/archive/push.hpp"
#include "core/pgdata/timeline_history.hpp"

namespace ark {

/// Sees to it that the repository has the history of a timeline and of those before it: without
/// them nobody finds the way to what is going to be written. `find` gives the content of a history
/// file, nullopt where the server does not have it. Error: not_found where neither the server nor
/// the repository has the timeline's own, conflict where they differ, corrupt.
TimelineHistory store_histories(
    const PushTarget& target, TimelineId timeline,
    const std::function<std::optional<Bytes>(TimelineId timeline)>& find);

}  // namespace ark
