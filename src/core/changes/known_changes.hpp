#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/changes/local_changes.hpp"
#include "core/changes/range_changes.hpp"
#include "core/pgdata/timeline_history.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// Which tables there are for WAL of the way from `from` on: the repository's, and the data
/// directory's where there is one (nullptr: none). Each once, in their order.
std::vector<ChangeRange> available_changes(ObjectStore& store, const std::string& cluster,
                                           const LocalChanges* local, const TimelineHistory& way,
                                           Lsn from);

/// One of them: the repository's, and where this host cannot read there, or it is not there or is
/// damaged, that of the data directory. nullopt where neither has it. Error: corrupt, unsupported,
/// invalid_key, where neither can be read; what the store throws.
std::optional<RangeChanges> load_known_changes(ObjectStore& store, const std::string& cluster,
                                               const LocalChanges* local, const ChangeRange& range);

}  // namespace ark
