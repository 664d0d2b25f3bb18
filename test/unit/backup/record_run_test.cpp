#include "core/backup/record_run.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace ark {
namespace {

IndexEntry entry_of(const std::string& path, size_t frames = 1) {
    IndexEntry e;
    e.path = path;
    e.size = frames * kFrameBytes;
    e.crc32c = static_cast<uint32_t>(path.size());
    for (size_t i = 0; i < frames; ++i)
        e.frames.push_back({i * 1000003, static_cast<uint32_t>(i + 1)});
    return e;
}

std::vector<IndexEntry> read_all(RecordRun& run) {
    std::vector<IndexEntry> out;
    while (auto entry = run.next())
        out.push_back(std::move(*entry));
    EXPECT_FALSE(run.next());
    return out;
}

TEST(RecordRun, GivesBackWhatItTook) {
    RecordRun run;
    std::vector<IndexEntry> expected;
    // Many small entries, then one whose line is longer than a frame, then more.
    for (int i = 0; i < 20000; ++i)
        expected.push_back(entry_of("a/" + std::to_string(100000 + i)));
    expected.push_back(entry_of("b", 100000));
    expected.push_back(entry_of("c\xFF\n\"", 3));
    for (const IndexEntry& entry : expected)
        run.add(entry);
    run.seal();
    EXPECT_TRUE(read_all(run) == expected);
}

TEST(RecordRun, MayBeEmpty) {
    RecordRun run;
    run.seal();
    EXPECT_FALSE(run.next());
}

// The reader of the index demands bytewise order over whole paths: '.' and '-' sort before '/',
// and bytes above 0x7F sort last.
TEST(RecordMerge, OrdersWholePathsBytewise) {
    std::vector<std::string> paths{"a",
                                   "a\x01",
                                   "a b",
                                   "a!/x",
                                   "a-1",
                                   "a-1/z",
                                   "a.1",
                                   "a.1/x",
                                   "a/",
                                   "a/b",
                                   "a/b.1",
                                   "a0",
                                   "a\x7F",
                                   "a\x80",
                                   "a\xFF",
                                   "b",
                                   "base/1.x",
                                   "base/1/x",
                                   "base/1/\xC3\xA4"};
    std::ranges::sort(paths);
    std::minstd_rand random(1);
    for (int round = 0; round < 20; ++round) {
        std::vector<RecordRun> runs(1 + round % 5);
        for (const std::string& path : paths)
            runs[random() % runs.size()].add(entry_of(path));
        std::vector<RecordRun*> pointers;
        for (RecordRun& run : runs) {
            run.seal();
            pointers.push_back(&run);
        }
        RecordMerge merge(pointers);
        std::vector<std::string> merged;
        while (const auto entry = merge.next())
            merged.push_back(entry->path);
        EXPECT_EQ(merged, paths);
        EXPECT_FALSE(merge.next());
    }
}

TEST(RecordMerge, OfNothingIsNothing) {
    EXPECT_FALSE(RecordMerge({}).next());
    RecordRun empty;
    empty.seal();
    EXPECT_FALSE(RecordMerge({&empty}).next());
}

}  // namespace
}  // namespace ark
