#include "core/changes/range_changes.hpp"

#include <random>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "test/support/expect_error.hpp"
#include "test/unit/changes/change_wal.hpp"

namespace ark {
namespace {

using test::expect_error;
using test::Packed;

RangeChanges sample() {
    RangeChanges out;
    out.range = {3, 0x1000000, 0x3000000};
    out.system_identifier = 7123456789012345678;
    out.previous_record = 0xFFFFD8;
    out.last_record = 0x2FFFFA0;
    out.minimal_at = 0x1000028;
    out.backups = {{0xF00028, 0x1000100}, {0x1000200, 0x2000000}, {0x28, 0x3000050}};
    out.table.add_database({1663, 5});
    out.table.add_database({1663, 7});
    out.table.add_database({16400, 5});
    for (uint32_t i = 0; i < 50; ++i) {
        const RelationId id{i < 25 ? 1663U : 1664U, i % 3, 20000 + i * 7};
        if (i % 2 == 0)
            out.table.set_limit(id, i * 1000);
        for (uint32_t n = 0; n < i; ++n)
            out.table.add_block(id, n * n * 40);
        if (i % 2 == 1)
            out.table.add_block(id, UINT32_MAX - 1);
    }
    return out;
}

TEST(RangeChanges, ComeBackAsTheyWere) {
    const RangeChanges changes = sample();
    const Bytes bytes = encode_changes(changes);
    EXPECT_EQ(decode_changes(bytes, "x"), changes);
    EXPECT_EQ(encode_changes(decode_changes(bytes, "x")), bytes);
    RangeChanges none;
    none.range = {1, 0, 0x1000000};
    EXPECT_EQ(decode_changes(encode_changes(none), "x"), none);
}

// The format is promised (docs/repository-format.md).
TEST(RangeChanges, HaveTheirFormat) {
    RangeChanges changes;
    changes.range = {1, 0x100, 0x200};
    changes.system_identifier = 9;
    changes.previous_record = 0xF0;
    changes.last_record = 0x180;
    changes.backups = {{0xC0, 0x190}};
    changes.table.add_database({1663, 5});
    changes.table.add_block({1663, 5, 300}, 4);
    changes.table.add_block({1663, 5, 300}, 5);
    changes.table.add_block({1663, 5, 300}, 9);
    changes.table.set_limit({1663, 5, 301}, 0);
    changes.table.add_block({1664, 0, 2}, 200);
    Packed expected;
    for (const char c : std::string("PGARKCHG"))
        expected << c;
    expected << uint32_t{1} << uint32_t{1} << uint64_t{0x100} << uint64_t{0x200} << uint64_t{9}
             << uint64_t{0xF0} << uint64_t{0x180} << uint64_t{0};
    const auto bytes = [&](std::initializer_list<int> values) {
        for (const int value : values)
            expected << static_cast<uint8_t>(value);
    };
    bytes({1, 0xC0, 1, 0x90, 3});                     // one backup
    bytes({1, 0xFF, 12, 5, 0});                       // one database
    bytes({3});                                       // relations
    bytes({0xFF, 12, 5, 0xAC, 2, 0, 2, 4, 2, 3, 1});  // 4 and 5, 9
    bytes({0, 0, 1, 1, 0});                           // the next one, made anew
    bytes({1, 0, 2, 0, 1, 0xC8, 1, 1});               // pg_global
    EXPECT_EQ(encode_changes(changes), expected.bytes);
}

TEST(RangeChanges, AreCutAlike) {
    EXPECT_EQ(end_of_table(0, 0x1000000, UINT64_MAX), 0x1000000U);
    EXPECT_EQ(end_of_table(0xFFFFFF, 0x1000000, UINT64_MAX), 0x1000000U);
    EXPECT_EQ(end_of_table(0x1000000, 0x1000000, UINT64_MAX), 0x2000000U);
    EXPECT_EQ(end_of_table(0x1000000, 0x4000000, 0x1800000), 0x1800000U);
}

TEST(RangeChanges, DoNotHangOnTheOrderInWhichTheyCame) {
    RangeChanges one;
    one.range = {1, 0, 0x10000000};
    one.last_record = 8;
    RangeChanges other = one;
    std::mt19937 random(5);
    std::vector<std::pair<RelationId, uint32_t>> blocks;
    for (int i = 0; i < 5000; ++i) {
        blocks.push_back({{1663, 5, static_cast<uint32_t>(random()) % 300},
                          static_cast<uint32_t>(random()) % 4000});
    }
    for (const auto& [id, block] : blocks)
        one.table.add_block(id, block);
    std::ranges::shuffle(blocks, random);
    for (const auto& [id, block] : blocks)
        other.table.add_block(id, block);
    EXPECT_EQ(encode_changes(one), encode_changes(other));
}

TEST(RangeChanges, AreSmall) {
    RangeChanges changes;
    changes.range = {1, 0, 1ULL << 36};
    changes.last_record = 8;
    std::mt19937 random(6);
    for (int i = 0; i < 1300000; ++i) {
        changes.table.add_block({1663, 5, static_cast<uint32_t>(random()) % 100},
                                static_cast<uint32_t>(random()) % 131072);
    }
    EXPECT_LT(encode_changes(changes).size(), 3 * changes.table.blocks());
}

// Whatever the bytes are: an error of ours, or a table that is written as it was read.
TEST(RangeChanges, DamageIsNoticedOrHarmless) {
    const Bytes good = encode_changes(sample());
    for (size_t size = 0; size < good.size(); ++size) {
        expect_error(ErrorCode::corrupt, [&] { decode_changes(ByteView(good).first(size), "x"); });
    }
    Bytes longer = good;
    longer.push_back(std::byte{0});
    expect_error(ErrorCode::corrupt, [&] { decode_changes(longer, "x"); });
    std::mt19937 random(7);
    int read = 0;
    for (int round = 0; round < 2000; ++round) {
        Bytes bytes = good;
        for (int n = static_cast<int>(random() % 3); n >= 0; --n)
            bytes[random() % bytes.size()] = static_cast<std::byte>(random());
        try {
            const RangeChanges changes = decode_changes(bytes, "x");
            ASSERT_EQ(encode_changes(changes), bytes) << round;
            ++read;
        } catch (const Error& error) {
            ASSERT_TRUE(error.code == ErrorCode::corrupt || error.code == ErrorCode::unsupported);
        }
    }
    EXPECT_GT(read, 0);
}

TEST(RangeChanges, CannotClaimMoreBlocksThanTheirWalCanName) {
    RangeChanges changes;
    changes.range = {1, 0x100, 0x200};
    changes.last_record = 0x180;
    for (uint32_t i = 0; i < 100; ++i)
        changes.table.add_block({1663, 5, i + 1}, 0);
    Bytes bytes = encode_changes(changes);
    EXPECT_EQ(decode_changes(bytes, "x"), changes);
    // The last run, of one block, becomes one of 2^31.
    ASSERT_EQ(bytes.back(), std::byte{1});
    bytes.pop_back();
    for (const int value : {0x80, 0x80, 0x80, 0x80, 0x08})
        bytes.push_back(static_cast<std::byte>(value));
    expect_error(ErrorCode::corrupt, [&] { decode_changes(bytes, "x"); });
}

TEST(RangeChanges, BackupsThatCannotBeAreDamage) {
    RangeChanges changes;
    changes.range = {1, 0x100, 0x200};
    changes.system_identifier = 9;
    changes.previous_record = 0xF0;
    changes.last_record = 0x180;
    const auto with = [&](std::vector<EndedBackup> backups) {
        changes.backups = std::move(backups);
        return decode_changes(encode_changes(changes), "x");
    };
    EXPECT_EQ(with({{0x10, 0x110}, {0x20, 0x120}}), changes);
    for (const std::vector<EndedBackup>& bad : std::vector<std::vector<EndedBackup>>{
             {{0x10, 0x100}}, {{0x110, 0x110}}, {{0x120, 0x110}}, {{0x10, 0x120}, {0x20, 0x110}}})
        expect_error(ErrorCode::corrupt, [&] { return with(bad); });
    changes.previous_record = 0;
    changes.last_record = 0;
    expect_error(ErrorCode::corrupt, [&] { return with({{0x10, 0x110}}); });
}

TEST(RangeChanges, ANewerFormatIsRefused) {
    Bytes bytes = encode_changes(sample());
    store<uint32_t>(bytes, 8, 2);
    expect_error(ErrorCode::unsupported, [&] { decode_changes(bytes, "x"); });
}

TEST(RangeChanges, AHeaderCannotContradictItself) {
    const auto refuses = [](auto&& change) {
        RangeChanges changes = sample();
        change(changes);
        const Bytes bytes = encode_changes(changes);
        expect_error(ErrorCode::corrupt, [&] { decode_changes(bytes, "x"); });
    };
    refuses([](RangeChanges& c) { c.range.timeline = 0; });
    refuses([](RangeChanges& c) { c.range.to = c.range.from; });
    refuses([](RangeChanges& c) { c.last_record = c.range.to; });
    refuses([](RangeChanges& c) { c.last_record = c.range.from - 8; });
    refuses([](RangeChanges& c) { c.previous_record = c.last_record; });
    refuses([](RangeChanges& c) { c.minimal_at = c.range.to; });
    refuses([](RangeChanges& c) { c.last_record = 0; });
    refuses([](RangeChanges& c) { c.last_record = c.previous_record = 0; });
}

}  // namespace
}  // namespace ark
