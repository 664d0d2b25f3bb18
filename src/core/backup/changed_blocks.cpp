#include "core/backup/changed_blocks.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

namespace ark {

namespace {

// So much is asked of the disk at a time: scattered blocks, one after another, would each wait for
// it.
constexpr uint64_t kAnnounceBytes = 4 << 20;

}  // namespace

ChangedBlocks::ChangedBlocks(const File& file, const FileChanges& changes, uint32_t block_bytes,
                             Look look)
    : file_(file),
      changes_(changes),
      block_bytes_(block_bytes),
      look_(std::move(look)),
      header_(incremental_header(changes.runs, changes.length, block_bytes)) {}

uint64_t ChangedBlocks::size() const {
    return header_.size() + uint64_t{changes_.blocks} * block_bytes_;
}

void ChangedBlocks::read(MutableByteView buffer, uint64_t offset) {
    if (offset < header_.size()) {
        const size_t n = std::min<uint64_t>(buffer.size(), header_.size() - offset);
        std::memcpy(buffer.data(), header_.data() + offset, n);
        buffer = buffer.subspan(n);
    }
    read_blocks(buffer);
}

void ChangedBlocks::read_blocks(MutableByteView buffer) {
    while (!buffer.empty()) {
        announce(buffer.size());
        const BlockRun& run = changes_.runs[run_];
        const uint64_t left = uint64_t{run.length - in_run_} * block_bytes_;
        const MutableByteView piece = buffer.first(std::min<uint64_t>(left, buffer.size()));
        const uint64_t offset = (uint64_t{run.first} + in_run_) * block_bytes_;
        const size_t n = file_.pread_full(piece, offset);
        look_(piece.first(n), offset);
        // A file that has shrunk meanwhile: WAL replay knows its new length.
        std::memset(piece.data() + n, 0, piece.size() - n);
        announced_ -= std::min<uint64_t>(announced_, piece.size());
        in_run_ += static_cast<uint32_t>(piece.size() / block_bytes_);
        if (in_run_ == run.length) {
            ++run_;
            in_run_ = 0;
        }
        buffer = buffer.subspan(piece.size());
    }
}

void ChangedBlocks::announce(uint64_t bytes) {
    if (announced_ >= bytes)
        return;
    for (; announced_ < kAnnounceBytes && announced_run_ < changes_.runs.size(); ++announced_run_) {
        const BlockRun& run = changes_.runs[announced_run_];
        const uint64_t length = uint64_t{run.length} * block_bytes_;
        static_cast<void>(::posix_fadvise(file_.fd(),
                                          static_cast<off_t>(uint64_t{run.first} * block_bytes_),
                                          static_cast<off_t>(length), POSIX_FADV_WILLNEED));
        announced_ += length;
    }
}

}  // namespace ark
