#pragma once

#include <cstdint>
#include <string>

#include "core/repo/marker.hpp"
#include "core/repo/repository.hpp"

namespace ark {

struct CompactRequest {
    std::string cluster;
    std::string backup_id;  ///< an incremental or differential one
    std::string new_id;     ///< of the full one
    std::string reason;
    std::string created_by;
    std::string role;
    std::string data_directory;  ///< of whoever asks; may be empty
    int jobs = 2;
    int compression_level = 3;
};

/// A name for the full backup that is made of this one: its time is that of the data.
std::string compacted_id(const std::string& backup_id);

struct CompactProgress {
    uint64_t files = 0;
    uint64_t files_total = 0;
    uint64_t bytes = 0;
    uint64_t bytes_total = 0;
    uint64_t stored = 0;
};

/// Called on the thread that compacts, a few times a second. What it throws ends the work.
class CompactListener {
 public:
    CompactListener() = default;
    CompactListener(const CompactListener&) = delete;
    CompactListener& operator=(const CompactListener&) = delete;
    virtual ~CompactListener() = default;
    virtual void progress(const CompactProgress& progress) = 0;
};

/// Makes of a backup that builds on others a full one with the same content, inside the repository:
/// a new backup, beside the old ones, that needs none of them. The server has no part in it. Its
/// WAL is that of the old one.
///
/// It exists exactly when this returns; when it throws, what it wrote has been removed as far as
/// the store let it, but for a conflict with somebody who writes one of the same name: what is left
/// then the sweep removes. Error: not_found, refused (it is a full one already), already_exists
/// (the new id), conflict, corrupt (the chain), and what the store throws.
BackupMarker compact_backup(Repository& repository, const CompactRequest& request,
                            CompactListener& listener);

}  // namespace ark
