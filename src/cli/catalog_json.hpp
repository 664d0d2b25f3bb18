#pragma once

#include <nlohmann/json.hpp>

#include "core/repo/marker.hpp"

namespace ark {

/// One backup as `list --output json` has it: the keys that others script against.
nlohmann::json summary_of(const BackupMarker& marker);

}  // namespace ark
