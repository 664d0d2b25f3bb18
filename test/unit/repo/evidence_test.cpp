#include "core/repo/evidence.hpp"

#include <gtest/gtest.h>

#include "core/base/bytes.hpp"

namespace ark {
namespace {

using nlohmann::json;

Evidence some_evidence() {
    Evidence e;
    e.test_id = "0b0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071";
    e.kind = "restore_test";
    e.backup_id = "full_1";
    e.cluster = "77";
    e.host = "db1";
    e.program_version = "1.0.0";
    e.verified["pages"] = {{"count", 12}};
    return e;
}

TEST(Evidence, SaysEverythingInOneLine) {
    Evidence e = some_evidence();
    Finding finding;
    finding.check = "page";
    finding.relation = "public.t";
    finding.block = 0;
    finding.message = "checksum mismatch";
    finding.path = "base/5/\xff";
    e.errors.add(finding);
    e.notes = {"no checksums"};
    const std::string text = to_json(e);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    const json j = json::parse(text);
    EXPECT_EQ(j.at("error_count"), 1);
    EXPECT_EQ(j.at("errors").at(0).at("block"), 0);
    EXPECT_EQ(j.at("errors").at(0).at("path").at("hex"), to_hex("base/5/\xff"));
    EXPECT_FALSE(j.at("errors").at(0).contains("database"));
    EXPECT_EQ(j.at("verified").at("pages").at("count"), 12);
    EXPECT_EQ(j.at("notes").at(0), "no checksums");
    EXPECT_EQ(j.at("success"), false);
}

TEST(Evidence, CountsWhatItDoesNotKeep) {
    Evidence e = some_evidence();
    for (size_t i = 0; i < kMaxFindings + 7; ++i)
        e.errors.add({.check = "page", .message = "m"});
    EXPECT_EQ(e.errors.kept.size(), kMaxFindings);
    EXPECT_EQ(json::parse(to_json(e)).at("error_count"), kMaxFindings + 7);
}

TEST(Evidence, FitsAMessage) {
    Evidence e = some_evidence();
    for (size_t i = 0; i < kMaxFindings; ++i)
        e.errors.add({.check = "page", .message = std::string(5000, 'x')});
    const std::string text = to_json(e);
    EXPECT_LE(text.size(), 500U * 1000);
    EXPECT_EQ(json::parse(text).at("error_count"), kMaxFindings);
    EXPECT_GT(json::parse(text).at("errors").size(), 50U);
}

TEST(Evidence, IsStoredBesideItsBackup) {
    const auto repository = Repository::open(make_memory_store(), OpenMode::create);
    store_evidence(*repository, some_evidence());
    EXPECT_TRUE(repository->store().head(
        "77/backup/full_1/tests/0b0e7f9a-3c2d-4e5f-8a1b-2c3d4e5f6071.json"));
}

TEST(Uuid, IsRandomAndOfVersionFour) {
    const std::string a = make_uuid();
    EXPECT_NE(a, make_uuid());
    ASSERT_EQ(a.size(), 36U);
    EXPECT_EQ(a[14], '4');
    EXPECT_NE(std::string("89ab").find(a[19]), std::string::npos);
}

}  // namespace
}  // namespace ark
