#include "core/repo/census.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

TableState table(uint32_t oid, uint64_t bytes, uint64_t changes) {
    TableState t;
    t.database = "shop";
    t.schema = "public";
    t.name = "t\xff";
    t.database_oid = 5;
    t.oid = oid;
    t.filenode = oid;
    t.bytes = bytes;
    t.changes = changes;
    return t;
}

class Census : public testing::Test {
 protected:
    // The entries of a census whose tables were so at the start, and so at the stop.
    std::vector<CensusEntry> written(const std::vector<TableState>& start,
                                     const std::vector<TableState>& stop) {
        CensusWriter census;
        ObjectWriter out(repository->store(), "77", ObjectKind::census, place::census("full_1"),
                         Writer{}, 3, true);
        for (const TableState& t : start)
            census.at_start(t);
        for (const TableState& t : stop)
            census.at_stop(out, t);
        sha256 = out.finish().plain_sha256;
        CensusReader reader(*repository, "77", "full_1", sha256);
        std::vector<CensusEntry> entries;
        while (auto entry = reader.next())
            entries.push_back(std::move(*entry));
        return entries;
    }

    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    std::string sha256;
};

TEST_F(Census, KeepsWhatTheServerTold) {
    TableState t = table(16384, 81920, 10);
    t.rows = 7;
    const auto entries = written({t}, {t});
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].table.name, "t\xff");
    EXPECT_EQ(entries[0].table.database, "shop");
    EXPECT_EQ(entries[0].table.oid, 16384U);
    EXPECT_EQ(entries[0].table.bytes, 81920U);
    EXPECT_EQ(entries[0].table.rows, 7U);
    EXPECT_TRUE(entries[0].unchanged);
}

TEST_F(Census, KnowsWhatCannotHaveChanged) {
    TableState other_file = table(4, 8192, 0);
    other_file.filenode = 99;
    TableState other_database = table(5, 8192, 0);
    other_database.database_oid = 6;
    const auto entries = written(
        {table(1, 8192, 0), table(2, 8192, 0), table(4, 8192, 0), table(5, 8192, 0)},
        {table(1, 16384, 0), table(2, 8192, 1), table(3, 8192, 0), other_file, other_database});
    ASSERT_EQ(entries.size(), 5U);
    for (const CensusEntry& entry : entries)
        EXPECT_FALSE(entry.unchanged) << entry.table.oid;
    EXPECT_FALSE(entries[0].table.rows);
}

TEST_F(Census, MustBeWhatTheMarkerSays) {
    written({}, {table(1, 0, 0)});
    CensusReader reader(*repository, "77", "full_1", std::string(64, '0'));
    EXPECT_TRUE(reader.next());
    test::expect_error(ErrorCode::corrupt, [&] { return reader.next(); });
}

}  // namespace
}  // namespace ark
