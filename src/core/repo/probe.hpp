#pragma once

#include <string>

#include "core/repo/repository.hpp"

namespace ark {

/// A new name below kProbeDirectory, for what is written only to see whether it can be.
std::string probe_name();

/// What the store's clock says now, by an object that is put there for a moment. Error: the
/// store's.
UnixMicros store_time(Repository& repository);

}  // namespace ark
