#include "core/verify/job.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/verify/context.hpp"
#include "test/support/expect_error.hpp"
#include "test/unit/verify/verified_backup.hpp"

namespace ark {
namespace {

using test::findings_of;
using test::mentions;

class VerifyTest : public testing::Test {
 protected:
    // Exactly these findings, each as findings_of has it.
    void expect_findings(std::vector<std::string> expected) {
        const Evidence evidence = all.verify();
        EXPECT_FALSE(evidence.success);
        std::vector<std::string> found;
        for (const Finding& f : evidence.errors.kept) {
            found.push_back(f.check + " " + f.object + (f.path.empty() ? "" : " " + f.path));
            EXPECT_FALSE(f.message.empty());
        }
        std::ranges::sort(found);
        std::ranges::sort(expected);
        EXPECT_EQ(found, expected);
        text.clear();
        for (const Finding& f : evidence.errors.kept)
            text += f.message + " " + f.detail + "\n";
    }
    std::string pack(uint32_t number) const { return all.backup.pack_name(number); }

    // The files that are in a pack, as findings; the empty ones are in none.
    std::vector<std::string> files_of_pack(uint32_t number) {
        std::vector<std::string> out;
        const BackupMarker& m = all.backup.marker;
        IndexReader index(*all.repository, m.cluster, m.backup_id, m.index_sha256);
        while (const auto entry = index.next()) {
            if (!entry->frames.empty() && entry->pack == number)
                out.push_back("pack " + pack(number) + " " + entry->path);
        }
        return out;
    }

    test::VerifiedBackup all;
    std::string text;
};

TEST_F(VerifyTest, AWholeBackup) {
    all.store();
    std::vector<VerifyPhase> phases;
    all.on_progress = [&](const VerifyProgress& p) {
        if (phases.empty() || phases.back() != p.phase)
            phases.push_back(p.phase);
    };
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), "");
    EXPECT_TRUE(e.success);
    EXPECT_TRUE(e.notes.empty());
    EXPECT_EQ(e.kind, "verification");
    EXPECT_EQ(e.verified.at("files"), all.backup.files.size());
    EXPECT_EQ(e.verified.at("packs"), all.backup.marker.packs.size());
    EXPECT_EQ(e.verified.at("wal").at("segments"), 4);
    EXPECT_EQ(e.verified.at("wal").at("last"), "000000010000000000000023");
    EXPECT_EQ(phases.back(), VerifyPhase::done);
    EXPECT_EQ(phases.size(), 6U);
    EXPECT_EQ(all.last.bytes, all.last.bytes_total);
}

// The verified backup has blocks of a file on top of another one.
class VerifyChain : public VerifyTest {
 protected:
    VerifyChain() {
        BackupMarker& m = parent.marker;
        m.backup_id = "full_20261119_021500_00000000";
        m.system_identifier = all.backup.marker.system_identifier;
        m.wal_segment_size = all.backup.marker.wal_segment_size;
        m.start_segment = m.stop_segment = all.backup.marker.start_segment;
        parent.files[kPath] = test::noise(size_t{40} * test::kBlock, 9);
        all.backup.marker.type = "incremental";
        all.backup.marker.parent = m.backup_id;
        all.backup.changed[kPath] = {size_t{41} * test::kBlock,
                                     {{3, 2}, {40, 1}},
                                     test::noise(size_t{3} * test::kBlock, 10)};
    }
    void store() {
        parent.store();
        parent.commit();
        all.backup.marker.parent_index_sha256 = parent.marker.index_sha256;
        all.store();
    }
    void expect_chain_finding() { expect_findings({"chain " + all.marker_name()}); }

    static constexpr const char* kPath = "base/1/16384";
    test::StoredBackup parent{*all.repository};
};

TEST_F(VerifyChain, IsLookedAt) {
    store();
    const Evidence e = all.verify();
    EXPECT_EQ(findings_of(e), "");
    EXPECT_TRUE(e.success);
    EXPECT_EQ(e.verified.at("chain"), nlohmann::json::array({parent.marker.backup_id}));
    ASSERT_EQ(e.notes.size(), 1U);
    EXPECT_NE(e.notes[0].find("by verifying each of them"), std::string::npos);
    EXPECT_EQ(e.verified.at("files"), all.backup.files.size() + 1);
}

TEST_F(VerifyChain, WithoutTheParent) {
    store();
    all.base->remove(all.name_of(place::marker(parent.marker.backup_id)));
    expect_chain_finding();
    EXPECT_NE(text.find("which is missing"), std::string::npos) << text;
}

TEST_F(VerifyChain, WithoutTheParentsFile) {
    parent.files.erase(kPath);
    store();
    expect_chain_finding();
    EXPECT_NE(text.find(kPath), std::string::npos) << text;
}

TEST_F(VerifyChain, WithADamagedIndexOfTheParent) {
    store();
    all.flip(all.name_of(place::index(parent.marker.backup_id)), 0.7);
    expect_chain_finding();
}

// Another verification reads those.
TEST_F(VerifyChain, PacksOfTheParentAreNotRead) {
    store();
    all.flip(parent.pack_name(0), 0.5);
    EXPECT_TRUE(all.verify().success);
}

TEST_F(VerifyChain, OtherBlocksThanTheIndexSays) {
    all.backup.falsify = [](IndexEntry& entry) {
        if (entry.incremental)
            entry.incremental->runs = {{4, 2}, {40, 1}};
    };
    store();
    expect_findings({"pack " + pack(0) + " " + kPath});
    EXPECT_NE(text.find("list of blocks"), std::string::npos) << text;
}

TEST_F(VerifyChain, SizesThatCannotBe) {
    all.backup.falsify = [](IndexEntry& entry) {
        if (entry.incremental)
            entry.incremental->runs = {{4, 1}, {40, 1}};
    };
    store();
    expect_findings({"chain " + all.marker_name(), "pack " + pack(0) + " " + kPath});
    EXPECT_NE(text.find("does not fit its blocks"), std::string::npos) << text;
}

// Whatever is hit: nothing is passed over.
TEST_F(VerifyTest, EveryFlippedBitIsFound) {
    all.store();
    std::vector<std::string> names;
    all.base->list(all.backup.marker.cluster, [&](const ObjectInfo& object) {
        names.push_back(object.name);
        return true;
    });
    EXPECT_GE(names.size(), 9U);
    for (const std::string& name : names) {
        const Bytes whole = all.bytes_of(name);
        for (size_t i = 0; i < 12; ++i) {
            Bytes content = whole;
            // Mostly near the beginning, where the structure is.
            const size_t at = i < 8 ? i * 61 : (whole.size() - 1) * (i - 7) / 4;
            content[std::min(at, whole.size() - 1)] ^= std::byte{1} << (i % 8);
            all.put(name, content);
            const Evidence e = all.verify();
            EXPECT_FALSE(e.success) << name << " at " << at;
            EXPECT_TRUE(mentions(findings_of(e), name)) << name << " at " << at << findings_of(e);
        }
        all.put(name, whole);
    }
    EXPECT_TRUE(all.verify().success);
}

TEST_F(VerifyTest, DamagedPackNamesItsFiles) {
    all.store();
    all.flip(pack(0), 0.5);  // in the largest file
    expect_findings({"pack " + pack(0), "pack " + pack(0) + " base/1/1002"});
    EXPECT_TRUE(mentions(text, "1 file of the backup in it is damaged: \"base/1/1002\"")) << text;
}

// Checksums of blocks that are wrong are found, though no plain restore needs them.
class VerifyBlockChecksums : public VerifyTest {
 protected:
    IndexEntry entry_of(const std::string& path) {
        const BackupMarker& m = all.backup.marker;
        IndexReader index(*all.repository, m.cluster, m.backup_id, m.index_sha256);
        while (const auto entry = index.next()) {
            if (entry->path == path)
                return *entry;
        }
        throw std::runtime_error(path);
    }
    static constexpr const char* kPath = "base/1/1002";
};

TEST_F(VerifyBlockChecksums, EveryByteOfThem) {
    for (const bool encrypted : {false, true}) {
        if (encrypted) {
            all.base->list(all.backup.marker.cluster,
                           [&](const ObjectInfo& object) { return all.base->remove(object.name); });
            all.encrypt();
        }
        all.store();
        ASSERT_EQ(entry_of(kPath).block_checksums.size(), 1U);
        const FrameRef ref = entry_of(kPath).block_checksums.at(0);
        EXPECT_GT(ref.stored, 3 * 128 * 8U);
        const Bytes whole = all.bytes_of(pack(0));
        for (size_t at = 0; at < ref.stored; at += at < 16 ? 1 : 241) {
            Bytes content = whole;
            content[ref.offset + at] ^= std::byte{1} << (at % 8);
            all.put(pack(0), content);
            expect_findings({"pack " + pack(0), "pack " + pack(0) + " " + kPath});
            EXPECT_TRUE(mentions(text, "the checksums of the blocks of file \"base/1/1002\""))
                << at;
            EXPECT_TRUE(mentions(text, "No file of the backup in it is damaged")) << text;
        }
        all.put(pack(0), whole);
        EXPECT_TRUE(all.verify().success);
    }
}

// A writer's mistake: whole, and not those of the content.
TEST_F(VerifyBlockChecksums, OfAnotherFile) {
    all.backup.files["base/1/1003"] = test::noise(3 << 20, 3);
    std::vector<FrameRef> other;
    all.backup.falsify = [&](IndexEntry& entry) {
        if (entry.path == kPath)
            other = entry.block_checksums;
        if (entry.path == "base/1/1003")
            entry.block_checksums = other;
    };
    all.store();
    expect_findings({"pack " + pack(0) + " base/1/1003"});
    EXPECT_TRUE(mentions(text, "They are not those of its content")) << text;
}

TEST_F(VerifyBlockChecksums, TooFew) {
    all.backup.files["base/1/1003"] = test::noise((3 << 20) + 1, 3);
    std::vector<FrameRef> other;
    all.backup.falsify = [&](IndexEntry& entry) {
        if (entry.path == kPath)
            other = entry.block_checksums;
        if (entry.path == "base/1/1003")
            entry.block_checksums = other;
    };
    all.store();
    expect_findings({"pack " + pack(0) + " base/1/1003"});
}

// Neither is missed where both are wrong.
TEST_F(VerifyBlockChecksums, TheContentCountsMore) {
    all.store();
    const IndexEntry entry = entry_of(kPath);
    Bytes content = all.bytes_of(pack(0));
    content[entry.block_checksums.at(0).offset + 20] ^= std::byte{1};
    content[entry.frames.at(0).offset + 2000] ^= std::byte{1};
    all.put(pack(0), content);
    expect_findings({"pack " + pack(0), "pack " + pack(0) + " " + kPath});
    EXPECT_TRUE(mentions(text, "1 file of the backup in it is damaged: \"base/1/1002\"")) << text;
}

TEST_F(VerifyTest, TruncatedPack) {
    all.store();
    Bytes content = all.bytes_of(pack(0));
    content.resize(content.size() - 1);
    all.put(pack(0), content);
    const Evidence e = all.verify();
    EXPECT_TRUE(mentions(findings_of(e), "pack " + pack(0) + "\n")) << findings_of(e);
}

TEST_F(VerifyTest, MissingPackNamesAllItsFiles) {
    all.store();
    all.base->remove(pack(0));
    std::vector<std::string> expected = files_of_pack(0);
    EXPECT_GE(expected.size(), 5U);
    expected.push_back("pack " + pack(0));
    expect_findings(expected);
    EXPECT_TRUE(mentions(text, "does not exist"));
}

TEST_F(VerifyTest, SwappedPacks) {
    all.store();
    const uint32_t last = static_cast<uint32_t>(all.backup.marker.packs.size()) - 1;
    ASSERT_GT(last, 0U);
    const Bytes a = all.bytes_of(pack(0));
    all.put(pack(0), all.bytes_of(pack(last)));
    all.put(pack(last), a);
    std::vector<std::string> expected = files_of_pack(0);
    for (const std::string& more : files_of_pack(last))
        expected.push_back(more);
    expected.push_back("pack " + pack(0));
    expected.push_back("pack " + pack(last));
    expect_findings(expected);
    EXPECT_TRUE(mentions(text, "It is an object of another place")) << text;
}

// The same names and sizes, as after two backups of one cluster or two clusters made alike.
TEST_F(VerifyTest, PackOfAnotherBackup) {
    all.store();
    test::VerifiedBackup other;
    other.backup.marker.backup_id = "manual_20261120_021500_00000002";
    other.store();
    all.put(pack(0), other.bytes_of(other.backup.pack_name(0)));
    EXPECT_TRUE(mentions(findings_of(all.verify()), "pack " + pack(0) + "\n"));
    // And where even the place is the same.
    test::VerifiedBackup twin;
    twin.backup.files["base/1/1001"] = test::noise(100000, 99);
    twin.store();
    all.put(pack(0), twin.bytes_of(pack(0)));
    const Evidence e = all.verify();
    EXPECT_TRUE(mentions(findings_of(e), "pack " + pack(0) + "\n"));
    EXPECT_TRUE(mentions(findings_of(e), "base/1/1001"));
}

TEST_F(VerifyTest, ControlFileOfAnotherCluster) {
    all.backup.files["global/pg_control"] = std::string(as_text(test::make_control_file(99)));
    all.store();
    const Evidence e = all.verify();
    ASSERT_EQ(e.errors.count, 1U) << findings_of(e);
    EXPECT_EQ(e.errors.kept[0].path, "global/pg_control");
    EXPECT_TRUE(mentions(e.errors.kept[0].detail, "99"));
}

TEST_F(VerifyTest, DamagedIndexLeavesTheRestToBeChecked) {
    all.store();
    const std::string index = all.name_of(place::index(all.backup.marker.backup_id));
    all.flip(index, 0.9);
    all.base->remove(all.segment_name(test::WalBuilder::name(33)));
    expect_findings(
        {"index " + index, "wal_after_backup " + all.segment_name(test::WalBuilder::name(33))});
    EXPECT_EQ(all.verify().notes.size(), 1U);
    all.base->remove(index);
    EXPECT_TRUE(mentions(findings_of(all.verify()), "index " + index));
}

TEST_F(VerifyTest, ManifestThatDisagreesWithTheIndex) {
    test::VerifiedBackup other;
    other.backup.files["base/1/1001"] += "one byte more";
    other.store();
    all.store();
    const std::string manifest = all.name_of(place::manifest(all.backup.marker.backup_id));
    all.put(manifest, other.bytes_of(manifest));
    all.backup.marker.manifest_sha256 = other.backup.marker.manifest_sha256;
    all.put_marker();
    expect_findings({"manifest " + manifest});
    EXPECT_TRUE(mentions(text, "base/1/1001")) << text;
}

TEST_F(VerifyTest, ManifestOfOtherWal) {
    all.backup.manifest_stop = all.backup.marker.stop_lsn + 8;
    all.store();
    expect_findings({"manifest " + all.name_of(place::manifest(all.backup.marker.backup_id))});
}

TEST_F(VerifyTest, MissingConfigurationArchive) {
    all.store();
    const std::string config = all.name_of(place::config(all.backup.marker.backup_id));
    all.base->remove(config);
    expect_findings({"config " + config});
}

TEST_F(VerifyTest, DamagedMarkerIsTheOnlyFinding) {
    all.store();
    all.flip(all.marker_name(), 0.5);
    expect_findings({"marker " + all.marker_name()});
    EXPECT_EQ(all.verify().notes.size(), 1U);
}

TEST_F(VerifyTest, UnknownBackupIsNoDamage) {
    all.store();
    all.base->remove(all.marker_name());
    const Error error = test::expect_error(ErrorCode::not_found, [&] { return all.verify(); });
    EXPECT_TRUE(mentions(error.detail, "no marker")) << error.detail;
    all.backup.marker.backup_id = "never";
    EXPECT_EQ(test::expect_error(ErrorCode::not_found, [&] { return all.verify(); }).detail, "");
}

TEST_F(VerifyTest, AStoreThatIsAwaySaysNothing) {
    all.store();
    for (const char* what : {"00000.tar.zst", "index.zst", "manifest.zst", "config.tar.zst",
                             "000000010000000000000022.zst", "backup.json", "/wal"}) {
        all.before_call = [&](const std::string& /*call*/, const std::string& name) {
            if (name.ends_with(what))
                throw Error(ErrorCode::unavailable, "the store is away");
        };
        test::expect_error(
            ErrorCode::unavailable, [&] { return all.verify(); }, what);
    }
}

TEST_F(VerifyTest, ASectorThatCannotBeReadIsDamage) {
    all.store();
    all.before_call = [&](const std::string& call, const std::string& name) {
        if (call == "get_range" && name == pack(0))
            throw Error(ErrorCode::io_error, "could not read");
    };
    EXPECT_TRUE(mentions(findings_of(all.verify()), "pack " + pack(0) + "\n"));
}

TEST_F(VerifyTest, CanBeCancelled) {
    all.store();
    for (const auto phase : {VerifyPhase::packs, VerifyPhase::files, VerifyPhase::wal}) {
        all.on_progress = [&](const VerifyProgress& p) {
            if (p.phase == phase)
                throw Error(ErrorCode::cancelled, "stop");
        };
        test::expect_error(ErrorCode::cancelled, [&] { return all.verify(); });
    }
}

TEST(DamageList, ManyOfAKindDoNotHideOthers) {
    DamageList damage;
    for (int i = 0; i < 10000; ++i)
        damage.add({.check = "pack", .path = "f", .message = "m"});
    damage.add({.check = "wal", .message = "m"});
    damage.add({.check = "pack", .message = "m"});
    EXPECT_EQ(damage.count("pack"), 10001U);
    const Findings findings = damage.take();
    EXPECT_EQ(findings.count, 10002U);
    ASSERT_EQ(findings.kept.size(), 102U);
    EXPECT_EQ(findings.kept[100].check, "wal");
}

}  // namespace
}  // namespace ark
