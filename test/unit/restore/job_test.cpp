#include "core/restore/job.hpp"

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/vault.hpp"
#include "core/restore/unfinished.hpp"
#include "core/store/object_store.hpp"
#include "test/support/temporary_directory.hpp"
#include "test/unit/restore/stored_backup.hpp"

namespace ark {
namespace {

namespace fs = std::filesystem;

// Passes everything on, and counts what is read of packs.
class CountingStore final : public ObjectStore {
 public:
    CountingStore(std::unique_ptr<ObjectStore> store, std::atomic<uint64_t>& pack_bytes)
        : store_(std::move(store)), pack_bytes_(pack_bytes) {}
    PutResult put_if_absent(const std::string& name, ByteView content) override {
        return store_->put_if_absent(name, content);
    }
    std::unique_ptr<Upload> start_upload(const std::string& name) override {
        return store_->start_upload(name);
    }
    std::optional<Bytes> get(const std::string& name, uint64_t limit) override {
        return store_->get(name, limit);
    }
    size_t get_range(const std::string& name, uint64_t offset, MutableByteView buffer) override {
        const size_t n = store_->get_range(name, offset, buffer);
        if (offset > 0 && name.ends_with(".tar.zst"))
            pack_bytes_ += n;
        return n;
    }
    std::optional<ObjectInfo> head(const std::string& name) override { return store_->head(name); }
    void list(const std::string& prefix,
              const std::function<bool(const ObjectInfo&)>& visit) override {
        store_->list(prefix, visit);
    }
    std::vector<std::string> list_parts(const std::string& prefix) override {
        return store_->list_parts(prefix);
    }
    bool remove(const std::string& name) override { return store_->remove(name); }
    std::optional<uint64_t> free_bytes() override { return store_->free_bytes(); }
    std::string url() const override { return store_->url(); }

 private:
    std::unique_ptr<ObjectStore> store_;
    std::atomic<uint64_t>& pack_bytes_;
};

class Phases final : public RestoreListener {
 public:
    void progress(const RestoreProgress& progress) override {
        if (on_phase)
            on_phase(progress.phase);
        last = progress;
    }
    std::function<void(RestorePhase)> on_phase;
    RestoreProgress last;
};

class RestoreJobTest : public testing::Test {
 protected:
    RestorePlan plan() {
        RestorePlan plan;
        plan.source.cluster = backup.marker.cluster;
        plan.source.backup = backup.marker;
        plan.source.chain = {{backup.marker}};
        plan.destination = check_destination(request.destination, backup.marker, "memory:");
        const Layout layout(plan.destination.directory, plan.destination.tablespaces);
        plan.survey = survey_index(*repository, plan.source.chain, layout);
        return plan;
    }
    RestoreResult restore() {
        request.destination.directory = data;
        request.program = "/usr/bin/pg_ark";
        const RestorePlan made = plan();
        return run_restore(*repository, request, made, phases);
    }
    std::string read(const std::string& path) const {
        std::ifstream in(path.starts_with('/') ? path : data + "/" + path);
        EXPECT_TRUE(in) << path;
        std::stringstream text;
        text << in.rdbuf();
        return text.str();
    }
    bool there(const std::string& path) const { return fs::exists(data + "/" + path); }
    ErrorCode restore_error() {
        try {
            restore();
        } catch (const Error& error) {
            message = error.message + " " + error.detail + " " + error.hint;
            return error.code;
        }
        ADD_FAILURE() << "no error";
        return ErrorCode::internal;
    }
    // Changes one byte of a stored object.
    void damage(const std::string& name, double where) {
        Bytes content = *repository->store().get(name, 1 << 30);
        content[static_cast<size_t>(static_cast<double>(content.size()) * where)] ^= std::byte{1};
        repository->store().remove(name);
        repository->store().put_if_absent(name, content);
    }

    test::TemporaryDirectory directory;
    std::string data = directory / "data";
    std::atomic<uint64_t> pack_bytes = 0;
    std::unique_ptr<Repository> repository = Repository::open(
        std::make_unique<CountingStore>(make_memory_store(), pack_bytes), OpenMode::create);
    test::StoredBackup backup{*repository};
    RestoreRequest request;
    Phases phases;
    std::string message;
};

// Not compressible, different for each seed.
std::string noise(size_t size, uint32_t seed) {
    std::string out(size, '\0');
    for (char& c : out) {
        seed = seed * 1664525 + 1013904223;
        c = static_cast<char>(seed >> 24);
    }
    return out;
}

// Written by a host that cannot read, restored by one that has the key.
TEST_F(RestoreJobTest, AnEncryptedBackupComesBack) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make("7301", {KeySecret::Type::key, random_secret(32)}));
    repository->use_vault(
        "7301", std::make_shared<const Vault>(std::vector<Recipient>{keyring->recipient()}));
    backup.files["base/1/1000"] = "";
    backup.files["base/1/1002"] = noise(3 * (1 << 20) + 8192, 1);
    for (int i = 0; i < 300; ++i)
        backup.files["base/1/2" + std::to_string(i)] = noise(9000, i);
    backup.store();
    EXPECT_EQ(restore_error(), ErrorCode::invalid_key) << message;
    fs::remove_all(data);
    const auto vault = std::make_shared<const Vault>(keyring, VaultOptions{.refuses_plain = true});
    repository->use_vault("7301", vault);
    EXPECT_EQ(restore().files, backup.files.size());
    for (const auto& [path, content] : backup.files) {
        if (path == "postgresql.auto.conf")
            continue;
        EXPECT_EQ(read(path), content) << path;
    }
    EXPECT_EQ(vault->plain_objects(), 0U);
}

TEST_F(RestoreJobTest, EveryFileComesBack) {
    backup.files["base/1/1000"] = "";
    backup.files["base/1/1001"] = std::string(8192, 'x');
    backup.files["base/1/1002"] = noise(3 * (1 << 20) + 8192, 1);
    backup.files["base/1/1003"] = noise(1 << 20, 2);
    for (int i = 0; i < 300; ++i)
        backup.files["base/1/2" + std::to_string(i)] = noise(9000, i);
    backup.files["base/1/na\xFFme"] = "not UTF-8";
    backup.store();
    const RestoreResult result = restore();
    EXPECT_EQ(result.files, backup.files.size());
    for (const auto& [path, content] : backup.files) {
        if (path == "postgresql.auto.conf")
            continue;
        EXPECT_EQ(read(path) == content, true) << path;
    }
    EXPECT_EQ(phases.last.phase, RestorePhase::done);
    EXPECT_TRUE(result.warnings.empty());
}

TEST_F(RestoreJobTest, WhatIsAdded) {
    backup.store();
    restore();
    EXPECT_TRUE(read("postgresql.auto.conf").starts_with("work_mem = '4MB'\n"));
    EXPECT_NE(read("postgresql.auto.conf").find("restore_command"), std::string::npos);
    EXPECT_EQ(read("recovery.signal"), "");
    EXPECT_NE(read("pg_wal/pg_ark.clone").find(backup.marker.backup_id), std::string::npos);
    EXPECT_NE(read("pg_wal/pg_ark.clone").find("ark.adopt()"), std::string::npos);
    EXPECT_TRUE(there("pg_wal/archive_status"));
    EXPECT_EQ(sha256_hex(as_bytes(read("backup_manifest"))), backup.marker.manifest_sha256);
    EXPECT_FALSE(there(kUnfinishedName));
    EXPECT_FALSE(there(kWaitingControlPath));
    struct stat st {};
    ASSERT_EQ(::stat(data.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0700U);
}

// Two restores that found one place free would fill it both.
TEST_F(RestoreJobTest, TablespaceThatIsTakenAfterThePlan) {
    backup.marker.tablespaces = {{16400, directory / "space"}};
    backup.store();
    phases.on_phase = [&](RestorePhase phase) {
        if (phase == RestorePhase::clearing)
            fs::create_directories(directory / "space/PG_15_202209061");
    };
    EXPECT_EQ(restore_error(), ErrorCode::refused);
    EXPECT_NE(message.find("taken meanwhile"), std::string::npos) << message;
    EXPECT_FALSE(there("global/pg_control"));
}

TEST_F(RestoreJobTest, TakeOverLeavesNoCloneMark) {
    backup.store();
    request.take_over = true;
    restore();
    EXPECT_FALSE(there("pg_wal/pg_ark.clone"));
}

TEST_F(RestoreJobTest, SignalsOfTheSourceDoNotCount) {
    backup.files["standby.signal"] = "";
    backup.store();
    restore();
    EXPECT_FALSE(there("standby.signal"));
}

// Two small packs' worth of files in one frame, and a large one, with one lane: each byte once.
TEST_F(RestoreJobTest, EachFrameIsFetchedOnce) {
    for (int i = 0; i < 400; ++i)
        backup.files["base/1/3" + std::to_string(i)] = noise(7000, i);
    backup.files["base/1/4"] = noise(9 << 20, 7);
    backup.store();
    request.jobs = 1;
    pack_bytes = 0;
    restore();
    uint64_t stored = 0;
    for (const PackInfo& pack : backup.marker.packs)
        stored += pack.stored_bytes;
    EXPECT_LE(pack_bytes, stored);
    EXPECT_GT(pack_bytes, stored / 2);
}

TEST_F(RestoreJobTest, Tablespaces) {
    backup.directories = {"base",      "base/1",          "global",
                          "pg_tblspc", "pg_tblspc/16400", "pg_tblspc/16400/PG_15_202209061",
                          "pg_wal"};
    backup.files["pg_tblspc/16400/PG_15_202209061/5/16401"] = "in the tablespace";
    backup.marker.tablespaces = {{16400, "/srv/nowhere/fast"}};
    backup.store();
    request.destination.tablespace_map = {{"/srv/nowhere/fast", directory / "elsewhere"}};
    restore();
    EXPECT_EQ(fs::read_symlink(data + "/pg_tblspc/16400"), directory / "elsewhere");
    EXPECT_EQ(read(directory / "elsewhere/PG_15_202209061/5/16401"), "in the tablespace");
}

TEST_F(RestoreJobTest, DamagedPackIsNamedAndNothingIsStartable) {
    backup.files["base/1/1002"] = noise(3 << 20, 1);
    backup.store();
    damage(backup.pack_name(0), 0.5);
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_NE(message.find("00000.tar.zst"), std::string::npos) << message;
    EXPECT_FALSE(there("global/pg_control"));
    EXPECT_TRUE(there(kUnfinishedName));
}

// Several parts, so that more than one lane writes it.
TEST_F(RestoreJobTest, LargeFileComesBackWhateverTheLanes) {
    backup.files["base/1/4"] = noise((50 << 20) + 8192, 7);
    backup.files["base/1/5"] = noise(33 << 20, 8);
    backup.store();
    for (const int jobs : {1, 2, 3}) {
        request.jobs = jobs;
        data = directory / ("data" + std::to_string(jobs));
        EXPECT_EQ(restore().files, backup.files.size());
        EXPECT_TRUE(read("base/1/4") == backup.files["base/1/4"]) << jobs;
        EXPECT_TRUE(read("base/1/5") == backup.files["base/1/5"]) << jobs;
    }
}

TEST_F(RestoreJobTest, DamageInAPartOfALargeFile) {
    backup.files["base/1/4"] = noise(60 << 20, 7);
    backup.store();
    damage(backup.pack_name(0), 0.7);
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_NE(message.find("base/1/4"), std::string::npos) << message;
    EXPECT_FALSE(there("global/pg_control"));
    EXPECT_TRUE(there(kUnfinishedName));
}

// Every frame is whole, and none is where it belongs: only the checksum of the whole shows it.
TEST_F(RestoreJobTest, ExchangedFramesOfALargeFile) {
    backup.files["base/1/4"] = noise(60 << 20, 7);
    backup.falsify = [](IndexEntry& entry) {
        if (entry.path == "base/1/4")
            std::swap(entry.frames.at(3), entry.frames.at(40));
    };
    backup.store();
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_NE(message.find("\"base/1/4\""), std::string::npos) << message;
    EXPECT_NE(message.find("checksum"), std::string::npos) << message;
    EXPECT_FALSE(there("global/pg_control"));
}

TEST_F(RestoreJobTest, MissingPack) {
    backup.store();
    repository->store().remove(backup.pack_name(0));
    EXPECT_EQ(restore_error(), ErrorCode::not_found);
    EXPECT_NE(message.find("00000.tar.zst"), std::string::npos) << message;
    EXPECT_FALSE(there("global/pg_control"));
}

TEST_F(RestoreJobTest, DamagedIndexIsSeenBeforeAnythingIsTouched) {
    backup.store();
    damage(backup.marker.cluster + "/" + place::index(backup.marker.backup_id), 0.9);
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_FALSE(fs::exists(data));
}

TEST_F(RestoreJobTest, BackupWithoutItsLabelIsRefused) {
    backup.files.erase("backup_label");
    backup.store();
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_NE(message.find("backup_label"), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(data));
}

TEST_F(RestoreJobTest, OtherManifestIsRefused) {
    backup.store();
    backup.marker.manifest_sha256 = std::string(64, '0');
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_FALSE(there("global/pg_control"));
}

TEST_F(RestoreJobTest, IndexPathsMayNotLeadAway) {
    backup.files["../evil"] = "x";
    backup.store();
    EXPECT_EQ(restore_error(), ErrorCode::corrupt);
    EXPECT_FALSE(fs::exists(directory / "evil"));
}

TEST_F(RestoreJobTest, InterruptionLeavesItUnstartable) {
    backup.store();
    phases.on_phase = [](RestorePhase phase) {
        if (phase == RestorePhase::configuring)
            throw Error(ErrorCode::cancelled, "stop");
    };
    EXPECT_EQ(restore_error(), ErrorCode::cancelled);
    EXPECT_FALSE(there("global/pg_control"));
    EXPECT_TRUE(there(kUnfinishedName));
    // Again: refused as it is, done with force.
    phases.on_phase = nullptr;
    EXPECT_EQ(restore_error(), ErrorCode::refused);
    request.destination.force = true;
    restore();
    EXPECT_TRUE(there("global/pg_control"));
    EXPECT_FALSE(there(kUnfinishedName));
}

TEST_F(RestoreJobTest, TablespaceOfAnInterruptedRestoreMayBeFilledAgain) {
    backup.files["pg_tblspc/16400/PG_15_202209061/5/16401"] = "in the tablespace";
    backup.marker.tablespaces = {{16400, directory / "fast"}};
    backup.store();
    phases.on_phase = [](RestorePhase phase) {
        if (phase == RestorePhase::syncing)
            throw Error(ErrorCode::cancelled, "stop");
    };
    EXPECT_EQ(restore_error(), ErrorCode::cancelled);
    phases.on_phase = nullptr;
    request.destination.force = true;
    restore();
    EXPECT_EQ(read(directory / "fast/PG_15_202209061/5/16401"), "in the tablespace");
}

TEST_F(RestoreJobTest, ReplacesAClusterWithForce) {
    fs::create_directories(data + "/global");
    fs::create_directories(data + "/base/9/deep");
    std::ofstream(data + "/PG_VERSION") << "15\n";
    std::ofstream(data + "/global/pg_control") << "old";
    std::ofstream(data + "/base/9/deep/old") << "old";
    fs::create_directory(directory / "outside");
    std::ofstream(directory / "outside/precious") << "x";
    fs::create_directory_symlink(directory / "outside", data + "/link");
    backup.store();
    request.destination.force = true;
    restore();
    EXPECT_FALSE(there("base/9"));
    EXPECT_FALSE(there("link"));
    EXPECT_TRUE(fs::exists(directory / "outside/precious"));
    EXPECT_EQ(read("global/pg_control"), backup.files["global/pg_control"]);
}

TEST_F(RestoreJobTest, AnotherRestoreHoldsTheDirectory) {
    backup.store();
    fs::create_directory(data);
    request.destination.directory = data;
    const RestorePlan made = plan();
    const UnfinishedMark other(data, {"other", {}});
    try {
        run_restore(*repository, request, made, phases);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::refused);
    }
}

}  // namespace
}  // namespace ark
