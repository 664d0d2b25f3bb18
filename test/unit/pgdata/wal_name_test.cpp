#include "core/pgdata/wal_name.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace ark {
namespace {

constexpr uint64_t kMegabyte = 1 << 20;

TEST(WalName, LsnTextRoundTrips) {
    EXPECT_EQ(to_text(0x2000028), "0/2000028");
    EXPECT_EQ(to_text(0xABCDEF0123456789ULL), "ABCDEF01/23456789");
    for (const Lsn lsn :
         {Lsn{0}, Lsn{1}, Lsn{0xFFFFFFFF}, Lsn{0x100000000}, std::numeric_limits<Lsn>::max()}) {
        EXPECT_EQ(parse_lsn(to_text(lsn)), lsn);
    }
    EXPECT_EQ(parse_lsn("0/abc"), Lsn{0xABC});
}

TEST(WalName, RefusesWhatIsNoLsn) {
    for (const char* text :
         {"", "/", "0/", "/0", "0", "0/0/0", "x/0", "0/x", "-1/0", "0/-1", "0/+1", " 0/0", "0/0 ",
          "0x1/0", "123456789/0", "0/123456789", "0 /0"}) {
        EXPECT_FALSE(parse_lsn(text)) << text;
    }
}

TEST(WalName, TheFourFormsOfFileNames) {
    const auto segment = parse_wal_file_name("0000000A00000002000000FE");
    ASSERT_TRUE(segment);
    EXPECT_EQ(segment->kind, WalFileKind::segment);
    EXPECT_EQ(segment->timeline, 10U);
    EXPECT_EQ(segment->segment_number(16 * kMegabyte), 2U * 256 + 254);
    EXPECT_EQ(parse_wal_file_name("00000002.history")->kind, WalFileKind::history);
    EXPECT_EQ(parse_wal_file_name("00000002.history")->timeline, 2U);
    EXPECT_EQ(parse_wal_file_name("000000010000000000000002.partial")->kind, WalFileKind::partial);
    EXPECT_EQ(parse_wal_file_name("000000010000000000000002.00000028.backup")->kind,
              WalFileKind::backup_label);
}

TEST(WalName, NothingElseIsAWalFile) {
    for (const char* name : {"",
                             "0",
                             "00000001",
                             "00000001.",
                             "00000001.history2",
                             "0000001.history",
                             "00000001000000000000000",
                             "0000000100000000000000022",
                             "00000001000000000000000a",
                             "0000000100000000000000G2",
                             "000000010000000000000002.",
                             "000000010000000000000002.PARTIAL",
                             "000000010000000000000002.partial2",
                             "000000010000000000000002.0000028.backup",
                             "000000010000000000000002.0000002g.backup",
                             "000000010000000000000002.00000028.backup.tmp",
                             "../000000010000000000000002",
                             "00000001/history",
                             "archive_status",
                             "xlogtemp.123"}) {
        EXPECT_FALSE(parse_wal_file_name(name)) << name;
    }
}

// The third part of a name counts to 0xFF, 0xFFF or 0x3F with the segment size.
TEST(WalName, SegmentNamesForEverySegmentSize) {
    struct Case {
        uint64_t size;
        Lsn lsn;
        const char* name;
    };
    for (const Case& c : {Case{16 * kMegabyte, 0x1FFFFFFFFULL, "0000000100000001000000FF"},
                          Case{16 * kMegabyte, 0x200000000ULL, "000000010000000200000000"},
                          Case{kMegabyte, 0x1FFFFFFFFULL, "000000010000000100000FFF"},
                          Case{64 * kMegabyte, 0x1FFFFFFFFULL, "00000001000000010000003F"},
                          Case{1024 * kMegabyte, 0x1FFFFFFFFULL, "000000010000000100000003"}}) {
        const uint64_t number = segment_number_of(c.lsn, c.size);
        EXPECT_EQ(segment_name({1, number}, c.size), c.name);
        EXPECT_EQ(parse_wal_file_name(c.name)->segment_number(c.size), number);
    }
}

// A stop LSN on a boundary: the WAL before it lies in the segment before.
TEST(WalName, TheLastSegmentOfABackupIsTheOneBeforeABoundary) {
    EXPECT_EQ(last_segment_number_before(16 * kMegabyte, 16 * kMegabyte), 0U);
    EXPECT_EQ(last_segment_number_before(16 * kMegabyte + 1, 16 * kMegabyte), 1U);
    EXPECT_EQ(segment_number_of(16 * kMegabyte, 16 * kMegabyte), 1U);
}

TEST(WalName, SegmentSizesThatInitdbAllows) {
    for (uint64_t size = kMegabyte; size <= 1024 * kMegabyte; size *= 2)
        EXPECT_TRUE(is_valid_segment_size(size));
    for (const uint64_t size : {uint64_t{0}, kMegabyte / 2, 3 * kMegabyte, 2048 * kMegabyte})
        EXPECT_FALSE(is_valid_segment_size(size)) << size;
}

}  // namespace
}  // namespace ark
