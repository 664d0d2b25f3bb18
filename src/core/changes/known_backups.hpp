#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/pgdata/timeline_history.hpp"
#include "core/repo/marker.hpp"

namespace ark {

/// Where the backups of a cluster begin that lie on a server's way. Of a marker that was read once
/// nothing is read again.
class KnownBackups {
 public:
    /// The repository outlives it.
    KnownBackups(Repository& repository, std::string cluster, TimelineHistory way);

    /// Looks which there are. Error: what the store throws.
    void look();
    /// Their starts before `end`, the newest first.
    std::vector<Lsn> starts(Lsn end) const;

 private:
    Repository& repository_;
    const std::string cluster_;
    const TimelineHistory way_;
    std::map<std::string, std::optional<BackupRange>> ranges_;  ///< nullopt: unreadable
};

}  // namespace ark
