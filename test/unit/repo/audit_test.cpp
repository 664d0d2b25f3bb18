#include "core/repo/audit.hpp"

#include <gtest/gtest.h>

#include "core/base/bytes.hpp"
#include "core/repo/vault.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/temporary_directory.hpp"

namespace ark {
namespace {

using test::expect_error;
using test::TemporaryDirectory;

using nlohmann::json;

constexpr UnixMicros kDay = 24LL * 3600 * 1000000;
constexpr UnixMicros kMidnight = 20000 * kDay;  // 2024-10-04

class Audit : public ::testing::Test {
 protected:
    TemporaryDirectory directory_;
    std::unique_ptr<Repository> repository_ =
        Repository::open("file://" + directory_.path() + "/repo", OpenMode::create);
    std::vector<UnreadAudit> unread_;

    static json entry(const std::string& id, UnixMicros at) {
        return {{"id", id}, {"at", to_iso8601(at)}, {"act", "adopt"}};
    }
    std::vector<std::string> ids(const std::string& since = {}) {
        std::vector<std::string> found;
        for (const json& e : read_audit(*repository_, "77", since, &unread_))
            found.push_back(e["id"]);
        return found;
    }
};

TEST_F(Audit, IsReadBackInTheOrderOfTimeAndEachEntryOnce) {
    EXPECT_TRUE(ids().empty());
    store_audit(*repository_, "77", kMidnight + 7, "u2",
                json::array({entry("c", kMidnight + 7), entry("b", kMidnight + 5)}).dump());
    store_audit(*repository_, "77", kMidnight - 1, "u1",
                json::array({entry("a", kMidnight - 1)}).dump());
    // The answer was lost: stored again, with what came meanwhile.
    store_audit(*repository_, "77", kMidnight + 9, "u3",
                json::array({entry("b", kMidnight + 5), entry("d", kMidnight + 9)}).dump());
    EXPECT_EQ(ids(), (std::vector<std::string>{"a", "b", "c", "d"}));
    EXPECT_EQ(ids("2024-10-04"), (std::vector<std::string>{"b", "c", "d"}));
    EXPECT_TRUE(unread_.empty());
    EXPECT_TRUE(read_audit(*repository_, "78", {}, &unread_).empty());
}

TEST_F(Audit, HasItsPlace) {
    store_audit(*repository_, "77", kMidnight + 3723000004, "u",
                json::array({entry("a", 1)}).dump());
    EXPECT_TRUE(repository_->store().head("77/audit/2024-10-04/010203.000004-u.json").has_value());
}

TEST_F(Audit, OneObjectThatCannotBeReadKeepsNoOther) {
    store_audit(*repository_, "77", kMidnight, "u1", json::array({entry("a", kMidnight)}).dump());
    const std::string text = "{\"pg_ark_audit\": 1, \"cluster\": \"77\", \"entries\": [7]}";
    repository_->store().put_if_absent("77/audit/2024-10-04/000000.000000-u0.json", as_bytes(text));
    const std::string other = "{\"pg_ark_audit\": 1, \"cluster\": \"78\", \"entries\": []}";
    repository_->store().put_if_absent("77/audit/2024-10-04/000000.000000-u2.json",
                                       as_bytes(other));
    const std::string newer = "{\"pg_ark_audit\": 2, \"cluster\": \"77\", \"entries\": []}";
    repository_->store().put_if_absent("77/audit/2024-10-04/000000.000000-u3.json",
                                       as_bytes(newer));
    const std::string deep = std::string(400000, '[');
    repository_->store().put_if_absent(
        "77/audit/2024-10-04/000000.000000-u4.json",
        as_bytes("{\"pg_ark_audit\": 1, \"cluster\": \"77\", \"entries\": [{\"id\": \"b\", \"at\": "
                 "\"x\", \"more\": " +
                 deep + std::string(deep.size(), ']') + "}]}"));
    EXPECT_EQ(ids(), std::vector<std::string>{"a"});
    EXPECT_EQ(unread_.size(), 4U);
}

TEST_F(Audit, AnotherEntryOfTheSameIdHidesNone) {
    json forged = entry("a", kMidnight);
    forged["act"] = "nothing";
    store_audit(*repository_, "77", kMidnight - 1, "u0", json::array({forged}).dump());
    store_audit(*repository_, "77", kMidnight, "u1", json::array({entry("a", kMidnight)}).dump());
    EXPECT_EQ(ids(), (std::vector<std::string>{"a", "a"}));
}

TEST_F(Audit, IsEncryptedAndReadWithTheKeyAlone) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make("77", {KeySecret::Type::key, SecretBytes(32, std::byte{7})}));
    store_audit(*repository_, "77", kMidnight, "u1", json::array({entry("a", kMidnight)}).dump());
    repository_->use_vault(
        "77", std::make_shared<const Vault>(std::vector<Recipient>{keyring->recipient()}));
    store_audit(*repository_, "77", kMidnight + 1, "u2",
                json::array({entry("b", kMidnight + 1)}).dump());
    // Who only writes reads what is not encrypted.
    EXPECT_EQ(ids(), std::vector<std::string>{"a"});
    ASSERT_EQ(unread_.size(), 1U);
    EXPECT_EQ(unread_[0].place, "audit/2024-10-04/000000.000001-u2.json");
    EXPECT_EQ(unread_[0].error.code, ErrorCode::invalid_key);
    unread_.clear();
    repository_->use_vault("77", std::make_shared<const Vault>(keyring));
    EXPECT_EQ(ids(), (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(unread_.empty());
    repository_->use_vault(
        "77", std::make_shared<const Vault>(keyring, VaultOptions{.refuses_plain = true}));
    EXPECT_EQ(ids(), std::vector<std::string>{"b"});
    ASSERT_EQ(unread_.size(), 1U);
    EXPECT_EQ(unread_[0].error.code, ErrorCode::refused);
}

TEST_F(Audit, WhatIsNotUtf8IsStoredAllTheSame) {
    store_audit(*repository_, "77", kMidnight, "u",
                "[{\"id\": \"a\", \"at\": \"x\", \"message\": \"\xff\"}]");
    EXPECT_EQ(read_audit(*repository_, "77", {}, &unread_).at(0)["message"], "?");
}

TEST_F(Audit, RefusesWhatAreNoEntries) {
    for (const std::string text :
         {"", "{}", "[]", "[1]", "[{}]", "[{\"id\": 1}]", "[{\"id\": \"a\"}"})
        expect_error(ErrorCode::invalid_argument,
                     [&] { store_audit(*repository_, "77", 1, "u", text); });
}

}  // namespace
}  // namespace ark
