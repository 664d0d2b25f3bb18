#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pipeline/zstd.hpp"
#include "core/repo/index.hpp"

namespace ark {

/// Index entries that one lane has made, in path order, kept compressed (about 25 bytes each) until
/// all lanes have ended and their runs are merged. Filled by one thread, then read by one thread.
class RecordRun {
 public:
    RecordRun();

    /// Entries come in bytewise path order.
    void add(const IndexEntry& entry);
    /// No more are added.
    void seal();

    /// The next entry; frees what has been read. Call after seal().
    std::optional<IndexEntry> next();

 private:
    void flush();

    FrameCompressor compressor_;
    FrameDecompressor decompressor_;
    std::string text_;
    size_t text_used_ = 0;
    std::vector<Bytes> frames_;
    size_t next_frame_ = 0;
};

/// Takes the entries of all runs in path order.
class RecordMerge {
 public:
    explicit RecordMerge(std::vector<RecordRun*> runs);
    std::optional<IndexEntry> next();

 private:
    std::vector<RecordRun*> runs_;
    std::vector<std::optional<IndexEntry>> heads_;
};

}  // namespace ark
