// take_backup of the types that build on another, over a data directory without a server and a
// scripted SQL side. What the files became is put together again from the backups of the chain, by
// the rule of docs/incremental.md alone.
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <mutex>

#include <nlohmann/json.hpp>

#include "core/backup/job.hpp"
#include "core/base/crc32c.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/index.hpp"
#include "core/repo/vault.hpp"
#include "test/support/archived_wal.hpp"
#include "test/support/command.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/packs.hpp"
#include "test/support/pages.hpp"
#include "test/support/scripted_host.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

constexpr uint64_t kSegment = 16 << 20;
constexpr uint32_t kTablespace = 1663;
constexpr const char* kFull = "full_20261120_010000_00000001";
constexpr const char* kSecond = "incremental_20261120_020000_00000002";
constexpr const char* kThird = "incremental_20261120_030000_00000003";

using Entries = std::map<std::string, IndexEntry>;

class IncrementalBackup : public testing::Test {
 protected:
    IncrementalBackup()
        : store(make_memory_store()),
          repository(Repository::open(std::make_unique<test::StoreDecorator>(
                                          store,
                                          [this](const std::string& call, const std::string& name) {
                                              const std::lock_guard lock(hook_mutex);
                                              if (on_store)
                                                  on_store(call, name);
                                          }),
                                      OpenMode::create)) {
        for (const uint64_t number : {2, 3, 4, 5, 6, 7, 8, 9})
            test::archive_segment(*store, cluster, number);
        write("base/1/100", 40, 1);
        write("base/1/101", 300, 2);
        write("base/1/102", 20, 3);
        write("base/1/100_vm", 1, 4);
        write("base/1/100_fsm", 3, 5);
        cluster.add("base/1/200", "");
        cluster.add("pg_xact/0000", std::string(100000, 'x'));
    }

    // Each block as a backup's own start found it.
    void write(const std::string& path, uint32_t blocks, uint8_t seed) {
        cluster.add(path, as_text(test::make_relation(0, blocks, 1, seed)));
    }
    // One page of it, changed at this LSN.
    void change(const std::string& path, uint32_t block, Lsn lsn) {
        std::string content(as_text(read_file(cluster.path(path), 1 << 26)));
        const Bytes page = test::make_page(block, lsn, static_cast<uint8_t>(lsn >> 4));
        content.replace(size_t{block} * 8192, 8192, as_text(page));
        cluster.add(path, content);
    }

    // Backup number n begins and ends in segment 2 n.
    void set_turn(uint64_t n, const char* id, const char* type) {
        request.id = id;
        request.type = type;
        request.backup_type = type;
        host.begun = {2 * n * kSegment + 40, 1};
        host.ended.lsn = 2 * n * kSegment + 5000;
        host.ended.flush_lsn = host.ended.lsn + 100;
    }
    BackupMarker take() {
        asked.clear();
        return take_backup(
            *repository, request, host,
            [this](const ChangeQuestion& question, uint64_t segment_size, uint64_t most) {
                EXPECT_EQ(segment_size, kSegment);
                EXPECT_GE(most, 1ULL << 30);
                asked.push_back(question);
                return on_find();
            });
    }
    BackupMarker take_full() {
        set_turn(1, kFull, kTypeFull);
        return take();
    }
    BackupMarker take_second(const char* type = kTypeIncremental) {
        set_turn(2, kSecond, type);
        return take();
    }
    void block_changed(uint32_t filenode, uint32_t block) {
        changes.add_block({kTablespace, 1, filenode}, block);
    }

    Entries entries_of(const BackupMarker& marker) {
        Entries out;
        IndexReader index(*repository, "main", marker.backup_id, marker.index_sha256);
        while (auto entry = index.next())
            out[entry->path] = *entry;
        return out;
    }
    Bytes content_of(const BackupMarker& marker, const IndexEntry& entry) {
        return test::content_of(*store, "main", marker.backup_id, entry);
    }
    // From the newest back: the first that has a block has the right one.
    Bytes rebuilt(const std::string& path, std::vector<BackupMarker> chain) {
        const IndexEntry newest = entries_of(chain.front()).at(path);
        Bytes out(file_size(newest));
        std::vector<bool> have(out.size() / 8192);
        for (const BackupMarker& marker : chain) {
            const IndexEntry entry = entries_of(marker).at(path);
            const Bytes stored = content_of(marker, entry);
            if (!entry.incremental) {
                if (&marker == &chain.front())
                    return stored;
                for (size_t i = 0; i < have.size(); ++i) {
                    if (!have[i])
                        std::copy_n(stored.begin() + static_cast<ptrdiff_t>(i * 8192), 8192,
                                    out.begin() + static_cast<ptrdiff_t>(i * 8192));
                }
                return out;
            }
            size_t at = incremental_header_bytes(blocks_in(entry.incremental->runs), 8192);
            EXPECT_EQ(Bytes(stored.begin(), stored.begin() + static_cast<ptrdiff_t>(at)),
                      incremental_header(entry.incremental->runs,
                                         static_cast<uint32_t>(file_size(entry) / 8192), 8192));
            for (const BlockRun& run : entry.incremental->runs) {
                for (uint32_t block = run.first; block != run.end(); ++block, at += 8192) {
                    if (block < have.size() && !have[block]) {
                        have[block] = true;
                        std::copy_n(stored.begin() + static_cast<ptrdiff_t>(at), 8192,
                                    out.begin() + static_cast<ptrdiff_t>(size_t{block} * 8192));
                    }
                }
            }
            EXPECT_EQ(at, stored.size());
        }
        ADD_FAILURE() << path << ": the chain has no whole file";
        return {};
    }
    void expect_rebuilt(const std::vector<BackupMarker>& chain) {
        for (const auto& [path, entry] : entries_of(chain.front())) {
            if (entry.type == EntryType::file && path != "backup_label" &&
                path != "global/pg_control") {
                EXPECT_EQ(rebuilt(path, chain), read_file(cluster.path(path), 1 << 26)) << path;
            }
        }
    }
    std::vector<std::string> objects() {
        std::vector<std::string> names;
        store->list("main/" + place::backup(request.id), [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        });
        return names;
    }

    std::shared_ptr<ObjectStore> store;
    std::mutex hook_mutex;
    test::StoreDecorator::Hook on_store;
    test::FakeCluster cluster;
    BackupRequest request = test::request_for(cluster);
    test::ScriptedHost host;
    std::unique_ptr<Repository> repository;
    ChangeTable changes;
    std::function<ChangeAnswer()> on_find = [this] { return ChangeAnswer{changes, {}}; };
    std::vector<ChangeQuestion> asked;
};

TEST_F(IncrementalBackup, HoldsWhatChangedAndNamesItsParent) {
    const BackupMarker full = take_full();
    EXPECT_TRUE(asked.empty()) << "a full one asks for nothing";
    change("base/1/100", 3, 3 * kSegment);
    change("base/1/100", 4, 3 * kSegment + 100);
    change("base/1/100", 39, 3 * kSegment + 200);
    write("base/1/300", 5, 9);
    write("base/1/102", 2, 8);
    unlink(cluster.path("pg_xact/0000").c_str());
    for (const uint32_t block : {3, 4, 39})
        block_changed(100, block);
    changes.set_limit({kTablespace, 1, 102}, 0);
    const BackupMarker second = take_second();

    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].parent.start, full.start_lsn);
    EXPECT_EQ(asked[0].parent.stop, full.stop_lsn);
    EXPECT_EQ(asked[0].parent.timeline, 1U);
    EXPECT_EQ(asked[0].start, host.begun.lsn);
    EXPECT_EQ(asked[0].system_identifier, test::kFakeSystemIdentifier);

    EXPECT_EQ(second.type, kTypeIncremental);
    EXPECT_EQ(second.parent, kFull);
    EXPECT_EQ(second.parent_index_sha256, full.index_sha256);
    EXPECT_EQ(second.full_because, "");
    const Entries entries = entries_of(second);
    ASSERT_TRUE(entries.at("base/1/100").incremental);
    EXPECT_EQ(entries.at("base/1/100").incremental->runs, (std::vector<BlockRun>{{3, 2}, {39, 1}}));
    EXPECT_EQ(file_size(entries.at("base/1/100")), 40 * 8192U);
    ASSERT_TRUE(entries.at("base/1/101").incremental) << "named all the same: it is there";
    EXPECT_TRUE(entries.at("base/1/101").incremental->runs.empty());
    EXPECT_EQ(entries.at("base/1/101").size, 12U);
    for (const char* whole : {"base/1/300", "base/1/102", "base/1/100_vm", "base/1/100_fsm",
                              "base/1/200", "PG_VERSION", "global/pg_control", "backup_label"})
        EXPECT_FALSE(entries.at(whole).incremental) << whole;
    EXPECT_FALSE(entries.contains("pg_xact/0000"));
    ASSERT_TRUE(second.changes);
    EXPECT_EQ(second.changes->changed_files, 1U);
    EXPECT_EQ(second.changes->unchanged_files, 1U);
    EXPECT_EQ(second.changes->changed_blocks, 3U);
    EXPECT_EQ(second.changes->whole_files, second.files - 2 - 2) << "without label and control";
    expect_rebuilt({second, full});
    EXPECT_EQ(to_json(*find_backup(*repository, "main", kSecond)), to_json(second));
}

TEST_F(IncrementalBackup, AChainIsPutTogetherFromTheNewestBack) {
    const BackupMarker full = take_full();
    change("base/1/101", 7, 3 * kSegment);
    block_changed(101, 7);
    const BackupMarker second = take_second();
    changes.clear();
    change("base/1/101", 8, 5 * kSegment);
    change("base/1/100", 7, 5 * kSegment);
    block_changed(101, 8);
    block_changed(100, 7);
    set_turn(3, kThird, kTypeIncremental);
    const BackupMarker third = take();
    EXPECT_EQ(third.parent, kSecond);
    EXPECT_EQ(asked.at(0).parent.start, second.start_lsn);
    expect_rebuilt({third, second, full});
    // A differential one goes on from the full one.
    changes.clear();
    for (const uint32_t block : {7, 8})
        block_changed(101, block);
    block_changed(100, 7);
    set_turn(4, "differential_20261120_040000_00000004", kTypeDifferential);
    const BackupMarker fourth = take();
    EXPECT_EQ(fourth.parent, kFull);
    EXPECT_EQ(fourth.type, kTypeDifferential);
    expect_rebuilt({fourth, full});
}

// A cut, then an extension with pages that no WAL names: nothing of the old content comes back.
TEST_F(IncrementalBackup, WhatWasCutOffDoesNotComeBack) {
    const BackupMarker full = take_full();
    std::string content(as_text(test::make_relation(0, 10, 1, 2)));
    cluster.add("base/1/101", content);
    changes.set_limit({kTablespace, 1, 101}, 10);
    const BackupMarker second = take_second();
    EXPECT_EQ(file_size(entries_of(second).at("base/1/101")), 10 * 8192U);
    expect_rebuilt({second, full});
    changes.clear();
    content.resize(300 * 8192, '\0');
    cluster.add("base/1/101", content);
    set_turn(3, kThird, kTypeIncremental);
    const BackupMarker third = take();
    expect_rebuilt({third, second, full});

    // Both in one go.
    changes.set_limit({kTablespace, 1, 101}, 10);
    set_turn(4, "differential_20261120_040000_00000004", kTypeDifferential);
    const BackupMarker fourth = take();
    expect_rebuilt({fourth, full});
}

TEST_F(IncrementalBackup, AFileThatCameBackUnderItsNameIsWhole) {
    const BackupMarker full = take_full();
    unlink(cluster.path("base/1/102").c_str());
    changes.set_limit({kTablespace, 1, 102}, 0);
    const BackupMarker second = take_second();
    EXPECT_FALSE(entries_of(second).contains("base/1/102"));
    // The table says nothing of it any more; the parent does not have it.
    changes.clear();
    write("base/1/102", 20, 77);
    set_turn(3, kThird, kTypeIncremental);
    const BackupMarker third = take();
    EXPECT_FALSE(entries_of(third).at("base/1/102").incremental);
    expect_rebuilt({third, second, full});
}

// cat data/*.tar.zst | zstd -d | tar x: what pg_combinebackup of PostgreSQL 17 takes.
TEST_F(IncrementalBackup, IsUnpackedWithStandardTools) {
    take_full();
    change("base/1/100", 3, 3 * kSegment);
    block_changed(100, 3);
    const BackupMarker second = take_second();
    Bytes tar;
    for (uint32_t i = 0; i < second.packs.size(); ++i) {
        const Bytes one = test::tar_of(*store, "main/" + place::pack(request.id, i));
        tar.insert(tar.end(), one.begin(), one.end());
    }
    test::write_file(cluster.outside("a.tar"), as_text(tar));
    const std::string out = cluster.outside("out");
    std::filesystem::create_directory(out);
    test::output_of("tar -xif " + cluster.outside("a.tar") + " -C " + out);
    EXPECT_FALSE(std::filesystem::exists(out + "/base/1/100"));
    const Bytes held = read_file(out + "/base/1/INCREMENTAL.100", 1 << 20);
    ASSERT_EQ(held.size(), 2 * 8192U);
    EXPECT_EQ(as_text(held).substr(8192), as_text(test::make_page(3, 3 * kSegment, 0)));
    EXPECT_EQ(read_file(out + "/base/1/INCREMENTAL.101", 1 << 20).size(), 12U);
    EXPECT_EQ(as_text(read_file(out + "/backup_label", 8192)),
              host.ended.label + "INCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\n");

    const Bytes manifest = test::tar_of(*store, "main/" + place::manifest(request.id));
    EXPECT_EQ(sha256_hex(manifest), second.manifest_sha256);
    const auto json = nlohmann::json::parse(as_text(manifest));
    size_t files = 0;
    for (const auto& file : json.at("Files")) {
        const Bytes on_disk = read_file(out + "/" + file.at("Path").get<std::string>(), 1 << 20);
        EXPECT_EQ(file.at("Size"), on_disk.size()) << file;
        EXPECT_EQ(file.at("Checksum"), crc32c_manifest_text(crc32c(0, on_disk))) << file;
        ++files;
    }
    EXPECT_EQ(std::to_string(files) + "\n", test::output_of("find " + out + " -type f | wc -l"));
    EXPECT_EQ(json.at("WAL-Ranges").at(0).at("Start-LSN"), "0/4000028");
    // The files' own bytes, not what is stored of them.
    EXPECT_LT(second.stored_bytes, second.database_bytes);
    EXPECT_GT(second.database_bytes, 360 * 8192U);
}

// A reader of a part of a file checks each frame by itself.
TEST_F(IncrementalBackup, EveryFrameOfALargeOneHasItsOwnChecksum) {
    write("base/1/400", 1000, 11);
    take_full();
    for (uint32_t block = 1; block < 1000; block += 2) {
        if (block % 5 != 0)
            block_changed(400, block);
    }
    const BackupMarker second = take_second();
    const IndexEntry entry = entries_of(second).at("base/1/400");
    ASSERT_GE(entry.frames.size(), 3U);
    ASSERT_EQ(entry.frame_crcs.size(), entry.frames.size());
    const Bytes content = content_of(second, entry);
    FrameDecompressor decompressor;
    size_t at = 0;
    for (size_t i = 0; i < entry.frames.size(); ++i) {
        Bytes stored(entry.frames[i].stored);
        const std::string pack = "main/" + place::pack(second.backup_id, entry.pack);
        ASSERT_EQ(store->get_range(pack, entry.frames[i].offset, stored), stored.size());
        Bytes plain(kFrameBytes);
        plain.resize(decompressor.decompress(stored, plain, pack));
        const size_t skip = i == 0 ? entry.skip : 0;
        const size_t n = std::min(plain.size() - skip, content.size() - at);
        EXPECT_EQ(crc32c(0, ByteView(plain).subspan(skip, n)), entry.frame_crcs[i]) << i;
        at += n;
    }
    EXPECT_EQ(at, content.size());
}

TEST_F(IncrementalBackup, WithoutAParentItIsAFullOneThatSaysWhy) {
    const BackupMarker second = take_second();
    EXPECT_EQ(second.type, kTypeFull);
    EXPECT_EQ(second.backup_type, kTypeIncremental) << "what was asked for";
    EXPECT_EQ(second.full_because, "there is no backup yet");
    EXPECT_EQ(second.parent, "");
    EXPECT_EQ(second.parent_index_sha256, "");
    EXPECT_FALSE(second.changes);
    EXPECT_TRUE(asked.empty());
    for (const auto& [path, entry] : entries_of(second))
        EXPECT_FALSE(entry.incremental) << path;
    const Bytes label = content_of(second, entries_of(second).at("backup_label"));
    EXPECT_EQ(as_text(label), host.ended.label);
    // The next one builds on it, a differential one too.
    set_turn(3, kThird, kTypeDifferential);
    EXPECT_EQ(take().parent, kSecond);
}

TEST_F(IncrementalBackup, WhereChangesAreNotKnownItIsAFullOne) {
    take_full();
    on_find = [] { return ChangeAnswer{std::nullopt, "changes were not tracked"}; };
    const BackupMarker second = take_second();
    EXPECT_EQ(second.type, kTypeFull);
    EXPECT_EQ(second.full_because, "changes were not tracked");
    expect_rebuilt({second});
}

TEST_F(IncrementalBackup, AParentWithoutItsIndexIsNone) {
    const BackupMarker full = take_full();
    store->remove("main/" + place::index(kFull));
    BackupMarker second = take_second();
    EXPECT_EQ(second.type, kTypeFull);
    EXPECT_TRUE(test::mentions(second.full_because, "the parent's list of files cannot be read"))
        << second.full_because;
    EXPECT_TRUE(test::mentions(second.full_because, place::index(kFull))) << second.full_because;
    expect_rebuilt({second});
}

TEST_F(IncrementalBackup, AParentWhoseIndexIsDamagedIsNone) {
    take_full();
    const std::string name = "main/" + place::index(kFull);
    const Bytes good = *store->get(name, 1 << 20);
    for (const size_t at : {good.size() / 2, good.size() - 1}) {
        Bytes bad = good;
        bad[at] ^= std::byte{0x10};
        store->remove(name);
        store->put_if_absent(name, bad);
        const BackupMarker second = take_second();
        EXPECT_EQ(second.type, kTypeFull) << at;
        EXPECT_TRUE(test::mentions(second.full_because, "list of files cannot be read"));
        store->remove("main/" + place::marker(kSecond));
        for (const std::string& object : objects())
            store->remove(object);
    }
}

// With audit_fraction 1 each page that is called unchanged is held against its LSN.
TEST_F(IncrementalBackup, AMissOfTheAuditMakesTheFileWholeAndIsTold) {
    const BackupMarker full = take_full();
    change("base/1/100", 3, 3 * kSegment);
    change("base/1/100", 5, 3 * kSegment);
    change("base/1/101", 200, 3 * kSegment + 8);
    block_changed(100, 3);
    block_changed(100, 5);
    request.audit_fraction = 1;
    const BackupMarker second = take_second();
    ASSERT_TRUE(second.changes);
    EXPECT_EQ(second.changes->audit_misses, 1U);
    EXPECT_EQ(second.changes->audited_blocks, 38U + 300 + 20);
    ASSERT_EQ(host.misses.size(), 1U);
    EXPECT_EQ(host.misses[0].path, "base/1/101");
    EXPECT_EQ(host.misses[0].block, 200U);
    EXPECT_EQ(host.misses[0].lsn, 3 * kSegment + 8);
    const Entries entries = entries_of(second);
    EXPECT_FALSE(entries.at("base/1/101").incremental);
    EXPECT_TRUE(entries.at("base/1/100").incremental);
    EXPECT_EQ(second.type, kTypeIncremental);
    expect_rebuilt({second, full});
}

TEST_F(IncrementalBackup, WithoutAnAuditNothingElseIsRead) {
    take_full();
    request.audit_fraction = 0;
    const BackupMarker second = take_second();
    EXPECT_EQ(second.changes->audited_blocks, 0U);
    EXPECT_EQ(second.pages_verified, 4U) << "of the files that are always whole";
}

// A page that is corrupt is named by each backup that has it or builds on it.
TEST_F(IncrementalBackup, CorruptPagesStayKnown) {
    std::string content(as_text(test::make_relation(0, 300, 1, 2)));
    content[100 * 8192 + 5000] ^= 1;
    cluster.add("base/1/101", content);
    const BackupMarker full = take_full();
    ASSERT_EQ(full.corrupt_page_count, 1U);
    const BackupMarker second = take_second();
    EXPECT_EQ(second.type, kTypeIncremental);
    EXPECT_EQ(second.corrupt_pages, full.corrupt_pages);
    EXPECT_FALSE(entries_of(second).at("base/1/101").incremental);
    // Repaired, it is forgotten.
    write("base/1/101", 300, 2);
    set_turn(3, kThird, kTypeIncremental);
    EXPECT_EQ(take().corrupt_page_count, 0U);
}

TEST_F(IncrementalBackup, ChangedPagesAreVerifiedToo) {
    take_full();
    std::string content(as_text(test::make_relation(0, 300, 1, 2)));
    content[100 * 8192 + 5000] ^= 1;
    content[200 * 8192 + 5000] ^= 1;
    cluster.add("base/1/101", content);
    block_changed(101, 100);
    const BackupMarker second = take_second();
    ASSERT_EQ(second.corrupt_page_count, 1U);
    EXPECT_EQ(second.corrupt_pages[0].block, 100U);
}

TEST_F(IncrementalBackup, WhateverFailsInPlanningLeavesNothing) {
    take_full();
    for (const ErrorCode code : {ErrorCode::unavailable, ErrorCode::cancelled, ErrorCode::io_error,
                                 ErrorCode::invalid_key}) {
        on_find = [code]() -> ChangeAnswer { throw Error(code, "in planning"); };
        const Error error = test::expect_error(code, [&] { return take_second(); });
        EXPECT_EQ(error.message, "in planning");
        EXPECT_EQ(objects(), std::vector<std::string>{});
    }
    on_find = []() -> ChangeAnswer { throw std::bad_alloc(); };
    EXPECT_THROW(take_second(), std::bad_alloc);
    EXPECT_EQ(objects(), std::vector<std::string>{});
}

// Planning may have taken minutes: nothing is copied for somebody who has gone.
TEST_F(IncrementalBackup, CancelledInPlanningItEndsThere) {
    take_full();
    bool planned = false;
    on_find = [&] {
        planned = true;
        return ChangeAnswer{changes, {}};
    };
    host.before = [&](const std::string& call) {
        if (planned && call == "wait")
            throw Error(ErrorCode::cancelled, "cancelled");
        EXPECT_NE(call, "progress copying");
    };
    test::expect_error(ErrorCode::cancelled, [&] { return take_second(); });
    EXPECT_TRUE(planned);
    EXPECT_EQ(objects(), std::vector<std::string>{});
}

TEST_F(IncrementalBackup, TheStoreFailingAtAnyCallOfItLeavesNothing) {
    take_full();
    int calls = 0;
    on_store = [&](const std::string&, const std::string&) { ++calls; };
    set_turn(2, kSecond, kTypeIncremental);
    take();
    const int total = calls;
    ASSERT_GT(total, 10);
    on_store = nullptr;
    for (int n = 1; n <= total; ++n) {
        const std::string id = "incremental_20261120_0200" + std::to_string(10 + n % 50) +
                               "_000001" + std::to_string(10 + n / 50);
        set_turn(2, id.c_str(), kTypeIncremental);
        calls = 0;
        on_store = [&](const std::string&, const std::string&) {
            if (++calls == n)
                throw Error(ErrorCode::permission_denied, "no");
        };
        std::optional<BackupMarker> marker;
        try {
            marker = take();
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::permission_denied) << n << error.message;
        }
        on_store = nullptr;
        if (marker) {
            // What is asked again while something is waited for is a matter of time.
            EXPECT_LT(calls, n) << "call " << n << " of " << total << " failed, and nobody minded";
            EXPECT_GT(n, 10);
            break;
        }
        if (!objects().empty()) {
            // Its own clean-up was the one that failed, or the marker's answer was lost.
            EXPECT_FALSE(find_backup(*repository, "main", id)) << n;
        }
    }
}

// Somebody removed the parent while its child was taken: alone that is no backup.
TEST_F(IncrementalBackup, AParentThatWentMeanwhileFailsIt) {
    take_full();
    take_second();
    for (const char* gone : {kFull, kSecond}) {
        set_turn(3, kThird, kTypeIncremental);
        const std::string name = std::string("main/") + place::marker(gone);
        const Bytes marker = *store->get(name, 1 << 20);
        host.before = [&](const std::string& call) {
            if (call == "stop")
                store->remove(name);
        };
        const Error error = test::expect_error(
            ErrorCode::refused, [&] { return take(); }, gone);
        EXPECT_TRUE(test::mentions(error.message, gone)) << error.message;
        EXPECT_EQ(objects(), std::vector<std::string>{});
        store->put_if_absent(name, marker);
    }
    host.before = nullptr;
    EXPECT_EQ(take().parent, kSecond);
}

TEST_F(IncrementalBackup, AFileThatGoesBetweenPlanAndCopyIsLeftOut) {
    const BackupMarker full = take_full();
    on_find = [this] {
        unlink(cluster.path("base/1/101").c_str());
        write("base/1/100", 50, 1);
        return ChangeAnswer{changes, {}};
    };
    const BackupMarker second = take_second();
    EXPECT_FALSE(entries_of(second).contains("base/1/101"));
    EXPECT_EQ(entries_of(second).at("base/1/100").incremental->runs,
              (std::vector<BlockRun>{{40, 10}}));
    expect_rebuilt({second, full});
}

TEST_F(IncrementalBackup, AnyNumberOfLanesHoldsTheSame) {
    for (uint32_t i = 0; i < 200; ++i)
        write("base/1/" + std::to_string(1000 + i), 1 + i % 7, static_cast<uint8_t>(i));
    take_full();
    for (uint32_t i = 0; i < 200; i += 3)
        block_changed(1000 + i, 0);
    std::vector<std::string> expected;
    for (const int jobs : {1, 3, 8}) {
        request.jobs = jobs;
        const std::string id = "incremental_20261120_020000_0000000" + std::to_string(jobs);
        set_turn(2, id.c_str(), kTypeDifferential);
        const BackupMarker marker = take();
        EXPECT_EQ(marker.parent, kFull);
        std::vector<std::string> lines;
        for (const auto& [path, entry] : entries_of(marker))
            lines.push_back(stored_path(entry) + " " + std::to_string(entry.crc32c));
        if (expected.empty())
            expected = lines;
        EXPECT_EQ(lines, expected) << jobs;
    }
}

}  // namespace
}  // namespace ark
