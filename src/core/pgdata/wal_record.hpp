#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/clock.hpp"
#include "core/pgdata/relation_name.hpp"
#include "core/pgdata/wal_name.hpp"

namespace ark {

/// A WAL record (src/include/access/xlogrecord.h). The bytes are valid until the reader that gave
/// it moves on.
struct WalRecord {
    Lsn lsn = 0;
    Lsn end = 0;  ///< where the next record may begin; after a switch: the end of its segment
    TimelineId timeline = 0;  ///< of the page where it begins
    uint16_t magic = 0;       ///< of that page: tells major versions apart
    ByteView bytes;           ///< header included, at least kWalRecordHeader

    uint32_t xid() const { return load<uint32_t>(bytes, 4); }
    Lsn previous() const { return load<uint64_t>(bytes, 8); }
    uint8_t info() const { return load<uint8_t>(bytes, 16); }
    uint8_t rmid() const { return load<uint8_t>(bytes, 17); }
    uint32_t crc() const { return load<uint32_t>(bytes, 20); }
    /// The part of `info` that the resource manager gives a meaning to.
    uint8_t operation() const { return info() & 0xF0; }
};
constexpr size_t kWalRecordHeader = 24;

/// CRC-32C over the record, as its header should have it.
uint32_t wal_record_crc(ByteView record);

/// What the resource manager logged apart from block data. nullopt where the headers inside the
/// record don't add up.
std::optional<ByteView> main_data_of(const WalRecord& record);

/// pg_switch_wal(), or the end of a backup or of the server: nothing follows in this segment.
bool is_switch(const WalRecord& record);

/// A commit or abort, of a prepared transaction too. The functions below give nullopt for any other
/// record than theirs.
struct WalTransactionEnd {
    uint32_t xid = 0;
    bool committed = false;
    UnixMicros time = 0;

    bool operator==(const WalTransactionEnd&) const = default;
};
std::optional<WalTransactionEnd> decode_transaction_end(const WalRecord& record);

/// The relations whose files go with the end of this transaction: those that a commit dropped, or
/// gave new files, and those that an abort had made. None in any other record; nullopt where one
/// of these cannot be read.
std::optional<std::vector<RelationId>> decode_dropped_relations(const WalRecord& record);

struct WalRestorePoint {
    std::string name;
    UnixMicros time = 0;

    bool operator==(const WalRestorePoint&) const = default;
};
std::optional<WalRestorePoint> decode_restore_point(const WalRecord& record);

/// CREATE TABLESPACE. An in-place tablespace has an empty location.
struct WalTablespaceCreate {
    uint32_t oid = 0;
    std::string location;

    bool operator==(const WalTablespaceCreate&) const = default;
};
std::optional<WalTablespaceCreate> decode_tablespace_create(const WalRecord& record);

/// A copy of a database's files, which replay makes again: CREATE DATABASE … STRATEGY file_copy,
/// ALTER DATABASE … SET TABLESPACE.
struct WalDatabaseCopy {
    uint32_t database = 0;
    uint32_t tablespace = 0;
    uint32_t source_database = 0;
    uint32_t source_tablespace = 0;

    bool operator==(const WalDatabaseCopy&) const = default;
};
std::optional<WalDatabaseCopy> decode_database_copy(const WalRecord& record);

}  // namespace ark
