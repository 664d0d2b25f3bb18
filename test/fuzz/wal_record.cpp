#include "core/pgdata/wal_record.hpp"

#include "core/pgdata/wal_reader.hpp"
#include "test/fuzz/target.hpp"
#include "test/unit/wal_builder.hpp"

namespace ark::fuzz {
namespace {

using test::WalBuilder;

// Each record of some WAL.
std::vector<Bytes> seeds() {
    WalBuilder wal;
    wal.add_commit(700, 1);
    wal.add_abort(701, 2);
    wal.add_restore_point("before", 3);
    wal.add_tablespace(16400, "/mnt/a");
    wal.add(1, 0x30 | 0x80, 0,
            std::string_view("\1\0\0\0\0\0\0\0\x10\0\0\0\xBD\2\0\0", 16));  // of a prepared one
    wal.add(4, 0x00, 702, std::string_view("\5\0\0\0\x7F\6\0\0\1\0\0\0\x7F\6\0\0", 16));
    wal.add_of_size(500);
    const Bytes segment = wal.segment(1);
    WalReader reader(WalBuilder::kSegmentSize, [&](uint64_t) { return ByteView(segment); });
    reader.seek(WalBuilder::kSegmentSize);
    std::vector<Bytes> out;
    while (const auto record = reader.next())
        out.emplace_back(record->bytes.begin(), record->bytes.end());
    return out;
}

void run(ByteView input) {
    if (input.size() < kWalRecordHeader)
        return;
    for (const uint16_t magic : {0xD110, 0xD118}) {
        const WalRecord record{8, 8 + input.size(), 1, magic, input};
        const auto data = main_data_of(record);
        require(!data || data->size() <= input.size(), "data are part of their record");
        static_cast<void>(wal_record_crc(input));
        static_cast<void>(decode_transaction_end(record));
        static_cast<void>(decode_restore_point(record));
        static_cast<void>(decode_tablespace_create(record));
        static_cast<void>(decode_database_copy(record));
    }
}

const Target target("wal_record", seeds, run);

}  // namespace
}  // namespace ark::fuzz
