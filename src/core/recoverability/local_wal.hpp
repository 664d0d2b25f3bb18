#pragma once

#include <string>

#include "core/recoverability/plan.hpp"

namespace ark {

/// What this server's archiver still has to store, from pg_wal/archive_status. To be read before
/// the repository is listed. Error: as system_error.
LocalWal read_local_wal(const std::string& data_directory, TimelineId timeline, Lsn flushed,
                        uint64_t segment_size);

/// Sets `in_pg_wal`: whether every segment of the gap is there as a file of a segment's size.
void look_in_pg_wal(const std::string& data_directory, WalGap& gap);

}  // namespace ark
