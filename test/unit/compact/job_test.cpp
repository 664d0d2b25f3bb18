// compact_backup over chains of made-up files in a memory store.
#include "core/compact/job.hpp"

#include <functional>
#include <map>
#include <mutex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/crc32c.hpp"
#include "core/repo/object.hpp"
#include "core/repo/object_reader.hpp"
#include "core/repo/vault.hpp"
#include "core/restore/chain_source.hpp"
#include "core/restore/file_writer.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/store_decorator.hpp"
#include "test/unit/restore/stored_chain.hpp"

namespace ark {
namespace {

using test::blocks_of;
using test::expect_error;
using test::kBlock;
using test::mentions;

constexpr const char* kCluster = "7301";
constexpr const char* kNew = "full_20261120_030000_00000009";

class Listener final : public CompactListener {
 public:
    void progress(const CompactProgress& progress) override {
        last = progress;
        if (on_progress)
            on_progress();
    }
    CompactProgress last;
    std::function<void()> on_progress;
};

using Files = std::map<std::string, std::string>;

class Compaction : public testing::Test {
 protected:
    Compaction()
        : store(make_memory_store()),
          repository(Repository::open(std::make_unique<test::StoreDecorator>(
                                          store,
                                          [this](const std::string& call, const std::string& name) {
                                              const std::lock_guard lock(hook_mutex);
                                              if (on_store)
                                                  on_store(call, name);
                                          }),
                                      OpenMode::create)),
          chain(*repository) {
        request.cluster = kCluster;
        request.new_id = kNew;
        request.reason = "a test";
        request.created_by = "by hand";
    }

    // Blocks that change, a cut, one that grows, one of zeros behind a cut; files that go and come;
    // a large one, empty ones, a tablespace's.
    void make_chain() {
        Files& first = chain.add().files;
        first["base/1/100"] = blocks_of(20, 1);
        first["base/1/101"] = blocks_of(600, 2);
        first["base/1/102"] = blocks_of(10, 3);
        first["base/1/103"] = blocks_of(12, 4);
        first["base/1/104"] = blocks_of(5, 5);
        first["base/1/105"] = "";
        first["pg_xact/0000"] = std::string(5000, 'x');
        for (int i = 0; i < 150; ++i)
            first["base/1/2" + std::to_string(1000 + i)] = blocks_of(i % 3, 100 + i);
        wanted = first;
        chain.backups[0].directories.emplace_back("pg_xact");

        test::StoredBackup& second = add();
        change(second, "base/1/100", {{3, 2}, {19, 1}});
        change(second, "base/1/101", {{0, 1}, {300, 200}});
        cut(second, "base/1/102", 4);
        grow(second, "base/1/103", 18);
        gone(second, "base/1/104");
        whole(second, "pg_xact/0000", std::string(6000, 'y'));

        test::StoredBackup& third = add();
        change(third, "base/1/100", {{4, 3}});
        // Behind the cut: block 7 alone is written, the others were never.
        wanted["base/1/102"].resize(9 * kBlock, '\0');
        wanted["base/1/102"].replace(7 * kBlock, kBlock, blocks_of(1, 77));
        third.files.erase("base/1/102");
        third.changed["base/1/102"] = test::StoredChain::changed(wanted["base/1/102"], {{4, 5}});
        whole(third, "base/1/104", blocks_of(2, 55));
        whole(third, "base/1/106", blocks_of(300, 66));
        store_chain();
    }
    void store_chain() {
        for (test::StoredBackup& b : chain.backups)
            b.marker.files = b.files.size() + b.changed.size();
        chain.store();
        request.backup_id = chain.backups.back().marker.backup_id;
    }
    // With all that the one before has, none of it changed.
    test::StoredBackup& add() {
        test::StoredBackup& b = chain.add();
        b.directories = chain.backups[0].directories;
        for (const auto& [path, content] : wanted) {
            if (path.starts_with("base/1/") && !content.empty()) {
                b.changed[path] = test::StoredChain::changed(content, {});
            } else if (path != "backup_label") {
                b.files[path] = content;
            }
        }
        return b;
    }
    void change(test::StoredBackup& b, const std::string& path, const std::vector<BlockRun>& runs) {
        const std::string next = blocks_of(wanted[path].size() / kBlock, ++seed);
        b.changed[path] = test::StoredChain::changed(next, runs);
        test::patch(wanted[path], next, runs);
    }
    void cut(test::StoredBackup& b, const std::string& path, uint32_t blocks) {
        wanted[path].resize(size_t{blocks} * kBlock);
        b.changed[path] = test::StoredChain::changed(wanted[path], {});
    }
    void grow(test::StoredBackup& b, const std::string& path, uint32_t blocks) {
        const auto before = static_cast<uint32_t>(wanted[path].size() / kBlock);
        wanted[path] += blocks_of(blocks - before, ++seed);
        b.changed[path] = test::StoredChain::changed(wanted[path], {{before, blocks - before}});
    }
    void gone(test::StoredBackup& b, const std::string& path) {
        wanted.erase(path);
        b.changed.erase(path);
    }
    void whole(test::StoredBackup& b, const std::string& path, const std::string& content) {
        wanted[path] = content;
        b.changed.erase(path);
        b.files[path] = content;
    }

    BackupMarker compact() { return compact_backup(*repository, request, listener); }

    // What a restore would write.
    Files content_of(const std::string& id) {
        const BackupChain loaded =
            load_chain(*repository, kCluster, find_backup(*repository, kCluster, id).value());
        ChainReader files(*repository, loaded);
        ChainSource source(*repository, loaded);
        Files out;
        while (const auto file = files.next()) {
            if (file->entry.type == EntryType::file)
                source.read(*file,
                            [&](ByteView piece) { out[file->entry.path] += as_text(piece); });
            out.try_emplace(file->entry.path + (file->entry.type == EntryType::file ? "" : "/"));
        }
        return out;
    }
    void expect_wanted(const std::string& id) {
        const Files found = content_of(id);
        for (const auto& [path, content] : wanted) {
            ASSERT_TRUE(found.contains(path)) << path;
            EXPECT_TRUE(found.at(path) == content || path == "backup_label") << path;
        }
        EXPECT_EQ(found.size(), wanted.size() + chain.backups[0].directories.size());
        for (const std::string& directory : chain.backups[0].directories)
            EXPECT_TRUE(found.contains(directory + "/")) << directory;
    }
    std::vector<std::string> objects_of(const std::string& id) {
        std::vector<std::string> names;
        store->list(std::string(kCluster) + "/" + place::backup(id), [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        });
        return names;
    }
    // Changes one byte in the middle of a stored object.
    void damage(const std::string& name) {
        Bytes content = *store->get(name, 1 << 30);
        content[content.size() / 2] ^= std::byte{1};
        store->remove(name);
        store->put_if_absent(name, content);
    }

    std::shared_ptr<ObjectStore> store;
    std::mutex hook_mutex;
    test::StoreDecorator::Hook on_store;
    std::unique_ptr<Repository> repository;
    test::StoredChain chain;
    Files wanted;  ///< of the tip
    uint32_t seed = 1000;
    CompactRequest request;
    Listener listener;
};

TEST_F(Compaction, IsTheTipAndNeedsNothingElse) {
    make_chain();
    expect_wanted("b3");
    const BackupMarker made = compact();
    expect_wanted(kNew);
    expect_wanted("b3");
    for (const char* id : {"b1", "b2", "b3"}) {
        for (const std::string& name : objects_of(id))
            store->remove(name);
    }
    expect_wanted(kNew);
    EXPECT_EQ(content_of(kNew).at("backup_label"), chain.backups[0].files["backup_label"])
        << "that of a full backup";
    EXPECT_EQ(made.files, listener.last.files_total);
}

TEST_F(Compaction, WhateverTheLanes) {
    make_chain();
    for (const int jobs : {0, 1, 2, 5, 40}) {
        request.jobs = jobs;
        request.new_id = "full_20261120_030000_000000" + std::to_string(10 + jobs);
        compact();
        expect_wanted(request.new_id);
    }
}

TEST_F(Compaction, AnyOfTheChain) {
    make_chain();
    const Files second = content_of("b2");
    request.backup_id = "b2";
    compact();
    Files made = content_of(kNew);
    made["backup_label"] = second.at("backup_label");
    EXPECT_TRUE(made == second);
}

TEST_F(Compaction, ItsMarkerIsThatOfAFullOneWithThePlacesOfTheTip) {
    make_chain();
    BackupMarker& tip = chain.backups[2].marker;
    store->remove(std::string(kCluster) + "/" + place::marker("b3"));
    tip.full_because = "no reason";
    tip.corrupt_page_count = 1;
    tip.changes.emplace();
    tip.created_by = "somebody else";
    chain.backups[2].commit();
    const BackupMarker made = compact();
    const BackupMarker stored = find_backup(*repository, kCluster, kNew).value();
    EXPECT_EQ(to_json(stored), to_json(made));
    EXPECT_EQ(stored.backup_id, kNew);
    EXPECT_EQ(stored.type, kTypeFull);
    EXPECT_EQ(stored.backup_type, "full");
    EXPECT_EQ(stored.compacted_from, "b3");
    EXPECT_EQ(stored.parent, "");
    EXPECT_EQ(stored.parent_index_sha256, "");
    EXPECT_EQ(stored.full_because, "");
    EXPECT_FALSE(stored.changes);
    EXPECT_EQ(stored.created_by, "by hand");
    EXPECT_EQ(stored.reason, "a test");
    EXPECT_EQ(stored.start_lsn, tip.start_lsn);
    EXPECT_EQ(stored.stop_lsn, tip.stop_lsn);
    EXPECT_EQ(stored.timeline, tip.timeline);
    EXPECT_EQ(stored.started_at, tip.started_at);
    EXPECT_EQ(stored.corrupt_page_count, 1U) << "what was damaged in the tip is damaged in it";
    uint64_t bytes = 0;
    for (const auto& [path, content] : wanted)
        bytes += content.size();
    EXPECT_EQ(stored.files, wanted.size());
    EXPECT_EQ(stored.database_bytes, bytes);
    uint64_t packed = 0;
    for (size_t i = 0; i < stored.packs.size(); ++i) {
        const auto info = store->head(std::string(kCluster) + "/" + place::pack(kNew, i));
        ASSERT_TRUE(info);
        EXPECT_EQ(info->size, stored.packs[i].stored_bytes);
        packed += info->size;
    }
    EXPECT_GT(stored.stored_bytes, packed) << "index and manifest too";
    EXPECT_FALSE(load_chain(*repository, kCluster, stored).is_incremental());
}

// What pg_verifybackup will look at.
TEST_F(Compaction, TheManifestNamesWhatIsThere) {
    make_chain();
    const BackupMarker made = compact();
    ObjectReader object(repository->store(), kCluster, ObjectKind::manifest, place::manifest(kNew));
    std::string text;
    while (const auto piece = object.next())
        text += as_text(*piece);
    object.check_digest(made.manifest_sha256);
    const auto manifest = nlohmann::json::parse(text);
    EXPECT_EQ(manifest["Files"].size(), wanted.size());
    const Files found = content_of(kNew);
    for (const auto& file : manifest["Files"]) {
        const std::string& content = found.at(file["Path"]);
        EXPECT_EQ(file["Size"], content.size());
        EXPECT_EQ(file["Checksum"], crc32c_manifest_text(crc32c(0, as_bytes(content))));
    }
    EXPECT_EQ(manifest["WAL-Ranges"][0]["Start-LSN"], to_text(made.start_lsn));
    EXPECT_EQ(manifest["WAL-Ranges"][0]["End-LSN"], to_text(made.stop_lsn));
}

TEST_F(Compaction, WhatCannotBeCompactedIsRefused) {
    make_chain();
    const auto refused = [&](ErrorCode code, const std::string& part) {
        const Error error = expect_error(
            code, [&] { return compact(); }, part);
        EXPECT_TRUE(mentions(error.message, part)) << error.message;
    };
    request.backup_id = "b1";
    refused(ErrorCode::refused, "is a full one already");
    request.backup_id = "b9";
    refused(ErrorCode::not_found, "does not exist");
    request.backup_id = "b3";
    request.new_id = "b2";
    refused(ErrorCode::already_exists, "is in the repository already");
    expect_wanted("b3");
    EXPECT_TRUE(objects_of(kNew).empty());
}

TEST_F(Compaction, ADamagedChainLeavesNothing) {
    make_chain();
    for (const std::string& name :
         {chain.backups[0].pack_name(0), chain.backups[1].pack_name(0),
          chain.backups[2].pack_name(0), kCluster + ("/" + place::index("b1")),
          kCluster + ("/" + place::index("b3")), kCluster + ("/" + place::marker("b2"))}) {
        const Bytes before = *store->get(name, 1 << 30);
        damage(name);
        expect_error(
            ErrorCode::corrupt, [&] { return compact(); }, name);
        EXPECT_TRUE(objects_of(kNew).empty()) << name;
        store->remove(name);
        store->put_if_absent(name, before);
    }
    // One of them has gone.
    store->remove(kCluster + ("/" + place::marker("b1")));
    expect_error(ErrorCode::corrupt, [&] { return compact(); });
    EXPECT_TRUE(objects_of(kNew).empty());
}

TEST_F(Compaction, AChainWithoutItsLabelIsCorrupt) {
    chain.add().files["base/1/100"] = blocks_of(3, 1);
    chain.add().files.erase("global/pg_control");
    store_chain();
    const Error error = expect_error(ErrorCode::corrupt, [&] { return compact(); });
    EXPECT_TRUE(mentions(error.message, "lacks its backup_label or pg_control")) << error.message;
    EXPECT_TRUE(objects_of(kNew).empty());
}

TEST_F(Compaction, TheStoreFailingAtAnyCallLeavesNothing) {
    chain.add().files["base/1/100"] = blocks_of(20, 1);
    wanted = chain.backups[0].files;
    test::StoredBackup& second = add();
    change(second, "base/1/100", {{3, 2}});
    store_chain();
    request.jobs = 1;
    int calls = 0;
    on_store = [&](const std::string&, const std::string&) { ++calls; };
    compact();
    const int total = calls;
    ASSERT_GT(total, 10);
    for (int n = 1; n <= total; ++n) {
        request.new_id = "full_20261120_040000_0000" + std::to_string(1000 + n);
        calls = 0;
        on_store = [&](const std::string&, const std::string&) {
            if (++calls == n)
                throw Error(ErrorCode::permission_denied, "no");
        };
        expect_error(
            ErrorCode::permission_denied, [&] { return compact(); }, "call " + std::to_string(n));
        on_store = nullptr;
        EXPECT_TRUE(objects_of(request.new_id).empty()) << n;
        expect_wanted("b2");
    }
}

TEST_F(Compaction, CancelledItLeavesNothing) {
    make_chain();
    int calls = 0;
    listener.on_progress = [&] { ++calls; };
    compact();
    ASSERT_GT(calls, 2);
    const int total = calls;
    for (int n = 1; n <= total; ++n) {
        request.new_id = "full_20261120_050000_0000" + std::to_string(1000 + n);
        calls = 0;
        listener.on_progress = [&] {
            if (++calls == n)
                throw Error(ErrorCode::cancelled, "enough");
        };
        try {
            compact();
            EXPECT_LT(calls, n) << "it was cancelled, and went on";
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::cancelled) << error.message;
            EXPECT_TRUE(objects_of(request.new_id).empty()) << n;
        }
    }
    expect_wanted("b3");
}

// What one has finished is its own, wherever another of the same name is then, and whatever goes
// wrong with that.
TEST_F(Compaction, TwoOfOneNameDoNotHarmEachOther) {
    chain.add().files["base/1/100"] = blocks_of(20, 1);
    wanted = chain.backups[0].files;
    change(add(), "base/1/100", {{3, 2}});
    store_chain();
    request.jobs = 1;
    const auto other = Repository::open(
        std::make_unique<test::StoreDecorator>(store, [](const auto&, const auto&) {}),
        OpenMode::write);
    bool came = true;
    int first = 0;
    int second = 0;
    for (int turn = 0; came; ++turn) {
        for (const bool fails : {false, true}) {
            request.new_id = "full_20261120_060000_" + std::to_string(10000000 + 2 * turn + fails);
            int calls = 0;
            bool finished = false;
            came = false;
            on_store = [&](const std::string&, const std::string&) {
                if (came || calls++ != turn)
                    return;
                came = true;
                try {
                    Listener quiet;
                    compact_backup(*other, request, quiet);
                    finished = true;
                } catch (const Error& error) {
                    EXPECT_TRUE(error.code == ErrorCode::conflict ||
                                error.code == ErrorCode::already_exists)
                        << error.message;
                }
                if (fails)
                    throw Error(ErrorCode::unavailable, "no");
            };
            bool succeeded = false;
            try {
                compact();
                succeeded = true;
            } catch (const Error& error) {
                // Both may end so: each has some of the objects.
                EXPECT_TRUE(fails || finished || error.code == ErrorCode::conflict)
                    << turn << error.message;
            }
            on_store = nullptr;
            first += finished ? 1 : 0;
            second += came && succeeded ? 1 : 0;
            EXPECT_FALSE(finished && succeeded) << turn;
            if (finished || succeeded)
                expect_wanted(request.new_id);
        }
    }
    EXPECT_GT(first, 5);
    EXPECT_GT(second, 2);
}

TEST_F(Compaction, AnEncryptedChainStaysEncrypted) {
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make(kCluster, {KeySecret::Type::key, random_secret(32)}));
    const auto vault = std::make_shared<const Vault>(keyring, VaultOptions{.refuses_plain = true});
    repository->use_vault(kCluster, vault);
    make_chain();
    compact();
    expect_wanted(kNew);
    EXPECT_EQ(vault->plain_objects(), 0U);
    for (const std::string& name : objects_of(kNew)) {
        const Bytes content = *store->get(name, 1 << 30);
        EXPECT_EQ(as_text(content).find("base/1/100"), std::string_view::npos) << name;
    }
}

TEST_F(Compaction, TheConfigurationGoesAlong) {
    make_chain();
    const std::string archive = "what was in /etc";
    store->remove(kCluster + ("/" + place::marker("b3")));
    chain.backups[2].marker.has_config_archive = true;
    chain.backups[2].commit();
    expect_error(
        ErrorCode::corrupt, [&] { return compact(); }, "it is not there");
    EXPECT_TRUE(objects_of(kNew).empty());
    store_object(*store, kCluster, ObjectKind::config, place::config("b3"), as_bytes(archive), {},
                 1);
    EXPECT_TRUE(compact().has_config_archive);
    const auto stored = store->get(kCluster + ("/" + place::config(kNew)), 1 << 20);
    ASSERT_TRUE(stored);
    EXPECT_EQ(
        as_text(open_object(*stored, ObjectKind::config, place::config(kNew), 1 << 20, nullptr)),
        archive);
}

TEST(CompactedId, IsOfTheSameTimeAndOfItsOwn) {
    const std::string id = compacted_id("incremental_20261120_020000_0000abcd");
    EXPECT_EQ(id.substr(0, 21), "full_20261120_020000_");
    EXPECT_EQ(id.size(), 29U);
    EXPECT_TRUE(parse_backup_id(id));
    EXPECT_NE(id, compacted_id("incremental_20261120_020000_0000abcd"));
    EXPECT_TRUE(parse_backup_id(compacted_id("differential_20261120_020000_0000abcd")));
    for (const char* other : {"", "b2", "incremental_20261120_020000_0000abc", "../x"})
        expect_error(
            ErrorCode::invalid_argument, [&] { return compacted_id(other); }, other);
}

}  // namespace
}  // namespace ark
