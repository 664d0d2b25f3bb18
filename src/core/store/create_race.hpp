#pragma once

#include <string>

#include "core/store/object_store.hpp"

namespace ark {

/// What came of several writers that created one object at the same moment.
struct RaceResult {
    int winners = 0;       ///< writers that were told "created"; a store that is fit makes it one
    bool is_kept = false;  ///< what is there is what a single winner wrote
};

/// Lets `writers` threads create `name`, each with another content. The object stays. Error: the
/// store's, when all have ended.
RaceResult race_to_create(ObjectStore& store, const std::string& name, int writers);

}  // namespace ark
