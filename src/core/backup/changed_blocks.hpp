#pragma once

#include <functional>

#include "core/base/file.hpp"
#include "core/changes/file_changes.hpp"

namespace ark {

/// Reads from a file what an incremental backup holds of it, in the form of an incremental file:
/// its header, then the blocks. One after another, as a PackWriter asks for it.
class ChangedBlocks {
 public:
    /// What was read from the file, at which place of it: whole blocks next to each other. It may
    /// be changed. (What the file has no more is zeros and not told.)
    using Look = std::function<void(MutableByteView data, uint64_t offset)>;

    ChangedBlocks(const File& file, const FileChanges& changes, uint32_t block_bytes, Look look);

    uint64_t size() const;
    /// Bytes of the incremental file from `offset` on. Begins and ends in the header, or at blocks'
    /// edges; offsets go up.
    void read(MutableByteView buffer, uint64_t offset);

 private:
    void read_blocks(MutableByteView buffer);
    void announce(uint64_t bytes);

    const File& file_;
    const FileChanges& changes_;
    const uint32_t block_bytes_;
    const Look look_;
    Bytes header_;
    size_t run_ = 0;            ///< the next block is in this one,
    uint32_t in_run_ = 0;       ///< so far in it
    size_t announced_run_ = 0;  ///< the kernel knows that all before it will be read
    uint64_t announced_ = 0;    ///< bytes of them that are not read yet
};

}  // namespace ark
