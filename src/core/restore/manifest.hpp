#pragma once

#include <string>

#include "core/repo/chain.hpp"
#include "core/repo/repository.hpp"
#include "core/restore/layered_file.hpp"

namespace ark {

/// Writes the backup's manifest, byte for byte, to `path` (durable but for its name), frame by
/// frame. Of a backup that builds on others a new one is written, of what was restored: its index
/// says what there is, `checksums` what became of what was put together. Error: corrupt when
/// manifest or index is not what the marker's digest says.
void write_manifest(Repository& repository, const BackupChain& chain,
                    const RestoredChecksums& checksums, const std::string& path);

}  // namespace ark
