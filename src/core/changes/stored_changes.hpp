#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/changes/range_changes.hpp"
#include "core/repo/object.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Stores the table under its range's name. `present`: this or another process did so before, from
/// the same WAL. Error: conflict where one of the name was made from other WAL.
StoreResult store_changes(ObjectStore& store, const std::string& cluster,
                          const RangeChanges& changes, const Writer& writer);

/// nullopt where the repository does not have it. Error: corrupt, also where it is of another range
/// than its name says.
std::optional<RangeChanges> load_changes(ObjectStore& store, const std::string& cluster,
                                         const ChangeRange& range);

/// Those that a listing shows of one timeline, in the order of their begins. A listing may lag: one
/// that it does not show costs a full backup, one that is gone too.
std::vector<ChangeRange> list_changes(ObjectStore& store, const std::string& cluster,
                                      TimelineId timeline);

}  // namespace ark
