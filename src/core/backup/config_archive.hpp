#pragma once

#include "core/backup/host.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Stores config.tar.zst: the configuration files of the request that lie outside the data
/// directory (those inside are in the packs), under their absolute paths without the leading slash.
/// False where there are none. A file that is gone or unreadable is a warning: the backup is whole
/// without it.
bool store_config_archive(Repository& repository, const BackupRequest& request,
                          const Writer& writer, BackupHost& host);

}  // namespace ark
