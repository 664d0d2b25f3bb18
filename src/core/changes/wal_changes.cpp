#include "core/changes/wal_changes.hpp"

#include "core/base/error.hpp"
#include "core/pgdata/server_version.hpp"
#include "core/pgdata/wal_cursor.hpp"

namespace ark {

namespace {

// src/include/access/rmgrlist.h, and each one's own operations.
constexpr uint8_t kRmXlog = 0;
constexpr uint8_t kCheckpointShutdown = 0x00;
constexpr uint8_t kBackupEnd = 0x50;
constexpr uint8_t kParameterChange = 0x60;
constexpr uint8_t kEndOfRecovery = 0x90;
constexpr uint8_t kCheckpointRedo = 0xE0;
constexpr uint8_t kRmTransaction = 1;
constexpr uint8_t kRmStorage = 2;
constexpr uint8_t kStorageCreate = 0x10;
constexpr uint8_t kStorageTruncate = 0x20;
constexpr uint8_t kRmDatabase = 4;
constexpr uint8_t kDatabaseFileCopy = 0x00;
constexpr uint8_t kDatabaseWalLog = 0x10;
constexpr uint8_t kDatabaseDrop = 0x20;

constexpr uint32_t kTruncateMain = 1;  // SMGR_TRUNCATE_HEAP
constexpr uint32_t kTruncateVm = 2;
constexpr uint32_t kTruncateFsm = 4;
constexpr uint32_t kNoBlock = 0xFFFFFFFF;  // InvalidBlockNumber
constexpr uint32_t kWalLevelMinimal = 0;

RelationId take_relation(WalCursor& cursor) {
    RelationId relation;
    relation.tablespace = cursor.take<uint32_t>();
    relation.database = cursor.take<uint32_t>();
    relation.filenode = cursor.take<uint32_t>();
    return relation;
}

// Where the record's main data has wal_level, if it does.
std::optional<size_t> place_of_wal_level(const WalRecord& record) {
    const uint8_t operation = record.operation();
    if (operation == kParameterChange)
        return 20;  // xl_parameter_change
    if (record.magic < kFirstMagicWithWalLevel)
        return std::nullopt;
    if (operation == kCheckpointShutdown)
        return 20;  // CheckPoint. That of an online checkpoint is not filled in
    if (operation == kEndOfRecovery)
        return 16;  // xl_end_of_recovery
    return operation == kCheckpointRedo ? std::optional<size_t>(0) : std::nullopt;
}

}  // namespace

void RecordChanges::decode(const WalRecord& record) {
    databases_.clear();
    limits_.clear();
    minimal_ = false;
    ended_backup_.reset();
    if (!is_known_wal_magic(record.magic)) {
        throw Error(ErrorCode::unsupported, "changes cannot be read from WAL of this version",
                    "The record at " + to_text(record.lsn) + " lies on a page with the magic " +
                        hex8(record.magic) + ".",
                    "Use a newer pg_ark.");
    }
    bool good = parts_.split(record);
    if (good && record.rmid() == kRmStorage) {
        good = decode_storage(record);
    } else if (good && record.rmid() == kRmTransaction) {
        good = decode_transaction(record);
    } else if (good && record.rmid() == kRmDatabase) {
        good = decode_database(record);
    } else if (good && record.rmid() == kRmXlog) {
        good = decode_xlog(record);
    }
    if (!good) {
        throw Error(ErrorCode::corrupt,
                    "changes cannot be read from the WAL record at " + to_text(record.lsn),
                    "It matches its checksum, but its content (resource manager " +
                        std::to_string(record.rmid()) + ", info " + std::to_string(record.info()) +
                        ") does not add up.");
    }
}

// src/include/catalog/storage_xlog.h
bool RecordChanges::decode_storage(const WalRecord& record) {
    WalCursor cursor(parts_.main_data());
    if (record.operation() == kStorageCreate) {
        const RelationId relation = take_relation(cursor);
        const auto fork = cursor.take<uint32_t>();
        if (!cursor.good() || fork >= kForks)
            return false;
        limits_.push_back({relation, static_cast<Fork>(fork), 0});
        return true;
    }
    if (record.operation() != kStorageTruncate)
        return false;
    const auto blocks = cursor.take<uint32_t>();
    const RelationId relation = take_relation(cursor);
    const auto flags = cursor.take<uint32_t>();
    if (!cursor.good() || blocks == kNoBlock)
        return false;
    if ((flags & kTruncateMain) != 0)
        limits_.push_back({relation, Fork::main, blocks});
    // `blocks` counts blocks of the main fork: their own ends lie before.
    if ((flags & kTruncateFsm) != 0)
        limits_.push_back({relation, Fork::fsm, 0});
    if ((flags & kTruncateVm) != 0)
        limits_.push_back({relation, Fork::vm, 0});
    return true;
}

bool RecordChanges::decode_transaction(const WalRecord& record) {
    const auto dropped = decode_dropped_relations(record);
    if (!dropped)
        return false;
    for (const RelationId& relation : *dropped) {
        for (uint32_t fork = 0; fork < kForks; ++fork)
            limits_.push_back({relation, static_cast<Fork>(fork), 0});
    }
    return true;
}

// src/include/commands/dbcommands_xlog.h
bool RecordChanges::decode_database(const WalRecord& record) {
    WalCursor cursor(parts_.main_data());
    const auto database = cursor.take<uint32_t>();
    uint32_t tablespaces = 1;
    if (record.operation() == kDatabaseDrop) {
        tablespaces = cursor.take<uint32_t>();
    } else if (record.operation() != kDatabaseFileCopy && record.operation() != kDatabaseWalLog) {
        return false;
    }
    for (uint32_t i = 0; i < tablespaces && cursor.good(); ++i)
        databases_.push_back({cursor.take<uint32_t>(), database});
    return cursor.good();
}

bool RecordChanges::decode_xlog(const WalRecord& record) {
    WalCursor cursor(parts_.main_data());
    if (record.operation() == kBackupEnd) {
        ended_backup_ = cursor.take<uint64_t>();
        return cursor.good();
    }
    const auto place = place_of_wal_level(record);
    if (!place)
        return true;
    cursor.skip(*place);
    minimal_ = cursor.take<uint32_t>() == kWalLevelMinimal;
    return cursor.good();
}

void RecordChanges::add_to(ChangeTable& table) const {
    for (const DatabaseId& database : databases_)
        table.add_database(database);
    for (const ForkLimit& limit : limits_) {
        if (limit.fork == Fork::main)
            table.set_limit(limit.relation, limit.blocks);
    }
    for (const WalBlock& block : parts_.blocks()) {
        if (block.fork == Fork::main)
            table.add_block(block.relation, block.block);
    }
}

}  // namespace ark
