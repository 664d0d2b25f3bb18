#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>

#include "core/changes/wal_changes.hpp"
#include "core/pgdata/wal_reader.hpp"

namespace ark {

/// Whether the record changes no row that anybody can see, only where and how rows are kept: it
/// prunes, freezes, vacuums, locks, sets hints; or changes in place what no transaction's snapshot
/// decides (of catalogs: numbers of pages and of transactions).
bool keeps_rows(const WalRecord& record);

/// Which of some relations' rows WAL has changed since when. By whole relations, or by blocks.
class ChangesSince {
 public:
    /// Before anything is read.
    void want(const RelationId& relation, Lsn since, bool by_blocks);

    /// Reads every record from the earliest wanted place to `to`; false where WAL ends before.
    /// `tick` is called now and then. Error: what the segments throw; corrupt, unsupported.
    bool read(uint64_t segment_size, const WalReader::SegmentFunction& segments, Lsn to,
              const std::function<void()>& tick);

    /// Whether a record at `since` or behind it has changed the relation.
    bool changed(const RelationId& relation, Lsn since) const;
    /// The same of one block; of a relation that is wanted by blocks.
    bool changed(const RelationId& relation, uint64_t block, Lsn since) const;
    /// The directory of a database was made, copied or removed.
    bool database_changed(uint32_t database) const;

    void take(const WalRecord& record, const RecordChanges& changes);

 private:
    struct Last {
        bool by_blocks = false;
        Lsn any = 0;    ///< of all records that changed something
        Lsn whole = 0;  ///< of those that changed more than blocks
        std::unordered_map<uint32_t, Lsn> blocks;
    };
    Lsn directory(const RelationId& relation) const;

    std::map<RelationId, Last> wanted_;
    std::map<std::pair<uint32_t, uint32_t>, Lsn> directories_;  ///< tablespace, database
    Lsn from_ = 0;
};

}  // namespace ark
