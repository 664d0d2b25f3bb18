#include "core/changes/file_changes.hpp"

#include <gtest/gtest.h>

#include "core/pgdata/page.hpp"

namespace ark {
namespace {

constexpr uint64_t kPage = 8192;
constexpr BlockSizes kSizes{8192, 1000};
constexpr RelationId kTable{1663, 5, 16384};
using Runs = std::vector<BlockRun>;

FileState file(const std::string& path, uint64_t blocks, std::optional<uint64_t> parent_blocks) {
    FileState out;
    out.path = parse_relation_path(path);
    out.bytes = blocks * kPage;
    if (parent_blocks)
        out.parent_bytes = *parent_blocks * kPage;
    return out;
}
FileChanges changes(const ChangeTable& table, uint64_t blocks, std::optional<uint64_t> parent,
                    const std::string& path = "base/5/16384") {
    return changes_of(file(path, blocks, parent), table, kSizes);
}

TEST(FileChanges, HoldTheBlocksOfTheTable) {
    ChangeTable table;
    for (const uint32_t block : {3, 4, 5, 9, 99})
        table.add_block(kTable, block);
    const FileChanges out = changes(table, 100, 100);
    EXPECT_FALSE(out.whole);
    EXPECT_EQ(out.runs, (Runs{{3, 3}, {9, 1}, {99, 1}}));
    EXPECT_EQ(out.blocks, 5U);
    EXPECT_EQ(out.length, 100U);
    EXPECT_EQ(changes(ChangeTable(), 100, 100).runs, Runs{});
    EXPECT_FALSE(changes(ChangeTable(), 100, 100).whole);
}

TEST(FileChanges, ASegmentFileHasItsOwnBlocks) {
    ChangeTable table;
    for (const uint32_t block : {7, 999, 1000, 1001, 1999, 2000})
        table.add_block(kTable, block);
    EXPECT_EQ(changes(table, 1000, 1000).runs, (Runs{{7, 1}, {999, 1}}));
    EXPECT_EQ(changes(table, 1000, 1000, "base/5/16384.1").runs, (Runs{{0, 2}, {999, 1}}));
    EXPECT_EQ(changes(table, 50, 50, "base/5/16384.2").runs, (Runs{{0, 1}}));
}

// Pages of zeros behind the old end need not be in WAL.
TEST(FileChanges, HoldWhatTheParentDoesNotHave) {
    ChangeTable table;
    table.add_block(kTable, 3);
    table.add_block(kTable, 79);
    EXPECT_EQ(changes(table, 100, 80).runs, (Runs{{3, 1}, {79, 21}}));
    EXPECT_EQ(changes(table, 100, 60).runs, (Runs{{3, 1}, {60, 40}}));
    EXPECT_EQ(changes(ChangeTable(), 100, 60).runs, (Runs{{60, 40}}));
    // A file that is shorter than the parent's needs no block for that.
    EXPECT_EQ(changes(ChangeTable(), 60, 100).runs, Runs{});
    EXPECT_EQ(changes(ChangeTable(), 60, 100).length, 60U);
}

// VACUUM truncates, then the table is extended in bulk: zero pages, of which no WAL tells.
TEST(FileChanges, HoldEverythingBehindTheLimit) {
    ChangeTable table;
    table.add_block(kTable, 3);
    table.set_limit(kTable, 50);
    table.add_block(kTable, 70);
    EXPECT_EQ(changes(table, 100, 100).runs, (Runs{{3, 1}, {50, 50}}));
    EXPECT_EQ(changes(table, 50, 100).runs, (Runs{{3, 1}}));
    EXPECT_EQ(changes(table, 40, 100).runs, (Runs{{3, 1}}));
    EXPECT_EQ(changes(table, 100, 30).runs, (Runs{{3, 1}, {30, 70}}));
}

TEST(FileChanges, ALimitCountsBlocksOfTheRelation) {
    ChangeTable table;
    table.set_limit(kTable, 1990);
    EXPECT_EQ(changes(table, 1000, 1000).runs, Runs{});
    EXPECT_EQ(changes(table, 1000, 1000, "base/5/16384.1").runs, (Runs{{990, 10}}));
    EXPECT_EQ(changes(table, 10, 10, "base/5/16384.2").whole, WholeReason::new_file);
    ChangeTable at_end;
    at_end.set_limit(kTable, 1000);
    EXPECT_FALSE(changes(at_end, 1000, 1000).whole);
    EXPECT_EQ(changes(at_end, 10, 10, "base/5/16384.1").whole, WholeReason::new_file);
}

TEST(FileChanges, ANewFileIsCopiedWhole) {
    ChangeTable table;
    table.set_limit(kTable, 0);
    EXPECT_EQ(changes(table, 100, 100).whole, WholeReason::new_file);
    EXPECT_EQ(changes(table, 100, 100, "base/5/16385").whole, std::nullopt);
    EXPECT_EQ(changes(table, 100, std::nullopt, "base/5/16385").whole, WholeReason::not_in_parent);
}

TEST(FileChanges, ADatabaseThatWasMadeIsCopiedWhole) {
    ChangeTable table;
    table.add_database({16400, 5});
    EXPECT_EQ(changes(table, 9, 9, "pg_tblspc/16400/PG_15_202209061/5/16384").whole,
              WholeReason::database);
    EXPECT_EQ(changes(table, 9, 9, "pg_tblspc/16401/PG_15_202209061/5/16384").whole, std::nullopt);
    EXPECT_EQ(changes(table, 9, 9).whole, std::nullopt);
}

TEST(FileChanges, OtherFilesAreCopiedWhole) {
    const ChangeTable table;
    for (const char* path :
         {"base/5/16384_vm", "base/5/16384_fsm", "base/5/16384_init", "base/5/16384_vm.1",
          "base/5/t3_16384", "base/5/PG_VERSION", "base/5/pg_filenode.map", "pg_xact/0000",
          "pg_multixact/members/0000", "global/pg_control", "postgresql.conf"}) {
        EXPECT_EQ(changes(table, 9, 9, path).whole, WholeReason::not_a_main_fork) << path;
    }
    EXPECT_EQ(changes(table, 9, 9, "global/1262").whole, std::nullopt);
    EXPECT_EQ(changes(table, 0, 9).whole, WholeReason::odd_size);
    EXPECT_EQ(changes(table, 1001, 9).whole, WholeReason::odd_size);
    FileState odd = file("base/5/16384", 9, 9);
    odd.bytes += 512;
    EXPECT_EQ(changes_of(odd, table, kSizes).whole, WholeReason::odd_size);
    // Half a page of the parent's is none.
    odd = file("base/5/16384", 9, 7);
    odd.parent_bytes = 7 * kPage + 512;
    EXPECT_EQ(changes_of(odd, table, kSizes).runs, (Runs{{7, 2}}));
}

TEST(FileChanges, WhereMostChangedAllIsCopied) {
    ChangeTable table;
    for (uint32_t i = 0; i < 90; ++i)
        table.add_block(kTable, i);
    EXPECT_EQ(changes(table, 100, 100).whole, std::nullopt);
    table.add_block(kTable, 95);
    EXPECT_EQ(changes(table, 100, 100).whole, WholeReason::most_changed);
    EXPECT_EQ(changes(table, 1, 1).whole, WholeReason::most_changed);
}

TEST(FileChanges, APageCanContradictTheTable) {
    Bytes page(kPageBytes);
    const auto with_lsn = [&](Lsn lsn) {
        store<uint32_t>(page, 0, static_cast<uint32_t>(lsn >> 32));
        store<uint32_t>(page, 4, static_cast<uint32_t>(lsn));
        return ByteView(page);
    };
    const Lsn start = 0x500000028;
    const Lsn now = 0x700000028;
    EXPECT_FALSE(contradicts_table(with_lsn(0x600000000), start, now)) << "a new page";
    store<uint16_t>(page, 14, 8192);
    EXPECT_TRUE(contradicts_table(with_lsn(0x600000000), start, now));
    EXPECT_FALSE(contradicts_table(with_lsn(start), start, now));
    EXPECT_TRUE(contradicts_table(with_lsn(start + 8), start, now));
    EXPECT_TRUE(contradicts_table(with_lsn(now), start, now));
    EXPECT_FALSE(contradicts_table(with_lsn(now + 8), start, now));
}

}  // namespace
}  // namespace ark
