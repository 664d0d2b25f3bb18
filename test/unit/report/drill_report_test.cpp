#include <gtest/gtest.h>

#include "core/base/bytes.hpp"
#include "core/repo/evidence.hpp"
#include "core/report/drill_evidence.hpp"
#include "core/report/drill_page.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

using nlohmann::json;
using test::expect_error;

constexpr const char* kTest = "0b0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071";

Evidence some_evidence(const std::string& test_id = kTest) {
    Evidence e;
    e.test_id = test_id;
    e.kind = "restore_test";
    e.backup_id = "full_1";
    e.cluster = "77";
    e.host = "db1";
    e.program_version = "1.0.0";
    e.started_at = *parse_time("2026-11-20T02:15:00Z", false);
    e.completed_at = *parse_time("2026-11-20T02:20:00Z", false);
    e.success = true;
    e.verified = {
        {"seconds", {{"fetch", 40.0}, {"recover", 2.5}, {"amcheck_more", 7.0}, {"total", 60.0}}},
        {"rto_seconds", 42.5},
        {"files", {{"count", 1234}, {"bytes", 5000000000}}},
        {"objectives",
         {{{"tier", "critical"},
           {"rpo_seconds", 900},
           {"rto_seconds", 30},
           {"rpo_measured_seconds", 2}},
          {{"tier", "important"}, {"rpo_seconds", 3600}, {"rto_seconds", 60}}}}};
    return e;
}

DrillFacts facts_of(const Evidence& evidence) {
    DrillSources sources;
    sources.evidence = json::parse(to_json(evidence));
    return ark::facts_of(sources);
}

size_t count(const std::string& text, const std::string& what) {
    size_t found = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        ++found;
    return found;
}

TEST(DrillReport, SaysWhatTheEvidenceSays) {
    const DrillFacts facts = facts_of(some_evidence());
    EXPECT_EQ(facts.rto, 42.5);
    EXPECT_EQ(facts.total, 60);
    ASSERT_EQ(facts.steps.size(), 3U);
    EXPECT_EQ(facts.steps[0].label, "Restore");
    EXPECT_EQ(facts.steps[2].label, "Amcheck more") << "a step of a later version has a name too";
    const std::string page = to_html(facts);
    for (const char* expected : {"A server came up", "42.5 s", "1,234 files restored",
                                 "Amcheck more", ">missed<", ">unknown<"})
        EXPECT_NE(page.find(expected), std::string::npos) << expected;
    EXPECT_EQ(count(page, ">met<"), 2U);
}

TEST(DrillReport, OfSomeChecksSaysSoAndClearsNothing) {
    Evidence e = some_evidence();
    e.verified["steps"] = {{"chosen", {"sequences"}}, {"left_out", {"rows", "checks"}}};
    std::string page = to_html(facts_of(e));
    EXPECT_NE(page.find("Only these checks were made: sequences."), std::string::npos);
    for (const char* forbidden : {"nothing left unchecked", "were set up"})
        EXPECT_EQ(page.find(forbidden), std::string::npos) << forbidden;
    EXPECT_EQ(count(page, ">met<"), 2U) << "its time counts where nothing failed before";
    const json failed = {{"test_id", "a"}, {"at", "2026-11-19T02:15:00Z"}, {"success", false}};
    e.verified["history"] = {failed};
    page = to_html(facts_of(e));
    EXPECT_NE(page.find("this one does not clear it"), std::string::npos);
    EXPECT_EQ(count(page, ">met<"), 1U) << "the RPO";
    json passed = {{"test_id", "b"}, {"at", "2026-11-19T03:15:00Z"}, {"success", true}};
    passed["partial"] = true;
    e.verified["history"] = {failed, passed};
    EXPECT_TRUE(facts_of(e).not_cleared);
    passed["partial"] = false;
    e.verified["history"] = {failed, passed};
    EXPECT_FALSE(facts_of(e).not_cleared);
}

TEST(DrillReport, NeverMeetsWhatIsNotKnown) {
    EXPECT_EQ(outcome_of(60, std::nullopt), Outcome::unknown);
    EXPECT_EQ(outcome_of(std::nullopt, 1), Outcome::none);
    EXPECT_EQ(outcome_of(60, 60), Outcome::met);
    EXPECT_EQ(outcome_of(60, 60.1), Outcome::missed);
    Evidence e = some_evidence();
    e.verified.erase("rto_seconds");
    EXPECT_EQ(to_html(facts_of(e)).find(">missed<"), std::string::npos);
}

TEST(DrillReport, IsNoPlaceForMarkup) {
    const std::string evil =
        "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'\xE2\x80\xAE\xff";
    Evidence e = some_evidence();
    e.success = false;
    e.host = evil;
    e.notes = {evil};
    e.errors.add({.check = "page",
                  .object = evil,
                  .path = evil,
                  .database = evil,
                  .relation = evil,
                  .message = evil,
                  .detail = evil,
                  .hint = evil});
    const json hex = {{"hex", to_hex(evil)}};
    e.verified["target"] = {{"kind", hex}, {"asked", hex}, {"reached_time", hex}};
    e.verified["seconds"][std::string("<b>x")] = 1.0;
    e.verified["objectives"] = {{{"tier", hex}, {"rto_seconds", 50}, {"description", hex}}};
    e.verified["checks"] = {{{"name", hex},
                             {"category", hex},
                             {"severity", hex},
                             {"database", hex},
                             {"status", "failed"},
                             {"error", {{"message", hex}}},
                             {"samples", {{{"<td>", hex}}}}},
                            {{"name", hex}, {"kind", hex}, {"status", "passed"}},
                            {{"name", hex}, {"status", "<i>"}}};
    DrillSources sources;
    sources.evidence = json::parse(to_json(e));
    sources.evidence["errors"][0]["check"] = hex;
    sources.evidence["test_id"] = hex;
    sources.evidence["backup_id"] = hex;
    sources.repository = evil;
    sources.with_samples = true;
    const std::string page = to_html(ark::facts_of(sources));
    for (const char* forbidden :
         {"<script", "<img", "<b>x", "<i>", "<td>\xFF", "\xff", "\xE2\x80\xAE"})
        EXPECT_EQ(page.find(forbidden), std::string::npos) << forbidden;
    EXPECT_EQ(count(page, "</style>"), 1U);
    EXPECT_EQ(count(page, "</title>"), 1U + count(page, "<title>") - 1);
    EXPECT_GT(count(page, "&lt;script&gt;"), 10U);
    EXPECT_TRUE(is_utf8(page));
}

TEST(DrillReport, FetchesNothing) {
    const std::string page = to_html(facts_of(some_evidence()));
    for (const char* forbidden :
         {"http://", "https://", "url(", "@import", "<link", "src=", "href="})
        EXPECT_EQ(page.find(forbidden), std::string::npos) << forbidden;
    EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
}

TEST(DrillReport, IsMadeOfNothingToo) {
    for (const json& evidence : {json::object(), json(), json("x"), json::array({1})}) {
        DrillSources sources;
        sources.evidence = evidence;
        const DrillFacts facts = ark::facts_of(sources);
        EXPECT_FALSE(facts.success);
        EXPECT_NE(to_html(facts).find("</html>"), std::string::npos);
        EXPECT_FALSE(to_json(facts).dump().empty());
    }
}

TEST(DrillReport, IsMadeOfWrongTypesToo) {
    json evidence = json::parse(to_json(some_evidence()));
    const json verified = evidence["verified"];
    for (const auto& [key, value] : verified.items()) {
        for (const json& wrong :
             {json(5), json("x"), json::array({1, "y", json::array(), json::object()}),
              json::object({{"z", json::array()}}), json()}) {
            DrillSources sources;
            sources.evidence = evidence;
            sources.evidence["verified"][key] = wrong;
            sources.evidence["verified"]["checks"] = wrong;
            sources.evidence["verified"]["history"] = wrong;
            sources.evidence["errors"] = wrong;
            sources.evidence["notes"] = wrong;
            sources.with_samples = true;
            EXPECT_NE(to_html(ark::facts_of(sources)).find("</html>"), std::string::npos);
        }
    }
}

TEST(DrillReport, StaysReadableWhereThereIsMuch) {
    Evidence e = some_evidence();
    e.success = false;
    for (size_t i = 0; i < 100 * 1000; ++i)
        e.errors.add({.check = "page", .message = "m"});
    json checks = json::array();
    for (int i = 0; i < 2000; ++i)
        checks.push_back({{"name", "c" + std::to_string(i)},
                          {"status", i % 2 ? "failed" : "passed"},
                          {"violations", i}});
    json rows = json::array();
    for (int i = 0; i < 50; ++i)
        rows.push_back({{"a", std::string(100 * 1000, 'x')}});
    checks[1]["samples"] = rows;
    DrillSources sources;
    sources.evidence = json::parse(to_json(e));
    sources.evidence["verified"]["checks"] = checks;
    sources.with_samples = true;
    for (int i = 0; i < 5000; ++i) {
        Evidence other = some_evidence("t" + std::to_string(i));
        other.started_at -= i * 1000000LL;
        sources.others.push_back(json::parse(to_json(other)));
    }
    const std::string page = to_html(ark::facts_of(sources));
    EXPECT_LT(page.size(), 3U << 20);
    EXPECT_NE(page.find("And 99,500 more"), std::string::npos);
    EXPECT_EQ(page.find(std::string(400, 'x')), std::string::npos);
    EXPECT_LE(count(page, "<circle"), 800U);
}

TEST(DrillReport, LeavesOutWhatShowsData) {
    constexpr const char* kSecret = "s3cret";
    Evidence e = some_evidence();
    e.success = false;
    for (const char* check : {"integrity", "critical_function"})
        e.errors.add({.check = check, .message = "told", .detail = kSecret, .hint = kSecret});
    e.errors.add({.check = "page", .message = "m", .detail = "a place", .hint = "advice"});
    e.verified["checks"] = {
        {{"name", "a"}, {"status", "failed"}, {"samples", {{{"n", kSecret}}}}},
        {{"name", "b"},
         {"status", "error"},
         {"error", {{"sqlstate", "22P02"}, {"message", kSecret}, {"detail", kSecret}}}},
        {{"name", "c"}, {"status", "failed"}, {"error", {{"message", kSecret}}}},
        {{"name", "d"}, {"status", "passed"}, {"samples", {{{"n", kSecret}}}}},
        {{"name", "e"}, {"status", "skipped"}, {"error", {{"message", "no server"}}}}};
    DrillSources sources;
    sources.evidence = json::parse(to_json(e));
    for (const bool with : {false, true}) {
        sources.with_samples = with;
        const DrillFacts facts = ark::facts_of(sources);
        for (const std::string& text : {to_html(facts), to_json(facts).dump()}) {
            EXPECT_EQ(text.find(kSecret) != std::string::npos, with);
            EXPECT_EQ(text.find("22P02") != std::string::npos, !with);
            for (const char* kept : {"told", "a place", "advice", "no server"})
                EXPECT_NE(text.find(kept), std::string::npos) << kept;
        }
    }
}

TEST(DrillReport, ShowsWhatIsWrongFirst) {
    Evidence e = some_evidence();
    e.verified["checks"] = {{{"name", "fine"}, {"status", "passed"}},
                            {{"name", "broken"}, {"status", "error"}, {"severity", "error"}},
                            {{"name", "mild"}, {"status", "failed"}, {"severity", "info"}},
                            {{"name", "grave"}, {"status", "failed"}, {"severity", "critical"}}};
    const DrillFacts facts = facts_of(e);
    std::string names;
    for (const ReportCheck& check : facts.checks)
        names += check.name + " ";
    EXPECT_EQ(names, "grave mild broken fine ");
}

TEST(DrillReport, RemembersWhatTheServerTold) {
    Evidence e = some_evidence();
    e.verified["history"] = {{{"test_id", "old"},
                              {"at", "2026-05-20T02:15:00Z"},
                              {"success", true},
                              {"bytes", 1e9},
                              {"rto_seconds", 9}},
                             {{"test_id", "later"},
                              {"at", "2027-05-20T02:15:00Z"},
                              {"success", true},
                              {"rto_seconds", 9}}};
    const DrillFacts facts = facts_of(e);
    ASSERT_EQ(facts.history.size(), 2U) << "and nothing of what came after it";
    EXPECT_EQ(facts.history[0].test_id, "old");
    EXPECT_EQ(facts.history[1].test_id, kTest);
    EXPECT_EQ(facts.sizes.size(), 2U);
}

TEST(DrillReport, IsJsonToo) {
    const json out = to_json(facts_of(some_evidence()));
    EXPECT_EQ(out.at("pg_ark_drill_report"), 1);
    EXPECT_EQ(out.at("rto_seconds"), 42.5);
    EXPECT_EQ(out.at("objectives").at(0).at("rto"), "missed");
    EXPECT_EQ(out.at("objectives").at(1).at("rpo"), "unknown");
    Evidence e = some_evidence();
    e.notes = {"\xff"};
    EXPECT_EQ(to_json(facts_of(e)).at("notes").at(0).at("hex"), "ff");
}

TEST(DrillObjective, IsRead) {
    const ReportObjective o = parse_objective("very critical=15min/1.5h");
    EXPECT_EQ(o.tier, "very critical");
    EXPECT_EQ(o.rpo, 900);
    EXPECT_EQ(o.rto, 5400);
    EXPECT_FALSE(parse_objective("x=-/2d").rpo);
    EXPECT_EQ(parse_objective("x=90/-").rpo, 90);
    for (const char* wrong : {"", "x", "x=1h", "=1h/1h", "x=1h/", "x=1 h/1h", "x=0/1h", "x=-/-",
                              "x=1y/1h", "x=-1h/1h", "x=nan/1h", "x=inf/1h", "x/y=1h"})
        expect_error(
            ErrorCode::invalid_argument, [&] { (void)parse_objective(wrong); }, wrong);
}

class DrillEvidence : public ::testing::Test {
 protected:
    std::unique_ptr<Repository> repository_ =
        Repository::open(make_memory_store(), OpenMode::create);
    std::vector<std::string> unread_;

    DrillSources read(const std::string& id) { return read_drill(*repository_, "77", id, unread_); }
};

TEST_F(DrillEvidence, IsFoundByItsIdOrItsBeginning) {
    store_evidence(*repository_, some_evidence());
    store_evidence(*repository_, some_evidence("0c0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071"));
    EXPECT_EQ(read(kTest).evidence.at("test_id"), kTest);
    EXPECT_EQ(read("0b").evidence.at("test_id"), kTest);
    EXPECT_EQ(read("0b").others.size(), 1U);
    expect_error(ErrorCode::invalid_argument, [&] { (void)read("0"); });
    expect_error(ErrorCode::not_found, [&] { (void)read("1"); });
    expect_error(ErrorCode::not_found, [&] { (void)read(""); });
}

TEST_F(DrillEvidence, LatestIsTheOneThatBeganLast) {
    expect_error(ErrorCode::not_found, [&] { (void)read("latest"); });
    Evidence older = some_evidence();
    older.started_at -= 1000000;
    store_evidence(*repository_, older);
    store_evidence(*repository_, some_evidence("0a0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071"));
    Evidence verification = some_evidence("ff0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071");
    verification.kind = "verification";
    verification.started_at += 1000000;
    store_evidence(*repository_, verification);
    EXPECT_EQ(read("latest").evidence.at("test_id"), "0a0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071");
    EXPECT_EQ(read("latest").others.size(), 1U);
    expect_error(ErrorCode::invalid_argument, [&] { (void)read("ff"); });
}

TEST_F(DrillEvidence, OneThatIsDamagedHidesNoOther) {
    store_evidence(*repository_, some_evidence());
    (void)repository_->store().put_if_absent("77/backup/full_1/tests/dddd.json", as_bytes("{"));
    EXPECT_EQ(read("0b").others.size(), 0U);
    ASSERT_EQ(unread_.size(), 1U);
    EXPECT_NE(unread_[0].find("dddd"), std::string::npos);
    expect_error(ErrorCode::corrupt, [&] { (void)read("dddd"); });
}

}  // namespace
}  // namespace ark
