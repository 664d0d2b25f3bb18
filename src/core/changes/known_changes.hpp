#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
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

/// One of them: the data directory's own where it has it, else the repository's. The data directory
/// has those that this server cannot read back, and those in whose place the repository has one
/// that was made from other WAL (a server that was set back). nullopt where neither has it. Error:
/// corrupt, unsupported, invalid_key; what the store throws.
std::optional<RangeChanges> load_known_changes(ObjectStore& store, const std::string& cluster,
                                               const LocalChanges* local, const ChangeRange& range);

/// Whether the error says what WAL or a table is; else it says that they cannot be reached.
bool is_of_content(const Error& error);

}  // namespace ark
