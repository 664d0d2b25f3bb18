#include "core/backup/lane.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>
#include <thread>

#include "test/support/expect_error.hpp"
#include "test/support/fake_cluster.hpp"
#include "test/support/packs.hpp"
#include "test/support/pages.hpp"
#include "test/support/store_decorator.hpp"

namespace ark {
namespace {

class Lane : public testing::Test {
 protected:
    Lane()
        : store(make_memory_store()),
          repository(Repository::open(std::make_unique<test::StoreDecorator>(
                                          store,
                                          [this](const std::string& call, const std::string&) {
                                              if (call == "write" && on_write)
                                                  on_write();
                                          }),
                                      OpenMode::create)),
          packs(*repository, "c", "b", Writer{"h", "b", "d", 0}, 1) {}

    // Lists the files; what happens to them between this and run() is the test.
    void list() {
        files = FileList::read(cluster.path(), [](const std::string&) {});
        state = std::make_unique<CopyState>(files, cluster.path(),
                                            parse_control_file(test::make_control_file()), kStart);
        state->verify_pages = true;
        for (uint32_t i = 0; i < files.size(); ++i)
            state->rest.push_back(i);
        lane = std::make_unique<CopyLane>(*state, packs);
    }
    std::map<std::string, IndexEntry> run() {
        lane->run();
        std::map<std::string, IndexEntry> out;
        for (RecordRun* records : lane->runs()) {
            while (auto entry = records->next())
                out[entry->path] = *entry;
        }
        return out;
    }
    std::string content(const IndexEntry& entry) {
        return std::string(as_text(test::content_of(*store, "c", "b", entry)));
    }

    static constexpr Lsn kStart = 0x2000028;
    std::shared_ptr<ObjectStore> store;
    std::function<void()> on_write;
    std::unique_ptr<Repository> repository;
    PackSet packs;
    test::FakeCluster cluster;
    FileList files;
    std::unique_ptr<CopyState> state;
    std::unique_ptr<CopyLane> lane;
};

TEST_F(Lane, CopiesContentModeAndTime) {
    cluster.add("pg_xact/0000", std::string(300000, 'x'));
    cluster.add("empty", "");
    ASSERT_EQ(chmod(cluster.path("pg_xact/0000").c_str(), 0640), 0);
    const timespec times[2] = {{1700000000, 0}, {1600000000, 123456789}};
    ASSERT_EQ(utimensat(AT_FDCWD, cluster.path("pg_xact/0000").c_str(), times, 0), 0);
    list();
    auto entries = run();
    EXPECT_EQ(entries.size(), 4U);
    EXPECT_EQ(content(entries["pg_xact/0000"]), std::string(300000, 'x'));
    EXPECT_EQ(entries["pg_xact/0000"].mode, 0640U);
    EXPECT_EQ(entries["pg_xact/0000"].modified, 1600000000123456);
    EXPECT_EQ(entries["empty"].size, 0U);
    EXPECT_EQ(content(entries["PG_VERSION"]), "15\n");
    EXPECT_EQ(lane->copied_files(), 4U);
    EXPECT_EQ(state->files_done, 4U);
    EXPECT_EQ(state->bytes_done, 300006U);
}

TEST_F(Lane, AFileThatVanishedIsLeftOut) {
    cluster.add("base/1/100", std::string(8192, 'x'));
    cluster.add("base/7/1", "x");
    list();
    unlink(cluster.path("base/1/100").c_str());
    std::filesystem::remove_all(cluster.path("base/7"));
    const auto entries = run();
    EXPECT_FALSE(entries.contains("base/1/100"));
    EXPECT_FALSE(entries.contains("base/7/1"));
    EXPECT_EQ(lane->copied_files(), 2U);
}

TEST_F(Lane, AFileThatGrewSinceTheListIsTakenAsItIsWhenOpened) {
    cluster.add("f", "short");
    list();
    cluster.add("f", "longer than before");
    EXPECT_EQ(content(run()["f"]), "longer than before");
}

// The tar header is written by then: the size stays, the rest is zeros, WAL knows the true length.
TEST_F(Lane, AFileThatShrinksWhileItIsCopiedIsPadded) {
    const std::string before(3 * kFrameBytes, 'x');
    cluster.add("f", before);
    list();
    int writes = 0;
    on_write = [&] {
        if (++writes == 3) {
            ASSERT_EQ(truncate(cluster.path("f").c_str(), kFrameBytes + 5000), 0);
        }
    };
    auto entries = run();
    const std::string copied = content(entries["f"]);
    ASSERT_EQ(copied.size(), before.size());
    const size_t zero = copied.find('\0');
    EXPECT_GE(zero, kFrameBytes + 5000);
    EXPECT_LT(zero, before.size());
    EXPECT_TRUE(is_all_zero(as_bytes(copied).subspan(zero)));
}

TEST_F(Lane, AFileThatGrowsWhileItIsCopiedEndsAtTheSizeSeen) {
    cluster.add("f", std::string(2 * kFrameBytes, 'x'));
    list();
    int writes = 0;
    on_write = [&] {
        if (++writes < 2)
            return;  // the pack's header: the file is not open yet
        File file = File::open(cluster.path("f"), O_WRONLY | O_APPEND);
        file.write_all(as_bytes("more"));
    };
    auto entries = run();
    EXPECT_GE(writes, 3);
    EXPECT_TRUE(content(entries["f"]) == std::string(2 * kFrameBytes, 'x'));
}

// Links lead out of the cluster, and opening a FIFO waits for somebody to write to it.
TEST_F(Lane, NamesTakenOverByOtherThings) {
    for (const char* name : {"a", "b"})
        cluster.add(name, "x");
    list();
    for (const char* name : {"a", "b"})
        std::filesystem::remove(cluster.path(name));
    ASSERT_EQ(mkfifo(cluster.path("a").c_str(), 0600), 0);
    std::filesystem::create_directory(cluster.path("b"));
    EXPECT_EQ(run().size(), 2U);
}

TEST_F(Lane, ALinkThatTookAFilesNameIsNotFollowed) {
    cluster.add("a", "x");
    list();
    std::filesystem::remove(cluster.path("a"));
    cluster.link("a", "/etc/passwd");
    const Error error = test::expect_error(ErrorCode::io_error, [&] { return run(); });
    EXPECT_TRUE(test::mentions(error.message, cluster.path("a")));
}

TEST_F(Lane, StopsWhenToldTo) {
    cluster.add("f", std::string(10 * kFrameBytes, 'x'));
    list();
    int writes = 0;
    on_write = [&] {
        if (++writes == 3)
            state->stop = true;
    };
    test::expect_error(ErrorCode::cancelled, [&] { return run(); });
    EXPECT_LT(writes, 6);
}

TEST_F(Lane, PagesOfRelationsAndNothingElseAreVerified) {
    const Bytes bad = test::make_relation(7, 1, 1, 1);
    const auto text = [&] { return as_text(bad); };
    cluster.add("base/1/100", text());
    cluster.add("base/1/100_vm", text());
    cluster.add("global/1260", text());
    for (const char* other : {"pg_xact/0000", "pg_multixact/offsets/0000", "base/1/pg_filenode.map",
                              "pg_commit_ts/100", "userdir/100", "100"}) {
        cluster.add(other, text());
    }
    list();
    run();
    std::set<std::string> named;
    for (const SuspectPage& page : lane->findings().corrupt)
        named.insert(page.page.path);
    EXPECT_EQ(named, (std::set<std::string>{"base/1/100", "base/1/100_vm", "global/1260"}));
    EXPECT_EQ(lane->findings().verified, 3U);
}

TEST_F(Lane, APageInTheSecondMegabyteHasItsOwnNumber) {
    Bytes relation = test::make_relation(0, 300, 1, 1);
    relation[200 * kPageBytes + 5000] ^= std::byte{1};
    cluster.add("base/1/100", as_text(relation));
    list();
    run();
    ASSERT_EQ(lane->findings().corrupt.size(), 1U);
    EXPECT_EQ(lane->findings().corrupt[0].page.block, 200U);
    EXPECT_EQ(lane->findings().verified, 300U);
}

TEST_F(Lane, TwoLanesShareTheFiles) {
    for (int i = 0; i < 200; ++i)
        cluster.add("base/1/" + std::to_string(1000 + i), std::string(8192, '\0'));
    list();
    CopyLane second(*state, packs);
    state->large = {state->rest.back()};
    state->rest.pop_back();
    {
        std::jthread other([&] { second.run(); });
        lane->run();
    }
    size_t count = 0;
    for (CopyLane* one : {lane.get(), &second}) {
        for (RecordRun* records : one->runs()) {
            std::string last;
            while (const auto entry = records->next()) {
                EXPECT_LT(last, entry->path);
                last = entry->path;
                ++count;
            }
        }
    }
    EXPECT_EQ(count, files.size());
}

// The lane that has nothing left compresses frames of the other's file.
TEST_F(Lane, ALargeFileAtTheEndIsShared) {
    std::string large(40 * kFrameBytes + 12345, '\0');
    for (size_t i = 0; i < large.size(); ++i)
        large[i] = static_cast<char>(i / 4096 + i % 251);
    cluster.add("base/1/large", large);
    list();
    state->rest.clear();
    for (uint32_t i = 0; i < files.size(); ++i) {
        if (files.path(i) == "base/1/large")
            state->large.push_back(i);
    }
    CopyLane second(*state, packs);
    std::map<std::string, IndexEntry> entries;
    {
        std::jthread other([&] { second.run(); });
        entries = run();
    }
    for (RecordRun* records : second.runs()) {
        while (auto entry = records->next())
            entries[entry->path] = *entry;
    }
    ASSERT_EQ(entries.size(), 1U);
    const IndexEntry& entry = entries["base/1/large"];
    EXPECT_EQ(entry.frames.size(), 41U);
    EXPECT_EQ(entry.crc32c, crc32c(0, as_bytes(large)));
    EXPECT_EQ(entry.xxh128, content_hash(as_bytes(large)));
    EXPECT_TRUE(content(entry) == large);
}

}  // namespace
}  // namespace ark
