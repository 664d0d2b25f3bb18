// Compiled, never run, with the headers of each PostgreSQL that is built for: what the engine knows
// of the files (src/core/pgdata) is what that version's own headers say.
#include <cstddef>

#include "core/pgdata/server_version.hpp"
#include "server/pg_version.hpp"

extern "C" {
#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "commands/dbcommands_xlog.h"
#include "commands/tablespace.h"
}

namespace {

constexpr size_t place_of_checksum() {
    for (const ark::ControlLayout& known : ark::kControlLayouts) {
        if (known.version == PG_CONTROL_VERSION)
            return known.checksum;
    }
    return 0;  // a new PG_CONTROL_VERSION
}
static_assert(place_of_checksum() == offsetof(ControlFileData, crc));

static_assert(ark::kControlVersion == offsetof(ControlFileData, pg_control_version));
static_assert(ark::kControlCatalogVersion == offsetof(ControlFileData, catalog_version_no));
static_assert(ark::kControlState == offsetof(ControlFileData, state));
static_assert(ark::kControlCheckpoint == offsetof(ControlFileData, checkPoint));
static_assert(ark::kControlRedo == offsetof(ControlFileData, checkPointCopy.redo));
static_assert(ark::kControlCheckpointTimeline ==
              offsetof(ControlFileData, checkPointCopy.ThisTimeLineID));
static_assert(ark::kControlMaxConnections == offsetof(ControlFileData, MaxConnections));
static_assert(ark::kControlMaxPreparedTransactions ==
              offsetof(ControlFileData, max_prepared_xacts));
static_assert(ark::kControlMaxLocksPerTransaction == offsetof(ControlFileData, max_locks_per_xact));
static_assert(ark::kControlBlockSize == offsetof(ControlFileData, blcksz));
static_assert(ark::kControlRelationSegment == offsetof(ControlFileData, relseg_size));
static_assert(ark::kControlWalBlockSize == offsetof(ControlFileData, xlog_blcksz));
static_assert(ark::kControlWalSegmentSize == offsetof(ControlFileData, xlog_seg_size));
static_assert(ark::kControlDataChecksums == offsetof(ControlFileData, data_checksum_version));

// WAL pages (wal_page.hpp) and records (wal_record.cpp).
static_assert(SizeOfXLogShortPHD == 24 && SizeOfXLogLongPHD == 40);
static_assert(XLP_FIRST_IS_CONTRECORD == 1 && XLP_LONG_HEADER == 2);
static_assert(XLP_FIRST_IS_OVERWRITE_CONTRECORD == 8);
static_assert(SizeOfXLogRecord == 24 && SizeOfXLogRecordDataHeaderShort == 2);
static_assert(RM_XLOG_ID == 0 && RM_XACT_ID == 1 && RM_DBASE_ID == 4 && RM_TBLSPC_ID == 5);
static_assert(XLOG_SWITCH == 0x40 && XLOG_RESTORE_POINT == 0x70);
static_assert(XLOG_XACT_COMMIT == 0x00 && XLOG_XACT_ABORT == 0x20);
static_assert(XLOG_XACT_COMMIT_PREPARED == 0x30 && XLOG_XACT_ABORT_PREPARED == 0x40);
static_assert(XLOG_DBASE_CREATE_FILE_COPY == 0x00 && XLOG_TBLSPC_CREATE == 0x00);
static_assert(sizeof(xl_xact_stats_item) ==
              (XLOG_PAGE_MAGIC > ark::kLastMagicWithShortStatistics ? 16 : 12));

}  // namespace
