#include "core/pgdata/control_file.hpp"

#include <unistd.h>

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/pgdata/server_version.hpp"

namespace ark {

namespace {

bool checksum_at(ByteView bytes, size_t at) {
    return crc32c(0, bytes.first(at)) == load<uint32_t>(bytes, at);
}

// Whether it is whole, of a version whose checksum we don't know the place of: it is the last
// field, so it stands where the checksum of all bytes before it stands.
bool checksum_somewhere(ByteView bytes) {
    constexpr size_t kFirst = 256;
    constexpr size_t kLast = 508;
    for (size_t at = kFirst; at <= kLast; at += 4) {
        if (checksum_at(bytes, at))
            return true;
    }
    return false;
}

void check_version_and_checksum(ByteView bytes) {
    const auto version = load<uint32_t>(bytes, kControlVersion);
    const auto* const layout = std::ranges::find(kControlLayouts, version, &ControlLayout::version);
    const bool known = layout != kControlLayouts.end();
    if (known ? checksum_at(bytes, layout->checksum) : checksum_somewhere(bytes)) {
        if (known)
            return;
        throw Error(ErrorCode::unsupported,
                    "pg_control has version " + std::to_string(version) +
                        ", which this program does not know",
                    {}, "This version of pg_ark supports PostgreSQL 15 to 18.");
    }
    throw Error(ErrorCode::corrupt, "pg_control does not match its checksum");
}

}  // namespace

ControlFile parse_control_file(ByteView bytes) {
    if (bytes.size() < 512) {
        throw Error(ErrorCode::corrupt, "pg_control is too short",
                    "It has " + std::to_string(bytes.size()) + " bytes.");
    }
    check_version_and_checksum(bytes);
    ControlFile out;
    out.system_identifier = load<uint64_t>(bytes, 0);
    out.control_version = load<uint32_t>(bytes, kControlVersion);
    out.catalog_version = load<uint32_t>(bytes, kControlCatalogVersion);
    out.state = static_cast<ClusterState>(load<uint32_t>(bytes, kControlState));
    out.checkpoint = load<uint64_t>(bytes, kControlCheckpoint);
    out.redo = load<uint64_t>(bytes, kControlRedo);
    out.timeline = load<uint32_t>(bytes, kControlCheckpointTimeline);
    out.next_xid = load<uint32_t>(bytes, kControlNextXid);
    out.oldest_xid = load<uint32_t>(bytes, kControlOldestXid);
    out.min_recovery_point = load<uint64_t>(bytes, kControlMinRecoveryPoint);
    out.min_recovery_timeline = load<uint32_t>(bytes, kControlMinRecoveryTimeline);
    out.max_connections = load<uint32_t>(bytes, kControlMaxConnections);
    out.max_prepared_transactions = load<uint32_t>(bytes, kControlMaxPreparedTransactions);
    out.max_locks_per_transaction = load<uint32_t>(bytes, kControlMaxLocksPerTransaction);
    out.block_size = load<uint32_t>(bytes, kControlBlockSize);
    out.relation_segment_blocks = load<uint32_t>(bytes, kControlRelationSegment);
    out.wal_block_size = load<uint32_t>(bytes, kControlWalBlockSize);
    out.wal_segment_size = load<uint32_t>(bytes, kControlWalSegmentSize);
    out.data_checksum_version = load<uint32_t>(bytes, kControlDataChecksums);
    if (!is_valid_segment_size(out.wal_segment_size)) {
        throw Error(ErrorCode::corrupt, "pg_control gives an invalid WAL segment size");
    }
    if (out.block_size == 0 || out.relation_segment_blocks == 0) {
        throw Error(ErrorCode::corrupt, "pg_control gives an invalid size of blocks or files");
    }
    return out;
}

ControlFile read_control_file(const std::string& data_directory) {
    constexpr int kTries = 5;
    const std::string path = data_directory + "/global/pg_control";
    for (int attempt = 1;; ++attempt) {
        try {
            return parse_control_file(read_file(path, kControlFileBytes));
        } catch (const Error& error) {
            if (error.code != ErrorCode::corrupt || attempt == kTries)
                throw;
            usleep(10000);
        }
    }
}

}  // namespace ark
