#include "core/backup/missing_segments.hpp"

#include <gtest/gtest.h>

#include "core/pgdata/page.hpp"
#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

constexpr uint32_t kSegmentBlocks = 2;

class MissingSegments : public testing::Test {
 protected:
    void add(const std::string& path, uint32_t blocks) {
        cluster.add(path, std::string(blocks * kPageBytes, '\0'));
    }
    std::vector<CorruptPage> found() const {
        const FileList files = FileList::read(cluster.path(), [](const std::string& /*path*/) {});
        return find_missing_segments(files, cluster.path(), kSegmentBlocks);
    }

    test::FakeCluster cluster;
};

TEST_F(MissingSegments, AWholeRowHasNone) {
    add("base/1/100", 2);
    add("base/1/100.1", 2);
    add("base/1/100.2", 1);
    add("base/1/101", 1);
    add("base/1/102", 2);
    add("base/1/102.1", 0);  // left by a truncation
    add("base/1/102.2", 0);
    EXPECT_TRUE(found().empty());
}

TEST_F(MissingSegments, AGapIsNamed) {
    add("base/1/100", 2);
    add("base/1/100.2", 1);
    const auto pages = found();
    ASSERT_EQ(pages.size(), 1U);
    EXPECT_EQ(pages[0].path, "base/1/100.1");
    EXPECT_EQ(pages[0].block, 2U);
    EXPECT_NE(pages[0].reason.find("missing"), std::string::npos);
}

TEST_F(MissingSegments, SoIsTheFirst) {
    add("base/1/100.1", 2);
    add("base/1/100.2", 1);
    const auto pages = found();
    ASSERT_EQ(pages.size(), 1U);
    EXPECT_EQ(pages[0].path, "base/1/100");
    EXPECT_EQ(pages[0].block, 0U);
}

TEST_F(MissingSegments, AndAShortOne) {
    add("base/1/100", 2);
    add("base/1/100.1", 1);
    add("base/1/100.2", 1);
    const auto pages = found();
    ASSERT_EQ(pages.size(), 1U);
    EXPECT_EQ(pages[0].path, "base/1/100.1");
    EXPECT_EQ(pages[0].block, 3U);
    EXPECT_NE(pages[0].reason.find("too short"), std::string::npos);
}

TEST_F(MissingSegments, ARelationThatIsBeingDroppedIsNone) {
    add("base/1/100", 0);
    add("base/1/100.2", 2);
    EXPECT_TRUE(found().empty());
}

TEST_F(MissingSegments, OtherFilesAreNone) {
    add("base/1/100_fsm.1", 1);
    add("base/1/t3_100.2", 1);
    add("base/1/name.2", 1);
    EXPECT_TRUE(found().empty());
}

}  // namespace
}  // namespace ark
