#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/changes/range_changes.hpp"

namespace ark {

/// Below a data directory: in pg_wal, so that neither base backups nor restores look at it.
constexpr const char* kLocalChangesDirectory = "pg_wal/pg_ark.changes";

/// What prune removed.
struct PrunedChanges {
    uint64_t files = 0;
    /// Of these, tables that are wanted still: the next incremental backup reads their WAL again,
    /// or is a full one.
    uint64_t wanted_files = 0;
    /// Where the WAL of the last of those ends.
    Lsn wanted_up_to = 0;
};

/// Change tables in the data directory, for a server that writes to an encrypted repository and
/// cannot read there, its own tables included. Each is a file <tli>-<from>-<to>: the XXH3-128 of
/// what encode_changes made, and that. One process writes, any may read.
class LocalChanges {
 public:
    explicit LocalChanges(std::string data_directory);

    /// Durable on return; what is there under the name is replaced. Error: as system_error.
    void store(const RangeChanges& changes);
    /// nullopt where it is not there. Error: corrupt.
    std::optional<RangeChanges> load(const ChangeRange& range) const;
    /// Of every timeline, in their order.
    std::vector<ChangeRange> list() const;
    /// Removes what ends at or before `wanted_from`, and of the rest the oldest while there are
    /// more than `most_bytes`; also what a killed writer left.
    PrunedChanges prune(Lsn wanted_from, uint64_t most_bytes);

 private:
    std::string path_of(const ChangeRange& range) const;

    std::string directory_;
};

}  // namespace ark
