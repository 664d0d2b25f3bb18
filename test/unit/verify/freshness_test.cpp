#include "core/verify/freshness.hpp"

#include <mutex>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/unit/verify/verified_backup.hpp"

namespace ark {
namespace {

using test::findings_of;
using test::WalBuilder;

constexpr int64_t kSecond = 1000000;
constexpr int64_t kHour = 3600 * kSecond;

// What a verification that does not read everything reads and passes over.
class FreshnessTest : public testing::Test {
 protected:
    Evidence verify() { return all.verify(); }
    Evidence verify_within(int64_t seconds) {
        all.freshness = seconds;
        return all.verify();
    }
    std::vector<std::string> records() const {
        std::vector<std::string> names;
        all.base->list(all.name_of(place::kVerified), [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        });
        return names;
    }
    // Everything that was written down so far is as if it had been so much later.
    void shift(int64_t by) {
        for (const std::string& name : records()) {
            const std::string place = name.substr(all.backup.marker.cluster.size() + 1);
            VerifiedRecord record =
                decode_record(open_object(all.bytes_of(name), ObjectKind::verified, place, 1 << 20,
                                          all.vault.get()),
                              name, all.backup.marker.cluster);
            record.at += by;
            for (VerifiedObject& object : record.good)
                object.at += by;
            all.put(name, test::VerifiedBackup::sealed(
                              ObjectKind::verified, place,
                              encode_record(record, all.backup.marker.cluster), all.vault.get()));
        }
    }
    std::string pack(uint32_t number) const { return all.backup.pack_name(number); }
    // Other bytes, and nothing that a listing shows.
    void rot(const std::string& name) { rotten[name] = all.bytes_of(name).size() / 2; }
    void heal() { rotten.clear(); }

    // Counts the reads of objects of the backup and its WAL.
    void SetUp() override {
        all.freshness = 3600;
        all.decorator->after_read = [this](const std::string& name, uint64_t offset,
                                           MutableByteView bytes) {
            const std::lock_guard lock(mutex);
            ++reads[name];
            const auto found = rotten.find(name);
            if (found != rotten.end() && found->second >= offset &&
                found->second - offset < bytes.size())
                bytes[found->second - offset] ^= std::byte{1};
        };
    }

    test::VerifiedBackup all;
    std::mutex mutex;  ///< packs are read by several threads
    std::map<std::string, uint64_t> rotten;
    std::map<std::string, uint64_t> reads;
};

TEST_F(FreshnessTest, TheSecondTimeLittleIsRead) {
    all.store();
    const Evidence first = verify();
    ASSERT_EQ(findings_of(first), "");
    EXPECT_EQ(first.verified.at("objects_fresh"), 0);
    EXPECT_GT(first.verified.at("bytes_read"), 3000000);
    EXPECT_EQ(records().size(), 1U);
    reads.clear();
    const Evidence second = verify();
    EXPECT_EQ(findings_of(second), "");
    EXPECT_TRUE(second.success);
    for (const auto& [name, count] : reads)
        EXPECT_FALSE(name.ends_with(".tar.zst") || name.ends_with("index.zst") ||
                     name.ends_with("manifest.zst") || name.ends_with("config.tar.zst"))
            << name;
    // The newest segment's last record may go on in the next one: it is read, and its neighbour.
    EXPECT_LE(second.verified.at("wal").at("segments"), 2);
    EXPECT_GE(second.verified.at("wal").at("segments_fresh"), 2);
    EXPECT_EQ(second.verified.at("packs"), first.verified.at("packs"));
    EXPECT_EQ(second.verified.at("wal").at("recoverable_to"),
              first.verified.at("wal").at("recoverable_to"));
    EXPECT_EQ(second.verified.at("oldest_verification"), to_iso8601(first.started_at));
    EXPECT_EQ(all.last.bytes, all.last.bytes_total);
}

TEST_F(FreshnessTest, NothingIsFreshWhereAllIsWanted) {
    all.store();
    verify();
    reads.clear();
    const Evidence again = verify_within(0);
    EXPECT_EQ(again.verified.at("objects_fresh"), 0);
    EXPECT_EQ(again.verified.at("wal").at("segments"), 4);
    EXPECT_GT(reads[pack(0)], 0U);
}

TEST_F(FreshnessTest, WhatGoesUnnoticedIsFoundInTime) {
    all.store();
    verify();
    rot(pack(0));
    EXPECT_TRUE(verify().success);  // that is what it costs
    const Evidence full = verify_within(0);
    EXPECT_FALSE(full.success);
    EXPECT_NE(findings_of(full).find("pack " + pack(0)), std::string::npos);
    // And from then on it is not trusted, whatever was written down before.
    EXPECT_FALSE(verify_within(3600).success);
    EXPECT_FALSE(verify().success);
    heal();
    EXPECT_TRUE(verify().success);
    reads.clear();
    EXPECT_TRUE(verify().success);
    EXPECT_EQ(reads[pack(0)], 0U) << "whole again it is trusted again";
}

TEST_F(FreshnessTest, TrustEnds) {
    all.store();
    verify();
    rot(pack(0));
    shift(-30 * kSecond * 60);
    EXPECT_TRUE(verify().success);
    shift(-31 * kSecond * 60);
    EXPECT_FALSE(verify().success);
}

TEST_F(FreshnessTest, TheFutureIsNotTrusted) {
    all.store();
    verify();
    rot(pack(0));
    for (const int64_t by : {10 * kSecond, kHour, 24 * 365 * kHour}) {
        shift(by);
        EXPECT_FALSE(verify().success) << by;
        for (const std::string& name : records())
            all.base->remove(name);
        heal();
        EXPECT_TRUE(verify().success);
        rot(pack(0));
    }
    // What says so of itself goes before it comes of age.
    heal();
    shift(kHour);
    const std::string of_the_future = records().at(0);
    verify();
    EXPECT_FALSE(all.base->head(of_the_future));
}

// By the store's clock it is older than the one who wrote it says.
TEST_F(FreshnessTest, TheStoresClockCountsToo) {
    all.store();
    verify();
    rot(pack(0));
    EXPECT_TRUE(verify().success);
    all.decorator->skew = 2 * 3600;
    EXPECT_FALSE(verify().success);
}

TEST_F(FreshnessTest, OtherSizesAndTimesAreRead) {
    all.store();
    verify();
    const Bytes whole = all.bytes_of(pack(0));
    all.put(pack(0), ByteView(whole).first(whole.size() - 1));
    EXPECT_NE(findings_of(verify()).find("pack " + pack(0)), std::string::npos);
    all.base->remove(pack(0));
    EXPECT_NE(findings_of(verify()).find("pack " + pack(0)), std::string::npos);
    all.put(pack(0), whole);
    reads.clear();
    EXPECT_TRUE(verify().success);
    EXPECT_GT(reads[pack(0)], 0U);
    // As long as it was, and written since.
    Bytes other = whole;
    other[other.size() / 2] ^= std::byte{1};
    all.put(pack(0), other);
    EXPECT_FALSE(verify().success);
}

TEST_F(FreshnessTest, EveryObjectThatGoesIsMissed) {
    all.store();
    verify();
    std::vector<std::string> names;
    all.base->list(all.backup.marker.cluster, [&](const ObjectInfo& object) {
        if (object.name.find("/verified/") == std::string::npos &&
            !object.name.ends_with("backup.json") && !object.name.ends_with("23.zst"))
            names.push_back(object.name);
        return true;
    });
    EXPECT_GE(names.size(), 7U);
    for (const std::string& name : names) {
        const Bytes content = all.bytes_of(name);
        all.base->remove(name);
        EXPECT_NE(findings_of(verify()).find(name), std::string::npos) << name;
        all.put(name, content);
        EXPECT_TRUE(verify().success) << name;
    }
}

TEST_F(FreshnessTest, AnotherMarkerMakesAllOfItUnknown) {
    all.store();
    verify();
    all.backup.marker.reason = "another";
    all.put_marker();
    reads.clear();
    EXPECT_TRUE(verify().success);
    EXPECT_GT(reads[pack(0)], 0U);
}

// Segments that were not there, and the records that reach into them, are read.
TEST_F(FreshnessTest, NewWalIsRead) {
    all.store();
    const auto newest = all.segment_name(WalBuilder::name(35));
    const Bytes content = all.bytes_of(newest);
    all.base->remove(newest);
    verify();
    all.put(newest, content);
    const Evidence e = verify();
    EXPECT_EQ(e.verified.at("wal").at("last"), WalBuilder::name(35));
    EXPECT_EQ(e.verified.at("wal").at("segments"), 2);  // and the one before it
    EXPECT_TRUE(e.success);
}

TEST_F(FreshnessTest, ASegmentBetweenFreshOnes) {
    all.store();
    verify();
    Bytes bytes = all.wal.segment(33);
    bytes[500000] ^= std::byte{1};
    all.put_segment(WalBuilder::name(33), bytes);
    const Evidence e = verify();
    EXPECT_EQ(findings_of(e), "wal_after_backup " + all.segment_name(WalBuilder::name(33)) + "\n");
    EXPECT_EQ(e.verified.at("backup_is_whole"), true);
    EXPECT_LT(parse_lsn(e.verified.at("wal").at("recoverable_to").get<std::string>()).value(),
              33 * WalBuilder::kSegmentSize + 500001);
    all.put_segment(WalBuilder::name(33), all.wal.segment(33));
    EXPECT_TRUE(verify().success);
    all.base->remove(all.segment_name(WalBuilder::name(33)));
    EXPECT_EQ(findings_of(verify()),
              "wal_after_backup " + all.segment_name(WalBuilder::name(33)) + "\n");
}

TEST_F(FreshnessTest, ADamagedNewestSegmentIsFoundAlways) {
    all.store();
    verify();
    rot(all.segment_name(WalBuilder::name(35)));
    EXPECT_FALSE(verify().success);
}

TEST_F(FreshnessTest, DamagedRecordsAreNone) {
    all.store();
    verify();
    all.flip(records().at(0), 0.7);
    reads.clear();
    EXPECT_TRUE(verify().success);
    EXPECT_GT(reads[pack(0)], 0U);
}

TEST_F(FreshnessTest, ManyRecordsBecomeOne) {
    all.store();
    for (int i = 0; i < 40; ++i) {
        all.put_segment(WalBuilder::name(33), all.wal.segment(33));
        EXPECT_TRUE(verify().success);
        EXPECT_LE(records().size(), 18U);
    }
    reads.clear();
    EXPECT_TRUE(verify().success);
    EXPECT_EQ(reads[pack(0)], 0U);
}

TEST_F(FreshnessTest, WhoMayNotWriteReadsAgain) {
    all.store();
    all.before_call = [&](const std::string& call, const std::string& name) {
        if (call == "put" && name.find("/verified/") != std::string::npos)
            throw Error(ErrorCode::permission_denied, "read-only");
    };
    const Evidence e = verify();
    EXPECT_TRUE(e.success);
    ASSERT_EQ(e.notes.size(), 1U);
    EXPECT_NE(e.notes[0].find("could not be written down"), std::string::npos);
    EXPECT_EQ(verify().verified.at("objects_fresh"), 0);
}

TEST_F(FreshnessTest, DrillsTakeTrustAway) {
    all.store();
    verify();
    rot(pack(0));
    distrust_objects(*all.repository, all.backup.marker.cluster,
                     {place::pack(all.backup.marker.backup_id, 0)});
    EXPECT_FALSE(verify().success);
}

TEST_F(FreshnessTest, Encrypted) {
    all.encrypt();
    all.store();
    EXPECT_TRUE(verify().success);
    ASSERT_EQ(records().size(), 1U);
    const std::string name = records().at(0);
    const std::string place = name.substr(all.backup.marker.cluster.size() + 1);
    EXPECT_TRUE(parse_header(all.bytes_of(name), name).header.is_encrypted());
    rot(pack(0));
    EXPECT_TRUE(verify().success);
    // The same in the clear, as anybody could have written it.
    const Bytes text =
        open_object(all.bytes_of(name), ObjectKind::verified, place, 1 << 20, all.vault.get());
    for (const std::string& other : records())
        all.base->remove(other);
    all.put(name, test::VerifiedBackup::sealed(ObjectKind::verified, place, text, nullptr));
    const Evidence e = verify();
    EXPECT_FALSE(e.success);
    EXPECT_EQ(e.verified.at("objects_fresh"), 0);
}

TEST(VerifiedRecord, BadOnesAreRefused) {
    VerifiedRecord record;
    record.at = 5;
    record.good.push_back({"wal/x", 3, 4, "h", 5, 6, 7});
    const Bytes bytes = encode_record(record, "c");
    const VerifiedRecord back = decode_record(bytes, "n", "c");
    ASSERT_EQ(back.good.size(), 1U);
    EXPECT_EQ(back.good[0].stored, 7);
    EXPECT_EQ(back.at, 5);
    test::expect_error(ErrorCode::corrupt, [&] { decode_record(bytes, "n", "other"); });
    for (const std::string text :
         {"{}\n", "x\n",
          "{\"pg_ark_verified\":2,\"cluster\":\"c\",\"at\":\"2026-01-01T00:00:00Z\"}\n",
          "{\"pg_ark_verified\":1,\"cluster\":\"c\",\"at\":\"2026-01-01T00:00:00Z\"}\n[1]\n",
          "{\"pg_ark_verified\":1,\"cluster\":\"c\",\"at\":\"2026-01-01T00:00:00Z\"}\n[\"a\",-1]\n",
          "{\"pg_ark_verified\":1,\"cluster\":\"c\",\"at\":\"2026-01-01T00:00:00Z\"}"})
        test::expect_error(
            ErrorCode::corrupt, [&] { decode_record(as_bytes(text), "n", "c"); }, text);
}

}  // namespace
}  // namespace ark
