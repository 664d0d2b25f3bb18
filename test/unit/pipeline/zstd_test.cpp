#include "core/pipeline/zstd.hpp"

#include <random>

#include <zstd.h>

#include "test/support/expect_error.hpp"

namespace ark {
namespace {

Bytes content_of(size_t size, bool compressible) {
    Bytes out(size);
    std::minstd_rand random(size + 1);
    for (std::byte& b : out)
        b = static_cast<std::byte>(compressible ? random() % 3 : random() >> 8);
    return out;
}

Bytes frame_of(ByteView plain, int level = 3) {
    FrameCompressor compressor(level);
    Bytes frame(FrameCompressor::max_frame_bytes());
    frame.resize(compressor.compress(plain, frame));
    return frame;
}

TEST(Zstd, EverySizeAndLevelRoundTrips) {
    FrameDecompressor decompressor;
    for (const int level : {-5, 1, 3, 19}) {
        for (const size_t size : {size_t{0}, size_t{1}, size_t{511}, size_t{65536}, kFrameBytes}) {
            for (const bool compressible : {true, false}) {
                if (level == 19 && size > 65536)
                    continue;
                const Bytes plain = content_of(size, compressible);
                const Bytes frame = frame_of(plain, level);
                Bytes out(kFrameBytes);
                out.resize(decompressor.decompress(frame, out, "x"));
                EXPECT_EQ(out, plain) << size << " level " << level;
                EXPECT_EQ(frame_length(frame, "x"), frame.size());
            }
        }
    }
}

// Readers allocate by it, and zstd's own checksum finds damage without ours.
TEST(Zstd, FramesCarrySizeAndChecksum) {
    const Bytes plain = content_of(1000, true);
    const Bytes frame = frame_of(plain);
    EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), 1000U);
    EXPECT_NE(std::to_integer<int>(frame[4]) & 4, 0) << "content checksum flag";
}

TEST(Zstd, FlippedBytesNeverGiveOtherContent) {
    const Bytes plain = content_of(3000, true);
    Bytes frame = frame_of(plain);
    FrameDecompressor decompressor;
    size_t found = 0;
    for (size_t i = 0; i < frame.size(); ++i) {
        frame[i] ^= std::byte{0x55};
        Bytes out(kFrameBytes);
        try {
            out.resize(decompressor.decompress(frame, out, "the object"));
            EXPECT_EQ(out, plain) << i;
        } catch (const Error& error) {
            EXPECT_EQ(error.code, ErrorCode::corrupt);
            EXPECT_TRUE(test::mentions(error.message, "the object"));
            ++found;
        }
        frame[i] ^= std::byte{0x55};
    }
    EXPECT_GE(found, frame.size() - 2);
}

TEST(Zstd, ACutFrameIsNotWhole) {
    const Bytes frame = frame_of(content_of(3000, false));
    FrameDecompressor decompressor;
    Bytes out(kFrameBytes);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{4}, size_t{9}, frame.size() - 1}) {
        EXPECT_FALSE(frame_length(ByteView(frame).first(size), "x")) << size;
        if (size > 0) {
            test::expect_error(ErrorCode::corrupt, [&] {
                return decompressor.decompress(ByteView(frame).first(size), out, "x");
            });
        }
    }
}

TEST(Zstd, AFrameIsMeasuredAmongOthers) {
    Bytes two = frame_of(content_of(100, true));
    const size_t first = two.size();
    const Bytes second = frame_of(content_of(200, true));
    two.insert(two.end(), second.begin(), second.end());
    EXPECT_EQ(frame_length(two, "x"), first);
}

TEST(Zstd, WhatIsNoFrameIsCorrupt) {
    test::expect_error(ErrorCode::corrupt,
                       [] { return frame_length(as_bytes("not a frame at all"), "x"); });
    test::expect_error(ErrorCode::corrupt, [] { return frame_length(Bytes(64), "x"); });
}

// A damaged header must not make a reader write past its buffer.
// The library of some systems reads them.
TEST(Zstd, FramesOfTheTimeBeforeTheFormatAreNone) {
    for (const uint32_t magic : {0xFD2FB525U, 0xFD2FB526U, 0xFD2FB527U}) {
        Bytes frame = from_hex("000000002000c00000");
        store<uint32_t>(frame, 0, magic);
        test::expect_error(ErrorCode::corrupt, [&] { return frame_length(frame, "x"); });
        FrameDecompressor decompressor;
        Bytes out(100);
        test::expect_error(ErrorCode::corrupt,
                           [&] { return decompressor.decompress(frame, out, "x"); });
    }
}

TEST(Zstd, AFrameLargerThanTheBufferIsCorrupt) {
    const Bytes frame = frame_of(content_of(3000, true));
    FrameDecompressor decompressor;
    Bytes out(2999);
    test::expect_error(ErrorCode::corrupt,
                       [&] { return decompressor.decompress(frame, out, "x"); });
}

TEST(Zstd, SkippableFrames) {
    for (uint32_t magic = 0x184D2A50; magic < 0x184D2A60; ++magic) {
        Bytes frame(12);
        store<uint32_t>(frame, 0, magic);
        store<uint32_t>(frame, 4, 4);
        EXPECT_TRUE(is_skippable_frame(frame));
        EXPECT_EQ(frame_length(frame, "x"), 12U);
    }
    EXPECT_FALSE(is_skippable_frame(frame_of(content_of(10, true))));
    EXPECT_FALSE(is_skippable_frame({}));
}

TEST(Zstd, LevelsOfTheLibrary) {
    EXPECT_TRUE(is_valid_compression_level(1));
    EXPECT_TRUE(is_valid_compression_level(22));
    EXPECT_TRUE(is_valid_compression_level(-7));
    EXPECT_FALSE(is_valid_compression_level(23));
    EXPECT_FALSE(is_valid_compression_level(-1000000));
}

}  // namespace
}  // namespace ark
