#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/changes/file_changes.hpp"
#include "core/pgdata/control_file.hpp"
#include "core/pgdata/file_list.hpp"
#include "core/repo/index.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// Gives the parent's files, as its index does: in path order, nullopt behind the last.
using NextEntry = std::function<std::optional<IndexEntry>()>;

/// What an incremental backup holds of each file. Immutable once it is made: any thread may ask.
class IncrementalPlan {
 public:
    /// `parent`: its entries, all of which are read. `changes` since its start.
    IncrementalPlan(const BackupMarker& parent, const NextEntry& entries, const FileList& files,
                    ChangeTable changes, const ControlFile& control);

    /// Of file number `index` of the list, which has now so many bytes.
    FileChanges of(size_t index, const std::string& path,
                   const std::optional<RelationPath>& relation, uint64_t bytes) const;
    /// Bytes that a backup holds of it.
    uint64_t stored_bytes(const FileChanges& changes, uint64_t bytes) const;

    uint32_t block_bytes() const { return sizes_.block_bytes; }
    Lsn parent_start() const { return parent_start_; }

 private:
    const Lsn parent_start_;
    const ChangeTable changes_;
    const BlockSizes sizes_;
    /// Where the parent has corrupt pages: they are copied whole, so that each backup knows all of
    /// its own.
    std::set<std::string> corrupt_;
    std::vector<uint64_t> parent_bytes_;  ///< for each file of the list
};

}  // namespace ark
