#include "core/drill/user_check.hpp"

#include <gtest/gtest.h>

#include "core/drill/constraint_queries.hpp"
#include "core/drill/drill_steps.hpp"
#include "core/drill/user_check_run.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

TEST(UserCheck, ReadsAFile) {
    const auto checks = parse_check_file(
        "-- Checks of a shop.\n\n-- name: a b\n-- severity: critical\n--threshold: 3\n"
        "-- database: odd \"one\"\n-- timeout: 2min\nSELECT 1\n-- expected: not a header here\n"
        "FROM t;\n\n-- name: c\n-- kind: critical\n-- predicate: n > 0\nSELECT 2 AS n\n");
    ASSERT_EQ(checks.size(), 2U);
    EXPECT_EQ(checks[0].name, "a b");
    EXPECT_EQ(checks[0].severity, "critical");
    EXPECT_EQ(checks[0].threshold, 3U);
    EXPECT_EQ(checks[0].database, "odd \"one\"");
    EXPECT_EQ(checks[0].timeout_ms, 120000U);
    EXPECT_NE(checks[0].sql.find("not a header"), std::string::npos);
    EXPECT_FALSE(checks[0].expected);
    EXPECT_EQ(checks[1].kind, UserCheck::Kind::critical);
    EXPECT_EQ(checks[1].predicate, "n > 0");
    EXPECT_EQ(checks[1].database, "postgres");
}

TEST(UserCheck, RefusesAFileWithItsLine) {
    const auto refused = [](const std::string& text, const std::string& message) {
        const Error error =
            test::expect_error(ErrorCode::invalid_argument, [&] { return parse_check_file(text); });
        EXPECT_TRUE(test::mentions(error.message, message)) << error.message;
    };
    refused("", "no check");
    refused("SELECT 1", "line 1");
    refused("-- name:\nSELECT 1", "line 1: the check's name is empty");
    refused("-- name: a\n-- kind: other\nSELECT 1", "line 2: unknown kind");
    refused("-- name: a\n-- threshold: -1\nSELECT 1", "line 2: invalid threshold");
    refused("-- name: a\n-- kind: critical\n-- expected: 1\n-- predicate: x\nSELECT 1", "has an");
}

TEST(UserCheck, ReadsTimeouts) {
    EXPECT_EQ(parse_check_timeout("500ms"), 500U);
    EXPECT_EQ(parse_check_timeout("30s"), 30000U);
    EXPECT_EQ(parse_check_timeout("2 min"), 120000U);
    EXPECT_EQ(parse_check_timeout("1h"), 3600000U);
    EXPECT_EQ(parse_check_timeout("70"), 70U);
    for (const char* bad : {"", "0", "s", "1 day", "-1s", "99999999999999h", "25h"})
        EXPECT_FALSE(parse_check_timeout(bad)) << bad;
}

TEST(UserCheck, IsPutAsOneCursor) {
    UserCheck check;
    check.sql = "SELECT 1; -- end\n";
    EXPECT_EQ(declare_statement(check),
              "DECLARE ark_check NO SCROLL CURSOR FOR SELECT 1; -- end\n");
    check.sql = "SELECT 1 AS n ;\n";
    check.predicate = "n = 1 -- so";
    EXPECT_EQ(declare_statement(check),
              "DECLARE ark_check NO SCROLL CURSOR FOR SELECT (n = 1 -- so\n) FROM (SELECT 1 AS "
              "n\n) AS result");
}

TEST(UserCheck, MakesOthersOfWhatTheCatalogsSay) {
    UserCheck from;
    from.name = "tenant_isolation";
    from.severity = "critical";
    from.ready_made = "tenant_isolation";
    from.sql = "SELECT 1 -- end";
    EXPECT_EQ(declare_statement(from),
              "DECLARE ark_check NO SCROLL CURSOR FOR SELECT pg_catalog.to_jsonb(made) FROM "
              "(SELECT 1 -- end\n) AS made");
    const auto made = made_checks(
        from, {{R"({"object": "fk on a.b", "sql": "SELECT 2", "tables": ["a.b", "a.c"]})"},
               {R"({"object": null, "sql": "SELECT 3", "tables": [], "skip": null})"},
               {R"({"object": "o", "sql": null, "tables": null, "locked": true})"},
               {R"({"object": "o", "sql": null, "skip": "since"})"},
               {R"({"sql": 5})"}});
    ASSERT_TRUE(made);
    ASSERT_EQ(made->size(), 5U);
    const MadeCheck& first = made->front();
    EXPECT_EQ(first.check.name, "tenant_isolation");
    EXPECT_EQ(first.check.severity, "critical");
    EXPECT_EQ(first.check.object, "fk on a.b");
    EXPECT_EQ(first.check.table, "a.b");
    EXPECT_EQ(declare_statement(first.check), "DECLARE ark_check NO SCROLL CURSOR FOR SELECT 2");
    EXPECT_TRUE(first.skip.empty() && !first.locked);
    EXPECT_TRUE((*made)[1].skip.empty() && (*made)[1].check.table.empty());
    EXPECT_TRUE((*made)[2].skip.empty() && (*made)[2].locked);
    EXPECT_EQ((*made)[3].skip, "since");
    EXPECT_FALSE((*made)[4].skip.empty()) << "nothing is asked where there is nothing to ask";
    for (const SqlRow& bad : {SqlRow{}, {std::nullopt}, {"x"}, {"[1]"}, {"{\"sql\": \"\xff\"}"}})
        EXPECT_FALSE(made_checks(from, {bad}));
}

TEST(UserCheck, IsLeftToTheStepThatDoesTheSame) {
    EXPECT_EQ(step_instead_of("not_null"), DrillStep::constraints);
    EXPECT_EQ(step_instead_of("duplicate_keys"), DrillStep::unique_keys);
    for (const char* own : {"", "tenant_isolation", "email_shape", "checks"})
        EXPECT_FALSE(step_instead_of(own)) << own;
}

TEST(UserCheck, JudgesAnAnswer) {
    UserCheck check;
    check.kind = UserCheck::Kind::critical;
    EXPECT_FALSE(why_not_expected(check, {}));
    check.expected = "2";
    EXPECT_FALSE(why_not_expected(check, {{"2"}}));
    EXPECT_TRUE(why_not_expected(check, {{"3"}}));
    EXPECT_TRUE(why_not_expected(check, {{std::nullopt}}));
    EXPECT_TRUE(why_not_expected(check, {}));
    EXPECT_TRUE(why_not_expected(check, {{"2"}, {"2"}}));
    check.expected.reset();
    check.predicate = "n > 0";
    EXPECT_FALSE(why_not_expected(check, {{"t"}, {"t"}}));
    EXPECT_TRUE(why_not_expected(check, {{"t"}, {"f"}}));
    EXPECT_TRUE(why_not_expected(check, {{std::nullopt}}));
    EXPECT_TRUE(why_not_expected(check, {}));
}

TEST(UserCheck, KeepsRowsAsJson) {
    const std::vector<SqlColumn> columns{{"n", 20}, {"b", 16}, {"t", 25}, {"x", 25}};
    const auto row = json_of_row(columns, {"-5", "t", "text", std::nullopt});
    EXPECT_EQ(row.dump(), R"({"b":true,"n":-5,"t":"text","x":null})");
    std::string umlauts = "x";
    for (int i = 0; i < 200; ++i)
        umlauts += "ü";
    const auto cut = json_of_row({{"t", 25}}, {umlauts});
    EXPECT_TRUE(is_utf8(cut["t"].get<std::string>()));
    EXPECT_LT(cut["t"].get<std::string>().size(), 310U);
}

TEST(ConstraintQueries, AskForAllRulesOfATableAtOnce) {
    EXPECT_EQ(
        row_rules_question({{"s.t", "one", "a > 1", 0, false}, {"s.t", "two", "b", 0, false}}),
        "SELECT v.i, v.n, v.place FROM (SELECT pg_catalog.count(*) FILTER (WHERE a > 1) AS "
        "n0, pg_catalog.min(ctid) FILTER (WHERE a > 1) AS p0, pg_catalog.count(*) FILTER "
        "(WHERE b) AS n1, pg_catalog.min(ctid) FILTER (WHERE b) AS p1 FROM ONLY s.t) AS s, "
        "LATERAL (VALUES (0, s.n0, s.p0), (1, s.n1, s.p1)) AS v(i, n, place) WHERE v.n > 0");
    EXPECT_EQ(block_of_place("(7,3)"), 7U);
    EXPECT_EQ(block_of_place("public.\"a (1\" (12,1)"), 12U);
    EXPECT_FALSE(block_of_place(""));
}

TEST(DrillSteps, AreNamed) {
    const DrillSteps two = DrillSteps::parse("foreign_keys, sequences");
    EXPECT_TRUE(two.has(DrillStep::foreign_keys));
    EXPECT_TRUE(two.has(DrillStep::sequences));
    EXPECT_FALSE(two.has(DrillStep::pages));
    EXPECT_TRUE(DrillSteps::parse("census").has(DrillStep::census));
    EXPECT_FALSE(DrillSteps::of_restore_test().has(DrillStep::census));
    EXPECT_EQ(DrillSteps::parse("objects,files,pages,catalog,amcheck,rows"),
              DrillSteps::of_restore_test());
    test::expect_error(ErrorCode::invalid_argument, [] { return DrillSteps::parse("pages,x"); });
    test::expect_error(ErrorCode::invalid_argument, [] { return DrillSteps::parse(" , "); });
}

}  // namespace
}  // namespace ark
