#include "core/restore/large_file.hpp"

#include <gtest/gtest.h>

#include "core/base/crc32c.hpp"

namespace ark {
namespace {

IndexEntry entry_of(uint64_t size, size_t frames, uint32_t skip = 0) {
    IndexEntry e;
    e.path = "base/1/2";
    e.pack = 7;
    e.size = size;
    e.skip = skip;
    for (size_t i = 0; i < frames; ++i)
        e.frames.push_back({100 + i * 10, 10});
    return e;
}

TEST(LargeFile, SuitsOnlyFramesThatAreAsTheyShouldBe) {
    EXPECT_FALSE(LargeFile::suits(entry_of(0, 0)));
    EXPECT_FALSE(LargeFile::suits(entry_of(16 * kFrameBytes, 16)));
    EXPECT_TRUE(LargeFile::suits(entry_of(16 * kFrameBytes + 1, 17)));
    EXPECT_FALSE(LargeFile::suits(entry_of(16 * kFrameBytes + 1, 16)));
    EXPECT_FALSE(LargeFile::suits(entry_of(16 * kFrameBytes + 1, 18)));
    EXPECT_FALSE(LargeFile::suits(entry_of(16 * kFrameBytes + 1, 17, 512)));
}

TEST(LargeFile, PartsCoverItOnceAndTheirChecksumsMakeTheWholes) {
    for (const uint64_t more : {0UL, 1UL, kFrameBytes - 1, kFrameBytes, kFrameBytes + 1}) {
        const uint64_t size = 32 * kFrameBytes + more;
        SCOPED_TRACE(size);
        Bytes content(size);
        for (size_t i = 0; i < size; ++i)
            content[i] = static_cast<std::byte>(i * 7 + i / 300);
        LargeFile file(entry_of(size, (size + kFrameBytes - 1) / kFrameBytes));
        std::vector<LargeFile::Part> parts;
        uint64_t next = 0;
        while (auto part = file.next()) {
            EXPECT_EQ(part->offset, next);
            EXPECT_EQ(part->entry.frames.front().offset, 100 + next / kFrameBytes * 10);
            EXPECT_EQ(part->end, part->entry.frames.back().offset + 10);
            EXPECT_EQ(part->entry.path, "base/1/2");
            EXPECT_EQ(part->entry.pack, 7U);
            next += part->entry.size;
            parts.push_back(*part);
        }
        EXPECT_EQ(next, size);
        EXPECT_FALSE(file.has_parts());
        // They end in another order than they began in.
        for (size_t i = parts.size(); i-- > 0;) {
            const ByteView bytes = ByteView(content).subspan(parts[i].offset, parts[i].entry.size);
            const auto whole = file.written(parts[i], crc32c(0, bytes));
            ASSERT_EQ(whole.has_value(), i == 0);
            if (whole) {
                EXPECT_EQ(*whole, crc32c(0, content));
            }
        }
    }
}

}  // namespace
}  // namespace ark
