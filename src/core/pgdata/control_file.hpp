#pragma once

#include <cstdint>
#include <string>

#include "core/base/bytes.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// src/include/catalog/pg_control.h, DBState.
enum class ClusterState : uint32_t {
    starting = 0,
    shut_down = 1,
    shut_down_in_recovery = 2,
    shutting_down = 3,
    in_crash_recovery = 4,
    in_archive_recovery = 5,
    in_production = 6,
};

/// What pg_ark needs of global/pg_control.
struct ControlFile {
    uint64_t system_identifier = 0;
    uint32_t control_version = 0;
    uint32_t catalog_version = 0;
    ClusterState state = ClusterState::starting;
    Lsn checkpoint = 0;
    Lsn redo = 0;                ///< where replay from that checkpoint begins
    TimelineId timeline = 0;     ///< of the latest checkpoint
    uint32_t next_xid = 0;       ///< at that checkpoint: the first transaction that was not begun
    uint32_t oldest_xid = 0;     ///< the first that pg_xact has to know
    Lsn min_recovery_point = 0;  ///< in recovery: WAL up to here, of this timeline, was replayed;
    TimelineId min_recovery_timeline = 0;  ///< it lags by a restartpoint at most
    uint32_t max_connections = 0;          ///< settings that recovery needs as they were
    uint32_t max_prepared_transactions = 0;
    uint32_t max_locks_per_transaction = 0;
    uint32_t block_size = 0;
    uint32_t relation_segment_blocks = 0;  ///< blocks in a segment file of a relation
    uint32_t wal_block_size = 0;
    uint64_t wal_segment_size = 0;
    uint32_t data_checksum_version = 0;  ///< 0: data checksums are off
};

/// Size of the file on disk, whatever the structure in it takes (PG_CONTROL_FILE_SIZE).
constexpr size_t kControlFileBytes = 8192;

/// Error: corrupt for a wrong checksum, unsupported for a version that this program does not know.
ControlFile parse_control_file(ByteView bytes);

/// Reads `<data directory>/global/pg_control`. A running server rewrites it in place: a read that
/// fails its checksum is repeated a few times.
ControlFile read_control_file(const std::string& data_directory);

}  // namespace ark
