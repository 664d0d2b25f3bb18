#pragma once

#include <map>
#include <vector>

#include "core/pgdata/timeline_history.hpp"
#include "core/verify/context.hpp"
#include "core/verify/patience.hpp"

namespace ark {

/// The way that recovery from the backup takes to the newest WAL: the backup's timeline, or the
/// newest one that has the whole backup on its way.
///
/// Reports history files that are damaged, and those that are missing: the one of the backup's own
/// timeline, and of each later timeline that there is WAL of. Without such a file recovery ends on
/// an older timeline.
TimelineHistory find_way(VerifyContext& context, Patience& patience);

}  // namespace ark
