#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/changes/change_chain.hpp"
#include "core/pgdata/wal_reader.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// Where tables and WAL are.
struct ChangeSources {
    ObjectStore& store;
    std::string cluster;
    /// Of a running server, whose WAL is flushed up to the question's start. Empty: there is none.
    std::string data_directory;
    uint64_t segment_size = 0;
    /// Segments along the question's way, from the repository (archive/wal_source.hpp has them).
    WalReader::SegmentFunction archived;
    /// No more WAL than this is read from there.
    uint64_t max_archived_bytes = 0;
    /// Tables that were made on the way are stored, where their ends are those of segments or of
    /// timelines. nullopt: none is.
    std::optional<Writer> writer;
};

/// What it took.
struct ChangeCost {
    uint64_t tables = 0;             ///< that were there
    uint64_t live_segments = 0;      ///< read in pg_wal for what no table has
    uint64_t archived_segments = 0;  ///< read in the repository
};

/// Everything that changed between the parent's start and the new one's, for a backup: from the
/// tables that there are, and for what none of them has (behind the last one, while tracking was
/// off, where one is damaged) from WAL itself, in pg_wal where it is there, else in the repository.
/// Why not is an answer; what the store throws comes through. Error: cancelled where the process is
/// to end.
ChangeAnswer changes_between(const ChangeSources& sources, const ChangeQuestion& question,
                             ChangeCost* cost = nullptr);

}  // namespace ark
