#include "core/repo/chain.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/store/object_store.hpp"
#include "test/unit/restore/stored_chain.hpp"

namespace ark {
namespace {

class Chain : public testing::Test {
 protected:
    Chain() { add(); }

    test::StoredBackup& add() { return chain.add(); }
    void store_all() { chain.store(); }
    BackupChain load() { return chain.load(); }
    template <typename Function>
    std::string error_of(const Function& f) {
        try {
            f();
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt);
            return error.message + " " + error.detail + " " + error.hint;
        }
        ADD_FAILURE() << "no error";
        return {};
    }
    std::string load_error() {
        store_all();
        return error_of([&] { load(); });
    }
    static std::string blocks(uint32_t n) { return std::string(size_t{n} * test::kBlock, 'b'); }
    std::map<std::string, std::vector<size_t>> layers() {
        store_all();
        const BackupChain loaded = load();
        ChainReader reader(*repository, loaded);
        std::map<std::string, std::vector<size_t>> out;
        while (const auto file = reader.next()) {
            std::vector<size_t>& of_file = out[file->entry.path];
            for (const ChainLayer& layer : file->older) {
                EXPECT_EQ(layer.entry.path, file->entry.path);
                of_file.push_back(layer.backup);
            }
        }
        return out;
    }
    std::string read_error() {
        return error_of([&] { layers(); });
    }

    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    test::StoredChain chain{*repository};
    std::deque<test::StoredBackup>& backups = chain.backups;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST_F(Chain, OfAFullBackupIsItself) {
    store_all();
    const BackupChain loaded = load();
    EXPECT_EQ(loaded.backups.size(), 1U);
    EXPECT_FALSE(loaded.is_incremental());
}

TEST_F(Chain, NewestFirst) {
    add();
    add();
    store_all();
    const BackupChain loaded = load();
    ASSERT_EQ(loaded.backups.size(), 3U);
    EXPECT_EQ(loaded.tip().backup_id, "b3");
    EXPECT_EQ(loaded.backups.back().backup_id, "b1");
    EXPECT_TRUE(loaded.is_incremental());
}

TEST_F(Chain, AMissingParentIsNamed) {
    add();
    add();
    store_all();
    repository->store().remove("7301/" + place::marker("b1"));
    const std::string text = error_of([&] { load(); });
    EXPECT_TRUE(has(text, "the chain of backup b3 is broken")) << text;
    EXPECT_TRUE(has(text, "b2 builds on backup b1, which is missing")) << text;
    EXPECT_TRUE(has(text, "Restore another backup")) << text;
}

TEST_F(Chain, ADamagedParentIsNamed) {
    add();
    store_all();
    const std::string name = "7301/" + place::marker("b1");
    Bytes text = *repository->store().get(name, 1 << 20);
    text[40] ^= std::byte{1};
    repository->store().remove(name);
    repository->store().put_if_absent(name, text);
    EXPECT_TRUE(has(error_of([&] { load(); }), "b2 builds on backup b1, whose marker"));
}

TEST_F(Chain, AFullBackupHasNoParent) {
    add().marker.type = "full";
    EXPECT_TRUE(has(load_error(), "parent: does not go with the type"));
}

TEST_F(Chain, AnIncrementalHasAParent) {
    add().marker.parent = "";
    EXPECT_TRUE(has(load_error(), "parent: does not go with the type"));
}

TEST_F(Chain, AParentIsOlder) {
    add();
    backups[0].marker.start_lsn = backups[1].marker.start_lsn + 1;
    backups[0].marker.stop_lsn = backups[1].marker.stop_lsn + 1;
    EXPECT_TRUE(has(load_error(), "b2 builds on backup b1, which is not older"));
}

TEST_F(Chain, AParentIsOnAnEarlierTimeline) {
    add();
    backups[0].marker.timeline = 2;
    EXPECT_TRUE(has(load_error(), "which is not older"));
}

TEST_F(Chain, AllAreOfOneCluster) {
    add();
    backups[0].marker.system_identifier = 1;
    EXPECT_TRUE(has(load_error(), "b2 builds on backup b1, which is of another cluster"));
}

TEST_F(Chain, SizesAreOnes) {
    add();
    const BackupMarker good = backups[0].marker;
    const auto error_with = [&](const auto& change) {
        backups[0].marker = good;
        change(backups[0].marker);
        repository->store().remove("7301/" + place::marker("b1"));
        backups[0].commit();
        return error_of([&] { load(); });
    };
    backups[0].commit();
    backups[1].commit();
    EXPECT_TRUE(has(error_with([](auto& m) { m.block_size = 4096; }), "block size is 4096"));
    EXPECT_TRUE(has(error_with([](auto& m) { m.relation_segment_blocks = 16; }),
                    "number of blocks in a segment file is 16"));
    EXPECT_TRUE(has(error_with([](auto& m) { m.data_checksum_version = 1; }),
                    "data checksum version is 1"));
    EXPECT_TRUE(has(error_with([](auto& m) { m.catalog_version = 7; }), "catalog version is 7"));
}

TEST_F(Chain, AnotherBackupOfTheParentsNameIsNotTheParent) {
    add();
    store_all();
    repository->store().remove("7301/" + place::marker("b1"));
    backups[0].marker.index_sha256 = std::string(64, '1');
    backups[0].commit();
    EXPECT_TRUE(has(error_of([&] { load(); }), "it has another index"));
}

TEST_F(Chain, AllAreEncryptedOrNone) {
    add();
    store_all();
    BackupMarker tip = backups[1].marker;
    tip.is_encrypted = true;
    EXPECT_TRUE(has(error_of([&] { load_chain(*repository, "7301", tip); }), "is encrypted"));
}

TEST_F(Chain, NoSenselessBlocks) {
    add();
    for (test::StoredBackup& b : backups)
        b.marker.block_size = 0;
    EXPECT_TRUE(has(load_error(), "blocks have 0 bytes"));
}

TEST_F(Chain, GoesInNoCircle) {
    add();
    add();
    for (test::StoredBackup& b : backups)
        b.marker.start_lsn = 0x1000000;
    backups[0].marker.type = "incremental";
    backups[0].marker.parent = "b3";
    EXPECT_TRUE(has(load_error(), "b1 builds on backup b3, which builds on it"));
}

TEST_F(Chain, HasAnEnd) {
    backups[0].marker.type = "incremental";
    backups[0].marker.parent = "b0";
    for (size_t i = 1; i < kMaxChainLength; ++i)
        add();
    for (test::StoredBackup& b : backups)
        b.commit();
    EXPECT_TRUE(has(error_of([&] { load(); }), "After 500 backups, down to b1"));
}

TEST_F(Chain, BrokenOnesAreLeftOut) {
    add();
    add();
    add();
    add();
    store_all();
    std::vector<BackupMarker> all;
    for (const test::StoredBackup& b : backups)
        all.push_back(b.marker);
    std::vector<std::string> broken;
    leave_out_broken(
        all, [](const std::string&) { return std::nullopt; }, broken);
    EXPECT_EQ(all.size(), 5U);
    EXPECT_TRUE(broken.empty());
    all[4].type = "differential";
    all[4].parent = "b1";
    all[4].parent_index_sha256 = all[0].index_sha256;
    std::erase_if(all, [](const BackupMarker& b) { return b.backup_id == "b2"; });
    leave_out_broken(
        all, [](const std::string&) { return std::nullopt; }, broken);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].backup_id, "b1");
    EXPECT_EQ(all[1].backup_id, "b5");
    ASSERT_EQ(broken.size(), 2U);
    EXPECT_EQ(broken[0],
              "the chain of backup b3 is broken: Backup b3 builds on backup b2, which is missing");
    EXPECT_TRUE(has(broken[1], "b4 builds on backup b3, whose chain is")) << broken[1];
    all[0].type = "incremental";
    all[0].parent = "b5";
    all[0].parent_index_sha256 = all[1].index_sha256;
    all[1].start_lsn = all[0].start_lsn;
    leave_out_broken(
        all, [](const std::string&) { return std::nullopt; }, broken);
    EXPECT_TRUE(all.empty()) << "a circle";
}

TEST_F(Chain, LayersGoDownToTheFirstWholeOne) {
    backups[0].files["base/1/1"] = blocks(4);
    backups[0].files["base/1/2"] = blocks(4);
    backups[0].files["base/1/gone"] = blocks(4);
    backups[0].files["zzz"] = "behind the last one of the tip";
    test::StoredBackup& second = add();
    second.changed["base/1/1"] = {4 * test::kBlock, {{1, 2}}, blocks(2)};
    second.files["base/1/2"] = blocks(4);
    test::StoredBackup& third = add();
    third.changed["base/1/1"] = {4 * test::kBlock, {}, ""};
    third.changed["base/1/2"] = {4 * test::kBlock, {{0, 1}}, blocks(1)};
    const auto found = layers();
    EXPECT_EQ(found.at("base/1/1"), (std::vector<size_t>{1, 2}));
    EXPECT_EQ(found.at("base/1/2"), (std::vector<size_t>{1}));
    EXPECT_EQ(found.at("base/1"), (std::vector<size_t>{}));
    EXPECT_EQ(found.at("PG_VERSION"), (std::vector<size_t>{}));
    EXPECT_FALSE(found.contains("base/1/gone"));
}

TEST_F(Chain, AMissingLayerIsNamed) {
    backups[0].files["base/1/2"] = blocks(4);
    add().changed["base/1/1"] = {4 * test::kBlock, {{1, 2}}, blocks(2)};
    add().changed["base/1/1"] = {4 * test::kBlock, {}, ""};
    const std::string text = read_error();
    EXPECT_TRUE(has(text, "file \"base/1/1\" of backup b3")) << text;
    EXPECT_TRUE(has(text, "Backup b2 has its changed blocks alone, and backup b1")) << text;
}

TEST_F(Chain, ADirectoryIsNoLayer) {
    backups[0].directories = {"base", "base/1", "base/1/1", "global", "pg_tblspc", "pg_wal"};
    add().changed["base/1/1"] = {4 * test::kBlock, {{1, 2}}, blocks(2)};
    EXPECT_TRUE(has(read_error(), "does not have the file"));
}

TEST_F(Chain, AFullBackupIsWhole) {
    backups[0].changed["base/1/1"] = {4 * test::kBlock, {{1, 2}}, blocks(2)};
    add().changed["base/1/1"] = {4 * test::kBlock, {}, ""};
    EXPECT_TRUE(has(read_error(), "index of backup b1 is damaged Of file \"base/1/1\""));
}

TEST_F(Chain, AFullBackupAloneIsWhole) {
    backups[0].changed["base/1/1"] = {4 * test::kBlock, {{1, 2}}, blocks(2)};
    EXPECT_TRUE(has(read_error(), "although the backup is full"));
}

TEST_F(Chain, SizesThatCannotBe) {
    backups[0].files["base/1/1"] = blocks(4);
    test::StoredBackup& tip = add();
    tip.changed["base/1/1"] = {4 * test::kBlock, {{1, 2}}, blocks(2)};
    store_all();
    const auto error_with = [&](const std::function<void(IndexEntry&)>& falsify) {
        tip.falsify = [&](IndexEntry& entry) {
            if (entry.incremental)
                falsify(entry);
        };
        for (const char* what : {"index.zst", "manifest.zst", "data/00000.tar.zst",
                                 "data/00001.tar.zst", "backup.json"})
            repository->store().remove("7301/backup/b2/" + std::string(what));
        chain.store_last();
        return error_of([&] {
            const BackupChain loaded = load();
            ChainReader reader(*repository, loaded);
            while (reader.next()) {
            }
        });
    };
    EXPECT_TRUE(
        has(error_with([](auto& e) { ++e.incremental->file_size; }), "a size that is none"));
    EXPECT_TRUE(has(error_with([](auto& e) { e.incremental->file_size = 131073ULL * 8192; }),
                    "a size that is none"));
    EXPECT_TRUE(has(error_with([](auto& e) { e.incremental->file_size = 2 * 8192; }),
                    "blocks behind its end"));
    EXPECT_TRUE(has(error_with([](auto& e) {
                        e.incremental->runs = {{0, 3}};
                    }),
                    "does not fit its blocks"));
    EXPECT_TRUE(
        has(error_with([](auto& e) { e.incremental->runs = {}; }), "does not fit its blocks"));
}

// Also behind the last path of the tip.
TEST_F(Chain, EveryIndexIsCheckedToItsEnd) {
    backups[0].files["base/1/1"] = blocks(4);
    for (int i = 0; i < 50; ++i)
        backups[0].files["zzz" + std::to_string(i)] = "behind the last one of the tip";
    add().changed["base/1/1"] = {4 * test::kBlock, {}, ""};
    backups[0].store();
    backups[0].marker.index_sha256 = std::string(64, '0');
    backups[0].commit();
    chain.store_last();
    const std::string text = error_of([&] {
        const BackupChain loaded = load();
        ChainReader reader(*repository, loaded);
        while (reader.next()) {
        }
    });
    EXPECT_TRUE(has(text, "backup/b1/index.zst")) << text;
}

}  // namespace
}  // namespace ark
