#pragma once

#include <string>

#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Writes the backup's manifest, byte for byte, to `path` (durable but for its name), frame by
/// frame. Error: corrupt when it is not what the marker's digest says.
void write_manifest(Repository& repository, const BackupMarker& backup, const std::string& path);

}  // namespace ark
