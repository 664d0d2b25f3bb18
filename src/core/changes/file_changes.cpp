#include "core/changes/file_changes.hpp"

#include <algorithm>
#include <array>

#include "core/pgdata/page.hpp"

namespace ark {

namespace {

constexpr std::array<const char*, 7> kReasons{
    "it is not the main fork of a relation",
    "it is empty, or has no whole number of blocks",
    "the parent does not have it",
    "its database was made or removed meanwhile",
    "it was made, removed or emptied meanwhile",
    "most of it changed",
    "a page of it had changed that WAL does not name",
};

FileChanges whole(WholeReason reason) {
    FileChanges out;
    out.whole = reason;
    return out;
}

void add_run(FileChanges& out, uint64_t first, uint64_t length) {
    out.runs.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(length)});
    out.blocks += static_cast<uint32_t>(length);
}

}  // namespace

const char* describe(WholeReason reason) noexcept {
    return kReasons[static_cast<size_t>(reason)];
}

FileChanges changes_of(const FileState& file, const ChangeTable& table, const BlockSizes& sizes) {
    if (!file.path || file.path->file.fork != Fork::main || file.path->file.temporary)
        return whole(WholeReason::not_a_main_fork);
    const uint64_t length = file.bytes / sizes.block_bytes;
    if (length == 0 || file.bytes % sizes.block_bytes != 0 || length > sizes.segment_blocks)
        return whole(WholeReason::odd_size);
    if (!file.parent_bytes)
        return whole(WholeReason::not_in_parent);
    const RelationId relation = file.path->relation();
    if (table.has({relation.tablespace, relation.database}))
        return whole(WholeReason::database);
    const uint64_t begin = uint64_t{file.path->file.segment} * sizes.segment_blocks;
    const RelationChanges* changes = table.find(relation);
    // From here on nothing of the parent's counts.
    uint64_t old = std::min(length, *file.parent_bytes / sizes.block_bytes);
    if (changes != nullptr && changes->limit) {
        if (*changes->limit <= begin)
            return whole(WholeReason::new_file);
        old = std::min(old, *changes->limit - begin);
    }
    FileChanges out;
    out.length = static_cast<uint32_t>(length);
    if (changes != nullptr) {
        changes->blocks.for_each_run(begin, begin + old, [&](uint64_t first, uint64_t blocks) {
            add_run(out, first - begin, blocks);
        });
    }
    if (old < length && !out.runs.empty() &&
        out.runs.back().first + out.runs.back().length == old) {
        out.runs.back().length += static_cast<uint32_t>(length - old);
        out.blocks += static_cast<uint32_t>(length - old);
    } else if (old < length) {
        add_run(out, old, length - old);
    }
    return uint64_t{out.blocks} * 10 > length * 9 ? whole(WholeReason::most_changed) : out;
}

bool contradicts_table(ByteView page, Lsn parent_start, Lsn start) {
    // The server's own sign of a page that was never used: pd_upper is 0.
    const bool is_new = load<uint16_t>(page, 14) == 0;
    const Lsn lsn = page_lsn(page);
    return !is_new && lsn > parent_start && lsn <= start;
}

}  // namespace ark
