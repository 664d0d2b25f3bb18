#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/changes/change_table.hpp"
#include "core/pgdata/wal_parts.hpp"
#include "core/pgdata/wal_record.hpp"

namespace ark {

/// A fork that is so many blocks long from now on, at most: it was cut, or its file was made or
/// removed (0).
struct ForkLimit {
    RelationId relation;
    Fork fork = Fork::main;
    uint32_t blocks = 0;

    bool operator==(const ForkLimit&) const = default;
};

/// What one record does to files of relations, in this order: limits, then blocks. The rules are
/// those of PostgreSQL's own WAL summarizer (docs/incremental.md has them, with their reasons).
/// Made once and used for one record after another.
class RecordChanges {
 public:
    /// Error: unsupported for WAL of a version that is not known, corrupt where the record cannot
    /// be read.
    void decode(const WalRecord& record);

    const std::vector<DatabaseId>& databases() const { return databases_; }
    const std::vector<ForkLimit>& limits() const { return limits_; }
    std::span<const WalBlock> blocks() const { return parts_.blocks(); }
    /// From here on wal_level is minimal: not everything that changes is in WAL.
    bool ends_completeness() const { return minimal_; }
    /// Where the backup began that ends with this record.
    std::optional<Lsn> ended_backup() const { return ended_backup_; }

    /// The same, for a table: of main forks alone.
    void add_to(ChangeTable& table) const;

 private:
    bool decode_storage(const WalRecord& record);
    bool decode_transaction(const WalRecord& record);
    bool decode_database(const WalRecord& record);
    bool decode_xlog(const WalRecord& record);

    WalParts parts_;
    std::vector<DatabaseId> databases_;
    std::vector<ForkLimit> limits_;
    bool minimal_ = false;
    std::optional<Lsn> ended_backup_;
};

}  // namespace ark
