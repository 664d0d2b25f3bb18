#include "core/restore/file_queue.hpp"

#include <set>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace ark {
namespace {

using std::chrono::milliseconds;

IndexEntry file(const std::string& path, uint32_t pack, uint32_t skip, std::vector<FrameRef> frames,
                uint64_t size) {
    IndexEntry e;
    e.path = path;
    e.pack = pack;
    e.skip = skip;
    e.frames = std::move(frames);
    e.size = size;
    return e;
}

TEST(CutIntoWork, InTheOrderOfThePacks) {
    const auto work =
        cut_into_work({file("a", 1, 512, {{100, 50}}, 10), file("b", 0, 0, {{300, 10}}, 5),
                       file("c", 1, 0, {{100, 50}}, 10), file("d", 0, 0, {{100, 20}}, 5)},
                      1000, true);
    ASSERT_EQ(work.size(), 2U);
    EXPECT_EQ(work[0].pack, 0U);
    EXPECT_EQ(work[0].end, 310U);
    EXPECT_EQ(work[0].files[0].entry.path, "d");
    EXPECT_EQ(work[0].files[1].entry.path, "b");
    EXPECT_EQ(work[1].pack, 1U);
    EXPECT_EQ(work[1].end, 150U);
    EXPECT_EQ(work[1].files[0].entry.path, "c");
}

// Frame 100 is shared by b and c: a cut between them would have two lanes read it.
TEST(CutIntoWork, NeverInsideAFrame) {
    const auto work =
        cut_into_work({file("a", 0, 0, {{10, 90}}, 100), file("b", 0, 0, {{100, 50}}, 100),
                       file("c", 0, 600, {{100, 50}}, 100), file("d", 0, 0, {{150, 50}}, 100)},
                      100, true);
    ASSERT_EQ(work.size(), 3U);
    EXPECT_EQ(work[1].files.size(), 2U);
    EXPECT_EQ(work[2].files[0].entry.path, "d");
}

TEST(CutIntoWork, EveryFileOnce) {
    std::vector<FileItem> files;
    for (int i = 0; i < 1000; ++i) {
        const auto pack = static_cast<uint32_t>(i % 7);
        files.emplace_back(i % 10 == 0 ? file("empty" + std::to_string(i), 0, 0, {}, 0)
                                       : file("f" + std::to_string(i), pack, 0,
                                              {{static_cast<uint64_t>(1000 + i * 10), 10}}, 5000));
    }
    std::set<std::string> seen;
    for (const FileWork& work : cut_into_work(files, 20000, true)) {
        for (const FileItem& item : work.files) {
            const IndexEntry& e = item.entry;
            EXPECT_TRUE(seen.insert(e.path).second) << e.path;
            EXPECT_EQ(e.pack, work.pack);
            for (const FrameRef& frame : e.frames)
                EXPECT_LE(frame.offset + frame.stored, work.end);
        }
    }
    EXPECT_EQ(seen.size(), files.size());
}

IndexEntry large_file(const std::string& path, uint32_t pack, uint64_t size) {
    std::vector<FrameRef> frames;
    for (uint64_t at = 0; at < size; at += kFrameBytes)
        frames.push_back({1000 + at / 2, 100});
    return file(path, pack, 0, std::move(frames), size);
}

TEST(CutIntoWork, LargeFilesAreSharedWhereThatIsWanted) {
    const std::vector<FileItem> files{file("a", 0, 0, {{10, 90}}, 100),
                                      large_file("b", 0, 20 * kFrameBytes + 5),
                                      file("c", 0, 0, {{90000000, 90}}, 100)};
    const auto work = cut_into_work(files, 100, true);
    ASSERT_EQ(work.size(), 3U);
    EXPECT_FALSE(work[0].large);
    ASSERT_TRUE(work[1].large);
    EXPECT_EQ(work[1].large->entry().path, "b");
    EXPECT_EQ(work[1].end, files[1].entry.frames.back().offset + 100);
    ASSERT_EQ(work[2].files.size(), 1U);
    EXPECT_EQ(work[2].files[0].entry.path, "c");
    for (const FileWork& piece : cut_into_work(files, 100, false))
        EXPECT_FALSE(piece.large);
}

std::shared_ptr<LayeredFile> layered() {
    IndexEntry entry;
    entry.incremental = IncrementalContent{};
    return std::make_shared<LayeredFile>(entry, std::vector<Extent>{}, 3, 2, 0);
}

FilePiece piece(const std::shared_ptr<LayeredFile>& file, Layer layer, size_t backup,
                uint64_t offset) {
    FilePiece out;
    out.file = file;
    out.layer = layer;
    out.backup = backup;
    out.frames = {{{offset, 100}, 0, 1000}};
    return out;
}

// Whoever waits for the ground must wait for what a lane has already.
TEST(CutIntoWork, TheGroundComesFirst) {
    const auto a = layered();
    const auto b = layered();
    std::vector<FileItem> files{file("whole", 0, 0, {{100, 50}}, 10)};
    files.emplace_back(piece(a, Layer::above, 0, 200));
    files.emplace_back(piece(b, Layer::above, 1, 400));
    for (const uint64_t offset : {900, 100, 500})
        files.emplace_back(piece(b, Layer::ground, 2, offset));
    files.emplace_back(piece(a, Layer::ground, 2, 1300));
    const auto work = cut_into_work(files, 1000, true);
    ASSERT_EQ(work.size(), 4U);
    ASSERT_TRUE(work[0].parts) << "of one file";
    EXPECT_TRUE(work[0].ground);
    EXPECT_EQ(work[0].backup, 2U);
    for (const uint64_t offset : {100, 500, 900}) {
        const auto part = work[0].parts->next();
        ASSERT_TRUE(part && part->files.size() == 1U);
        EXPECT_EQ(part->files[0].begin(), offset);
        EXPECT_EQ(part->backup, 2U);
        EXPECT_EQ(part->end, offset + 100);
    }
    EXPECT_FALSE(work[0].parts->next());
    EXPECT_FALSE(work[1].parts) << "one piece alone";
    EXPECT_TRUE(work[1].ground);
    EXPECT_EQ(work[2].backup, 0U);
    EXPECT_EQ(work[2].files.size(), 2U);
    EXPECT_FALSE(work[2].ground);
    EXPECT_EQ(work[3].backup, 1U);
    EXPECT_EQ(cut_into_work(files, 1000, false).size(), 6U);
}

// Else it would wait for who has it.
TEST(FileQueue, HelpingWithTheGroundComesBeforeWhatIsAbove) {
    const auto a = layered();
    std::vector<FileItem> files;
    for (const uint64_t offset : {100, 500, 900})
        files.emplace_back(piece(a, Layer::ground, 2, offset));
    files.emplace_back(piece(layered(), Layer::ground, 2, 1300));
    files.emplace_back(piece(a, Layer::above, 0, 200));
    FileQueue queue(9);
    for (FileWork& work : cut_into_work(files, 1000, true))
        queue.push(work, milliseconds(0));
    const auto own = queue.pop();
    ASSERT_TRUE(own && own->parts);
    EXPECT_FALSE(own->helping);
    const auto other = queue.pop();
    ASSERT_TRUE(other);
    EXPECT_TRUE(other->ground && !other->parts) << "another file's comes before that";
    const auto help = queue.pop();
    ASSERT_TRUE(help && help->parts);
    EXPECT_TRUE(help->helping);
    EXPECT_EQ(help->parts, own->parts);
    while (own->parts->next()) {
    }
    const auto above = queue.pop();
    ASSERT_TRUE(above);
    EXPECT_FALSE(above->ground);
    queue.close();
    EXPECT_FALSE(queue.pop());
}

TEST(FileQueue, WhoHasNothingElseHelpsWithALargeFile) {
    FileQueue queue(4);
    FileWork work{0, 0, {}, std::make_shared<LargeFile>(large_file("a", 0, 40 * kFrameBytes))};
    FileWork small;
    queue.push(work, milliseconds(0));
    queue.push(small, milliseconds(0));
    const auto own = queue.pop();
    ASSERT_TRUE(own && own->large);
    EXPECT_FALSE(own->helping);
    const auto other = queue.pop();
    ASSERT_TRUE(other);
    EXPECT_FALSE(other->large) << "new work comes first";
    const auto help = queue.pop();
    ASSERT_TRUE(help);
    EXPECT_EQ(help->large, own->large);
    EXPECT_TRUE(help->helping);
    queue.close();
    while (own->large->next()) {
    }
    EXPECT_FALSE(queue.pop()) << "all parts are taken";
}

TEST(FileQueue, IsBounded) {
    FileQueue queue(1);
    FileWork work;
    EXPECT_TRUE(queue.push(work, milliseconds(0)));
    EXPECT_FALSE(queue.push(work, milliseconds(1)));
    EXPECT_TRUE(queue.pop());
    EXPECT_TRUE(queue.push(work, milliseconds(0)));
}

TEST(FileQueue, EndsWhenClosedAndEmpty) {
    FileQueue queue(4);
    FileWork work;
    queue.push(work, milliseconds(0));
    queue.close();
    EXPECT_TRUE(queue.pop());
    EXPECT_FALSE(queue.pop());
    EXPECT_FALSE(queue.wait_for_lanes(1, milliseconds(0)));
    queue.lane_ended(nullptr);
    EXPECT_TRUE(queue.wait_for_lanes(1, milliseconds(0)));
}

TEST(FileQueue, OneFailureEndsAll) {
    FileQueue queue(4);
    FileWork work;
    queue.push(work, milliseconds(0));
    std::thread waiting([&] {
        while (queue.pop()) {
        }
        queue.lane_ended(nullptr);
    });
    queue.lane_ended(std::make_exception_ptr(std::runtime_error("disk")));
    waiting.join();
    EXPECT_TRUE(queue.abandoned());
    EXPECT_THROW(queue.push(work, milliseconds(0)), std::runtime_error);
    EXPECT_THROW(queue.rethrow_failure(), std::runtime_error);
}

}  // namespace
}  // namespace ark
