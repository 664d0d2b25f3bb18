#include "core/pgdata/wal_record.hpp"

#include <utility>

#include "core/base/crc32c.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/pgdata/wal_cursor.hpp"
#include "core/pgdata/wal_parts.hpp"

namespace ark {

namespace {

// Resource managers (src/include/access/rmgrlist.h) and their operations that matter here.
constexpr uint8_t kRmXlog = 0;
constexpr uint8_t kXlogSwitch = 0x40;
constexpr uint8_t kXlogRestorePoint = 0x70;
constexpr uint8_t kRmXact = 1;
constexpr uint8_t kXactOperationMask = 0x70;
constexpr uint8_t kXactHasInfo = 0x80;
constexpr uint8_t kXactCommit = 0x00;
constexpr uint8_t kXactAbort = 0x20;
constexpr uint8_t kXactCommitPrepared = 0x30;
constexpr uint8_t kXactAbortPrepared = 0x40;
constexpr uint8_t kRmDatabase = 4;
constexpr uint8_t kDatabaseFileCopy = 0x00;
constexpr uint8_t kRmTablespace = 5;
constexpr uint8_t kTablespaceCreate = 0x00;

// What stands behind the time in a commit or abort record (src/include/access/xact.h,
// ParseCommitRecord), in this order, each where its flag is set. False where it is cut short.
struct TransactionParts {
    std::optional<uint32_t> prepared_xid;
    std::vector<RelationId> dropped;
};
bool parse_transaction(WalCursor cursor, const WalRecord& record, TransactionParts& out) {
    cursor.skip(8);  // time
    const uint32_t flags =
        (record.info() & kXactHasInfo) != 0 ? cursor.take<uint32_t>() : uint32_t{0};
    const uint64_t statistics_size = record.magic > kLastMagicWithShortStatistics ? 16 : 12;
    if ((flags & (1U << 0)) != 0)
        cursor.skip(8);  // database
    if ((flags & (1U << 1)) != 0)
        cursor.skip(4ULL * cursor.take<uint32_t>());  // subxacts
    if ((flags & (1U << 2)) != 0) {
        const auto relations = cursor.take<uint32_t>();
        for (uint32_t i = 0; i < relations && cursor.good(); ++i) {
            RelationId relation;
            relation.tablespace = cursor.take<uint32_t>();
            relation.database = cursor.take<uint32_t>();
            relation.filenode = cursor.take<uint32_t>();
            out.dropped.push_back(relation);
        }
    }
    if ((flags & (1U << 8)) != 0)
        cursor.skip(statistics_size * cursor.take<uint32_t>());  // statistics
    if ((flags & (1U << 3)) != 0)
        cursor.skip(16ULL * cursor.take<uint32_t>());  // invalidations
    if ((flags & (1U << 4)) != 0)
        out.prepared_xid = cursor.take<uint32_t>();
    return cursor.good();
}

// Commit or abort, of a prepared transaction too.
bool ends_transaction(const WalRecord& record) {
    if (record.rmid() != kRmXact)
        return false;
    const uint8_t operation = record.info() & kXactOperationMask;
    return operation == kXactCommit || operation == kXactAbort ||
           operation == kXactCommitPrepared || operation == kXactAbortPrepared;
}

std::string text_up_to_nul(ByteView bytes) {
    const std::string_view text = as_text(bytes);
    return std::string(text.substr(0, text.find('\0')));
}

}  // namespace

uint32_t wal_record_crc(ByteView record) {
    // xlog's order: the data first, then the header up to the checksum itself.
    return crc32c(crc32c(0, record.subspan(kWalRecordHeader)), record.first(20));
}

std::optional<ByteView> main_data_of(const WalRecord& record) {
    WalParts parts;
    if (!parts.split(record))
        return std::nullopt;
    return parts.main_data();
}

bool is_switch(const WalRecord& record) {
    return record.rmid() == kRmXlog && record.operation() == kXlogSwitch;
}

std::optional<WalTransactionEnd> decode_transaction_end(const WalRecord& record) {
    if (!ends_transaction(record))
        return std::nullopt;
    const uint8_t operation = record.info() & kXactOperationMask;
    const bool prepared = operation == kXactCommitPrepared || operation == kXactAbortPrepared;
    const bool committed = operation == kXactCommit || operation == kXactCommitPrepared;
    const auto data = main_data_of(record);
    if (!data || data->size() < 8)
        return std::nullopt;
    WalTransactionEnd end{record.xid(), committed, from_postgres_time(load<int64_t>(*data, 0))};
    TransactionParts parts;
    if (prepared && parse_transaction(WalCursor(*data), record, parts))
        end.xid = parts.prepared_xid.value_or(end.xid);
    return end;
}

std::optional<std::vector<RelationId>> decode_dropped_relations(const WalRecord& record) {
    if (!ends_transaction(record) || (record.info() & kXactHasInfo) == 0)
        return std::vector<RelationId>();
    const auto data = main_data_of(record);
    TransactionParts parts;
    if (!data || !parse_transaction(WalCursor(*data), record, parts))
        return std::nullopt;
    return std::move(parts.dropped);
}

std::optional<WalRestorePoint> decode_restore_point(const WalRecord& record) {
    if (record.rmid() != kRmXlog || record.operation() != kXlogRestorePoint)
        return std::nullopt;
    const auto data = main_data_of(record);
    if (!data || data->size() < 8)
        return std::nullopt;
    return WalRestorePoint{text_up_to_nul(data->subspan(8)),
                           from_postgres_time(load<int64_t>(*data, 0))};
}

std::optional<WalTablespaceCreate> decode_tablespace_create(const WalRecord& record) {
    if (record.rmid() != kRmTablespace || record.operation() != kTablespaceCreate) {
        return std::nullopt;
    }
    const auto data = main_data_of(record);
    if (!data || data->size() < 4)
        return std::nullopt;
    return WalTablespaceCreate{load<uint32_t>(*data, 0), text_up_to_nul(data->subspan(4))};
}

// xl_dbase_create_file_copy_rec in src/include/commands/dbcommands_xlog.h, from 15 on.
std::optional<WalDatabaseCopy> decode_database_copy(const WalRecord& record) {
    if (record.rmid() != kRmDatabase || record.operation() != kDatabaseFileCopy)
        return std::nullopt;
    const auto data = main_data_of(record);
    if (!data || data->size() < 16)
        return std::nullopt;
    return WalDatabaseCopy{load<uint32_t>(*data, 0), load<uint32_t>(*data, 4),
                           load<uint32_t>(*data, 8), load<uint32_t>(*data, 12)};
}

}  // namespace ark
