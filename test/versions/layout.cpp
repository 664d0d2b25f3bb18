// Compiled, never run, with the headers of each PostgreSQL that is built for: what the engine knows
// of the files (src/core/pgdata) is what that version's own headers say.
#include <cstddef>

#include "core/pgdata/heap_page.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/server_version.hpp"
#include "server/pg_version.hpp"

extern "C" {
#include "access/clog.h"
#include "access/htup_details.h"
#include "access/rmgr.h"
#include "access/visibilitymapdefs.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "catalog/storage_xlog.h"
#include "commands/dbcommands_xlog.h"
#include "commands/tablespace.h"
#include "common/relpath.h"
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
static_assert(ark::kControlNextXid == offsetof(ControlFileData, checkPointCopy.nextXid));
static_assert(ark::kControlOldestXid == offsetof(ControlFileData, checkPointCopy.oldestXid));
static_assert(ark::kControlMaxConnections == offsetof(ControlFileData, MaxConnections));
static_assert(ark::kControlMaxPreparedTransactions ==
              offsetof(ControlFileData, max_prepared_xacts));
static_assert(ark::kControlMaxLocksPerTransaction == offsetof(ControlFileData, max_locks_per_xact));
static_assert(ark::kControlBlockSize == offsetof(ControlFileData, blcksz));
static_assert(ark::kControlRelationSegment == offsetof(ControlFileData, relseg_size));
static_assert(ark::kControlWalBlockSize == offsetof(ControlFileData, xlog_blcksz));
static_assert(ark::kControlWalSegmentSize == offsetof(ControlFileData, xlog_seg_size));
static_assert(ark::kControlDataChecksums == offsetof(ControlFileData, data_checksum_version));

// Rows on pages of tables (heap_page.cpp), and the commit log (commit_log.cpp).
static_assert(offsetof(PageHeaderData, pd_flags) == 10 && PD_ALL_VISIBLE == 0x0004 &&
              PD_VALID_FLAG_BITS == 0x0007);
static_assert(offsetof(PageHeaderData, pd_lower) == 12 && offsetof(PageHeaderData, pd_upper) == 14);
static_assert(offsetof(PageHeaderData, pd_special) == 16 && SizeOfPageHeaderData == 24);
static_assert(sizeof(ItemIdData) == 4 && LP_NORMAL == 1 && LP_DEAD == 3);
static_assert(offsetof(HeapTupleHeaderData, t_infomask2) == 18 && HEAP_NATTS_MASK == 0x07FF);
static_assert(offsetof(HeapTupleHeaderData, t_choice.t_heap.t_field3) == 8);
static_assert(offsetof(HeapTupleHeaderData, t_bits) == 23 && HEAP_HASNULL == 0x0001);
static_assert(MaxHeapAttributeNumber == ark::ColumnNulls::kMostColumns);
static_assert(BITS_PER_HEAPBLOCK == 2 && VISIBILITYMAP_ALL_VISIBLE == 1 &&
              VISIBILITYMAP_ALL_FROZEN == 2);
static_assert(SizeofHeapTupleHeader == 23 && offsetof(HeapTupleFields, t_xmin) == 0);
static_assert(offsetof(HeapTupleFields, t_xmax) == 4);
static_assert(offsetof(HeapTupleHeaderData, t_infomask) == 20);
static_assert(HEAP_XMAX_EXCL_LOCK == 0x0040 && HEAP_XMAX_KEYSHR_LOCK == 0x0010);
static_assert(HEAP_XMAX_LOCK_ONLY == 0x0080 && HEAP_XMAX_IS_MULTI == 0x1000);
static_assert(HEAP_XMIN_COMMITTED == 0x0100 && HEAP_XMIN_INVALID == 0x0200);
static_assert(HEAP_XMAX_COMMITTED == 0x0400 && HEAP_XMAX_INVALID == 0x0800);
static_assert(HEAP_MOVED == 0xC000 && FirstNormalTransactionId == 3);
static_assert(TRANSACTION_STATUS_COMMITTED == 1 && TRANSACTION_STATUS_ABORTED == 2);

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

// What changes files (wal_parts.cpp, wal_changes.cpp).
static_assert(ark::is_known_wal_magic(XLOG_PAGE_MAGIC));
static_assert(XLR_MAX_BLOCK_ID == 32 && XLR_BLOCK_ID_DATA_SHORT == 255 &&
              XLR_BLOCK_ID_DATA_LONG == 254 && XLR_BLOCK_ID_ORIGIN == 253 &&
              XLR_BLOCK_ID_TOPLEVEL_XID == 252);
static_assert(BKPBLOCK_FORK_MASK == 0x0F && BKPBLOCK_HAS_IMAGE == 0x10 &&
              BKPBLOCK_HAS_DATA == 0x20 && BKPBLOCK_SAME_REL == 0x80);
static_assert(BKPIMAGE_HAS_HOLE == 1 &&
              (BKPIMAGE_COMPRESS_PGLZ | BKPIMAGE_COMPRESS_LZ4 | BKPIMAGE_COMPRESS_ZSTD) == 0x1C);
static_assert(SizeOfXLogRecordBlockHeader == 4 && SizeOfXLogRecordBlockImageHeader == 5 &&
              SizeOfXLogRecordBlockCompressHeader == 2);
static_assert(MAIN_FORKNUM == static_cast<int>(ark::Fork::main) &&
              FSM_FORKNUM == static_cast<int>(ark::Fork::fsm) &&
              VISIBILITYMAP_FORKNUM == static_cast<int>(ark::Fork::vm) &&
              INIT_FORKNUM == static_cast<int>(ark::Fork::init) && MAX_FORKNUM + 1 == ark::kForks);
static_assert(RM_SMGR_ID == 2 && XLOG_SMGR_CREATE == 0x10 && XLOG_SMGR_TRUNCATE == 0x20);
static_assert(offsetof(xl_smgr_create, forkNum) == 12 && offsetof(xl_smgr_truncate, flags) == 16);
static_assert(SMGR_TRUNCATE_HEAP == 1 && SMGR_TRUNCATE_VM == 2 && SMGR_TRUNCATE_FSM == 4);
static_assert(XLOG_DBASE_CREATE_WAL_LOG == 0x10 && XLOG_DBASE_DROP == 0x20);
static_assert(offsetof(xl_dbase_create_file_copy_rec, tablespace_id) == 4 &&
              offsetof(xl_dbase_create_wal_log_rec, tablespace_id) == 4 &&
              offsetof(xl_dbase_drop_rec, ntablespaces) == 4 &&
              offsetof(xl_dbase_drop_rec, tablespace_ids) == 8);
static_assert(XLOG_XACT_OPMASK == 0x70 && XLOG_XACT_HAS_INFO == 0x80);
static_assert(XACT_XINFO_HAS_DBINFO == 1U << 0 && XACT_XINFO_HAS_SUBXACTS == 1U << 1 &&
              XACT_XINFO_HAS_INVALS == 1U << 3 && XACT_XINFO_HAS_TWOPHASE == 1U << 4 &&
              XACT_XINFO_HAS_DROPPED_STATS == 1U << 8);
static_assert(XLOG_CHECKPOINT_SHUTDOWN == 0x00 && XLOG_BACKUP_END == 0x50 &&
              XLOG_PARAMETER_CHANGE == 0x60 && XLOG_END_OF_RECOVERY == 0x90);
static_assert(WAL_LEVEL_MINIMAL == 0 && offsetof(xl_parameter_change, wal_level) == 20);

// 0 where the record does not say wal_level.
template <typename Record>
constexpr size_t place_of_wal_level() {
    if constexpr (requires(Record record) { record.wal_level; })
        return offsetof(Record, wal_level);
    return 0;
}
constexpr bool kSaysWalLevel = XLOG_PAGE_MAGIC >= ark::kFirstMagicWithWalLevel;
static_assert(place_of_wal_level<CheckPoint>() == (kSaysWalLevel ? 20 : 0));
static_assert(place_of_wal_level<xl_end_of_recovery>() == (kSaysWalLevel ? 16 : 0));
#ifdef XLOG_CHECKPOINT_REDO
static_assert(XLOG_CHECKPOINT_REDO == 0xE0 && kSaysWalLevel);
#else
static_assert(!kSaysWalLevel);
#endif

}  // namespace
