// audit_changes over a data directory without a server: pages whose LSNs an incremental backup's
// list of changed blocks has to answer for.
#include "core/verify/change_audit_job.hpp"

#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/pages.hpp"
#include "test/unit/restore/stored_chain.hpp"

namespace ark {
namespace {

using test::blocks_of;
using test::expect_error;
using test::mentions;

constexpr const char* kFile = "base/1/16384";

class Listener final : public VerifyListener {
 public:
    void progress(const VerifyProgress& progress) override {
        last = progress;
        if (on_progress)
            on_progress();
    }
    VerifyProgress last;
    std::function<void()> on_progress;
};

// The parent, b1, begins at 0/1000000; b2 at 0/2000000.
class AuditJob : public testing::Test {
 protected:
    AuditJob() {
        cluster.add("global/pg_control", as_text(test::make_control_file(7301)));
        const std::string content = blocks_of(40, 1);
        chain.add().files[kFile] = content;
        chain.backups[0].files["base/1/16385"] = blocks_of(8, 2);
        test::StoredBackup& b = chain.add();
        b.changed[kFile] = test::StoredChain::changed(content, {{3, 2}, {39, 1}});
        b.changed["base/1/16385"] = test::StoredChain::changed(blocks_of(8, 2), {});
        b.files["base/1/16386"] = blocks_of(4, 3);
        b.files["base/1/16385_vm"] = blocks_of(1, 4);
        write(kFile, 40);
        write("base/1/16385", 8);
        write("base/1/16386", 4, {{0, kBetween}, {1, kBetween}});
        write("base/1/16385_vm", 1, {{0, kBetween}});
        request.cluster = "7301";
        request.backup_id = "b2";
        request.test_id = "the test";
        request.data_directory = cluster.path();
    }

    // Pages older than the parent, but those that are named.
    void write(const std::string& path, uint32_t blocks,
               const std::map<uint32_t, Lsn>& newer = {}) const {
        Bytes content;
        for (uint32_t i = 0; i < blocks; ++i) {
            const auto found = newer.find(i);
            const Bytes page =
                test::make_page(i, found == newer.end() ? kBefore : found->second, 7);
            content.insert(content.end(), page.begin(), page.end());
        }
        cluster.add(path, as_text(content));
    }
    void set_timeline(TimelineId timeline) const {
        Bytes control = test::make_control_file(7301);
        store<uint32_t>(control, 48, timeline);
        store<uint32_t>(control, test::kControlCrcAt,
                        crc32c(0, ByteView(control).first(test::kControlCrcAt)));
        cluster.add("global/pg_control", as_text(control));
    }
    Evidence audit() {
        if (!stored) {
            chain.store();
            stored = true;
        }
        return audit_changes(*repository, request, listener);
    }
    void refused(const std::string& part) {
        const Error error = expect_error(
            ErrorCode::refused, [&] { return audit(); }, part);
        EXPECT_TRUE(mentions(error.message, part)) << error.message;
    }

    static constexpr Lsn kBefore = 0xF00000;
    static constexpr Lsn kBetween = 0x1800000;
    static constexpr Lsn kLater = 0x2800000;

    test::FakeCluster cluster;
    std::unique_ptr<Repository> repository =
        Repository::open(make_memory_store(), OpenMode::create);
    test::StoredChain chain{*repository};
    bool stored = false;
    ChangeAuditRequest request;
    Listener listener;
};

TEST_F(AuditJob, ReadsEveryBlockThatIsCalledUnchangedAndNoOther) {
    write(kFile, 40, {{3, kBetween}, {4, kBetween}, {39, kBetween}});
    const Evidence evidence = audit();
    EXPECT_TRUE(evidence.success);
    EXPECT_EQ(evidence.errors.count, 0U);
    EXPECT_EQ(evidence.kind, "change_audit");
    EXPECT_EQ(evidence.test_id, "the test");
    EXPECT_EQ(evidence.backup_id, "b2");
    EXPECT_EQ(evidence.cluster, "7301");
    EXPECT_EQ(evidence.verified["files"], 2);
    EXPECT_EQ(evidence.verified["blocks"], 37 + 8);
    EXPECT_EQ(evidence.verified["misses"], 0);
    EXPECT_TRUE(evidence.notes.empty());
    EXPECT_LE(evidence.started_at, evidence.completed_at);
}

TEST_F(AuditJob, APageThatChangedAndIsNotInTheBackupIsAFinding) {
    write(kFile, 40, {{0, kBetween}, {4, kBetween}, {5, kBetween}, {38, 0x2000000}});
    write("base/1/16385", 8, {{7, 0x1000001}});
    const Evidence evidence = audit();
    EXPECT_FALSE(evidence.success);
    EXPECT_EQ(evidence.errors.count, 4U);
    ASSERT_EQ(evidence.errors.kept.size(), 4U);
    EXPECT_EQ(evidence.errors.kept[0].check, "change_audit");
    EXPECT_EQ(evidence.errors.kept[0].path, kFile);
    EXPECT_EQ(evidence.errors.kept[0].block, 0U);
    EXPECT_TRUE(mentions(evidence.errors.kept[0].detail, "0/1800000"));
    EXPECT_EQ(evidence.errors.kept[1].block, 5U);
    EXPECT_EQ(evidence.errors.kept[2].block, 38U);
    EXPECT_EQ(evidence.errors.kept[3].path, "base/1/16385");
    EXPECT_EQ(evidence.verified["misses"], 4);
}

// The server goes on: what it changes has later LSNs, and files get shorter and longer.
TEST_F(AuditJob, WhatChangesLaterIsNoFinding) {
    write(kFile, 60, {{0, kLater}, {38, 0x2000001}, {50, kBetween}});
    write("base/1/16385", 3, {{1, 0x1000000}});
    const Evidence evidence = audit();
    EXPECT_TRUE(evidence.success);
    EXPECT_EQ(evidence.verified["blocks"], 37 + 3);
}

TEST_F(AuditJob, FilesThatHaveGoneAreNamedAsANumber) {
    std::filesystem::remove(cluster.path(kFile));
    std::filesystem::remove(cluster.path("base/1/16385"));
    std::filesystem::create_directory(cluster.path("base/1/16385"));
    const Evidence evidence = audit();
    EXPECT_TRUE(evidence.success);
    EXPECT_EQ(evidence.verified["files"], 0);
    ASSERT_EQ(evidence.notes.size(), 1U);
    EXPECT_EQ(evidence.notes[0], "2 files are gone since the backup and were not looked at");
}

// A link would lead out of the data directory.
TEST_F(AuditJob, ALinkIsNotFollowed) {
    write("base/1/other", 8, {{0, kBetween}});
    std::filesystem::remove(cluster.path("base/1/16385"));
    cluster.link("base/1/16385", cluster.path("base/1/other"));
    try {
        const Evidence evidence = audit();
        EXPECT_EQ(evidence.errors.count, 0U);
        EXPECT_EQ(evidence.verified["files"], 1);
    } catch (const Error& error) {
        EXPECT_EQ(error.code, ErrorCode::io_error) << error.message;
    }
}

TEST_F(AuditJob, WhatItCannotSpeakOfIsRefused) {
    request.backup_id = "b1";
    refused("is a full one: it calls nothing unchanged");
    request.backup_id = "b2";
    cluster.add("global/pg_control", as_text(test::make_control_file(7302)));
    refused("is of another cluster");
}

TEST_F(AuditJob, ABackupOfAnotherHistoryIsRefused) {
    set_timeline(2);
    // It was left before the backup began, in its middle, behind it.
    for (const char* left : {"0/1F00000", "0/2000080"}) {
        cluster.add("pg_wal/00000002.history",
                    std::string("1\t") + left + "\tno recovery target\n");
        refused("is not part of this server's history");
    }
    cluster.add("pg_wal/00000002.history", "1\t0/2000100\tno recovery target\n");
    EXPECT_TRUE(audit().success);
    // Without its file the history is not known.
    std::filesystem::remove(cluster.path("pg_wal/00000002.history"));
    refused("is not part of this server's history");
}

TEST_F(AuditJob, WhoIsNotThereIsNotFound) {
    audit();
    request.backup_id = "b9";
    expect_error(ErrorCode::not_found, [&] { return audit(); });
    request.backup_id = "b2";
    repository->store().remove("7301/" + place::marker("b1"));
    const Error error = expect_error(ErrorCode::not_found, [&] { return audit(); });
    EXPECT_TRUE(mentions(error.message, "b1")) << error.message;
}

TEST_F(AuditJob, ADamagedIndexIsCorrupt) {
    audit();
    const std::string name = "7301/" + place::index("b2");
    Bytes content = *repository->store().get(name, 1 << 20);
    content[content.size() / 2] ^= std::byte{1};
    repository->store().remove(name);
    repository->store().put_if_absent(name, content);
    expect_error(ErrorCode::corrupt, [&] { return audit(); });
}

TEST_F(AuditJob, CancelledItEnds) {
    audit();
    int calls = 0;
    listener.on_progress = [&] {
        if (++calls == 3)
            throw Error(ErrorCode::cancelled, "enough");
    };
    expect_error(ErrorCode::cancelled, [&] { return audit(); });
    EXPECT_EQ(calls, 3);
}

TEST_F(AuditJob, ManyFindingsAreCountedAndSomeAreNamed) {
    std::map<uint32_t, Lsn> all;
    for (uint32_t i = 0; i < 3000; ++i)
        all[i] = kBetween;
    const std::string content = blocks_of(3000, 9);
    chain.backups[0].files["base/1/17000"] = content;
    chain.backups[1].changed["base/1/17000"] = test::StoredChain::changed(content, {{10, 5}});
    write("base/1/17000", 3000, all);
    const Evidence evidence = audit();
    EXPECT_EQ(evidence.errors.count, 2995U);
    EXPECT_LE(evidence.errors.kept.size(), 100U);
    EXPECT_GE(evidence.errors.kept.size(), 1U);
}

}  // namespace
}  // namespace ark
