#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/file.hpp"
#include "core/repo/index.hpp"

namespace ark {

/// A file that several lanes write at once, a part each: the lanes end together though one file is
/// the last. Thread-safe.
class LargeFile {
 public:
    /// A run of whole frames.
    struct Part {
        size_t number = 0;
        uint64_t offset = 0;  ///< in the file
        IndexEntry entry;     ///< the file's, with these frames and their size; no checksum of it
        uint64_t end = 0;     ///< in the pack, after the last of the frames
    };

    /// True for a file of more than one part whose frames are as a large file's should be. What is
    /// wrong with others shows where they are read as a whole.
    static bool suits(const IndexEntry& entry);

    explicit LargeFile(IndexEntry entry);

    const IndexEntry& entry() const { return entry_; }
    bool has_parts() const;
    /// The next part that nobody has; nullopt when all are taken.
    std::optional<Part> next();
    /// The file itself: the first caller makes it.
    File& file(const std::function<File()>& make);
    /// A part is written. For the last one, in whatever order they come, the CRC-32C of the whole.
    std::optional<uint32_t> written(const Part& part, uint32_t crc);

 private:
    const IndexEntry entry_;
    mutable std::mutex mutex_;
    File file_;
    size_t next_ = 0;
    size_t written_ = 0;
    std::vector<uint32_t> crcs_;
};

}  // namespace ark
