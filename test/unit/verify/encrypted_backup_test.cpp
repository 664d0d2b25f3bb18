// What somebody can do to a whole encrypted backup who can write to the repository and has no key:
// nothing that a verification, or whoever reads it, takes for the backup.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/repo/census.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/object_writer.hpp"
#include "core/restore/file_source.hpp"
#include "core/restore/server_config.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/frames.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/verify/verified_backup.hpp"

namespace ark {
namespace {

using test::edges_of;
using test::expect_error;
using test::findings_of;
using test::mentions;
using test::part;
using test::together;

void add_census(test::VerifiedBackup& all) {
    BackupMarker& m = all.backup.marker;
    ObjectWriter out(all.repository->store(), m.cluster, ObjectKind::census,
                     place::census(m.backup_id), {}, 1, true);
    TableState table;
    table.database = table.schema = table.name = "t";
    CensusWriter().at_stop(out, table);
    m.census_sha256 = out.finish().plain_sha256;
}

class EncryptedBackupTest : public ::testing::Test {
 protected:
    EncryptedBackupTest() {
        all.encrypt();
        add_census(all);
        all.store();
    }

    const std::string& id() const { return all.backup.marker.backup_id; }

    std::vector<std::string> names(const std::string& below) const {
        std::vector<std::string> out;
        const std::string& cluster = all.backup.marker.cluster;
        all.base->list(below.empty() ? cluster : cluster + "/" + below,
                       [&](const ObjectInfo& object) {
                           out.push_back(object.name);
                           return true;
                       });
        return out;
    }

    // What stands in the object's place is found, and named.
    void refused(const std::string& name, const Bytes& content, const std::string& what) {
        const Bytes whole = all.bytes_of(name);
        all.put(name, content);
        const Evidence e = verify();
        EXPECT_FALSE(e.success) << name << ": " << what;
        EXPECT_TRUE(mentions(findings_of(e), name)) << name << ": " << what << findings_of(e);
        details.clear();
        for (const Finding& f : e.errors.kept)
            details += f.message + ": " + f.detail + "\n";
        all.put(name, whole);
    }

    // By another process, which knows nothing of what was read before.
    Evidence verify() {
        const auto reader = Repository::open(
            std::make_unique<test::StoreDecorator>(
                all.base, [](const std::string& /*call*/, const std::string& /*name*/) {}),
            OpenMode::read);
        reader->use_vault(all.backup.marker.cluster,
                          std::make_shared<const Vault>(all.keyring, options));
        VerifyRequest request;
        request.cluster = all.backup.marker.cluster;
        request.backup_id = id();
        request.patience_millis = 0;
        return verify_backup(*reader, request, all);
    }

    // The object as it would be without encryption: the best that a forger could make.
    Bytes in_the_clear(const std::string& name) {
        const Bytes stored = all.bytes_of(name);
        const ParsedHeader parsed = parse_header(stored, name);
        ObjectHeader header = parsed.header;
        FrameCipher cipher = all.vault->cipher(parsed, name);
        const std::vector<size_t> at = edges_of(stored);
        Bytes frames;
        Bytes plain;
        Bytes room(kFrameBytes);
        FrameDecompressor decompressor;
        for (size_t n = 1; n + 2 < at.size(); ++n) {
            const ByteView frame =
                cipher.open(ByteView(stored).subspan(at[n], at[n + 1] - at[n]), at[n], name);
            frames.insert(frames.end(), frame.begin(), frame.end());
            const size_t size = decompressor.decompress(frame, room, name);
            plain.insert(plain.end(), room.begin(), room.begin() + static_cast<ptrdiff_t>(size));
        }
        if (header.kind == ObjectKind::marker)
            return plain;
        header.cipher = kCipherNone;
        header.data_keys.clear();
        header.tag.clear();
        header.range.reset();
        if (header.plain_bytes)
            header.hash = content_hash(plain);
        return together({encode_header(header), frames});
    }

    test::VerifiedBackup all;
    VaultOptions options;
    std::string details;  ///< of what was found last
};

TEST_F(EncryptedBackupTest, IsWhole) {
    const Evidence e = verify();
    EXPECT_EQ(findings_of(e), "");
    EXPECT_TRUE(e.success);
    EXPECT_TRUE(e.notes.empty());
    EXPECT_EQ(names("backup").size(), all.backup.marker.packs.size() + 5);
    for (const std::string& name : names(""))
        EXPECT_TRUE(read_header(*all.base, name)->is_encrypted()) << name;
    EXPECT_TRUE(find_backup(*all.repository, all.backup.marker.cluster, id())->is_encrypted);
}

TEST_F(EncryptedBackupTest, EveryBitFlipIsFound) {
    for (const std::string& name : names("")) {
        const Bytes whole = all.bytes_of(name);
        for (size_t i = 0; i < 12; ++i) {
            Bytes content = whole;
            const size_t at = i < 8 ? i * 89 : (whole.size() - 1) * (i - 7) / 4;
            content[std::min(at, whole.size() - 1)] ^= std::byte{1} << (i % 8);
            refused(name, content, "byte " + std::to_string(at));
        }
    }
}

TEST_F(EncryptedBackupTest, FramesHaveTheirPlaceInEachObject) {
    size_t swapped = 0;
    for (const std::string& name : names("")) {
        const Bytes whole = all.bytes_of(name);
        const std::vector<size_t> at = edges_of(whole);
        const size_t last = at.size() - 2;  // the end frame's number
        for (size_t edge = 1; edge <= last; ++edge)
            refused(name, part(whole, 0, at[edge]), "cut off at edge " + std::to_string(edge));
        refused(name, together({whole, part(whole, at[last], at[last + 1])}), "two ends");
        refused(name, together({whole, part(whole, at[1], at[2])}), "more behind the end");
        for (size_t n = 1; n + 1 < last; ++n) {
            refused(name,
                    together({part(whole, 0, at[n]), part(whole, at[n + 1], at[n + 2]),
                              part(whole, at[n], at[n + 1]), part(whole, at[n + 2], whole.size())}),
                    "frames " + std::to_string(n) + " and the next swapped");
            ++swapped;
        }
    }
    EXPECT_GE(swapped, 4U);
}

// An encrypted marker is proof that the rest was encrypted, too: without any option.
TEST_F(EncryptedBackupTest, NothingOfItIsTakenUnencrypted) {
    for (const std::string& name : names("backup")) {
        const Bytes forged = in_the_clear(name);
        if (name == all.marker_name()) {
            EXPECT_EQ(std::string(as_text(forged)), to_json(all.backup.marker));
            continue;
        }
        EXPECT_FALSE(parse_header(forged, name).header.is_encrypted());
        refused(name, forged, "unencrypted");
        EXPECT_TRUE(mentions(details, "It is not encrypted, and its backup is")) << details;
    }
    // Not even a marker, once the real one was seen.
    ASSERT_TRUE(find_backup(*all.repository, all.backup.marker.cluster, id()));
    all.put(all.marker_name(), in_the_clear(all.marker_name()));
    expect_error(ErrorCode::corrupt, [&] {
        return find_backup(*all.repository, all.backup.marker.cluster, id()).has_value();
    });
}

// Whoever reads, not verification alone: each by the way that a restore takes.
TEST_F(EncryptedBackupTest, NoReaderTakesItUnencrypted) {
    const BackupMarker m = *find_backup(*all.repository, all.backup.marker.cluster, id());
    const auto with = [&](const std::string& place, const std::function<void()>& read) {
        const Bytes whole = all.bytes_of(all.name_of(place));
        read();
        all.put(all.name_of(place), in_the_clear(all.name_of(place)));
        const Error error = expect_error(ErrorCode::corrupt, [&] {
            read();
            return 0;
        });
        EXPECT_TRUE(mentions(error.detail, "It is not encrypted, and its backup is")) << place;
        all.put(all.name_of(place), whole);
    };
    with(place::index(id()), [&] {
        IndexReader index(*all.repository, m.cluster, id(), m.index_sha256);
        while (index.next()) {
        }
    });
    with(place::pack(id(), 0), [&] { PackReader(*all.repository, m.cluster, id()).open(0, 1); });
    with(place::manifest(id()), [&] {
        ObjectReader(all.repository->store(), m.cluster, ObjectKind::manifest,
                     place::manifest(id()));
    });
    with(place::census(id()),
         [&] { CensusReader(*all.repository, m.cluster, id(), m.census_sha256); });
    with(place::config(id()), [&] {
        const test::TemporaryDirectory directory;
        std::vector<std::string> notices;
        std::vector<std::string> warnings;
        restore_configuration(*all.repository, m, directory.path(), notices, warnings);
    });
}

TEST_F(EncryptedBackupTest, AMarkerInTheClearWithTheRestEncryptedIsAMixture) {
    all.put(all.marker_name(), in_the_clear(all.marker_name()));
    const Evidence e = verify();
    EXPECT_FALSE(e.success);
    for (const std::string& place :
         {place::index(id()), place::manifest(id()), place::config(id()), place::census(id())})
        EXPECT_TRUE(mentions(findings_of(e), place)) << place;
    EXPECT_TRUE(mentions(e.errors.kept.front().detail, "the marker of its backup is not"));
}

TEST_F(EncryptedBackupTest, EvidenceComesLaterAndIsAsThingsAreThen) {
    ASSERT_TRUE(find_backup(*all.repository, all.backup.marker.cluster, id()));
    const std::string place = place::evidence(id(), "7f2c1d8e-0000-4000-8000-000000000001");
    all.vault->check_is_encrypted(false, place, "x");
    expect_error(ErrorCode::corrupt, [&] {
        all.vault->check_is_encrypted(false, place::config(id()), "x");
        return 0;
    });
    all.vault->check_is_encrypted(false, place::config(id() + "1"), "x");
    all.vault->check_is_encrypted(false, "wal/00000001/00000000/x.zst", "x");
}

// Two backups of one cluster, whose objects were written with the same keys.
TEST_F(EncryptedBackupTest, ObjectsOfTwoBackupsDoNotMix) {
    test::VerifiedBackup other;
    other.backup.marker.backup_id = "manual_20261121_021500_00000002";
    other.encrypt(all.keyring);
    add_census(other);
    other.store();
    ASSERT_EQ(findings_of(other.verify()), "");
    size_t mixed = 0;
    for (const std::string& name : names("backup")) {
        std::string theirs = name;
        theirs.replace(theirs.find(id()), id().size(), other.backup.marker.backup_id);
        refused(name, other.bytes_of(theirs), "the other backup's");
        ++mixed;
    }
    EXPECT_EQ(mixed, all.backup.marker.packs.size() + 5);
    // One pack for another one of the same backup.
    ASSERT_GE(all.backup.marker.packs.size(), 2U);
    refused(all.backup.pack_name(0), all.bytes_of(all.backup.pack_name(1)), "another pack");
}

TEST_F(EncryptedBackupTest, AnOlderObjectIsNoNewerOne) {
    using test::WalBuilder;
    for (uint64_t n = test::VerifiedBackup::kFirst; n < test::VerifiedBackup::kLast; ++n) {
        refused(all.segment_name(WalBuilder::name(n + 1)),
                all.bytes_of(all.segment_name(WalBuilder::name(n))), "an older segment");
    }
}

// Another cluster's objects have the same places, and other keys.
TEST_F(EncryptedBackupTest, ObjectsOfTwoClustersDoNotMix) {
    test::VerifiedBackup other;
    other.encrypt();  // by the same secret
    add_census(other);
    other.store();
    for (const std::string& name : names("")) {
        const Bytes theirs = other.bytes_of(name);
        const Bytes whole = all.bytes_of(name);
        all.put(name, theirs);
        expect_error(
            ErrorCode::invalid_key,
            [&] {
                const Evidence e = verify();
                return e.success;
            },
            name);
        all.put(name, whole);
    }
}

// Encryption may be turned on or off while a backup runs and its WAL is archived: what tells plain
// WAL that was put there from such is the reader's own word alone.
TEST_F(EncryptedBackupTest, PlainWalIsToldOfAndRefusedOnDemand) {
    const std::string name = all.segment_name(test::WalBuilder::name(33));
    all.put(name, in_the_clear(name));
    const Evidence e = verify();
    EXPECT_EQ(findings_of(e), "");
    ASSERT_EQ(e.notes.size(), 1U);
    EXPECT_TRUE(mentions(e.notes[0], "not all that was read is encrypted")) << e.notes[0];
    options.refuses_plain = true;
    expect_error(ErrorCode::refused, [&] { return verify().success; });
}

}  // namespace
}  // namespace ark
