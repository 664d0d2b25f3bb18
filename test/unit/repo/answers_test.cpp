#include "core/repo/answers.hpp"

#include <gtest/gtest.h>

#include "core/repo/object_writer.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

constexpr const char* kDatabase =
    R"({"kind": "database", "name": "shop", "oid": 5, "settings": {"TimeZone": "UTC"}, "tables_query": "SELECT"})";
constexpr const char* kCatalog =
    R"({"kind": "catalog", "name": "pg_proc", "file": [1663, 5, 1255], "lsn": "0/2000028", "query": "SELECT 1"})";
constexpr const char* kObject =
    R"x({"kind": "object", "row": ["o16384", 3, 1, "-42", false, "function f()"]})x";
constexpr const char* kTable =
    R"({"kind": "table", "oid": 16385, "name": "public.t", "files": [[1663, 5, 16385]], "lsn": "0/2000030", "shape": "1", "rows": 7, "sum": null})";
constexpr const char* kValue =
    R"({"kind": "value", "name": "v", "query": "SELECT 2", "timeout_ms": 10, "lsn": "0/2000030", "files": [], "shapes": [[16385, "1"]], "rows": ["{\"a\":1}"]})";
constexpr const char* kLeftOut = R"({"kind": "left_out", "why": "locked", "count": 2})";

TEST(Answers, AreReadAsTheyWereStored) {
    auto repository = Repository::open(make_memory_store(), OpenMode::create);
    ObjectWriter out(repository->store(), "77", ObjectKind::answers, place::answers("b"), Writer{},
                     3, true);
    for (const char* line : {kDatabase, kCatalog, kObject, kTable, kValue, kLeftOut}) {
        const auto whole = checked_answer_line(line);
        ASSERT_TRUE(whole) << line;
        out.append(as_bytes(*whole));
    }
    const std::string sha256 = out.finish().plain_sha256;
    AnswersReader reader(*repository, "77", "b", sha256);
    const auto database = std::get<AnsweringDatabase>(*reader.next());
    EXPECT_EQ(database.name, "shop");
    EXPECT_EQ(database.settings.at(0).second, "UTC");
    const auto catalog = std::get<CatalogAnswer>(*reader.next());
    EXPECT_EQ(catalog.file, (RelationId{1663, 5, 1255}));
    EXPECT_EQ(catalog.lsn, 0x2000028U);
    const auto object = std::get<ObjectAnswer>(*reader.next());
    EXPECT_EQ(object, (ObjectAnswer{"o16384", 3, 1, "-42", false, "function f()"}));
    const auto table = std::get<TableAnswer>(*reader.next());
    EXPECT_EQ(table.rows, 7U);
    EXPECT_FALSE(table.sum);
    const auto value = std::get<ValueAnswer>(*reader.next());
    EXPECT_EQ(value.shapes.at(0).first, 16385U);
    EXPECT_EQ(value.rows.at(0), "{\"a\":1}");
    EXPECT_EQ(std::get<LeftOut>(*reader.next()).count, 2U);
    EXPECT_FALSE(reader.next());
    AnswersReader other(*repository, "77", "b", std::string(64, '0'));
    test::expect_error(ErrorCode::corrupt, [&] {
        while (other.next()) {
        }
        return 0;
    });
}

TEST(Answers, WhatIsNoneIsNotStored) {
    EXPECT_FALSE(checked_answer_line("nothing"));
    EXPECT_FALSE(checked_answer_line("{}"));
    EXPECT_FALSE(checked_answer_line(R"({"kind": "else"})"));
    EXPECT_FALSE(
        checked_answer_line(R"({"kind": "object", "row": ["o1", -3, 1, "0", false, null]})"));
    EXPECT_FALSE(checked_answer_line(R"({"kind": "left_out", "why": ")"
                                     "\xff"
                                     R"(", "count": 1})"));
    EXPECT_FALSE(checked_answer_line(R"({"kind": "left_out", "count": 1, "why": ")" +
                                     std::string(2 << 20, 'x') + "\"}"));
    std::string lsn = kCatalog;
    lsn.replace(lsn.find("0/2000028"), 9, "somewhere");
    EXPECT_FALSE(checked_answer_line(lsn));
    // A newline would end the line.
    EXPECT_EQ(checked_answer_line("{\"kind\": \"left_out\",\n \"why\": \"x\", \"count\": 1}"),
              "{\"count\":1,\"kind\":\"left_out\",\"why\":\"x\"}\n");
}

}  // namespace
}  // namespace ark
