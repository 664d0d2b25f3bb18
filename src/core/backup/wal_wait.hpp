#pragma once

#include <string>

#include "core/backup/host.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// Waits until the repository holds, durably, every segment from the backup's start to its stop,
/// and the server's archiver has taken note of each (so that the object of that name is this
/// server's own and not that of another cluster with the same identifier). Puts the timeline
/// histories that the repository lacks. Says through `host` what it waits for. Error: timeout after
/// request.wal_timeout_seconds, naming the segment; cancelled.
void wait_for_wal(Repository& repository, const BackupRequest& request, const BackupStart& start,
                  const BackupStop& stop, uint64_t segment_size, BackupProgress progress,
                  BackupHost& host);

}  // namespace ark
