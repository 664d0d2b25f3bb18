#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/changes/change_table.hpp"
#include "core/pgdata/incremental_file.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// A file of the data directory, for an incremental backup of it.
struct FileState {
    /// nullopt where it is not a relation's.
    std::optional<RelationPath> path;
    uint64_t bytes = 0;                      ///< as it is now
    std::optional<uint64_t> parent_bytes{};  ///< as the parent has it; nullopt where it does not
};

/// Why a file is copied whole.
enum class WholeReason {
    not_a_main_fork,  ///< its changes are not in WAL, or not in this form
    odd_size,         ///< empty, no whole number of blocks, or longer than a segment file can be
    not_in_parent,
    database,      ///< its database's directory was made or removed
    new_file,      ///< it was made, removed or cut to nothing
    most_changed,  ///< more than nine tenths: the rest costs less than the trouble
    audit,         ///< a page of it had changed that the table calls unchanged
};
const char* describe(WholeReason reason) noexcept;

/// What of a file an incremental backup has to hold: all of it, or these blocks (none, where it is
/// what it was). All others are in the parent at the same place, as they were at its start.
struct FileChanges {
    std::optional<WholeReason> whole;
    std::vector<BlockRun> runs;  ///< ascending, not adjacent
    uint32_t blocks = 0;         ///< in the runs
    uint32_t length = 0;         ///< of the file, in blocks

    bool operator==(const FileChanges&) const = default;
};

/// Sizes that a cluster was built with, from pg_control.
struct BlockSizes {
    uint32_t block_bytes = 8192;
    uint32_t segment_blocks = 131072;  ///< in one file of a relation
};

/// Besides the blocks of the table these belong to an incremental: all that lie at or behind the
/// file's limit (what was there before the cut is not what is there now, though a page of zeros
/// that nobody wrote to is in no WAL), and all at or behind the parent's end of the file (the
/// parent has none, but one of its own parents may).
FileChanges changes_of(const FileState& file, const ChangeTable& table, const BlockSizes& sizes);

/// Whether a page of a main fork that the table calls unchanged shows that it changed: pages of
/// blocks that are not in the table must not.
bool contradicts_table(ByteView page, Lsn parent_start, Lsn start);

}  // namespace ark
