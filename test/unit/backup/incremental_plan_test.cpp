// What an incremental backup holds of each file: the parent's files and the list's, brought
// together.
#include "core/backup/incremental_plan.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "test/support/fake_cluster.hpp"

namespace ark {
namespace {

constexpr uint32_t kTablespace = 1663;

class PlanOfChanges : public testing::Test {
 protected:
    void add(const std::string& path, uint32_t blocks) {
        cluster.add(path, std::string(size_t{blocks} * 8192, 'x'));
    }
    void in_parent(const std::string& path, uint32_t blocks) {
        IndexEntry entry;
        entry.path = path;
        entry.size = uint64_t{blocks} * 8192;
        parent_files.push_back(entry);
    }
    // Of which the parent holds changed blocks itself.
    void incremental_in_parent(const std::string& path, uint32_t blocks) {
        IndexEntry entry;
        entry.path = path;
        entry.size = 12;
        entry.incremental = {uint64_t{blocks} * 8192, {}};
        parent_files.push_back(entry);
    }
    void directory_in_parent(const std::string& path) {
        IndexEntry entry;
        entry.path = path;
        entry.type = EntryType::directory;
        parent_files.push_back(entry);
    }
    void make() {
        std::ranges::sort(parent_files, {}, &IndexEntry::path);
        files = FileList::read(cluster.path(), [](const std::string&) {});
        size_t next = 0;
        plan = std::make_unique<IncrementalPlan>(
            parent,
            [&]() -> std::optional<IndexEntry> {
                if (next == parent_files.size())
                    return std::nullopt;
                return parent_files[next++];
            },
            files, changes, parse_control_file(test::make_control_file()));
        EXPECT_EQ(next, parent_files.size()) << "its digest is checked at the end alone";
    }
    FileChanges of(const std::string& path) {
        for (size_t i = 0; i < files.size(); ++i) {
            if (files.path(i) == path)
                return plan->of(i, path, parse_relation_path(path), files.bytes(i));
        }
        ADD_FAILURE() << path << " is not in the list";
        return {};
    }
    // In words: "whole: reason", or the blocks held and the length.
    std::string held(const std::string& path) {
        const FileChanges changes = of(path);
        if (changes.whole)
            return std::string("whole: ") + describe(*changes.whole);
        std::string out;
        for (const BlockRun& run : changes.runs)
            out += std::to_string(run.first) + "+" + std::to_string(run.length) + " ";
        return out + "of " + std::to_string(changes.length);
    }

    test::FakeCluster cluster;
    BackupMarker parent;
    std::vector<IndexEntry> parent_files;
    ChangeTable changes;
    FileList files;
    std::unique_ptr<IncrementalPlan> plan;
};

const std::string kNotInParent = "whole: the parent does not have it";

TEST_F(PlanOfChanges, KnowsTheParentsSizeOfEachFile) {
    add("base/1/100", 10);
    add("base/1/101", 10);
    add("base/1/102", 10);
    in_parent("base/1/100", 10);
    in_parent("base/1/101", 7);
    changes.add_block({kTablespace, 1, 100}, 4);
    make();
    EXPECT_EQ(held("base/1/100"), "4+1 of 10");
    EXPECT_EQ(held("base/1/101"), "7+3 of 10") << "the parent has none of the last three";
    EXPECT_EQ(held("base/1/102"), kNotInParent);
    EXPECT_EQ(held("PG_VERSION"), "whole: it is not the main fork of a relation");
    EXPECT_EQ(plan->block_bytes(), 8192U);
}

// What the parent stores of such a file says nothing about its length.
TEST_F(PlanOfChanges, TakesTheWholeFilesSizeWhereTheParentIsIncrementalItself) {
    add("base/1/100", 10);
    add("base/1/101", 10);
    incremental_in_parent("base/1/100", 10);
    incremental_in_parent("base/1/101", 9);
    make();
    EXPECT_EQ(held("base/1/100"), "of 10");
    EXPECT_EQ(held("base/1/101"), "9+1 of 10");
}

// Names are ordered by their bytes in both: '.' and '_' sort between digits and letters, a
// directory's files among those beside it.
TEST_F(PlanOfChanges, FindsEveryFileWhateverTheNamesAre) {
    std::vector<std::string> paths;
    for (const char* path : {"base/1/1",
                             "base/1/1.1",
                             "base/1/1.10",
                             "base/1/1.2",
                             "base/1/10",
                             "base/1/100",
                             "base/1/11",
                             "base/1/2",
                             "base/10/1",
                             "base/10/1.1",
                             "base/1000/1",
                             "base/11/1",
                             "base/2/1",
                             "base/2-/1",
                             "base/2./1",
                             "base/20/1",
                             "global/1260",
                             "global/1261",
                             "base/1/99999",
                             "pg_tblspc/16400/PG_15_202209061/5/1259",
                             "pg_tblspc/164/PG_15_202209061/5/1259",
                             "pg_tblspc/16400/PG_15_202209061/50/1259"})
        paths.emplace_back(path);
    for (const std::string& path : paths) {
        add(path, 20);
        in_parent(path, 20);
        in_parent(path + "0gone", 20);
    }
    cluster.add("with \xFF\xFE", "x");
    directory_in_parent("base");
    directory_in_parent("base/1");
    directory_in_parent("base/2.");
    make();
    for (const std::string& path : paths) {
        if (parse_relation_path(path) && !path.ends_with(".1") && !path.ends_with(".2") &&
            !path.ends_with(".10")) {
            EXPECT_EQ(held(path), "of 20") << path;
        }
        EXPECT_NE(held(path), kNotInParent) << path;
    }
}

TEST_F(PlanOfChanges, SurvivesWhatOnlyOneOfBothHas) {
    for (const char* path : {"base/1/100", "base/1/300", "base/1/500"})
        add(path, 10);
    for (const char* path :
         {"base/0/1", "base/1/050", "base/1/100", "base/1/200", "base/1/500", "base/1/600", "zzz"})
        in_parent(path, 10);
    make();
    EXPECT_EQ(held("base/1/100"), "of 10");
    EXPECT_EQ(held("base/1/300"), kNotInParent);
    EXPECT_EQ(held("base/1/500"), "of 10");
}

TEST_F(PlanOfChanges, AnEmptyParentHasNothing) {
    add("base/1/100", 10);
    make();
    EXPECT_EQ(held("base/1/100"), kNotInParent);
}

// A directory's name is no file's.
TEST_F(PlanOfChanges, ADirectoryOfTheNameIsNoFile) {
    add("base/1/100", 10);
    directory_in_parent("base/1/100");
    make();
    EXPECT_EQ(held("base/1/100"), kNotInParent);
}

// So that each backup names all corrupt pages that it holds or builds on.
TEST_F(PlanOfChanges, FilesWithCorruptPagesInTheParentAreWhole) {
    add("base/1/100", 10);
    add("base/1/100.1", 10);
    in_parent("base/1/100", 10);
    in_parent("base/1/100.1", 10);
    parent.corrupt_pages = {{"base/1/100", 3, "checksum mismatch"}};
    make();
    EXPECT_TRUE(of("base/1/100").whole);
    EXPECT_FALSE(of("base/1/100.1").whole);
}

TEST_F(PlanOfChanges, CountsWhatIsStored) {
    add("base/1/100", 10);
    add("base/1/101", 10);
    add("base/1/102", 10);
    in_parent("base/1/100", 10);
    in_parent("base/1/101", 10);
    changes.add_block({kTablespace, 1, 100}, 4);
    changes.add_block({kTablespace, 1, 100}, 6);
    make();
    EXPECT_EQ(plan->stored_bytes(of("base/1/100"), 81920), 3 * 8192U);
    EXPECT_EQ(plan->stored_bytes(of("base/1/101"), 81920), 12U);
    EXPECT_EQ(plan->stored_bytes(of("base/1/102"), 81920), 81920U);
}

// It may have grown since it was listed, or shrunk.
TEST_F(PlanOfChanges, JudgesAFileByTheSizeThatItHasNow) {
    add("base/1/100", 10);
    in_parent("base/1/100", 10);
    changes.add_block({kTablespace, 1, 100}, 4);
    make();
    size_t index = 0;
    while (files.path(index) != "base/1/100")
        ++index;
    const auto relation = parse_relation_path("base/1/100");
    EXPECT_EQ(plan->of(index, "base/1/100", relation, 12 * 8192).runs,
              (std::vector<BlockRun>{{4, 1}, {10, 2}}));
    EXPECT_EQ(plan->of(index, "base/1/100", relation, 4 * 8192).runs, std::vector<BlockRun>{});
    EXPECT_TRUE(plan->of(index, "base/1/100", relation, 0).whole);
    EXPECT_TRUE(plan->of(index, "base/1/100", relation, 8191).whole);
}

}  // namespace
}  // namespace ark
