#include "core/repo/marker.hpp"

#include <nlohmann/json.hpp>

#include "core/pipeline/digest.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/sample_marker.hpp"

namespace ark {
namespace {

using nlohmann::json;

json sample() {
    return json::parse(to_json(test::sample_marker()));
}
// As docs/repository-format.md says it.
std::string sealed(json j) {
    j.erase("sha256");
    std::string text = j.dump(2);
    text.resize(text.size() - 2);
    return text + ",\n  \"sha256\": \"" + sha256_hex(as_bytes(text)) + "\"\n}\n";
}
BackupMarker parse(const json& j) {
    return parse_marker(sealed(j), "the marker");
}

TEST(Marker, EveryFlippedBitIsCorrupt) {
    const std::string text = to_json(test::sample_marker());
    for (size_t i = 0; i < text.size(); ++i) {
        std::string damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse_marker(damaged, "x"); }, std::to_string(i));
    }
}

TEST(Marker, EveryFieldRoundTrips) {
    const BackupMarker before = test::sample_marker();
    const BackupMarker after = parse_marker(to_json(before), "x");
    EXPECT_EQ(to_json(after), to_json(before));
    EXPECT_EQ(after.system_identifier, before.system_identifier);
    EXPECT_EQ(after.reason, before.reason);
    EXPECT_EQ(after.role, before.role);
    EXPECT_EQ(after.data_directory, before.data_directory);
    EXPECT_EQ(after.corrupt_pages, before.corrupt_pages);
    EXPECT_EQ(after.packs, before.packs);
    EXPECT_EQ(after.tablespaces, before.tablespaces);
    EXPECT_EQ(after.config_files, before.config_files);
    EXPECT_EQ(after.config_includes, before.config_includes);
    EXPECT_EQ(after.start_lsn, before.start_lsn);
    EXPECT_EQ(after.stop_lsn, before.stop_lsn);
    EXPECT_EQ(after.started_at, before.started_at);
    EXPECT_EQ(after.writer.data_directory, before.writer.data_directory);
}

// The sample has no field at its default, so a field that is written or read by no one shows here.
TEST(Marker, NoFieldIsLostOnTheWay) {
    const json written = sample();
    const json defaults = json::parse(to_json(BackupMarker{}));
    for (const auto& [key, value] : written.items()) {
        if (key != "pg_ark_backup" && key != "status") {
            EXPECT_NE(value, defaults.value(key, json())) << key;
        }
    }
    EXPECT_EQ(json::parse(to_json(parse(written))), written);
}

TEST(Marker, TextThatIsNotUtf8IsHexadecimal) {
    EXPECT_EQ(sample().at("data_directory"), json({{"hex", "2f7661722f6c69622fff"}}));
    json j = sample();
    for (const char* hex : {"zz", "f", " "}) {
        j["reason"] = {{"hex", hex}};
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse(j); }, hex);
    }
    j["reason"] = {{"text", "x"}};
    test::expect_error(ErrorCode::corrupt, [&] { return parse(j); });
}

TEST(Marker, EveryMissingFieldIsCorruptAndNamed) {
    const json whole = sample();
    for (const auto& [key, value] : whole.items()) {
        if (key == "status" || key == "sha256" || key == "full_because" || key == "changes" ||
            key == "parent_index_sha256")
            continue;
        json j = whole;
        j.erase(key);
        const Error error = test::expect_error(
            ErrorCode::corrupt, [&] { return parse(j); }, key);
        EXPECT_TRUE(test::mentions(error.message, "the marker"));
        EXPECT_TRUE(test::mentions(error.detail, key)) << error.detail;
    }
}

TEST(Marker, OfAFullBackupHasNothingOfAParent) {
    BackupMarker full = test::sample_marker();
    full.type = kTypeFull;
    full.parent.clear();
    full.parent_index_sha256.clear();
    full.full_because.clear();
    full.changes.reset();
    const json written = json::parse(to_json(full));
    for (const char* key : {"parent_index_sha256", "full_because", "changes"})
        EXPECT_FALSE(written.contains(key)) << key;
    const BackupMarker after = parse(written);
    EXPECT_EQ(to_json(after), to_json(full));
    EXPECT_FALSE(after.changes);
}

// A part of a cluster must never pass for the whole of it.
TEST(Marker, TypeAndParentGoTogether) {
    const auto with = [](const char* type, const char* parent, const char* digest) {
        json j = sample();
        j["type"] = type;
        j["parent"] = parent;
        j["parent_index_sha256"] = digest;
        return j;
    };
    EXPECT_EQ(parse(with("incremental", "p", "d")).parent, "p");
    EXPECT_EQ(parse(with("differential", "p", "d")).parent_index_sha256, "d");
    EXPECT_EQ(parse(with("full", "", "")).parent, "");
    for (const json& j :
         {with("full", "p", "d"), with("full", "p", ""), with("full", "", "d"),
          with("incremental", "", ""), with("incremental", "", "d"), with("differential", "", ""),
          with("other", "", ""), with("", "", ""), with("other", "p", "d")}) {
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse(j); }, j.dump());
    }
}

// Whatever a damaged or foreign file holds, the answer is an Error: the list of all backups goes
// on.
TEST(Marker, EveryFieldOfAnotherTypeIsCorrupt) {
    const json whole = sample();
    const std::vector<json> others{nullptr,
                                   -1,
                                   1.5,
                                   1e300,
                                   true,
                                   "text",
                                   "",
                                   18446744073709551615ULL,
                                   json::array(),
                                   json::array({1}),
                                   json::object(),
                                   {{"hex", 1}},
                                   {{"x", "y"}}};
    for (const auto& [key, value] : whole.items()) {
        if (key == "status" || key == "sha256")
            continue;
        for (const json& other : others) {
            json j = whole;
            j[key] = other;
            try {
                const BackupMarker taken = parse(j);
                // What is taken is taken as it stands, never bent into another value.
                // (Of what need not be there, nothing is written where it is empty.)
                EXPECT_EQ(json::parse(to_json(taken)).value(key, json("")), other)
                    << key << " " << other;
            } catch (const Error& error) {
                EXPECT_TRUE(error.code == ErrorCode::corrupt ||
                            (error.code == ErrorCode::unsupported && key == "pg_ark_backup"))
                    << key << " " << other << ": " << error.message;
            }
        }
    }
}

// Segments are counted with these: by zero, or without an end.
TEST(Marker, WalThatCannotBeIsCorrupt) {
    const auto change = [](const char* key, const json& value) {
        json j = sample();
        j[key] = value;
        test::expect_error(
            ErrorCode::corrupt, [&] { return parse(j); }, key + value.dump());
    };
    for (const uint64_t size :
         {uint64_t{0}, uint64_t{1}, uint64_t{16} << 20 | 1, uint64_t{1} << 40})
        change("wal_segment_size", size);
    change("start_lsn", sample().at("stop_lsn"));
    change("start_lsn", "FFFFFFFF/0");
    change("stop_lsn", "0/0");
}

TEST(Marker, MembersOfListsAreCheckedToo) {
    const json whole = sample();
    for (const char* key : {"packs", "tablespaces", "corrupt_pages"}) {
        for (const auto& [inner, value] : whole.at(key).at(0).items()) {
            for (const json& other : {json(nullptr), json(-1), json(true), json(json::array())}) {
                json j = whole;
                j[key][0][inner] = other;
                test::expect_error(
                    ErrorCode::corrupt, [&] { return parse(j); },
                    std::string(key) + inner + other.dump());
            }
            json j = whole;
            j[key][0].erase(inner);
            test::expect_error(ErrorCode::corrupt, [&] { return parse(j); });
        }
    }
    for (const char* key : {"writer", "changes"}) {
        for (const auto& [inner, value] : whole.at(key).items()) {
            json j = whole;
            j[key].erase(inner);
            test::expect_error(ErrorCode::corrupt, [&] { return parse(j); });
        }
    }
    for (const auto& [inner, value] : whole.at("changes").items()) {
        for (const json& other : {json(nullptr), json(-1), json(1.5), json("1")}) {
            json j = whole;
            j["changes"][inner] = other;
            test::expect_error(ErrorCode::corrupt, [&] { return parse(j); });
        }
    }
}

TEST(Marker, SystemIdentifiersThatAreNoNumbers) {
    json j = sample();
    for (const char* text : {"", "x", "12x", " 12", "-1", "+1", "1.0", "18446744073709551616",
                             "99999999999999999999999"}) {
        j["system_identifier"] = text;
        const Error error = test::expect_error(
            ErrorCode::corrupt, [&] { return parse(j); }, text);
        EXPECT_TRUE(test::mentions(error.detail, "system_identifier"));
    }
    j["system_identifier"] = "18446744073709551615";
    EXPECT_EQ(parse(j).system_identifier, 18446744073709551615ULL);
}

TEST(Marker, EveryTruncationIsCorrupt) {
    const std::string text = to_json(test::sample_marker());
    for (size_t size = 0; size + 2 < text.size(); size += 3) {
        test::expect_error(ErrorCode::corrupt,
                           [&] { return parse_marker(text.substr(0, size), "x"); });
    }
}

TEST(Marker, ANewerFormatIsUnsupported) {
    json j = sample();
    j["pg_ark_backup"] = 2;
    test::expect_error(ErrorCode::unsupported, [&] { return parse(j); });
    j = sample();
    j["a_field_of_a_later_version"] = {1, 2, 3};
    EXPECT_EQ(to_json(parse(j)), to_json(test::sample_marker()));
}

class Backups : public testing::Test {
 protected:
    Backups() : repository(Repository::open(make_memory_store(), OpenMode::create)) {}
    void add(const std::string& id, Lsn lsn, TimelineId timeline = 1) {
        BackupMarker m = test::sample_marker();
        m.backup_id = id;
        m.start_lsn = lsn;
        m.timeline = timeline;
        put(id, to_json(m));
    }
    void put(const std::string& id, const std::string& text) {
        repository->store().put_if_absent("main/" + place::marker(id), as_bytes(text));
    }
    std::string ids(std::vector<std::string>* bad = nullptr) {
        std::string out;
        for (const BackupMarker& m : list_backups(*repository, "main", bad))
            out += m.backup_id + " ";
        return out;
    }
    std::unique_ptr<Repository> repository;
};

TEST_F(Backups, AreOrderedByLsnThenTimeline) {
    EXPECT_EQ(ids(), "");
    add("z", 1);
    add("a", 3, 2);
    add("b", 3, 1);
    add("m", 2);
    EXPECT_EQ(ids(), "z m b a ");
}

TEST_F(Backups, WithoutAMarkerDoNotExist) {
    repository->store().put_if_absent("main/" + place::pack("x", 0), as_bytes("x"));
    repository->store().put_if_absent("main/" + place::index("x"), as_bytes("x"));
    EXPECT_EQ(ids(), "");
    EXPECT_FALSE(find_backup(*repository, "main", "x"));
    EXPECT_FALSE(find_backup(*repository, "main", "../main/backup/x"));
    EXPECT_FALSE(find_backup(*repository, "main", ""));
}

TEST_F(Backups, OneBadMarkerDoesNotHideTheOthers) {
    add("good", 1);
    put("bad", "{");
    put("worse", "{\"pg_ark_backup\": 1, \"system_identifier\": \"x\"}");
    std::vector<std::string> bad;
    EXPECT_EQ(ids(&bad), "good ");
    ASSERT_EQ(bad.size(), 2U);
    EXPECT_TRUE(test::mentions(bad[0], "bad: "));
    test::expect_error(ErrorCode::corrupt, [&] { return ids(); });
    test::expect_error(ErrorCode::corrupt, [&] { return find_backup(*repository, "main", "bad"); });
}

// Restored from, it would bring another backup than the one asked for.
TEST_F(Backups, AMarkerInTheWrongPlaceIsCorrupt) {
    BackupMarker m = test::sample_marker();
    m.backup_id = "one";
    put("two", to_json(m));
    test::expect_error(ErrorCode::corrupt, [&] { return find_backup(*repository, "main", "two"); });
    m.cluster = "other";
    put("one", to_json(m));
    test::expect_error(ErrorCode::corrupt, [&] { return find_backup(*repository, "main", "one"); });
}

TEST(Marker, AnIdTellsItsTypeAndWhen) {
    const auto name = parse_backup_id("manual_20261120_021500_9f3a01bc");
    ASSERT_TRUE(name);
    EXPECT_EQ(name->backup_type, "manual");
    EXPECT_EQ(to_iso8601(name->started_at), "2026-11-20T02:15:00.000000Z");
    for (const char* other : {"", "manual", "other_20261120_021500_9f3a01bc",
                              "manual_20261120_021500_9f3a01b", "manual_20261320_021500_9f3a01bc"})
        EXPECT_FALSE(parse_backup_id(other)) << other;
}

}  // namespace
}  // namespace ark
