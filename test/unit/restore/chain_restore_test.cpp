#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/vault.hpp"
#include "core/restore/chain_source.hpp"
#include "core/restore/file_writer.hpp"
#include "core/restore/job.hpp"
#include "core/restore/unfinished.hpp"
#include "core/store/object_store.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/store_decorator.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/restore/stored_chain.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;
using test::blocks_of;
using test::kBlock;

class Quiet final : public RestoreListener {
    void progress(const RestoreProgress& /*progress*/) override {}
};

class ChainRestore : public testing::Test {
 protected:
    ChainRestore() { chain.add(); }

    RestoreResult restore() {
        Quiet quiet;
        request.destination.directory = data;
        request.program = "/usr/bin/pg_ark";
        RestorePlan plan;
        plan.source.chain = chain.load();
        plan.source.backup = plan.source.chain.tip();
        plan.source.cluster = plan.source.backup.cluster;
        plan.destination = check_destination(request.destination, plan.source.backup, "memory:");
        const Layout layout(plan.destination.directory, plan.destination.tablespaces);
        plan.survey = survey_index(*repository, plan.source.chain, layout);
        survey = plan.survey;
        const RestoreResult result = run_restore(*repository, request, plan, quiet);
        EXPECT_EQ(result.bytes, survey.bytes);
        EXPECT_EQ(result.files, survey.files);
        check_manifest();
        check_source(plan.source.chain);
        return result;
    }
    // The same from beginning to end.
    void check_source(const BackupChain& loaded) {
        ChainReader files(*repository, loaded);
        ChainSource source(*repository, loaded);
        while (const auto file = files.next()) {
            const std::string& path = file->entry.path;
            if (file->entry.type != EntryType::file || path == "backup_label" ||
                path == "postgresql.auto.conf")
                continue;
            std::string content;
            source.read(*file, [&](ByteView piece) { content += as_text(piece); });
            EXPECT_TRUE(content == read(path)) << path;
        }
    }
    std::string source_error() {
        const BackupChain loaded = chain.load();
        try {
            ChainReader files(*repository, loaded);
            ChainSource source(*repository, loaded);
            while (const auto file = files.next()) {
                if (file->entry.type == EntryType::file)
                    source.read(*file, [](ByteView /*piece*/) {});
            }
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt) << error.message;
            return error.message + " " + error.detail + " " + error.hint;
        }
        ADD_FAILURE() << "no error";
        return {};
    }
    RestoreResult delta() {
        request.destination.delta = true;
        request.destination.force = true;
        return restore();
    }
    std::string restore_error() {
        try {
            restore();
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt) << error.message;
            return error.message + " " + error.detail + " " + error.hint;
        }
        ADD_FAILURE() << "no error";
        return {};
    }
    std::string read(const std::string& path) const {
        std::ifstream in(data + "/" + path);
        EXPECT_TRUE(in) << path;
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }
    void write(const std::string& path, const std::string& content, size_t at) const {
        std::fstream out(data + "/" + path, std::ios::in | std::ios::out | std::ios::binary);
        out.seekp(static_cast<std::streamoff>(at));
        out << content;
    }
    bool there(const std::string& path) const { return fs::exists(data + "/" + path); }

    // What pg_verifybackup looks at.
    void check_manifest() const {
        const std::string text = read("backup_manifest");
        const size_t end = text.find("\"Manifest-Checksum\"");
        const nlohmann::json manifest = nlohmann::json::parse(text);
        EXPECT_EQ(manifest["Manifest-Checksum"], sha256_hex(as_bytes(text.substr(0, end))));
        std::set<std::string> named;
        for (const auto& file : manifest["Files"]) {
            const std::string path = file["Path"];
            named.insert(path);
            if (path == "postgresql.auto.conf")
                continue;
            const std::string content = read(path);
            EXPECT_EQ(file["Size"], content.size()) << path;
            EXPECT_EQ(file["Checksum"], crc32c_manifest_text(crc32c(0, as_bytes(content)))) << path;
        }
        for (const auto& entry : fs::recursive_directory_iterator(data)) {
            const std::string path = fs::relative(entry.path(), data);
            const bool is_added = path == "backup_manifest" || path == "recovery.signal" ||
                                  path.starts_with("pg_wal/");
            EXPECT_TRUE(is_added || !entry.is_regular_file() || named.contains(path)) << path;
        }
        EXPECT_EQ(manifest["WAL-Ranges"][0]["Start-LSN"],
                  to_text(chain.backups.back().marker.start_lsn));
    }

    // Changes one byte of a stored object.
    void damage(const std::string& name, double where) {
        Bytes content = *repository->store().get(name, 1 << 30);
        content[static_cast<size_t>(static_cast<double>(content.size()) * where)] ^= std::byte{1};
        repository->store().remove(name);
        repository->store().put_if_absent(name, content);
    }
    // Returns the repository that there was.
    std::unique_ptr<Repository> begin_anew() {
        auto made = Repository::open(make_memory_store(), OpenMode::create);
        chain.begin_anew(*made);
        std::swap(made, repository);
        return made;
    }
    void add_change(const std::string& path, const std::string& content,
                    const std::vector<BlockRun>& runs) {
        chain.add().changed[path] = chain.changed(content, runs);
    }

    test::TemporaryDirectory directory;
    std::string data = directory / "data";
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    test::StoredChain chain{*repository};
    RestoreRequest request;
    IndexSurvey survey;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

constexpr const char* kFile = "base/1/16384";

TEST_F(ChainRestore, EachBlockIsTheNewestOnes) {
    std::string content = blocks_of(20, 1);
    chain.backups[0].files[kFile] = content;
    for (uint32_t i = 2; i <= 11; ++i) {
        const std::string next = blocks_of(20, i);
        const std::vector<BlockRun> runs{{i, 2}, {15 - i / 2, 1}};
        std::vector<BlockRun> sorted = runs;
        std::ranges::sort(sorted, {}, &BlockRun::first);
        if (sorted[0].end() >= sorted[1].first)
            sorted = {{i, 2}};
        add_change(kFile, next, sorted);
        test::patch(content, next, sorted);
    }
    chain.store();
    restore();
    EXPECT_TRUE(read(kFile) == content);
}

TEST_F(ChainRestore, UnchangedFilesAreTheParents) {
    const std::string small = blocks_of(3, 1);
    const std::string large = blocks_of(2500, 2);
    chain.backups[0].files[kFile] = small;
    chain.backups[0].files["base/1/2"] = large;
    for (int i = 0; i < 3; ++i) {
        test::StoredBackup& b = chain.add();
        b.changed[kFile] = chain.changed(small, {});
        b.changed["base/1/2"] = chain.changed(large, {});
    }
    chain.store();
    restore();
    EXPECT_TRUE(read(kFile) == small);
    EXPECT_TRUE(read("base/1/2") == large);
}

TEST_F(ChainRestore, FilesThatAreCutAndExtended) {
    const std::string first = blocks_of(300, 1);
    chain.backups[0].files[kFile] = first;
    std::string content = first.substr(0, size_t{100} * kBlock);
    add_change(kFile, content, {});
    const std::string longer = blocks_of(250, 2);
    add_change(kFile, longer, {{7, 1}, {100, 150}});
    test::patch(content, longer, {{7, 1}, {100, 150}});
    chain.store();
    restore();
    EXPECT_TRUE(read(kFile) == content);
}

TEST_F(ChainRestore, WhatNoBackupHasIsZeros) {
    chain.backups[0].files[kFile] = blocks_of(3, 1);
    const std::string longer = blocks_of(10, 2);
    add_change(kFile, longer, {{0, 1}, {6, 1}});
    chain.backups[0].files["base/1/2"] = "";
    chain.backups[1].changed["base/1/2"] = {size_t{200} * kBlock, {}, ""};
    chain.store();
    restore();
    std::string content = blocks_of(3, 1);
    test::patch(content, longer, {{0, 1}, {6, 1}});
    EXPECT_TRUE(read(kFile) == content);
    EXPECT_TRUE(read("base/1/2") == std::string(size_t{200} * kBlock, '\0'));
}

// The ground is written over gaps between its own blocks, and never over what is to be zeros.
TEST_F(ChainRestore, ZerosBehindTheGround) {
    std::string content = blocks_of(600, 1);
    chain.backups[0].files[kFile] = content;
    const std::string longer = blocks_of(900, 2);
    std::vector<BlockRun> runs;
    for (uint32_t block = 3; block < 900; block += 5)
        runs.push_back({block, 1});
    add_change(kFile, longer, runs);
    chain.store();
    restore();
    content.resize(size_t{900} * kBlock, '\0');
    test::patch(content, longer, runs);
    EXPECT_TRUE(read(kFile) == content);
}

TEST_F(ChainRestore, PartOfABlockIsNoBlock) {
    chain.backups[0].files[kFile] = blocks_of(3, 1) + "torn";
    const std::string longer = blocks_of(5, 2);
    add_change(kFile, longer, {{4, 1}});
    chain.store();
    const std::string text = restore_error();
    EXPECT_TRUE(has(text, "Backup b1 has a part of its block 3")) << text;
    EXPECT_FALSE(there("global/pg_control"));
}

TEST_F(ChainRestore, PartOfABlockThatIsNotNeeded) {
    std::string content = blocks_of(3, 1) + "torn";
    chain.backups[0].files[kFile] = content;
    const std::string longer = blocks_of(5, 2);
    add_change(kFile, longer, {{3, 2}});
    content.resize(size_t{3} * kBlock);
    test::patch(content, longer, {{3, 2}});
    chain.store();
    restore();
    EXPECT_TRUE(read(kFile) == content);
}

TEST_F(ChainRestore, AWholeOneHidesWhatIsBelow) {
    chain.backups[0].files[kFile] = blocks_of(30, 1);
    add_change(kFile, blocks_of(30, 2), {{3, 9}});
    std::string content = blocks_of(20, 3);
    chain.add().files[kFile] = content;
    const std::string last = blocks_of(22, 4);
    add_change(kFile, last, {{1, 1}, {20, 2}});
    test::patch(content, last, {{1, 1}, {20, 2}});
    chain.store();
    restore();
    EXPECT_TRUE(read(kFile) == content);
}

TEST_F(ChainRestore, WhatTheTipDoesNotHaveIsGone) {
    chain.backups[0].files[kFile] = blocks_of(30, 1);
    chain.add().files["base/1/2"] = blocks_of(2, 1);
    chain.store();
    restore();
    EXPECT_FALSE(there(kFile));
    EXPECT_TRUE(there("base/1/2"));
}

TEST_F(ChainRestore, EveryBackupOfTheChainRestores) {
    std::vector<std::string> states{blocks_of(40, 1)};
    chain.backups[0].files[kFile] = states[0];
    chain.store();
    for (uint32_t i = 1; i < 4; ++i) {
        data = directory / ("data" + std::to_string(i));
        restore();
        EXPECT_TRUE(read(kFile) == states.back()) << i;
        const std::string next = blocks_of(40 + i, i + 1);
        states.push_back(states.back());
        test::patch(states.back(), next, {{i, 5}, {39 + i, 1}});
        add_change(kFile, next, {{i, 5}, {39 + i, 1}});
        chain.store_last();
    }
}

// Several pieces of each backup, so that lanes write one file together.
TEST_F(ChainRestore, LargeFilesWhateverTheLanes) {
    std::string content = blocks_of(5000, 1);
    chain.backups[0].files[kFile] = content;
    for (uint32_t i = 2; i < 5; ++i) {
        const std::string next = blocks_of(5000 + i, i);
        std::vector<BlockRun> runs;
        for (uint32_t block = i; block + 3 < 5000; block += 3 + i)
            runs.push_back({block, i - 1});
        runs.push_back({4999 + i - 1, 2});
        add_change(kFile, next, runs);
        test::patch(content, next, runs);
    }
    chain.store();
    for (const int jobs : {1, 2, 3}) {
        request.jobs = jobs;
        data = directory / ("data" + std::to_string(jobs));
        restore();
        EXPECT_TRUE(read(kFile) == content) << jobs;
    }
}

/// A file of three pieces of the full backup, in which two later ones have changed every other
/// block or so; what is read of the full backup's packs can be held up.
class ChainLayers : public ChainRestore {
 protected:
    ChainLayers() {
        repository =
            Repository::open(std::make_unique<test::StoreDecorator>(
                                 make_memory_store(),
                                 [this](const auto& call, const auto& name) {
                                     if (is_slow && call == "get_range" && has(name, "/b1/data/"))
                                         hold_up();
                                 }),
                             OpenMode::create);
        chain.begin_anew(*repository);
        content = blocks_of(5000, 1);
        chain.add().files[kFile] = content;
        for (uint32_t i = 2; i < 4; ++i) {
            const std::string next = blocks_of(5000, i);
            std::vector<BlockRun> runs;
            for (uint32_t block = i; block + 20 < 5000; block += 3 + block % 17)
                runs.push_back({block, 1 + block % 2});
            add_change(kFile, next, runs);
            test::patch(content, next, runs);
        }
        chain.store();
        is_slow = true;
    }

    std::string content;
    std::function<void()> hold_up;
    bool is_slow = false;
};

// Lanes are done with all that is newer long before, if they do not wait.
TEST_F(ChainLayers, NothingOlderComesOverWhatIsNewer) {
    hold_up = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
    for (const int jobs : {1, 2, 5}) {
        request.jobs = jobs;
        data = directory / ("data" + std::to_string(jobs));
        restore();
        EXPECT_TRUE(read(kFile) == content) << jobs;
    }
}

TEST_F(ChainLayers, WhoWaitsForTheGroundLearnsThatItFails) {
    std::atomic<int> reads = 0;
    hold_up = [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        if (++reads == 6)
            throw Error(ErrorCode::unavailable, "gone");
    };
    request.jobs = 5;
    test::expect_error(ErrorCode::unavailable, [&] { return restore(); });
}

// Of four frames of the base the second has no block that is needed.
TEST_F(ChainRestore, FramesOfWhichNothingIsNeededAreNotFetched) {
    std::string content = blocks_of(512, 1);
    chain.backups[0].files[kFile] = content;
    const std::string next = blocks_of(512, 2);
    add_change(kFile, next, {{128, 128}});
    test::patch(content, next, {{128, 128}});
    chain.store();
    request.jobs = 1;
    const RestoreResult result = restore();
    EXPECT_TRUE(read(kFile) == content);
    EXPECT_GE(result.fetched, 4U << 20);
    EXPECT_LT(result.fetched, (4U << 20) + (200U << 10));
    EXPECT_GE(survey.stored_bytes, 4U << 20);
    EXPECT_LT(survey.stored_bytes, (4U << 20) + (200U << 10));
}

// Small files of all backups lie in frames together.
TEST_F(ChainRestore, EachFrameIsFetchedOnce) {
    std::map<std::string, std::string> files;
    for (int i = 0; i < 200; ++i)
        files["base/1/3" + std::to_string(i)] = blocks_of(3, i);
    for (const auto& [path, content] : files)
        chain.backups[0].files[path] = content;
    for (int n = 1; n < 5; ++n) {
        test::StoredBackup& b = chain.add();
        for (auto& [path, content] : files) {
            const std::string next = blocks_of(3, n * 1000 + static_cast<int>(path.size()));
            const std::vector<BlockRun> runs{{static_cast<uint32_t>(n % 3), 1}};
            b.changed[path] = chain.changed(next, runs);
            test::patch(content, next, runs);
        }
    }
    chain.store();
    request.jobs = 1;
    const RestoreResult result = restore();
    for (const auto& [path, content] : files)
        EXPECT_TRUE(read(path) == content) << path;
    uint64_t stored = 0;
    for (const test::StoredBackup& b : chain.backups) {
        for (const PackInfo& pack : b.marker.packs)
            stored += pack.stored_bytes;
    }
    EXPECT_LE(result.fetched, stored);
    EXPECT_LE(survey.stored_bytes, result.fetched);
    EXPECT_GT(survey.stored_bytes, result.fetched * 9 / 10);
}

TEST_F(ChainRestore, DamageInTheFullBackupIsNamed) {
    const std::string content = blocks_of(600, 1);
    chain.backups[0].files[kFile] = content;
    add_change(kFile, content, {{0, 1}});
    chain.store();
    damage(chain.backups[0].pack_name(0), 0.5);
    const std::string text = restore_error();
    EXPECT_TRUE(has(text, "b1/data/00000.tar.zst")) << text;
    EXPECT_TRUE(has(text, kFile)) << text;
    EXPECT_FALSE(there("global/pg_control"));
    EXPECT_TRUE(there(kUnfinishedName));
    EXPECT_TRUE(has(source_error(), "b1/data/00000.tar.zst"));
}

TEST_F(ChainRestore, DamageInTheMiddleIsNamed) {
    const std::string content = blocks_of(600, 1);
    chain.backups[0].files[kFile] = content;
    add_change(kFile, content, {{10, 300}});
    add_change(kFile, content, {{0, 1}});
    chain.store();
    damage(chain.backups[1].pack_name(0), 0.5);
    const std::string text = restore_error();
    EXPECT_TRUE(has(text, "b2/data/00000.tar.zst")) << text;
    EXPECT_FALSE(there("global/pg_control"));
}

// Every frame is whole, and none is where it belongs.
TEST_F(ChainRestore, ExchangedFrames) {
    const std::string content = blocks_of(600, 1);
    for (const bool with_checksums : {true, false}) {
        data = directory / (with_checksums ? "with" : "without");
        begin_anew();
        chain.add().files[kFile] = content;
        add_change(kFile, content, {{0, 1}});
        chain.backups[0].falsify = [&](IndexEntry& entry) {
            if (entry.path != kFile)
                return;
            std::swap(entry.frames.at(1), entry.frames.at(3));
            if (!with_checksums)
                entry.frame_crcs.clear();
        };
        chain.store();
        const std::string text = restore_error();
        EXPECT_TRUE(has(text, "file \"base/1/16384\" of backup b1 is damaged")) << text;
        EXPECT_TRUE(has(text, "checksum")) << text;
        EXPECT_FALSE(there("global/pg_control"));
        EXPECT_TRUE(has(source_error(), "checksum"));
    }
}

// The format allows it.
TEST_F(ChainRestore, FramesWithoutChecksumsOfTheirOwn) {
    std::string content = blocks_of(600, 1);
    chain.backups[0].files[kFile] = content;
    const std::string next = blocks_of(600, 2);
    add_change(kFile, next, {{100, 300}});
    test::patch(content, next, {{100, 300}});
    for (test::StoredBackup& b : chain.backups)
        b.falsify = [](IndexEntry& entry) { entry.frame_crcs.clear(); };
    chain.store();
    restore();
    EXPECT_TRUE(read(kFile) == content);
    write(kFile, "x", size_t{500} * kBlock);
    delta();
    EXPECT_TRUE(read(kFile) == content);
}

TEST_F(ChainRestore, OtherRunsThanTheMembers) {
    const std::string content = blocks_of(60, 1);
    chain.backups[0].files[kFile] = content;
    add_change(kFile, content, {{3, 4}});
    chain.backups[1].falsify = [](IndexEntry& entry) {
        if (entry.incremental)
            entry.incremental->runs = {{4, 4}};
    };
    chain.store();
    const std::string text = restore_error();
    EXPECT_TRUE(has(text, "list of blocks")) << text;
    EXPECT_TRUE(has(source_error(), "list of blocks"));
}

TEST_F(ChainRestore, FramesThatAreTooFewOrTooMany) {
    const std::string content = blocks_of(600, 1);
    chain.backups[0].files[kFile] = content;
    add_change(kFile, content, {{3, 4}});
    chain.backups[0].falsify = [](IndexEntry& entry) {
        if (entry.path == kFile) {
            entry.frames.push_back(entry.frames.back());
            entry.frame_crcs.push_back(0);
        }
    };
    chain.store();
    const std::string text = restore_error();
    EXPECT_TRUE(has(text, "number of frames")) << text;
    EXPECT_FALSE(fs::exists(data));
}

// Lanes go to and fro between packs, each with a key of its own.
TEST_F(ChainRestore, EncryptedOnes) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make("7301", {KeySecret::Type::key, random_secret(32)}));
    const auto vault = std::make_shared<const Vault>(keyring, VaultOptions{.refuses_plain = true});
    repository->use_vault("7301", vault);
    std::map<std::string, std::string> files;
    for (int i = 0; i < 20; ++i)
        files["base/1/3" + std::to_string(i)] = blocks_of(i % 5 == 0 ? 300 : 3, i);
    for (const auto& [path, content] : files)
        chain.backups[0].files[path] = content;
    for (uint32_t n = 1; n < 4; ++n) {
        test::StoredBackup& b = chain.add();
        for (auto& [path, content] : files) {
            const std::string next = blocks_of(content.size() / kBlock, n * 1000);
            b.changed[path] = chain.changed(next, {{n - 1, 1}});
            test::patch(content, next, {{n - 1, 1}});
        }
    }
    chain.store();
    restore();
    for (const auto& [path, content] : files)
        EXPECT_TRUE(read(path) == content) << path;
    delta();
    EXPECT_EQ(vault->plain_objects(), 0U);
}

TEST_F(ChainRestore, TablespacesToo) {
    const std::string path = "pg_tblspc/16400/PG_15_202209061/5/16401";
    std::string content = blocks_of(200, 1);
    chain.backups[0].files[path] = content;
    const std::string next = blocks_of(200, 2);
    add_change(path, next, {{0, 3}});
    test::patch(content, next, {{0, 3}});
    for (test::StoredBackup& b : chain.backups) {
        b.marker.tablespaces = {{16400, directory / "space"}};
        b.directories = {"base",
                         "base/1",
                         "global",
                         "pg_tblspc",
                         "pg_tblspc/16400",
                         "pg_tblspc/16400/PG_15_202209061",
                         "pg_tblspc/16400/PG_15_202209061/5",
                         "pg_wal"};
    }
    chain.store();
    restore();
    EXPECT_TRUE(read(path) == content);
    EXPECT_TRUE(fs::exists(directory / "space/PG_15_202209061/5/16401"));
    delta();
    EXPECT_TRUE(read(path) == content);
}

TEST_F(ChainRestore, TheLabelIsAFullBackupsOne) {
    chain.add();
    chain.store();
    restore();
    EXPECT_EQ(read("backup_label"), chain.backups[0].files["backup_label"]);
    delta();
    EXPECT_EQ(read("backup_label"), chain.backups[0].files["backup_label"]);
}

TEST(WithoutIncrementalLines, LeavesTheRest) {
    EXPECT_EQ(
        without_incremental_lines("a\nINCREMENTAL FROM LSN: 0/1\nb\nINCREMENTAL FROM TLI: 1\n"),
        "a\nb\n");
    EXPECT_EQ(without_incremental_lines("a\nINCREMENTAL FROM LSN: 0/1"), "a\n");
    EXPECT_EQ(without_incremental_lines("a INCREMENTAL FROM LSN: 0/1\nb"),
              "a INCREMENTAL FROM LSN: 0/1\nb");
    EXPECT_EQ(without_incremental_lines(""), "");
}

TEST_F(ChainRestore, ModesAreTheTips) {
    const std::string content = blocks_of(4, 1);
    chain.backups[0].files[kFile] = content;
    add_change(kFile, content, {});
    chain.backups[1].falsify = [](IndexEntry& entry) {
        if (entry.path == kFile)
            entry.mode = 0640;
    };
    chain.store();
    restore();
    struct stat st {};
    ASSERT_EQ(::stat((data + "/" + kFile).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0640U);
}

// Each backup names all of its own, so it copies such files whole.
TEST_F(ChainRestore, CorruptPagesOfParentsAreSeen) {
    const std::string content = blocks_of(4, 1);
    for (const char* path : {kFile, "base/1/2"})
        chain.backups[0].files[path] = content;
    for (int i = 0; i < 2; ++i) {
        test::StoredBackup& b = chain.add();
        b.changed[kFile] = chain.changed(content, {{0, 1}});
        b.changed["base/1/2"] = chain.changed(content, {{1, 1}});
    }
    chain.backups[1].marker.corrupt_page_count = 1;
    chain.backups[1].marker.corrupt_pages = {{kFile, 0, "checksum"}};
    chain.store();
    restore();
    EXPECT_TRUE(survey.damaged_in_parents.empty()) << "its block is the tip's own";
    chain.add().changed[kFile] = chain.changed(content, {{0, 4}});
    chain.store_last();
    data = directory / "again";
    restore();
    EXPECT_TRUE(survey.damaged_in_parents.empty());
    chain.add().changed[kFile] = chain.changed(content, {});
    chain.backups[3].marker.corrupt_page_count = 1;
    chain.backups[3].marker.corrupt_pages = {{kFile, 2, "checksum"}};
    repository->store().remove("7301/" + place::marker("b4"));
    chain.backups[3].commit();
    chain.store_last();
    data = directory / "third";
    restore();
    EXPECT_EQ(survey.damaged_in_parents, std::vector<std::string>{kFile});
}

class ChainDelta : public ChainRestore {
 protected:
    // Three backups: a base of five frames, of which two have no newer block.
    ChainDelta() {
        content = blocks_of(600, 1);
        chain.backups[0].files[kFile] = content;
        change({{5, 20}, {260, 1}});
        change({{7, 3}, {270, 200}});
        chain.store();
        restore();
        EXPECT_TRUE(read(kFile) == content);
    }
    void change(const std::vector<BlockRun>& runs) {
        const std::string next = blocks_of(600, 100 + chain.backups.size());
        add_change(kFile, next, runs);
        test::patch(content, next, runs);
    }
    // The same backups in another repository, after `change`.
    void store_anew(const std::function<void(test::StoredBackup&)>& change) {
        std::deque<test::StoredBackup> before;
        before.swap(chain.backups);
        begin_anew();
        if (vault)
            repository->use_vault("7301", vault);
        for (const test::StoredBackup& b : before) {
            test::StoredBackup& copy = chain.add();
            copy.files = b.files;
            copy.changed = b.changed;
            change(copy);
        }
        chain.store();
    }
    FrameRef checksums_of_base() {
        const BackupMarker& base = chain.backups[0].marker;
        IndexReader index(*repository, base.cluster, base.backup_id, base.index_sha256);
        while (const auto entry = index.next()) {
            if (entry->path == kFile)
                return entry->block_checksums.at(0);
        }
        throw std::runtime_error("no such file");
    }
    void put(const std::string& name, ByteView content_of_object) {
        repository->store().remove(name);
        repository->store().put_if_absent(name, content_of_object);
    }
    uint64_t fetched_again() {
        const RestoreResult result = delta();
        warnings.clear();
        for (const std::string& warning : result.warnings) {
            if (has(warning, "checksums of the blocks"))
                warnings.push_back(warning);
        }
        EXPECT_TRUE(read(kFile) == content);
        return result.fetched;
    }

    static constexpr uint64_t kFrame = kFrameBytes;
    std::string content;
    std::shared_ptr<const Vault> vault;
    std::vector<std::string> warnings;
};

// But for the one small member of which a newer backup has some blocks, and a frame of the tip with
// a file that the restore has changed.
TEST_F(ChainDelta, WhatIsRightIsNotFetched) {
    const uint64_t fetched = fetched_again();
    EXPECT_GT(fetched, size_t{600} * 8);
    EXPECT_LT(fetched, 900U << 10);
    EXPECT_GT(survey.stored_bytes, 6 * kFrame);
}

// Repositories of earlier programs. Frames of which newer backups have some blocks cannot be
// compared there.
TEST_F(ChainDelta, WithoutChecksumsOfBlocks) {
    store_anew([](test::StoredBackup& b) { b.checksums_blocks = false; });
    const uint64_t fetched = fetched_again();
    EXPECT_GT(fetched, 2 * kFrame);
    EXPECT_LT(fetched, 4 * kFrame + (900U << 10));
    EXPECT_TRUE(warnings.empty());
}

// The base's first frame lacks 21 blocks, the second none, the third 2.
TEST_F(ChainDelta, OneBlockCostsItsFrame) {
    const uint64_t least = fetched_again();
    for (const size_t block : {0, 4, 25, 127, 128, 200, 256, 261}) {
        write(kFile, "x", block * kBlock + 8191);
        const uint64_t fetched = fetched_again();
        EXPECT_GE(fetched, least + kFrame) << block;
        EXPECT_LT(fetched, least + kFrame + (64U << 10)) << block;
        EXPECT_EQ(fetched_again(), least) << block;
    }
}

TEST_F(ChainDelta, FramesThatAreNeighboursAreFetchedTogether) {
    const uint64_t least = fetched_again();
    write(kFile, "x", 0);
    write(kFile, "x", size_t{130} * kBlock);
    const uint64_t fetched = fetched_again();
    EXPECT_GE(fetched, least + 2 * kFrame);
    EXPECT_LT(fetched, least + 2 * kFrame + (64U << 10));
}

// Whatever is there: each block is one of this chain's, of another place, or of no backup.
TEST_F(ChainDelta, AnyMixtureIsMadeRight) {
    std::mt19937 random(7);
    const std::string base = chain.backups[0].files[kFile];
    for (int round = 0; round < 30; ++round) {
        for (int n = 0; n < 20; ++n) {
            const size_t block = random() % 600;
            const size_t from = random() % 3 == 0 ? random() % 600 : block;
            const std::string& source = random() % 2 == 0 ? base : content;
            // Torn, now and then: sectors of one and of the other.
            const size_t bytes = random() % 3 == 0 ? 512 * (1 + random() % 15) : kBlock;
            write(kFile, source.substr(from * kBlock, bytes), block * kBlock);
        }
        request.jobs = 1 + round % 3;
        fetched_again();
    }
}

TEST_F(ChainDelta, DamagedChecksumsOfBlocks) {
    const Bytes whole = *repository->store().get(chain.backups[0].pack_name(0), 1 << 30);
    const FrameRef ref = checksums_of_base();
    // Magic, length, checksum, and the checksums themselves.
    for (const size_t at : {size_t{0}, size_t{5}, size_t{9}, size_t{12}, size_t{ref.stored - 1}}) {
        Bytes content_of_pack = whole;
        content_of_pack[ref.offset + at] ^= std::byte{16};
        put(chain.backups[0].pack_name(0), content_of_pack);
        EXPECT_GT(fetched_again(), 4 * kFrame) << at;
        ASSERT_EQ(warnings.size(), 1U) << at;
        EXPECT_TRUE(has(warnings[0],
                        "the checksums of the blocks of 1 file in the repository are "
                        "damaged"))
            << warnings[0];
        EXPECT_TRUE(has(warnings[0], kFile)) << warnings[0];
        EXPECT_TRUE(has(warnings[0], "b1/data/00000.tar.zst")) << warnings[0];
    }
    put(chain.backups[0].pack_name(0), whole);
    fetched_again();
    EXPECT_TRUE(warnings.empty());
}

// The index names less, more, or another place than there is.
TEST_F(ChainDelta, OtherChecksumsOfBlocksThanTheIndexSays) {
    const FrameRef ref = checksums_of_base();
    const std::vector<std::vector<FrameRef>> wrong{{{ref.offset, ref.stored - 8}},
                                                   {{ref.offset, ref.stored + 8}},
                                                   {{ref.offset + 8, ref.stored}},
                                                   {ref, ref},
                                                   {{1ULL << 40, ref.stored}},
                                                   {{ref.offset, 5}},
                                                   {{ref.offset, 0}},
                                                   {{ref.offset, 0xFFFFFFF}}};
    for (size_t i = 0; i < wrong.size(); ++i) {
        store_anew([&](test::StoredBackup& b) {
            if (b.marker.backup_id != "b1")
                return;
            b.falsify = [&wrong, i](IndexEntry& entry) {
                if (entry.path == kFile)
                    entry.block_checksums = wrong[i];
            };
        });
        fetched_again();
        // Of none, or too many to be worth it, nobody looks whether they are there.
        EXPECT_EQ(warnings.size(), i >= 6 ? 0U : 1U) << i;
    }
}

TEST_F(ChainDelta, EncryptedOnes) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make("7301", {KeySecret::Type::key, random_secret(32)}));
    vault = std::make_shared<const Vault>(keyring, VaultOptions{.refuses_plain = true});
    store_anew([](test::StoredBackup&) {});
    const uint64_t least = fetched_again();
    EXPECT_LT(least, 900U << 10);
    write(kFile, "x", 0);
    const uint64_t fetched = fetched_again();
    EXPECT_GE(fetched, least + kFrame);
    EXPECT_LT(fetched, least + kFrame + (64U << 10));
    const FrameRef ref = checksums_of_base();
    Bytes pack = *repository->store().get(chain.backups[0].pack_name(0), 1 << 30);
    pack[ref.offset + ref.stored / 2] ^= std::byte{1};
    put(chain.backups[0].pack_name(0), pack);
    EXPECT_GT(fetched_again(), 4 * kFrame);
    EXPECT_EQ(warnings.size(), 1U);
}

// Of incremental members too, whose blocks begin behind a header.
TEST_F(ChainDelta, ChecksumsOfChangedBlocks) {
    change({{30, 400}});
    change({{35, 1}, {210, 2}});
    store_anew([](test::StoredBackup&) {});
    fetched_again();
    const uint64_t least = fetched_again();
    EXPECT_LT(least, 900U << 10);
    for (const size_t block : {30, 36, 200, 429}) {
        write(kFile, "x", block * kBlock + 5000);
        const uint64_t fetched = fetched_again();
        EXPECT_GT(fetched, least + kFrame / 8) << block;
        EXPECT_LT(fetched, least + kFrame + (64U << 10)) << block;
    }
}

TEST_F(ChainDelta, WhatIsWrongIsFetched) {
    write(kFile, "x", size_t{150} * kBlock);  // a frame of the base that is used as a whole
    write(kFile, "y", size_t{8} * kBlock);    // of the tip
    write(kFile, "z", size_t{280} * kBlock);  // of the tip
    fetched_again();
}

TEST_F(ChainDelta, AFileThatIsShorter) {
    fs::resize_file(data + "/" + kFile, size_t{100} * kBlock);
    fetched_again();
}

TEST_F(ChainDelta, AFileThatIsLonger) {
    fs::resize_file(data + "/" + kFile, size_t{1000} * kBlock);
    fetched_again();
}

TEST_F(ChainDelta, AFileThatIsNotThere) {
    fs::remove(data + "/" + kFile);
    fetched_again();
}

TEST_F(ChainDelta, AFileThatIsSomethingElse) {
    fs::remove(data + "/" + kFile);
    fs::create_symlink(directory / "elsewhere", data + "/" + kFile);
    std::ofstream(directory / "elsewhere") << "x";
    fetched_again();
    EXPECT_EQ(fs::file_size(directory / "elsewhere"), 1U);
    EXPECT_FALSE(fs::is_symlink(data + "/" + kFile));
}

TEST_F(ChainDelta, AFileWithAnotherName) {
    write(kFile, "x", 0);
    fs::create_hard_link(data + "/" + kFile, directory / "other");
    fetched_again();
    std::ifstream other(directory / "other");
    EXPECT_EQ(other.get(), 'x');
}

// The polynomial of CRC-32C: who adds it does not change the checksum.
TEST_F(ChainDelta, OtherContentOfTheSameChecksum) {
    constexpr uint64_t kPolynomial = 0x11EDC6F41;
    const size_t at = size_t{150} * kBlock;
    std::string bytes = content.substr(at, 5);
    for (int bit = 0; bit <= 32; ++bit) {
        if ((kPolynomial >> (32 - bit) & 1) != 0)
            bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
    std::string forged = content.substr(size_t{128} * kBlock, kFrameBytes);
    const uint32_t crc = crc32c(0, as_bytes(forged));
    forged.replace(at - size_t{128} * kBlock, 5, bytes);
    ASSERT_EQ(crc32c(0, as_bytes(forged)), crc);
    ASSERT_NE(bytes, content.substr(at, 5));
    write(kFile, bytes, at);
    fetched_again();
}

TEST_F(ChainDelta, ZerosAreZerosAgain) {
    chain.add().changed[kFile] = {size_t{700} * kBlock, {}, ""};
    content.resize(size_t{700} * kBlock);
    chain.store_last();
    fetched_again();
    write(kFile, "x", size_t{650} * kBlock);
    fetched_again();
}

// An older state of the cluster is there: only what changed since is fetched of the newest backup.
TEST_F(ChainDelta, AnUnchangedFileIsNotFetchedAtAll) {
    const std::string large = blocks_of(1500, 77);
    chain.backups[0].files["base/1/2"] = large;
    for (size_t i = 1; i < chain.backups.size(); ++i)
        chain.backups[i].changed["base/1/2"] = chain.changed(large, {});
    std::deque<test::StoredBackup> before;
    before.swap(chain.backups);
    const std::unique_ptr<Repository> old = begin_anew();
    for (const test::StoredBackup& b : before) {
        test::StoredBackup& copy = chain.add();
        copy.files = b.files;
        copy.changed = b.changed;
    }
    chain.store();
    delta();
    const RestoreResult result = delta();
    EXPECT_TRUE(read("base/1/2") == large);
    EXPECT_LT(result.fetched, 5 * kFrame);
    EXPECT_GT(result.reused_bytes, large.size());
}

/// A cluster that changes, and what backups of it are to hold.
class Model {
 public:
    explicit Model(uint32_t seed) : random_(seed) {}

    void fill(test::StoredBackup& full) {
        for (int i = 0; i < 8; ++i)
            files_[name()] = noise(pick(i < 2 ? 700 : 40));
        full.files.insert(files_.begin(), files_.end());
    }

    // What changes: blocks, lengths, files. As a backup sees it, by the rules of file_changes.hpp.
    void step(test::StoredBackup& backup) {
        const auto parent = files_;
        if (pick(3) == 0)
            files_.erase(std::next(files_.begin(), pick(files_.size())));
        if (pick(3) == 0)
            files_[name()] = noise(pick(60));
        for (auto& [path, content] : files_) {
            if (!parent.contains(path)) {
                backup.files[path] = content;
                continue;
            }
            std::set<uint32_t> held;
            change(content, held);
            if (content.empty() || pick(8) == 0) {
                backup.files[path] = content;
            } else {
                backup.changed[path] = test::StoredChain::changed(content, runs_of(held));
            }
        }
    }

    const std::map<std::string, std::string>& files() const { return files_; }

 private:
    uint32_t pick(size_t below) { return random_() % static_cast<uint32_t>(below); }
    std::string name() { return "base/1/" + std::to_string(20000 + pick(90000)); }
    std::string noise(uint32_t blocks) { return blocks_of(blocks, random_()); }

    void change(std::string& content, std::set<uint32_t>& held) {
        auto blocks = static_cast<uint32_t>(content.size() / kBlock);
        if (pick(4) == 0)
            cut(content, blocks == 0 ? 0 : pick(blocks), blocks, held);
        if (pick(4) == 0) {
            const uint32_t more = 1 + pick(50);
            for (uint32_t i = 0; i < more; ++i)
                held.insert(blocks + i);
            content += pick(3) == 0 ? std::string(size_t{more} * kBlock, '\0') : noise(more);
            blocks += more;
        }
        for (uint32_t n = pick(4) * pick(20); n > 0 && blocks > 0; --n) {
            const uint32_t block = pick(blocks);
            content.replace(size_t{block} * kBlock, kBlock, noise(1));
            held.insert(block);
        }
    }
    static void cut(std::string& content, uint32_t to, uint32_t& blocks, std::set<uint32_t>& held) {
        content.resize(size_t{to} * kBlock);
        held.erase(held.lower_bound(to), held.end());
        blocks = to;
    }
    static std::vector<BlockRun> runs_of(const std::set<uint32_t>& blocks) {
        std::vector<BlockRun> runs;
        for (const uint32_t block : blocks) {
            if (!runs.empty() && runs.back().end() == block) {
                ++runs.back().length;
            } else {
                runs.push_back({block, 1});
            }
        }
        return runs;
    }

    std::mt19937 random_;
    std::map<std::string, std::string> files_;
};

class RandomChain : public ChainRestore, public testing::WithParamInterface<uint32_t> {
 protected:
    void expect_files(const Model& model) const {
        for (const auto& [path, content] : model.files())
            EXPECT_TRUE(read(path) == content) << path;
        size_t found = 0;
        for (const auto& entry : fs::directory_iterator(data + "/base/1"))
            found += entry.is_regular_file() ? 1 : 0;
        EXPECT_EQ(found, model.files().size());
    }
};

TEST_P(RandomChain, ComesBackAsItWas) {
    Model model(GetParam());
    model.fill(chain.backups[0]);
    chain.store_last();
    request.jobs = 1 + static_cast<int>(GetParam() % 3);
    for (int i = 0; i < 8; ++i) {
        model.step(chain.add());
        chain.store_last();
        if (i % 2 == 0)
            continue;
        delta();  // over what an earlier backup had
        expect_files(model);
    }
    request.destination.delta = false;
    data = directory / "new";
    restore();
    expect_files(model);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomChain, testing::Range(1U, 6U));

}  // namespace
}  // namespace ark
