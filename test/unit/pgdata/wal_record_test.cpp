#include "core/pgdata/wal_record.hpp"

#include <gtest/gtest.h>

#include "core/base/crc32c.hpp"

namespace ark {
namespace {

void append(Bytes& bytes, std::initializer_list<int> values) {
    for (const int value : values)
        bytes.push_back(static_cast<std::byte>(value));
}
void append_u32(Bytes& bytes, uint32_t value) {
    const size_t at = bytes.size();
    bytes.resize(at + 4);
    store<uint32_t>(bytes, at, value);
}
void append_zeros(Bytes& bytes, size_t count) {
    bytes.resize(bytes.size() + count);
}

Bytes record_of(uint8_t rmid, uint8_t info, uint32_t xid, const Bytes& body) {
    Bytes record(kWalRecordHeader);
    record.insert(record.end(), body.begin(), body.end());
    store<uint32_t>(record, 0, static_cast<uint32_t>(record.size()));
    store<uint32_t>(record, 4, xid);
    store<uint8_t>(record, 16, info);
    store<uint8_t>(record, 17, rmid);
    return record;
}
WalRecord view(const Bytes& record, uint16_t magic = 0xD110) {
    WalRecord out;
    out.bytes = record;
    out.magic = magic;
    return out;
}
Bytes short_data(const Bytes& data) {
    Bytes body;
    append(body, {255, static_cast<int>(data.size())});
    body.insert(body.end(), data.begin(), data.end());
    return body;
}

TEST(WalRecord, FindsMainDataBehindEveryKindOfHeader) {
    Bytes body;
    append(body, {253, 1, 0});             // replication origin
    append(body, {252, 1, 0, 0, 0});       // top-level xid
    append(body, {0, 0x30, 3, 0});         // block 0: image and 3 bytes of data
    append(body, {5, 0, 0, 1, 0x05});      // image of 5 bytes; a hole, compressed with pglz
    append(body, {9, 0});                  // length of the hole
    append_zeros(body, 12 + 4);            // relation, block number
    append(body, {1, 0x80 | 0x20, 2, 0});  // block 1: same relation, 2 bytes of data
    append_zeros(body, 4);
    append(body, {255, 4});
    append_zeros(body, 5 + 3 + 2);
    append(body, {'m', 'a', 'i', 'n'});
    const Bytes record = record_of(10, 0, 1, body);
    const auto data = main_data_of(view(record));
    ASSERT_TRUE(data);
    EXPECT_EQ(as_text(*data), "main");
}

TEST(WalRecord, FindsLongMainDataAndNone) {
    Bytes body;
    append(body, {254});
    append_u32(body, 300);
    append_zeros(body, 300);
    EXPECT_EQ(main_data_of(view(record_of(10, 0, 1, body)))->size(), 300U);
    EXPECT_EQ(main_data_of(view(record_of(0, 0x40, 0, {})))->size(), 0U);
    Bytes only_block;
    append(only_block, {0, 0x20, 1, 0});
    append_zeros(only_block, 16 + 1);
    EXPECT_EQ(main_data_of(view(record_of(10, 0, 1, only_block)))->size(), 0U);
}

TEST(WalRecord, RefusesHeadersThatDontAddUp) {
    Bytes too_long;
    append(too_long, {255, 9, 1});
    EXPECT_FALSE(main_data_of(view(record_of(10, 0, 1, too_long))));
    Bytes too_short;
    append(too_short, {255, 0, 1});
    EXPECT_FALSE(main_data_of(view(record_of(10, 0, 1, too_short))));
    Bytes unknown;
    append(unknown, {77, 0, 0});
    EXPECT_FALSE(main_data_of(view(record_of(10, 0, 1, unknown))));
    Bytes cut;
    append(cut, {0, 0x10});
    EXPECT_FALSE(main_data_of(view(record_of(10, 0, 1, cut))));
}

TEST(WalRecord, ReadsCommitsAndAborts) {
    Bytes time(8);
    store<int64_t>(time, 0, 5);
    const auto decode = [&](int info) {
        return decode_transaction_end(
            view(record_of(1, static_cast<uint8_t>(info), 42, short_data(time))));
    };
    EXPECT_EQ(decode(0x00), (WalTransactionEnd{42, true, from_postgres_time(5)}));
    EXPECT_EQ(decode(0x20), (WalTransactionEnd{42, false, from_postgres_time(5)}));
    EXPECT_FALSE(decode(0x10));  // PREPARE
    EXPECT_FALSE(decode(0x50));  // ASSIGNMENT
    EXPECT_FALSE(decode(0x60));  // INVALIDATIONS
    EXPECT_FALSE(decode_transaction_end(view(record_of(2, 0x00, 42, short_data(time)))));
    EXPECT_FALSE(decode_transaction_end(view(record_of(1, 0x00, 42, short_data(Bytes(7))))));
}

// The record's own xid is another one, or none.
TEST(WalRecord, ReadsThePreparedTransactionsXid) {
    for (const uint16_t magic : {uint16_t{0xD110}, uint16_t{0xD118}}) {
        const uint32_t statistics_words = magic > 0xD116 ? 4 : 3;
        Bytes data(8);
        append_u32(data, 0x1FF & ~0x60U);  // everything but the origin and AE locks
        append_zeros(data, 8);             // database
        append_u32(data, 2);               // subtransactions
        append_zeros(data, 8);
        append_u32(data, 1);  // relations
        append_zeros(data, 12);
        append_u32(data, 3);  // statistics
        append_zeros(data, size_t{3} * 4 * statistics_words);
        append_u32(data, 1);  // invalidations
        append_zeros(data, 16);
        append_u32(data, 4711);
        append(data, {'g', 'i', 'd', 0});
        for (const int operation : {0x30, 0x40}) {
            const auto end = decode_transaction_end(view(
                record_of(1, static_cast<uint8_t>(operation | 0x80), 0, short_data(data)), magic));
            ASSERT_TRUE(end);
            EXPECT_EQ(end->xid, 4711U) << magic;
            EXPECT_EQ(end->committed, operation == 0x30);
        }
    }
}

TEST(WalRecord, AWildCountInAPreparedCommitIsNoXid) {
    Bytes data(8);
    append_u32(data, (1U << 1) | (1U << 4));
    append_u32(data, 0xFFFFFFFF);
    append_u32(data, 4711);
    const auto end = decode_transaction_end(view(record_of(1, 0xB0, 9, short_data(data))));
    ASSERT_TRUE(end);
    EXPECT_EQ(end->xid, 9U);
}

TEST(WalRecord, ReadsRestorePointsAndTablespaces) {
    Bytes point(8 + 64);
    std::memcpy(point.data() + 8, "before", 6);
    EXPECT_EQ(decode_restore_point(view(record_of(0, 0x70, 0, short_data(point)))),
              (WalRestorePoint{"before", from_postgres_time(0)}));
    EXPECT_FALSE(decode_restore_point(view(record_of(0, 0x30, 0, short_data(point)))));
    Bytes tablespace;
    append_u32(tablespace, 16400);
    append(tablespace, {'/', 't', 's', 0});
    EXPECT_EQ(decode_tablespace_create(view(record_of(5, 0x00, 3, short_data(tablespace)))),
              (WalTablespaceCreate{16400, "/ts"}));
    EXPECT_FALSE(decode_tablespace_create(view(record_of(5, 0x10, 3, short_data(tablespace)))));
    EXPECT_FALSE(decode_tablespace_create(view(record_of(4, 0x00, 3, short_data(tablespace)))));
}

TEST(WalRecord, ReadsCopiesOfDatabases) {
    Bytes copy;
    for (const uint32_t oid : {16400U, 1663U, 5U, 16399U})
        append_u32(copy, oid);
    EXPECT_EQ(decode_database_copy(view(record_of(4, 0x00, 3, short_data(copy)))),
              (WalDatabaseCopy{16400, 1663, 5, 16399}));
    EXPECT_FALSE(decode_database_copy(view(record_of(4, 0x10, 3, short_data(copy)))));
    EXPECT_FALSE(decode_database_copy(view(record_of(5, 0x00, 3, short_data(copy)))));
    copy.resize(12);
    EXPECT_FALSE(decode_database_copy(view(record_of(4, 0x00, 3, short_data(copy)))));
}

TEST(WalRecord, TheLowBitsOfInfoAreNotTheOperation) {
    const Bytes record = record_of(0, 0x42, 0, {});
    EXPECT_TRUE(is_switch(view(record)));
    EXPECT_FALSE(is_switch(view(record_of(1, 0x40, 0, {}))));
}

}  // namespace
}  // namespace ark
