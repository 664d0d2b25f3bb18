#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/archive/recovery_way.hpp"
#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// The data directory that recovers, as far as wal-get needs it.
struct RecoveringCluster {
    std::string data_directory;
    uint64_t system_identifier = 0;
    std::string major_version;  ///< content of PG_VERSION
    Lsn replay_start = 0;       ///< records before it are not replayed
    uint64_t segment_size = 0;
    ReplayedWal replayed = {};
};

/// Looks at the directory that a restore_command was started in. nullopt where it isn't a data
/// directory. Error: what reading its files throws.
std::optional<RecoveringCluster> find_recovering_cluster(const std::string& directory);

/// Replaying CREATE TABLESPACE removes and makes again the version's directory at the original
/// absolute path: on a host where another cluster has its tablespace there, that destroys it.
/// Error: refused when this directory is there and no tablespace of `cluster` points to it; an
/// empty one too, since another cluster's tablespace can be empty for the moment.
void check_location_is_free(const RecoveringCluster& cluster, const std::string& location);

/// Calls check_location_is_free for each tablespace that replay of the segment would create.
/// `following` gives the next segment; it is asked only where a record that may be such a one goes
/// on in it.
void check_tablespaces_in(const RecoveringCluster& cluster, ByteView segment, uint64_t number,
                          const std::function<std::optional<Bytes>()>& following);

/// A record at a segment's end of which not even the kind is in that segment.
struct CutRecord {
    size_t on_page = 0;  ///< bytes of its header that are
    uint32_t length = 0;
};
/// What a segment says by itself of CREATE TABLESPACE records that begin in it.
struct TablespaceVerdict {
    /// It is certain that there is none: every record in it was read, and the last one, where it
    /// goes on in the next segment, is none. So check_tablespaces_in has nothing to find there,
    /// wherever replay starts.
    bool is_free = false;
    /// Else, where it is so but for this one: the next segment's begin tells.
    std::optional<CutRecord> cut;
};
TablespaceVerdict judge_tablespaces(ByteView segment, uint64_t number);
/// Whether the next segment begins with the rest of the record, and that creates no tablespace.
constexpr size_t kEnoughOfNextSegment = 64;
bool goes_on_without_tablespace(const CutRecord& cut, ByteView next_segment);

}  // namespace ark
