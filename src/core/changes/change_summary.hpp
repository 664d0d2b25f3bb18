#pragma once

#include <cstdint>
#include <optional>

#include "core/changes/change_table.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// What changed since a backup's start, in numbers: how much an incremental would hold now.
struct ChangeCount {
    Lsn since = 0;
    uint64_t relations = 0;
    uint64_t blocks = 0;

    bool operator==(const ChangeCount&) const = default;
};

/// Tables since a backup's start as one, as long as that does not take too much memory.
class ChangeSummary {
 public:
    explicit ChangeSummary(uint64_t most_bytes) : most_bytes_(most_bytes) {}

    /// From here on it counts from `since`; nothing has been added.
    void begin(Lsn since);
    /// It cannot be told, until the next begin().
    void give_up();
    void add(const ChangeTable& later);

    std::optional<Lsn> since() const { return since_; }
    /// With `current`, which was not added, behind it. nullopt where it cannot be told.
    std::optional<ChangeCount> count(const ChangeTable& current) const;

 private:
    const uint64_t most_bytes_;
    std::optional<Lsn> since_;
    ChangeTable table_;
    uint64_t blocks_ = 0;  ///< in the table
};

}  // namespace ark
