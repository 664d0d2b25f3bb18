#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ark {

// Everything in which PostgreSQL 15 to 18 differ for the engine: on disk, in settings, in what the
// server's extensions can do. test/versions/layout.cpp compares the places with each version's own
// headers; 16's are from the sources.

/// 170004 (PG_VERSION_NUM) is of 17.
constexpr uint32_t major_of(uint32_t version_number) {
    return version_number / 10000;
}

// The first major version with…
constexpr uint32_t kFirstWithSequenceCheck = 16;       ///< verify_heapam() of a sequence
constexpr uint32_t kFirstWithWalSummaries = 17;        ///< pg_wal/summaries
constexpr uint32_t kFirstWithManifestVersion2 = 17;    ///< System-Identifier in backup_manifest
constexpr uint32_t kFirstWithSlotSync = 17;            ///< sync_replication_slots
constexpr uint32_t kFirstWithEventTriggerSwitch = 17;  ///< event_triggers
constexpr uint32_t kFirstWithTransactionTimeout = 17;  ///< transaction_timeout
constexpr uint32_t kFirstWithUniqueCheck = 17;         ///< bt_index_parent_check(checkunique)
constexpr uint32_t kFirstWithGinCheck = 18;            ///< gin_index_check()
constexpr uint32_t kFirstWithOriginSetting = 18;       ///< max_active_replication_origins
constexpr uint32_t kFirstWithIoMethod = 18;            ///< io_method

/// XLOG_PAGE_MAGIC of every major version whose records are known.
constexpr uint16_t kWalMagic15 = 0xD110;
constexpr uint16_t kWalMagic16 = 0xD113;
constexpr uint16_t kWalMagic17 = 0xD116;
constexpr uint16_t kWalMagic18 = 0xD118;
constexpr bool is_known_wal_magic(uint16_t magic) {
    return magic == kWalMagic15 || magic == kWalMagic16 || magic == kWalMagic17 ||
           magic == kWalMagic18;
}

/// From here on redo points, checkpoints and ends of recovery say what wal_level was.
constexpr uint16_t kFirstMagicWithWalLevel = kWalMagic17;

/// The last XLOG_PAGE_MAGIC of WAL in which an entry of dropped statistics in a commit or abort
/// record has 12 bytes: 17's. In 18 it has 16.
constexpr uint16_t kLastMagicWithShortStatistics = kWalMagic17;

/// A pg_control: where its fields lie is the same from 15 to 18 but for the checksum, which is the
/// last of them.
struct ControlLayout {
    uint32_t version;  ///< PG_CONTROL_VERSION
    size_t checksum;   ///< where the checksum of all bytes before it stands
};
constexpr std::array<ControlLayout, 3> kControlLayouts{{
    {1300, 288},  // 15, 16
    {1700, 288},  // 17
    {1800, 292},  // 18
}};

// Offsets in ControlFileData.
constexpr size_t kControlVersion = 8;
constexpr size_t kControlCatalogVersion = 12;
constexpr size_t kControlState = 16;
constexpr size_t kControlCheckpoint = 32;
constexpr size_t kControlRedo = 40;
constexpr size_t kControlCheckpointTimeline = 48;
constexpr size_t kControlNextXid = 64;  // of 64 bits, of which the lower 32 are in rows
constexpr size_t kControlOldestXid = 84;
constexpr size_t kControlMinRecoveryPoint = 136;
constexpr size_t kControlMinRecoveryTimeline = 144;
constexpr size_t kControlMaxConnections = 180;
constexpr size_t kControlMaxPreparedTransactions = 192;
constexpr size_t kControlMaxLocksPerTransaction = 196;
constexpr size_t kControlBlockSize = 216;
constexpr size_t kControlRelationSegment = 220;
constexpr size_t kControlWalBlockSize = 224;
constexpr size_t kControlWalSegmentSize = 228;
constexpr size_t kControlDataChecksums = 252;

}  // namespace ark
