#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/changes/block_set.hpp"
#include "core/pgdata/relation_name.hpp"

namespace ark {

/// A database's directory in one tablespace.
struct DatabaseId {
    uint32_t tablespace = 0;
    uint32_t database = 0;

    // clang-tidy takes the 0 that such an order is compared with for a pointer.
    auto operator<=>(const DatabaseId&) const = default;  // NOLINT(modernize-use-nullptr)
};

/// What happened to the main fork of one relation in a stretch of WAL.
struct RelationChanges {
    /// The shortest that the fork was meanwhile, in blocks: 0 where its file was made or removed.
    /// What lay at or behind it before has nothing to do with what lies there now.
    std::optional<uint32_t> limit;
    /// Changed since then, where they lie at or behind the limit, or at all, where before it.
    BlockSet blocks;

    bool operator==(const RelationChanges&) const = default;
};

/// Which blocks of which relations' main forks a stretch of WAL changed: a change table
/// (docs/incremental.md). Events come in the order of WAL. Its memory grows with the number of
/// relations (about 150 bytes each) and of changed blocks (2 to 8 bytes each, an eighth of one
/// where they are dense). Used by one thread at a time.
class ChangeTable {
 public:
    void add_block(const RelationId& relation, uint32_t block);
    /// The fork was cut to so many blocks; 0: its file was made or removed.
    void set_limit(const RelationId& relation, uint32_t limit);
    /// The directory was made or removed: nothing in it is what it was.
    void add_database(const DatabaseId& database) { databases_.insert(database); }

    /// What happened to the relation after what is in here of it.
    void add(const RelationId& relation, RelationChanges&& later);
    /// Adds what happened after this. (Where the stretch of `later` begins before the end of this
    /// one's the result is the same: it has everything that came behind its own limits.)
    void merge(const ChangeTable& later);

    /// nullptr where nothing happened to it.
    const RelationChanges* find(const RelationId& relation) const;
    bool has(const DatabaseId& database) const { return databases_.contains(database); }

    const std::set<DatabaseId>& databases() const { return databases_; }
    size_t relations() const { return relations_.size(); }
    /// In the order of their ids. The pointers are valid until the table changes.
    std::vector<std::pair<RelationId, const RelationChanges*>> sorted() const;
    /// Changed blocks of all relations.
    uint64_t blocks() const;
    bool empty() const { return relations_.empty() && databases_.empty(); }
    void clear();

    /// What it takes, about.
    uint64_t memory_bytes() const;

    bool operator==(const ChangeTable&) const = default;

 private:
    struct Hash {
        size_t operator()(const RelationId& id) const noexcept;
    };

    std::unordered_map<RelationId, RelationChanges, Hash> relations_;
    std::set<DatabaseId> databases_;
};

}  // namespace ark
