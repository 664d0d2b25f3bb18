#include "core/backup/page_verifier.hpp"

#include <fcntl.h>

#include <thread>

#include <gtest/gtest.h>

#include "test/support/fake_cluster.hpp"
#include "test/support/pages.hpp"

namespace ark {
namespace {

constexpr Lsn kStart = 0x2000028;
constexpr uint32_t kSegmentBlocks = 131072;

class Verified : public testing::Test {
 protected:
    // Verifies `data` as it was read from a file that now holds `on_disk`.
    Bytes verify(const Bytes& on_disk, Bytes data, uint64_t offset = 0,
                 const char* path = "base/5/16384", uint32_t segment_blocks = kSegmentBlocks) {
        test::write_file(directory / "f", as_text(on_disk));
        const File file = File::open(directory / "f", O_RDONLY);
        PageVerifier verifier(file, path, *parse_relation_path(path), segment_blocks, kStart,
                              findings);
        verifier.verify(data, offset);
        return data;
    }
    Bytes verify(const Bytes& both) { return verify(both, both); }

    test::TemporaryDirectory directory;
    PageVerifier::Findings findings;
};

Bytes joined(const std::vector<Bytes>& parts) {
    Bytes out;
    for (const Bytes& part : parts)
        out.insert(out.end(), part.begin(), part.end());
    return out;
}

Bytes broken(Bytes page) {
    page[5000] ^= std::byte{1};
    return page;
}

TEST_F(Verified, GoodAndEmptyPagesPass) {
    const Bytes data =
        joined({test::make_page(0, 1, 1), Bytes(kPageBytes), test::make_page(2, kStart + 100, 3)});
    EXPECT_EQ(verify(data), data);
    EXPECT_EQ(findings.verified, 3U);
    EXPECT_TRUE(findings.corrupt.empty());
    EXPECT_TRUE(findings.suspect.empty());
}

TEST_F(Verified, AnOldPageThatStaysWrongIsCorruptAndNamed) {
    verify(joined({test::make_page(0, 1, 1), broken(test::make_page(1, kStart, 2))}));
    ASSERT_EQ(findings.corrupt.size(), 1U);
    EXPECT_EQ(findings.corrupt_count, 1U);
    EXPECT_EQ(findings.corrupt[0].page.path, "base/5/16384");
    EXPECT_EQ(findings.corrupt[0].page.block, 1U);
    EXPECT_EQ(findings.corrupt[0].page.reason, "checksum mismatch");
    EXPECT_EQ(findings.corrupt[0].relation.file.filenode, 16384U);
}

// WAL replay writes it again; whether its LSN is one the server has reached is known at the end.
TEST_F(Verified, APageNewerThanTheStartIsSuspectOnly) {
    verify(broken(test::make_page(0, kStart + 1, 1)));
    EXPECT_TRUE(findings.corrupt.empty());
    ASSERT_EQ(findings.suspect.size(), 1U);
    EXPECT_EQ(findings.suspect[0].lsn, kStart + 1);
}

TEST_F(Verified, ATornReadIsReplacedByTheWholePage) {
    const Bytes now = test::make_page(1, kStart + 8, 9);
    Bytes torn = test::make_page(1, 1, 2);
    std::copy(now.begin() + 4096, now.end(), torn.begin() + 4096);
    const Bytes good = test::make_page(0, 1, 1);
    EXPECT_EQ(verify(joined({good, now}), joined({good, torn})), joined({good, now}));
    EXPECT_TRUE(findings.corrupt.empty());
    EXPECT_TRUE(findings.suspect.empty());
}

TEST_F(Verified, APageThatIsBeingWrittenIsWaitedFor) {
    const Bytes wrong = broken(test::make_page(0, 1, 1));
    const Bytes good = test::make_page(0, 1, 1);
    test::write_file(directory / "f", as_text(wrong));
    const File file = File::open(directory / "f", O_RDWR);
    Bytes data = wrong;
    std::jthread server([&] {
        File writer = File::open(directory / "f", O_WRONLY);
        writer.pwrite_all(good, 0);
    });
    PageVerifier(file, "base/5/1", *parse_relation_path("base/5/1"), kSegmentBlocks, kStart,
                 findings)
        .verify(data, 0);
    EXPECT_EQ(data, good);
    EXPECT_TRUE(findings.corrupt.empty());
}

TEST_F(Verified, JunkInAPageThatLooksNewIsABadHeader) {
    Bytes junk(kPageBytes);
    junk[8000] = std::byte{1};
    verify(junk);
    ASSERT_EQ(findings.corrupt.size(), 1U);
    EXPECT_EQ(findings.corrupt[0].page.reason, "invalid page header");
}

TEST_F(Verified, APartOfAPageAtTheEndIsPassedOver) {
    Bytes data = joined({test::make_page(0, 1, 1), Bytes(100, std::byte{7})});
    EXPECT_EQ(verify(data), data);
    EXPECT_EQ(findings.verified, 1U);
    EXPECT_EQ(verify(Bytes(100, std::byte{7})).size(), 100U);
    EXPECT_TRUE(findings.corrupt.empty());
}

// The checksum holds the block's number in the relation, not in the file.
TEST_F(Verified, BlocksOfLaterSegmentsAndPieces) {
    const Bytes second = test::make_relation(kSegmentBlocks, 3, 1, 5);
    verify(second, second, 0, "base/5/16384.1");
    EXPECT_TRUE(findings.corrupt.empty());
    const Bytes file = test::make_relation(2 * 16, 3, 1, 5);
    verify(file, Bytes(file.begin() + kPageBytes, file.end()), kPageBytes, "base/5/9.2", 16);
    EXPECT_TRUE(findings.corrupt.empty());
    verify(second, second, 0, "base/5/16384.2");
    ASSERT_EQ(findings.corrupt.size(), 3U);
    EXPECT_EQ(findings.corrupt[1].page.block, 2U * kSegmentBlocks + 1);
}

TEST_F(Verified, APageThatWasTruncatedAwayIsNoFinding) {
    const Bytes data = joined({test::make_page(0, 1, 1), broken(test::make_page(1, 1, 2))});
    EXPECT_EQ(verify(Bytes(data.begin(), data.begin() + kPageBytes), data), data);
    EXPECT_TRUE(findings.corrupt.empty());
    EXPECT_TRUE(findings.suspect.empty());
}

// A ruined disk has millions of such pages: the backup goes on, in constant memory.
TEST_F(Verified, AllAreCountedAndTheFirstAreNamed) {
    Bytes data;
    const uint32_t pages = kMaxReportedPages + 20;
    for (uint32_t i = 0; i < pages; ++i) {
        const Bytes page = test::make_page(i + 1, 1, 1);  // of another block
        data.insert(data.end(), page.begin(), page.end());
    }
    verify(data);
    EXPECT_EQ(findings.corrupt_count, pages);
    EXPECT_EQ(findings.corrupt.size(), kMaxReportedPages);
    for (uint32_t i = 0; i < pages; ++i)
        store<uint32_t>(data, i * kPageBytes + 4, kStart + 1 + i);
    verify(data);
    EXPECT_EQ(findings.suspect.size(), kMaxReportedPages);
    ASSERT_EQ(findings.more_suspects.size(), 20U);
    EXPECT_EQ(findings.more_suspects.back(), kStart + pages);
}

}  // namespace
}  // namespace ark
