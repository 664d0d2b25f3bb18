#include "core/backup/incremental_plan.hpp"

#include <limits>

namespace ark {

namespace {

constexpr uint64_t kAbsent = std::numeric_limits<uint64_t>::max();

std::vector<uint64_t> sizes_in(const NextEntry& entries, const FileList& files) {
    std::vector<uint64_t> out(files.size(), kAbsent);
    size_t at = 0;
    while (const std::optional<IndexEntry> entry = entries()) {
        if (entry->type != EntryType::file)
            continue;
        while (at < files.size() && files.path(at) < entry->path)
            ++at;
        if (at < files.size() && files.path(at) == entry->path)
            out[at++] = file_size(*entry);
    }
    return out;
}

}  // namespace

IncrementalPlan::IncrementalPlan(const BackupMarker& parent, const NextEntry& entries,
                                 const FileList& files, ChangeTable changes,
                                 const ControlFile& control)
    : parent_start_(parent.start_lsn),
      changes_(std::move(changes)),
      sizes_{control.block_size, control.relation_segment_blocks},
      parent_bytes_(sizes_in(entries, files)) {
    for (const CorruptPage& page : parent.corrupt_pages)
        corrupt_.insert(page.path);
}

FileChanges IncrementalPlan::of(size_t index, const std::string& path,
                                const std::optional<RelationPath>& relation, uint64_t bytes) const {
    FileState file{relation, bytes, std::nullopt};
    if (parent_bytes_[index] != kAbsent && !corrupt_.contains(path))
        file.parent_bytes = parent_bytes_[index];
    return changes_of(file, changes_, sizes_);
}

uint64_t IncrementalPlan::stored_bytes(const FileChanges& changes, uint64_t bytes) const {
    return changes.whole ? bytes : incremental_bytes(changes.blocks, sizes_.block_bytes);
}

}  // namespace ark
