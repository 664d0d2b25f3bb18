#include "core/pgdata/wal_record.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"
#include "core/pgdata/server_version.hpp"

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

// Takes values off the front; once something is missing everything after it is too.
class Cursor {
 public:
    explicit Cursor(ByteView bytes) : bytes_(bytes) {}

    template <typename T>
    T take() {
        if (!skip(sizeof(T)))
            return T{};
        return load<T>(taken_, 0);
    }
    bool skip(uint64_t size) {
        if (!good_ || size > bytes_.size()) {
            good_ = false;
            return false;
        }
        taken_ = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return true;
    }
    bool good() const { return good_; }
    size_t left() const { return bytes_.size(); }

 private:
    ByteView bytes_;
    ByteView taken_;
    bool good_ = true;
};

// One XLogRecordBlockHeader behind its id; the bytes of data and image that it announces.
uint64_t take_block_header(Cursor& cursor) {
    const auto flags = cursor.take<uint8_t>();
    uint64_t announced = cursor.take<uint16_t>();
    if ((flags & 0x10) != 0) {  // BKPBLOCK_HAS_IMAGE
        announced += cursor.take<uint16_t>();
        cursor.skip(2);  // offset of the hole
        const auto image = cursor.take<uint8_t>();
        constexpr uint8_t kHasHole = 0x01;
        constexpr uint8_t kCompressed = 0x04 | 0x08 | 0x10;
        if ((image & kHasHole) != 0 && (image & kCompressed) != 0)
            cursor.skip(2);
    }
    if ((flags & 0x80) == 0)
        cursor.skip(12);  // BKPBLOCK_SAME_REL not set: a relation follows
    cursor.skip(4);       // block number
    return announced;
}

// The xid of a prepared transaction stands behind everything else that a commit or abort record may
// hold (src/include/access/xact.h, ParseCommitRecord).
std::optional<uint32_t> prepared_xid(Cursor cursor, const WalRecord& record) {
    cursor.skip(8);  // time
    const uint32_t flags =
        (record.info() & kXactHasInfo) != 0 ? cursor.take<uint32_t>() : uint32_t{0};
    const uint64_t statistics_size = record.magic > kLastMagicWithShortStatistics ? 16 : 12;
    if ((flags & (1U << 0)) != 0)
        cursor.skip(8);  // database
    if ((flags & (1U << 1)) != 0)
        cursor.skip(4ULL * cursor.take<uint32_t>());  // subxacts
    if ((flags & (1U << 2)) != 0)
        cursor.skip(12ULL * cursor.take<uint32_t>());  // relations
    if ((flags & (1U << 8)) != 0)
        cursor.skip(statistics_size * cursor.take<uint32_t>());  // statistics
    if ((flags & (1U << 3)) != 0)
        cursor.skip(16ULL * cursor.take<uint32_t>());  // invalidations
    if ((flags & (1U << 4)) == 0)
        return std::nullopt;
    const auto xid = cursor.take<uint32_t>();
    return cursor.good() ? std::optional(xid) : std::nullopt;
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
    Cursor cursor(record.bytes.subspan(kWalRecordHeader));
    uint64_t announced = 0;
    uint64_t main_bytes = 0;
    while (cursor.good() && cursor.left() > announced) {
        const auto id = cursor.take<uint8_t>();
        if (id == 255 || id == 254) {  // the main data's header is the last
            main_bytes = id == 255 ? cursor.take<uint8_t>() : cursor.take<uint32_t>();
            announced += main_bytes;
            break;
        }
        if (id == 253) {  // replication origin
            cursor.skip(2);
        } else if (id == 252) {  // top-level xid
            cursor.skip(4);
        } else if (id <= 32) {
            announced += take_block_header(cursor);
        } else {
            return std::nullopt;
        }
    }
    if (!cursor.good() || cursor.left() != announced)
        return std::nullopt;
    return record.bytes.last(main_bytes);
}

bool is_switch(const WalRecord& record) {
    return record.rmid() == kRmXlog && record.operation() == kXlogSwitch;
}

std::optional<WalTransactionEnd> decode_transaction_end(const WalRecord& record) {
    if (record.rmid() != kRmXact)
        return std::nullopt;
    const uint8_t operation = record.info() & kXactOperationMask;
    const bool prepared = operation == kXactCommitPrepared || operation == kXactAbortPrepared;
    const bool committed = operation == kXactCommit || operation == kXactCommitPrepared;
    if (!prepared && operation != kXactCommit && operation != kXactAbort)
        return std::nullopt;
    const auto data = main_data_of(record);
    if (!data || data->size() < 8)
        return std::nullopt;
    WalTransactionEnd end{record.xid(), committed, from_postgres_time(load<int64_t>(*data, 0))};
    if (prepared)
        end.xid = prepared_xid(Cursor(*data), record).value_or(end.xid);
    return end;
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
