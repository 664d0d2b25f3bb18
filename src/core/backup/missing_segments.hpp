#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/pgdata/file_list.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// Relations of a running server whose row of segment files has a hole: one is missing, or too
/// short, before one that has pages. The server itself would read such a table as ending there.
/// Each is named by the first block that is gone. What a DROP or a truncation takes away meanwhile
/// is none (mdunlink and mdtruncate in src/backend/storage/smgr/md.c: the first segment is emptied
/// before the others go, the later ones before the earlier).
std::vector<CorruptPage> find_missing_segments(const FileList& files,
                                               const std::string& data_directory,
                                               uint32_t blocks_per_segment);

}  // namespace ark
