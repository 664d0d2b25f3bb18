// take_backup from end to end, over a data directory without a server and a scripted SQL side.
#include "core/backup/job.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/backup/page_verifier.hpp"
#include "core/base/crc32c.hpp"
#include "core/pipeline/digest.hpp"
#include "core/repo/index.hpp"
#include "core/repo/object_writer.hpp"
#include "core/repo/vault.hpp"
#include "core/restore/pack_reader.hpp"
#include "test/support/archived_wal.hpp"
#include "test/support/command.hpp"
#include "test/support/expect_error.hpp"
#include "test/support/packs.hpp"
#include "test/support/pages.hpp"
#include "test/support/scripted_host.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

class Backup : public testing::Test {
 protected:
    Backup()
        : store(make_memory_store()),
          repository(Repository::open(std::make_unique<test::StoreDecorator>(
                                          store,
                                          [this](const std::string& call, const std::string& name) {
                                              const std::lock_guard lock(hook_mutex);
                                              if (on_store)
                                                  on_store(call, name);
                                          }),
                                      OpenMode::create)) {
        cluster.add("base/1/100", as_text(test::make_relation(0, 40, 1, 1)));
        cluster.add("base/1/100_fsm", as_text(test::make_relation(0, 3, 1, 9)));
        cluster.add("base/1/200", "");
        cluster.add("pg_xact/0000", std::string(300000, 'x'));
        cluster.add("not utf-8 \xFF\"\n", "odd");
        test::write_file(cluster.outside("ts/PG_15_202209061/5/1259"),
                         as_text(test::make_relation(0, 2, 1, 3)));
        cluster.link("pg_tblspc/16400", cluster.outside("ts"));
        test::write_file(cluster.outside("etc/postgresql.conf"), "port = 5432\n");
        request.config_files = {{"config_file", cluster.outside("etc/postgresql.conf")}};
        for (const uint64_t number : {2, 3, 4})
            test::archive_segment(*store, cluster, number);
    }

    BackupMarker take() { return take_backup(*repository, request, host); }
    template <typename Code>
    Error fail(Code code) {
        return test::expect_error(code, [&] { return take(); });
    }
    // Every object of the backup, whoever wrote it.
    std::vector<std::string> objects() {
        std::vector<std::string> names;
        store->list("main/" + place::backup(request.id), [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        });
        return names;
    }
    void expect_nothing_left() {
        EXPECT_EQ(objects(), std::vector<std::string>{});
        EXPECT_TRUE(list_backups(*repository, "main").empty());
    }
    std::string marker_name() const { return "main/" + place::marker(request.id); }

    std::shared_ptr<ObjectStore> store;
    std::mutex hook_mutex;
    test::StoreDecorator::Hook on_store;
    test::FakeCluster cluster;
    BackupRequest request = test::request_for(cluster);
    test::ScriptedHost host;
    std::unique_ptr<Repository> repository;
};

TEST_F(Backup, HoldsEveryFileByEveryWayToReadIt) {
    const BackupMarker marker = take();
    // The way without pg_ark: cat data/*.tar.zst | zstd -d | tar x -i
    Bytes tar;
    for (uint32_t i = 0; i < marker.packs.size(); ++i) {
        const Bytes one = test::tar_of(*store, "main/" + place::pack(request.id, i));
        tar.insert(tar.end(), one.begin(), one.end());
    }
    test::write_file(cluster.outside("a.tar"), as_text(tar));
    const std::string out = cluster.outside("out");
    std::filesystem::create_directory(out);
    test::output_of("tar -xif " + cluster.outside("a.tar") + " -C " + out);
    EXPECT_TRUE(std::filesystem::is_directory(out + "/pg_wal/archive_status"));
    EXPECT_TRUE(std::filesystem::is_directory(out + "/pg_tblspc/16400"));
    EXPECT_FALSE(std::filesystem::is_symlink(out + "/pg_tblspc/16400"));
    EXPECT_EQ(read_file(out + "/global/pg_control", 8192), host.control);
    EXPECT_EQ(as_text(read_file(out + "/backup_label", 8192)), host.ended.label);
    for (const char* path :
         {"base/1/100", "base/1/100_fsm", "base/1/200", "pg_xact/0000", "PG_VERSION",
          "not utf-8 \xFF\"\n", "pg_tblspc/16400/PG_15_202209061/5/1259"}) {
        EXPECT_EQ(read_file(out + "/" + path, 1 << 20), read_file(cluster.path(path), 1 << 20))
            << path;
    }
    // The manifest names the same files with the same checksums, and so does the index.
    const Bytes manifest = test::tar_of(*store, "main/" + place::manifest(request.id));
    EXPECT_EQ(sha256_hex(manifest), marker.manifest_sha256);
    const auto json = nlohmann::json::parse(as_text(manifest));
    IndexReader index(*repository, "main", request.id, marker.index_sha256);
    size_t files = 0;
    uint64_t bytes = 0;
    while (const auto entry = index.next()) {
        if (entry->type == EntryType::directory) {
            EXPECT_TRUE(std::filesystem::is_directory(out + "/" + entry->path));
            continue;
        }
        const Bytes on_disk = read_file(out + "/" + entry->path, 1 << 20);
        EXPECT_EQ(test::content_of(*store, "main", request.id, *entry), on_disk);
        const auto& file = json.at("Files").at(files);
        EXPECT_EQ(file.contains("Path") ? file.at("Path").get<std::string>()
                                        : text_from_hex(file.at("Encoded-Path").get<std::string>()),
                  entry->path);
        EXPECT_EQ(file.at("Size"), on_disk.size());
        EXPECT_EQ(file.at("Checksum"), crc32c_manifest_text(crc32c(0, on_disk)));
        bytes += entry->size;
        ++files;
    }
    EXPECT_EQ(files, json.at("Files").size());
    EXPECT_EQ(marker.files, files);
    EXPECT_EQ(marker.database_bytes, bytes);
    const std::string found =
        test::output_of("find " + out + " -type f -print0 | tr -cd '\\0' | wc -c");
    EXPECT_EQ(std::stoul(found), files);
}

TEST_F(Backup, TheMarkerSaysWhatWasTaken) {
    const BackupMarker taken = take();
    const auto listed = list_backups(*repository, "main");
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(to_json(listed[0]), to_json(taken));
    EXPECT_EQ(taken.backup_id, "manual_1");
    EXPECT_EQ(taken.start_segment, "000000010000000000000002");
    EXPECT_EQ(taken.stop_segment, "000000010000000000000004");
    EXPECT_EQ(taken.stop_snapshot, "730:730:");
    EXPECT_EQ(taken.tablespaces, (std::vector<Tablespace>{{16400, cluster.outside("ts")}}));
    EXPECT_TRUE(taken.has_config_archive);
    EXPECT_TRUE(taken.page_checksums_verified);
    EXPECT_EQ(taken.pages_verified, 45U);
    EXPECT_EQ(taken.corrupt_page_count, 0U);
    uint64_t stored = 0;
    for (size_t i = 0; i < taken.packs.size(); ++i) {
        const Bytes pack =
            *store->get("main/" + place::pack(request.id, static_cast<uint32_t>(i)), 1 << 26);
        EXPECT_EQ(taken.packs[i].stored_bytes, pack.size());
        EXPECT_EQ(taken.packs[i].sha256, sha256_hex(pack));
        stored += pack.size();
    }
    EXPECT_GT(taken.stored_bytes, stored);
    EXPECT_TRUE(host.warnings.empty());
}

// A restore that lacks the last pack must not be startable, and pg_control must be the newest.
TEST_F(Backup, PgControlIsReadLastAndTheLabelComesAfterTheStop) {
    bool copied = false;
    host.before = [&](const std::string& call) {
        if (call == "control_file") {
            EXPECT_EQ(host.calls["stop"], 0);
            EXPECT_EQ(host.last_progress.files, host.last_progress.files_total);
            copied = true;
        }
        if (call == "stop") {
            EXPECT_TRUE(copied);
        }
    };
    const BackupMarker marker = take();
    const auto last = static_cast<uint32_t>(marker.packs.size() - 1);
    IndexReader index(*repository, "main", request.id, marker.index_sha256);
    while (const auto entry = index.next()) {
        if (entry->path == "backup_label" || entry->path == "global/pg_control") {
            EXPECT_EQ(entry->pack, last) << entry->path;
        } else if (entry->type == EntryType::file && entry->size > 0) {
            EXPECT_LT(entry->pack, last) << entry->path;
        }
    }
}

TEST_F(Backup, AnyNumberOfLanesGivesTheSameIndex) {
    for (int i = 0; i < 300; ++i)
        cluster.add("base/1/" + std::to_string(20000 + i), std::string(8192, '\0'));
    std::vector<std::string> expected;
    for (const int jobs : {0, 1, 3, 8}) {
        request.jobs = jobs;
        request.id = "with_" + std::to_string(jobs);
        const BackupMarker marker = take();
        std::vector<std::string> paths;
        IndexReader index(*repository, "main", request.id, marker.index_sha256);
        while (const auto entry = index.next())
            paths.push_back(entry->path + " " + std::to_string(entry->crc32c));
        // pg_control and the label are new each time, the other lines are the same.
        if (expected.empty())
            expected = paths;
        EXPECT_EQ(paths, expected) << jobs;
    }
}

// Frames of a large file are compressed by other lanes too, and encrypted where they are sent.
TEST_F(Backup, AnEncryptedOneIsReadFrameByFrame) {
    std::string large(24 << 20, '\0');
    for (size_t i = 0; i < large.size(); ++i)
        large[i] = static_cast<char>((i * 2654435761U) >> 24);
    cluster.add("large", large);
    const auto keyring = std::make_shared<const OpenKeyring>(
        OpenKeyring::make(request.cluster, {KeySecret::Type::key, random_secret(32)}));
    repository->use_vault(request.cluster, std::make_shared<const Vault>(
                                               std::vector<Recipient>{keyring->recipient()}));
    request.jobs = 4;
    take();
    for (const std::string& name : objects()) {
        const Bytes stored = store->get(name, 1 << 30).value();
        EXPECT_TRUE(parse_header(stored, name).header.is_encrypted()) << name;
    }
    const auto vault = std::make_shared<const Vault>(keyring, VaultOptions{.refuses_plain = true});
    repository->use_vault(request.cluster, vault);
    const auto marker = find_backup(*repository, request.cluster, request.id);
    ASSERT_TRUE(marker);
    IndexReader index(*repository, request.cluster, request.id, marker->index_sha256);
    PackReader packs(*repository, request.cluster, request.id);
    size_t files = 0;
    while (const auto entry = index.next()) {
        if (entry->frames.empty())
            continue;
        ++files;
        packs.open(entry->pack, UINT64_MAX);
        Bytes content;
        for (const FrameRef& ref : entry->frames) {
            const ByteView frame = packs.frame(ref);
            content.insert(content.end(), frame.begin(), frame.end());
        }
        const ByteView file = ByteView(content).subspan(entry->skip, entry->size);
        EXPECT_EQ(crc32c(0, file), entry->crc32c) << entry->path;
        EXPECT_TRUE(entry->path != "large" || as_text(file) == large);
    }
    EXPECT_GT(files, 5U);
}

TEST_F(Backup, TheHostFailingAtAnyCallLeavesNothing) {
    for (const char* call : {"start", "progress listing", "progress copying", "control_file",
                             "stop", "progress finishing"}) {
        host.before = [&](const std::string& now) {
            if (now == call)
                throw Error(ErrorCode::cancelled, "the server has ended the job");
        };
        fail(ErrorCode::cancelled);
        SCOPED_TRACE(call);
        expect_nothing_left();
    }
    host.before = nullptr;
    take();  // and the next one works
}

// Each request to the store fails once, before it is done or after, its answer lost.
TEST_F(Backup, TheStoreFailingAtAnyCallLeavesNothing) {
    request.jobs = 1;
    int calls = 0;
    for (int strike = 1;; ++strike) {
        calls = 0;
        bool struck = false;
        on_store = [&](const std::string& call, const std::string&) {
            if (++calls == strike && call != "remove") {
                struck = true;
                throw Error(ErrorCode::disk_full, "no space in " + call);
            }
        };
        try {
            take();
            EXPECT_FALSE(struck) << "the failure of call " << strike << " was not told";
            break;
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::disk_full) << error.message;
        }
        on_store = nullptr;
        SCOPED_TRACE("call " + std::to_string(strike));
        expect_nothing_left();
        if (HasFailure())
            return;
    }
    EXPECT_GT(calls, 25);
    on_store = nullptr;
    EXPECT_EQ(list_backups(*repository, "main").size(), 1U);
}

// Then the module asks the repository; what it sees must be all or nothing.
TEST_F(Backup, AStoreThatIsAwayFromAnyCallOnLeavesNoHalfBackup) {
    request.jobs = 1;
    for (int strike = 1;; ++strike) {
        int calls = 0;
        on_store = [&](const std::string&, const std::string&) {
            if (++calls >= strike)
                throw Error(ErrorCode::unavailable, "no route");
        };
        bool done = false;
        try {
            take();
            done = true;
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::unavailable);
        }
        on_store = nullptr;
        const auto left = list_backups(*repository, "main");
        if (!left.empty()) {
            // The marker was put, its answer lost: then everything it names is there.
            for (uint32_t i = 0; i < left[0].packs.size(); ++i)
                EXPECT_TRUE(store->head("main/" + place::pack(request.id, i)));
            IndexReader index(*repository, "main", request.id, left[0].index_sha256);
            while (index.next()) {
            }
        }
        if (done)
            break;
        for (const std::string& name : objects())
            store->remove(name);
    }
}

TEST_F(Backup, CancellingInTheMiddleOfACopyEndsIt) {
    for (int i = 0; i < 8; ++i)
        cluster.add("big" + std::to_string(i), std::string(8 << 20, 'x'));
    std::atomic<bool> cancelled = false;
    std::atomic<int> writes = 0;
    on_store = [&](const std::string& call, const std::string&) {
        // The lanes are under way; none ends before the cancellation.
        while (call == "write" && ++writes > 10 && !cancelled)
            std::this_thread::yield();
    };
    host.before = [&](const std::string& call) {
        if (call == "wait" && writes > 10) {
            cancelled = true;
            throw Error(ErrorCode::cancelled, "the server has ended the job");
        }
    };
    fail(ErrorCode::cancelled);
    EXPECT_EQ(host.calls["stop"], 0);
    on_store = nullptr;
    expect_nothing_left();
}

// The lane's own error is told, not that the others stopped because of it.
TEST_F(Backup, TheFailureOfOneLaneIsTheOneThatIsTold) {
    request.jobs = 4;
    for (int i = 0; i < 50; ++i)
        cluster.add("some" + std::to_string(i), std::string(100000, 'x'));
    bool replaced = false;
    on_store = [&](const std::string& call, const std::string&) {
        // The first pack is begun: the files are listed, no lane has started.
        if (call == "upload" && !std::exchange(replaced, true)) {
            std::filesystem::remove(cluster.path("some25"));
            cluster.link("some25", "/etc/passwd");
        }
    };
    const Error error = fail(ErrorCode::io_error);
    EXPECT_TRUE(test::mentions(error.message, "some25")) << error.message;
    on_store = nullptr;
    expect_nothing_left();
}

TEST_F(Backup, WalThatDoesNotArriveFailsIt) {
    store->remove("main/" + place::segment("000000010000000000000003"));
    const Error error = fail(ErrorCode::timeout);
    EXPECT_TRUE(test::mentions(error.message, "000000010000000000000003"));
    expect_nothing_left();
}

// Another host's expiry took a pack of a running backup, which still "succeeded".
TEST_F(Backup, WhatVanishesBeforeTheMarkerFailsIt) {
    for (const std::string& victim :
         {place::pack("manual_1", 0), place::pack("manual_1", 1), place::index("manual_1"),
          place::manifest("manual_1"), place::config("manual_1")}) {
        host.before = [&](const std::string& call) {
            if (call == "progress finishing") {
                EXPECT_TRUE(store->remove("main/" + victim)) << victim;
            }
        };
        const Error error = fail(ErrorCode::corrupt);
        EXPECT_TRUE(test::mentions(error.message, victim)) << error.message;
        EXPECT_TRUE(test::mentions(error.detail, "gone"));
        expect_nothing_left();
    }
}

TEST_F(Backup, APackThatWasChangedBeforeTheMarkerFailsIt) {
    host.before = [&](const std::string& call) {
        if (call == "progress finishing") {
            const std::string name = "main/" + place::pack(request.id, 0);
            Bytes bytes = *store->get(name, 1 << 26);
            bytes.pop_back();
            store->remove(name);
            store->put_if_absent(name, bytes);
        }
    };
    fail(ErrorCode::corrupt);
    expect_nothing_left();
}

TEST_F(Backup, AnIdThatIsTakenIsLeftAlone) {
    take();
    const auto before = objects();
    const Bytes marker = *store->get(marker_name(), 1 << 20);
    fail(ErrorCode::already_exists);
    EXPECT_EQ(objects(), before);
    EXPECT_EQ(*store->get(marker_name(), 1 << 20), marker);
}

// Two hosts under one id: the slower one must not clear away what the faster one wrote.
TEST_F(Backup, AnotherWritersObjectsSurviveTheConflict) {
    ObjectWriter other(*store, "main", ObjectKind::pack, place::pack(request.id, 1),
                       Writer{"elsewhere", "boot", "/data", 0}, 1, false);
    other.append(as_bytes("theirs"));
    other.finish();
    fail(ErrorCode::conflict);
    EXPECT_TRUE(store->head("main/" + place::pack(request.id, 1)));
    EXPECT_FALSE(store->head(marker_name()));
}

TEST_F(Backup, AnotherWritersMarkerSurvivesTheConflict) {
    BackupMarker theirs;
    theirs.backup_id = request.id;
    theirs.cluster = "main";
    host.before = [&](const std::string& call) {
        if (call == "progress finishing")
            store->put_if_absent(marker_name(), as_bytes(to_json(theirs)));
    };
    fail(ErrorCode::conflict);
    EXPECT_EQ(as_text(*store->get(marker_name(), 1 << 20)), to_json(theirs));
}

TEST_F(Backup, ATimelineThatChangedFailsIt) {
    host.ended.timeline = 2;
    fail(ErrorCode::refused);
    expect_nothing_left();
}

// With a stop before the start no WAL would be waited for.
TEST_F(Backup, AStopThatIsNotAfterTheStartFailsIt) {
    for (const Lsn lsn : {Lsn{0}, host.begun.lsn - 1, host.begun.lsn}) {
        host.ended.lsn = lsn;
        fail(ErrorCode::internal);
        expect_nothing_left();
    }
}

TEST_F(Backup, ATornOrForeignPgControlFailsIt) {
    host.control[100] ^= std::byte{1};
    fail(ErrorCode::corrupt);
    host.control = test::make_control_file(42);
    fail(ErrorCode::corrupt);
    host.control = {};
    fail(ErrorCode::corrupt);
    expect_nothing_left();
}

TEST_F(Backup, ADataDirectoryOfAnotherClusterIsNotTaken) {
    cluster.add("global/pg_control", as_text(test::make_control_file(42)));
    fail(ErrorCode::internal);
    EXPECT_EQ(host.calls["start"], 0);
    expect_nothing_left();
}

TEST_F(Backup, CorruptPagesAreNamedAndDoNotStopIt) {
    Bytes relation = test::make_relation(0, 10, 1, 1);
    relation[3 * kPageBytes + 5000] ^= std::byte{1};
    // Newer than the start: WAL repairs the first; the second's LSN the server has never reached.
    const auto spoil = [&](uint32_t block, Lsn lsn) {
        const auto page = MutableByteView(relation).subspan(block * kPageBytes, kPageBytes);
        ark::store<uint32_t>(page, 4, static_cast<uint32_t>(lsn));
    };
    spoil(5, host.ended.flush_lsn);
    spoil(7, host.ended.flush_lsn + 1);
    cluster.add("base/1/100", as_text(relation));
    const BackupMarker marker = take();
    EXPECT_EQ(marker.corrupt_page_count, 2U);
    EXPECT_EQ(marker.corrupt_pages,
              (std::vector<CorruptPage>{{"base/1/100", 3, "checksum mismatch"},
                                        {"base/1/100", 7, "checksum mismatch"}}));
    EXPECT_EQ(host.corrupt, marker.corrupt_pages);
}

TEST_F(Backup, WithoutDataChecksumsNoPageIsJudged) {
    cluster.add("global/pg_control",
                as_text(test::make_control_file(test::kFakeSystemIdentifier, 0)));
    cluster.add("base/1/100", std::string(8192, 'x'));
    const BackupMarker marker = take();
    EXPECT_FALSE(marker.page_checksums_verified);
    EXPECT_EQ(marker.pages_verified, 0U);
    EXPECT_EQ(marker.corrupt_page_count, 0U);
}

// initdb --allow-group-access: whoever may read the cluster may read the restored one.
TEST_F(Backup, WhatTheServerHandsOverHasTheModeOfItsFiles) {
    ASSERT_EQ(chmod(cluster.path("global/pg_control").c_str(), 0640), 0);
    const BackupMarker marker = take();
    IndexReader index(*repository, "main", request.id, marker.index_sha256);
    std::map<std::string, uint32_t> modes;
    while (const auto entry = index.next())
        modes[entry->path] = entry->mode;
    EXPECT_EQ(modes.at("global/pg_control"), 0640U);
    EXPECT_EQ(modes.at("backup_label"), 0640U);
    EXPECT_EQ(modes.at("PG_VERSION"), 0600U);
}

// The last moment at which the job asks whether its server lives: the next one may have swept.
TEST_F(Backup, AsksForItsServerRightBeforeTheMarker) {
    bool finishing = false;
    host.before = [&](const std::string& call) {
        finishing = finishing || call == "progress finishing";
        if (finishing && call == "wait")
            throw Error(ErrorCode::cancelled, "gone");
    };
    test::expect_error(ErrorCode::cancelled, [&] { return take(); });
    expect_nothing_left();
}

TEST_F(Backup, OfACountlessDamageTheFirstThousandAreNamed) {
    const uint32_t pages = 1300;
    cluster.add("base/1/100", as_text(test::make_relation(1, pages, host.ended.flush_lsn + 1, 1)));
    const BackupMarker marker = take();
    EXPECT_EQ(marker.corrupt_page_count, pages);
    EXPECT_EQ(marker.corrupt_pages.size(), kMaxReportedPages);
    EXPECT_EQ(host.corrupt.size(), kMaxReportedPages);
}

}  // namespace
}  // namespace ark
