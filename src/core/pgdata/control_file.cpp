#include "core/pgdata/control_file.hpp"

#include <unistd.h>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace ark {

namespace {

// Offsets in ControlFileData; the same in PG_CONTROL_VERSION 1300 (PostgreSQL 13 to 17) and 1800
// (18): what those versions added stands behind data_checksum_version.
constexpr size_t kVersion = 8;
constexpr size_t kCatalogVersion = 12;
constexpr size_t kState = 16;
constexpr size_t kCheckpoint = 32;
constexpr size_t kRedo = 40;
constexpr size_t kCheckpointTimeline = 48;
constexpr size_t kMaxConnections = 180;
constexpr size_t kMaxPreparedTransactions = 192;
constexpr size_t kMaxLocksPerTransaction = 196;
constexpr size_t kBlockSize = 216;
constexpr size_t kRelationSegment = 220;
constexpr size_t kWalBlockSize = 224;
constexpr size_t kWalSegmentSize = 228;
constexpr size_t kDataChecksums = 252;

constexpr uint32_t kOldestVersion = 1300;
constexpr uint32_t kNewestVersion = 1900;

// The checksum is the structure's last field, and its place is what differs between versions: it is
// where the checksum of all bytes before it stands.
bool checksum_matches(ByteView bytes) {
    constexpr size_t kFirst = 256;
    constexpr size_t kLast = 508;
    for (size_t at = kFirst; at <= kLast; at += 4) {
        if (crc32c(0, bytes.first(at)) == load<uint32_t>(bytes, at))
            return true;
    }
    return false;
}

}  // namespace

ControlFile parse_control_file(ByteView bytes) {
    if (bytes.size() < 512) {
        throw Error(ErrorCode::corrupt, "pg_control is too short",
                    "It has " + std::to_string(bytes.size()) + " bytes.");
    }
    const auto version = load<uint32_t>(bytes, kVersion);
    if (!checksum_matches(bytes)) {
        throw Error(ErrorCode::corrupt, "pg_control does not match its checksum");
    }
    if (version < kOldestVersion || version > kNewestVersion) {
        throw Error(ErrorCode::unsupported,
                    "pg_control has version " + std::to_string(version) +
                        ", which this program does not know",
                    {}, "pg_ark supports PostgreSQL 15 and newer.");
    }
    ControlFile out;
    out.system_identifier = load<uint64_t>(bytes, 0);
    out.control_version = version;
    out.catalog_version = load<uint32_t>(bytes, kCatalogVersion);
    out.state = static_cast<ClusterState>(load<uint32_t>(bytes, kState));
    out.checkpoint = load<uint64_t>(bytes, kCheckpoint);
    out.redo = load<uint64_t>(bytes, kRedo);
    out.timeline = load<uint32_t>(bytes, kCheckpointTimeline);
    out.max_connections = load<uint32_t>(bytes, kMaxConnections);
    out.max_prepared_transactions = load<uint32_t>(bytes, kMaxPreparedTransactions);
    out.max_locks_per_transaction = load<uint32_t>(bytes, kMaxLocksPerTransaction);
    out.block_size = load<uint32_t>(bytes, kBlockSize);
    out.relation_segment_blocks = load<uint32_t>(bytes, kRelationSegment);
    out.wal_block_size = load<uint32_t>(bytes, kWalBlockSize);
    out.wal_segment_size = load<uint32_t>(bytes, kWalSegmentSize);
    out.data_checksum_version = load<uint32_t>(bytes, kDataChecksums);
    if (!is_valid_segment_size(out.wal_segment_size)) {
        throw Error(ErrorCode::corrupt, "pg_control gives an invalid WAL segment size");
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
