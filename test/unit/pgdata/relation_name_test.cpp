#include "core/pgdata/relation_name.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ark {
namespace {

std::string described(const std::optional<RelationFileName>& name) {
    if (!name)
        return "-";
    return std::string(name->temporary ? "t " : "") + std::to_string(name->filenode) + " " +
           name_of(name->fork) + " " + std::to_string(name->segment);
}

TEST(RelationName, FilesOfRelations) {
    const auto parsed = [](const char* name) { return described(parse_relation_file_name(name)); };
    EXPECT_EQ(parsed("1234"), "1234 main 0");
    EXPECT_EQ(parsed("1234.1"), "1234 main 1");
    EXPECT_EQ(parsed("4294967295.131071"), "4294967295 main 131071");
    EXPECT_EQ(parsed("1234_fsm"), "1234 fsm 0");
    EXPECT_EQ(parsed("1234_vm.2"), "1234 vm 2");
    EXPECT_EQ(parsed("1234_init"), "1234 init 0");
    EXPECT_EQ(parsed("t3_16384"), "t 16384 main 0");
    EXPECT_EQ(parsed("t12_16384_fsm.1"), "t 16384 fsm 1");
}

// What is not a relation's file must never be left out as unlogged, nor be checked page by page.
TEST(RelationName, OtherFiles) {
    for (const char* name : {"",
                             "0",
                             "01",
                             "1234_",
                             "1234_main",
                             "1234_fsmx",
                             "1234_fsm_vm",
                             "1234.",
                             "1234.0",
                             "1234.01",
                             "1234.x",
                             "1234.1_fsm",
                             "1234.1.2",
                             "x1234",
                             "1234x",
                             " 1234",
                             "1234 ",
                             "+1",
                             "-1",
                             "4294967296",
                             "99999999999999999999",
                             "t_1",
                             "t3",
                             "t3_",
                             "t3_x",
                             "tt3_1",
                             "T3_1",
                             "PG_VERSION",
                             "pg_filenode.map",
                             "1234.INCREMENTAL",
                             "INCREMENTAL.1234"}) {
        EXPECT_FALSE(parse_relation_file_name(name)) << name;
    }
}

TEST(RelationName, PlacesOfRelations) {
    const auto global = parse_relation_path("global/1260");
    ASSERT_TRUE(global);
    EXPECT_EQ(global->tablespace, 1664U);
    EXPECT_EQ(global->database, 0U);
    const auto base = parse_relation_path("base/5/1249_vm.1");
    ASSERT_TRUE(base);
    EXPECT_EQ(base->tablespace, 1663U);
    EXPECT_EQ(base->database, 5U);
    EXPECT_EQ(described(base->file), "1249 vm 1");
    const auto other = parse_relation_path("pg_tblspc/16400/PG_15_202209061/5/1249");
    ASSERT_TRUE(other);
    EXPECT_EQ(other->tablespace, 16400U);
    EXPECT_EQ(other->database, 5U);
}

TEST(RelationName, OtherPlaces) {
    for (const char* path : {"",
                             "1234",
                             "base",
                             "base/",
                             "base/1",
                             "base/1/",
                             "base/x/1",
                             "base/1/1/1",
                             "base/1/1/",
                             "base//1",
                             "/base/1/1",
                             "global",
                             "global/",
                             "global/1/1",
                             "global/pg_control",
                             "global/pg_filenode.map",
                             "pg_xact/0000",
                             "pg_multixact/offsets/0000",
                             "pg_commit_ts/1",
                             "pg_tblspc/1/1/1",
                             "pg_tblspc/1/PG_15/1",
                             "pg_tblspc/x/PG_15/1/1",
                             "base/01/1",
                             "base/1/PG_VERSION",
                             "userdir/1/2"}) {
        EXPECT_FALSE(parse_relation_path(path)) << path;
    }
}

}  // namespace
}  // namespace ark
