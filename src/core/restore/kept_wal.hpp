#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/repo/repository.hpp"
#include "core/restore/archived_wal.hpp"

namespace ark {

/// Names in `<data directory>/pg_wal` that hold WAL or a timeline's history which the repository
/// does not have with the same content: the only copy of somebody's last transactions. A segment
/// that was recycled under a future name holds nothing of its own and does not count; nor does one
/// whose valid WAL the repository has in pieces, all of it. `wal` is of this cluster. Empty where
/// pg_wal is a symbolic link (what it leads to stays untouched) or absent.
std::vector<std::string> wal_not_in_repository(Repository& repository, ArchivedWal& wal,
                                               const std::string& cluster,
                                               const std::string& data_directory,
                                               uint64_t segment_size);

/// Where pg_wal leads when it is a symbolic link, else empty.
std::string wal_link_of(const std::string& data_directory);

/// Makes the directory beside the data directory that such files go to,
/// "<data directory>.kept-wal-<time>"; its path. Durable. Error: as system_error, with what to do.
std::string make_kept_wal_directory(const std::string& data_directory);
/// Moves these files of pg_wal there. Durable.
void move_wal(const std::string& data_directory, const std::vector<std::string>& names,
              const std::string& target);

}  // namespace ark
