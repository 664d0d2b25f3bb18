#include "core/backup/change_audit.hpp"

#include <algorithm>

#include "core/pgdata/page.hpp"

namespace ark {

namespace {

// Read together: a disk gives 32 pages in about the time of one.
constexpr uint32_t kPieceBlocks = 32;

}  // namespace

ChangeAudit::ChangeAudit(double fraction, Lsn parent_start, Lsn start, const BlockSizes& sizes)
    : fraction_(fraction),
      parent_start_(parent_start),
      start_(start),
      sizes_(sizes),
      random_(std::random_device{}()),
      buffer_(size_t{kPieceBlocks} * sizes.block_bytes) {}

bool ChangeAudit::chosen() {
    return fraction_ >= 1 || std::uniform_real_distribution<double>(0, 1)(random_) < fraction_;
}

bool ChangeAudit::passes(const File& file, const std::string& path, const RelationPath& relation,
                         const FileChanges& changes, const std::function<bool()>& abandoned) {
    if (fraction_ <= 0)
        return true;
    const uint64_t first_block = uint64_t{relation.file.segment} * sizes_.segment_blocks;
    bool passes = true;
    uint32_t at = 0;
    // What lies between the runs, in pieces.
    const auto between = [&](uint32_t end) {
        while (at < end) {
            const uint32_t blocks = std::min(end - at, kPieceBlocks);
            if (!abandoned() && chosen() && !look(file, path, first_block, at, blocks))
                passes = false;
            at += blocks;
        }
    };
    for (const BlockRun& run : changes.runs) {
        between(run.first);
        at = run.end();
    }
    between(changes.length);
    return passes;
}

bool ChangeAudit::look(const File& file, const std::string& path, uint64_t first_block,
                       uint32_t first, uint32_t blocks) {
    const MutableByteView room =
        MutableByteView(buffer_).first(size_t{blocks} * sizes_.block_bytes);
    const size_t n = file.pread_full(room, uint64_t{first} * sizes_.block_bytes);
    bool passes = true;
    for (uint32_t i = 0; size_t{i + 1} * sizes_.block_bytes <= n; ++i) {
        const ByteView page = room.subspan(size_t{i} * sizes_.block_bytes, sizes_.block_bytes);
        ++findings_.blocks;
        if (!contradicts_table(page, parent_start_, start_))
            continue;
        passes = false;
        ++findings_.misses;
        if (findings_.missed.size() < kMaxReportedMisses)
            findings_.missed.push_back({path, first_block + first + i, page_lsn(page)});
    }
    return passes;
}

}  // namespace ark
