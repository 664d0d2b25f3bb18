#pragma once

#include <cstdint>
#include <string>

#include "core/base/clock.hpp"
#include "core/repo/repository.hpp"

namespace ark {

/// A backup without a marker in which nothing was written for this long is dead, whoever began it:
/// a living one is never silent for longer than it may wait for WAL, which is a day
/// (pg_ark.wal_timeout). Should it live after all it fails: before it writes its marker it asks for
/// everything that it has written.
constexpr UnixMicros kDeadAfterMicros = 25LL * 3600 * 1000000;

/// What a clean-up did.
struct CleanupResult {
    uint64_t objects = 0;
    std::string kept;  ///< why something was left alone; empty when nothing was
};

/// Removes what is left of a backup that has no marker: at once where this data directory, under
/// this running kernel, wrote all of it (its server has ended, then: the caller is the next), else
/// where it is dead. Another server's backup under way is never touched, also where that one is a
/// copy of this with the same host name and path. That the right to remove is missing is a reason,
/// and no error.
CleanupResult remove_unfinished_backup(Repository& repository, const std::string& cluster,
                                       const std::string& backup_id,
                                       const std::string& data_directory);

/// Removes what no server remembers having begun: of this cluster every dead backup, files of
/// uploads that ended as long ago, and objects of the write test. Where the right to remove is
/// missing, which may be on purpose, `kept` says how many objects stay.
CleanupResult remove_abandoned(Repository& repository, const std::string& cluster);

}  // namespace ark
