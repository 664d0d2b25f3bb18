#include "core/changes/wal_changes.hpp"

#include <gtest/gtest.h>

#include "core/pgdata/wal_reader.hpp"
#include "test/support/expect_error.hpp"
#include "test/unit/changes/change_wal.hpp"

namespace ark {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

constexpr RelationId kTable{1663, 5, 16384};
constexpr RelationId kIndex{1663, 5, 16385};

// What the record that `add` appends does, in WAL of each version.
class WalChanges : public ::testing::TestWithParam<uint16_t> {
 protected:
    WalChanges() { wal.magic = GetParam(); }

    const RecordChanges& decoded() {
        segment_ = wal.segment(1);
        WalReader reader(WalBuilder::kSegmentSize, [&](uint64_t number) {
            return number == 1 ? std::optional(ByteView(segment_)) : std::nullopt;
        });
        reader.seek(WalBuilder::kSegmentSize);
        const auto record = reader.next();
        if (!record)
            throw std::runtime_error(reader.stop().reason);
        changes_.decode(*record);
        table = ChangeTable();
        changes_.add_to(table);
        return changes_;
    }

    WalBuilder wal{1};
    ChangeTable table;

 private:
    Bytes segment_;
    RecordChanges changes_;
};
INSTANTIATE_TEST_SUITE_P(Versions, WalChanges,
                         ::testing::Values(kWalMagic15, kWalMagic16, kWalMagic17, kWalMagic18));

TEST_P(WalChanges, BlocksOfAnyResourceManager) {
    for (const int rmid : {10, 11, 13, 128}) {
        wal = WalBuilder(1);
        wal.magic = GetParam();
        wal.add_body(
            static_cast<uint8_t>(rmid), 0x30, 700,
            body_of({{kTable, 4}, {kTable, 1, Fork::vm}, {kIndex, 9}, {kIndex, 2, Fork::fsm}}));
        const RecordChanges& changes = decoded();
        ASSERT_EQ(changes.blocks().size(), 4U);
        EXPECT_EQ(changes.blocks()[1], (WalBlock{kTable, Fork::vm, 1}));
        EXPECT_TRUE(changes.limits().empty());
        // A table has main forks alone: the others are copied whole.
        EXPECT_EQ(table.blocks(), 2U);
        EXPECT_TRUE(table.find(kTable)->blocks.contains(4));
        EXPECT_TRUE(table.find(kIndex)->blocks.contains(9));
    }
}

TEST_P(WalChanges, FilesThatAreMade) {
    add_create(wal, kTable);
    EXPECT_EQ(decoded().limits(), (std::vector<ForkLimit>{{kTable, Fork::main, 0}}));
    EXPECT_EQ(table.find(kTable)->limit, 0U);
    wal = WalBuilder(1);
    wal.magic = GetParam();
    add_create(wal, kTable, Fork::init);
    EXPECT_EQ(decoded().limits(), (std::vector<ForkLimit>{{kTable, Fork::init, 0}}));
    EXPECT_TRUE(table.empty());
}

TEST_P(WalChanges, FilesThatAreCut) {
    add_truncate(wal, kTable, 17);
    EXPECT_EQ(decoded().limits().size(), 3U);
    EXPECT_EQ(decoded().limits().front(), (ForkLimit{kTable, Fork::main, 17}));
    EXPECT_EQ(table.find(kTable)->limit, 17U);
    wal = WalBuilder(1);
    wal.magic = GetParam();
    add_truncate(wal, kTable, 17, 2);  // the visibility map alone
    EXPECT_EQ(decoded().limits(), (std::vector<ForkLimit>{{kTable, Fork::vm, 0}}));
    EXPECT_TRUE(table.empty());
}

TEST_P(WalChanges, RelationsThatGoWithATransaction) {
    for (const int info : {0x00, 0x20, 0x30, 0x40}) {
        wal = WalBuilder(1);
        wal.magic = GetParam();
        add_drop(wal, static_cast<uint8_t>(info), {kTable, kIndex});
        EXPECT_EQ(decoded().limits().size(), 8U) << info;
        EXPECT_EQ(table.relations(), 2U);
        EXPECT_EQ(table.find(kTable)->limit, 0U);
        EXPECT_EQ(table.find(kIndex)->limit, 0U);
    }
    wal = WalBuilder(1);
    wal.magic = GetParam();
    wal.add_commit(700, 5);
    EXPECT_TRUE(decoded().limits().empty());
}

// A transaction that is only prepared drops nothing yet; its record has another form.
TEST_P(WalChanges, PreparingDropsNothing) {
    wal.add(1, 0x10, 700, Packed().zeros(200).bytes);
    EXPECT_TRUE(decoded().limits().empty());
}

TEST_P(WalChanges, DatabasesThatComeAndGo) {
    const auto made = [&](uint8_t info, const Bytes& data) {
        wal = WalBuilder(1);
        wal.magic = GetParam();
        wal.add(4, info, 700, data);
        return decoded().databases();
    };
    Packed copy;
    copy << uint32_t{77} << uint32_t{1663} << uint32_t{1} << uint32_t{1663};
    EXPECT_EQ(made(0x00, copy.bytes), (std::vector<DatabaseId>{{1663, 77}}));
    EXPECT_TRUE(table.has({1663, 77}));
    Packed logged;
    logged << uint32_t{78} << uint32_t{16400};
    EXPECT_EQ(made(0x10, logged.bytes), (std::vector<DatabaseId>{{16400, 78}}));
    Packed dropped;
    dropped << uint32_t{79} << uint32_t{2} << uint32_t{1663} << uint32_t{16400};
    EXPECT_EQ(made(0x20, dropped.bytes), (std::vector<DatabaseId>{{1663, 79}, {16400, 79}}));
}

TEST_P(WalChanges, TheEndOfABackupSaysWhereItBegan) {
    add_backup_end(wal, 0x123456789A);
    EXPECT_EQ(decoded().ended_backup(), std::optional<Lsn>(0x123456789A));
    wal = WalBuilder(1);
    wal.magic = GetParam();
    add_wal_level(wal, 1);
    EXPECT_EQ(decoded().ended_backup(), std::nullopt);
    wal = WalBuilder(1);
    wal.magic = GetParam();
    wal.add(0, 0x50, 0, Packed().zeros(4).bytes);
    test::expect_error(ErrorCode::corrupt, [&] { return decoded().ended_backup(); });
}

TEST_P(WalChanges, MinimalWalIsSaid) {
    add_wal_level(wal, 0);
    EXPECT_TRUE(decoded().ends_completeness());
    const auto says = [&](uint8_t info, const Bytes& data) {
        wal = WalBuilder(1);
        wal.magic = GetParam();
        wal.add(0, info, 0, data);
        return decoded().ends_completeness();
    };
    const auto with_level = [](size_t place, uint32_t level, size_t size) {
        Bytes data(size);
        store<uint32_t>(data, place, level);
        return data;
    };
    EXPECT_FALSE(says(0x60, with_level(20, 1, 28)));
    const bool recorded = GetParam() >= kWalMagic17;
    EXPECT_EQ(says(0x00, with_level(20, 0, 88)), recorded) << "shutdown checkpoint";
    EXPECT_FALSE(says(0x00, with_level(20, 1, 88)));
    EXPECT_FALSE(says(0x10, with_level(20, 0, 88))) << "an online checkpoint has none";
    EXPECT_EQ(says(0x90, with_level(16, 0, recorded ? 24 : 16 + 4)), recorded) << "end of recovery";
    EXPECT_EQ(says(0xE0, with_level(0, 0, 4)), recorded) << "redo point";
    EXPECT_FALSE(says(0xE0, with_level(0, 2, 4)));
}

TEST_P(WalChanges, ARecordThatCannotBeReadIsNotPassedOver) {
    const auto fails = [&](uint8_t rmid, uint8_t info, const Bytes& data) {
        wal = WalBuilder(1);
        wal.magic = GetParam();
        wal.add(rmid, info, 700, data);
        expect_error(ErrorCode::corrupt, [&] { decoded(); });
    };
    fails(2, 0x10, Bytes(15));
    fails(2, 0x20, Bytes(19));
    fails(2, 0x30, Bytes(16));
    fails(4, 0x00, Bytes(7));
    fails(4, 0x30, Bytes(16));
    fails(4, 0x20, (Packed() << uint32_t{1} << uint32_t{0xFFFFFFFF} << uint32_t{2}).bytes);
    fails(1, 0x80, (Packed() << int64_t{5} << uint32_t{4} << uint32_t{0xFFFFFFFF}).bytes);
    fails(0, 0x60, Bytes(20));
    Packed fork;
    fork << kTable << uint32_t{4};
    fails(2, 0x10, fork.bytes);
    wal = WalBuilder(1);
    wal.magic = GetParam();
    wal.add_body(10, 0, 700, Packed().zeros(3).bytes);
    expect_error(ErrorCode::corrupt, [&] { decoded(); });
}

TEST(WalChangesOfOtherVersions, AreNotRead) {
    RecordChanges changes;
    for (const int magic : {0xD10D, 0xD111, 0xD122}) {
        const Bytes bytes(kWalRecordHeader);
        WalRecord record;
        record.bytes = bytes;
        record.magic = static_cast<uint16_t>(magic);
        expect_error(ErrorCode::unsupported, [&] { changes.decode(record); });
    }
}

}  // namespace
}  // namespace ark
