#include "core/backup/change_audit.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "test/support/fake_cluster.hpp"
#include "test/support/pages.hpp"

namespace ark {
namespace {

constexpr Lsn kParentStart = 0x2000028;
constexpr Lsn kStart = 0x5000028;

class AuditOfChanges : public testing::Test {
 protected:
    // A file of pages that are all older than the parent, but those that are named.
    void make_file(uint32_t blocks, const std::vector<std::pair<uint32_t, Lsn>>& newer = {}) {
        Bytes content;
        for (uint32_t i = 0; i < blocks; ++i) {
            Lsn lsn = kParentStart - 1000;
            for (const auto& [block, other] : newer) {
                if (block == i)
                    lsn = other;
            }
            const Bytes page = test::make_page(i, lsn, static_cast<uint8_t>(i));
            content.insert(content.end(), page.begin(), page.end());
        }
        test::write_file(path, as_text(content));
    }
    static FileChanges changes_of(std::vector<BlockRun> runs, uint32_t length) {
        FileChanges out;
        out.blocks = blocks_in(runs);
        out.runs = std::move(runs);
        out.length = length;
        return out;
    }
    bool passes(ChangeAudit& audit, const FileChanges& changes,
                const std::string& name = "base/5/16384") {
        const File file = File::open(path, O_RDONLY);
        return audit.passes(file, name, *parse_relation_path(name), changes,
                            [this] { return abandoned; });
    }
    // All of it.
    bool passes(const FileChanges& changes) {
        ChangeAudit audit(1, kParentStart, kStart, {});
        const bool result = passes(audit, changes);
        found = audit.findings();
        return result;
    }

    test::TemporaryDirectory directory;
    const std::string path = directory / "16384";
    ChangeAudit::Findings found;
    bool abandoned = false;
};

TEST_F(AuditOfChanges, ReadsEveryBlockThatIsCalledUnchanged) {
    make_file(100, {{7, kStart}, {8, kStart}, {50, kStart}, {99, kStart}});
    EXPECT_TRUE(passes(changes_of({{7, 2}, {50, 1}, {99, 1}}, 100)));
    EXPECT_EQ(found.blocks, 96U);
    EXPECT_EQ(found.misses, 0U);
    // The file is what it was.
    make_file(100);
    EXPECT_TRUE(passes(changes_of({}, 100)));
    EXPECT_EQ(found.blocks, 100U);
    // All of it changed.
    EXPECT_TRUE(passes(changes_of({{0, 100}}, 100)));
    EXPECT_EQ(found.blocks, 0U);
}

// Wherever it lies: at an edge of a run, of the file, of what is read together.
TEST_F(AuditOfChanges, FindsAPageThatChangedWithoutWal) {
    for (const uint32_t block : {0U, 6U, 9U, 31U, 32U, 33U, 49U, 51U, 63U, 64U, 98U, 99U}) {
        make_file(100, {{block, kStart - 8}});
        EXPECT_FALSE(passes(changes_of({{7, 2}, {50, 1}}, 100))) << block;
        EXPECT_EQ(found.misses, 1U) << block;
        ASSERT_EQ(found.missed.size(), 1U) << block;
        EXPECT_EQ(found.missed[0].block, block);
        EXPECT_EQ(found.missed[0].lsn, kStart - 8);
        EXPECT_EQ(found.missed[0].path, "base/5/16384");
        EXPECT_EQ(found.blocks, 97U) << "the others are read all the same";
    }
}

TEST_F(AuditOfChanges, LsnsCountFromBehindTheParentsStartUpToTheStart) {
    const auto is_miss = [&](Lsn lsn) {
        make_file(3, {{1, lsn}});
        return !passes(changes_of({}, 3));
    };
    EXPECT_FALSE(is_miss(kParentStart - 1));
    EXPECT_FALSE(is_miss(kParentStart)) << "the end of the last record before it";
    EXPECT_TRUE(is_miss(kParentStart + 1));
    EXPECT_TRUE(is_miss(kStart - 1));
    EXPECT_TRUE(is_miss(kStart));
    EXPECT_FALSE(is_miss(kStart + 1)) << "changed meanwhile: replay repairs it";
    EXPECT_FALSE(is_miss(0x700000000));
}

TEST_F(AuditOfChanges, APageThatWasNeverUsedIsNoMiss) {
    test::write_file(path, std::string(3 * 8192, '\0'));
    EXPECT_TRUE(passes(changes_of({}, 3)));
    Bytes page = test::make_page(0, kStart, 1);
    store<uint16_t>(page, 14, 0);  // pd_upper: the server's own sign
    test::write_file(path, as_text(page));
    EXPECT_TRUE(passes(changes_of({}, 1)));
}

TEST_F(AuditOfChanges, BlocksAreCountedInTheRelation) {
    make_file(10, {{4, kStart}});
    ChangeAudit audit(1, kParentStart, kStart, {});
    EXPECT_FALSE(passes(audit, changes_of({}, 10), "base/5/16384.2"));
    ASSERT_EQ(audit.findings().missed.size(), 1U);
    EXPECT_EQ(audit.findings().missed[0].block, 2 * 131072U + 4);
}

TEST_F(AuditOfChanges, WithoutAShareNothingIsRead) {
    make_file(100, {{5, kStart}});
    ChangeAudit audit(0, kParentStart, kStart, {});
    EXPECT_TRUE(passes(audit, changes_of({}, 100)));
    EXPECT_EQ(audit.findings().blocks, 0U);
}

TEST_F(AuditOfChanges, AShareIsAboutThatShare) {
    make_file(3200);
    ChangeAudit audit(0.1, kParentStart, kStart, {});
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(passes(audit, changes_of({}, 3200)));
    // 10,000 pieces of 32 blocks each: ten standard deviations to each side.
    EXPECT_GT(audit.findings().blocks, 32U * 700);
    EXPECT_LT(audit.findings().blocks, 32U * 1300);
}

// A file is smaller than what is read together: as many are chosen.
TEST_F(AuditOfChanges, AShareOfSmallFilesIsAboutThatShareToo) {
    make_file(1);
    ChangeAudit audit(0.1, kParentStart, kStart, {});
    for (int i = 0; i < 10000; ++i)
        EXPECT_TRUE(passes(audit, changes_of({}, 1)));
    EXPECT_GT(audit.findings().blocks, 700U);
    EXPECT_LT(audit.findings().blocks, 1300U);
}

TEST_F(AuditOfChanges, AFileThatHasShrunkIsReadAsFarAsItGoes) {
    make_file(40, {{39, kStart}});
    ASSERT_EQ(truncate(path.c_str(), 35 * 8192 + 100), 0);
    EXPECT_TRUE(passes(changes_of({}, 40)));
    EXPECT_EQ(found.blocks, 35U);
}

TEST_F(AuditOfChanges, ManyMissesAreCountedAndSomeNamed) {
    make_file(1000);
    ChangeAudit audit(1, kParentStart - 5000, kStart, {});
    EXPECT_FALSE(passes(audit, changes_of({}, 1000)));
    EXPECT_EQ(audit.findings().misses, 1000U);
    EXPECT_EQ(audit.findings().missed.size(), kMaxReportedMisses);
}

TEST_F(AuditOfChanges, AnAbandonedOneReadsNoMore) {
    make_file(100);
    abandoned = true;
    EXPECT_TRUE(passes(changes_of({}, 100)));
    EXPECT_EQ(found.blocks, 0U);
}

}  // namespace
}  // namespace ark
