#include "core/repo/object_writer.hpp"

#include <vector>

#include <zstd.h>

#include "core/base/fault.hpp"
#include "test/support/expect_error.hpp"

namespace ark {
namespace {

const std::string kPlace = "backup/b/data/00000.tar.zst";

struct Frame {
    uint64_t offset;
    uint32_t stored;
};

class Written : public testing::Test {
 protected:
    std::unique_ptr<ObjectWriter> open(bool hash = true) {
        auto writer = std::make_unique<ObjectWriter>(*store, "c", ObjectKind::pack, kPlace,
                                                     Writer{"h", "b", "d", 0}, 1, hash);
        writer->on_frame([this](uint64_t offset, uint32_t stored) {
            frames.push_back({offset, stored});
        });
        return writer;
    }
    Bytes stored() { return *store->get("c/" + kPlace, 64 << 20); }
    std::unique_ptr<ObjectStore> store = make_memory_store();
    std::vector<Frame> frames;
};

Bytes pattern(size_t size) {
    Bytes out(size);
    for (size_t i = 0; i < size; ++i)
        out[i] = static_cast<std::byte>(i * i / 7);
    return out;
}

// As the zstd tool does: the whole object as one stream.
Bytes decompressed(const Bytes& object) {
    const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                     ZSTD_freeDCtx);
    Bytes out;
    Bytes piece(100000);
    ZSTD_inBuffer in{object.data(), object.size(), 0};
    while (in.pos < in.size) {
        ZSTD_outBuffer to{piece.data(), piece.size(), 0};
        const size_t n = ZSTD_decompressStream(context.get(), &to, &in);
        EXPECT_FALSE(ZSTD_isError(n)) << ZSTD_getErrorName(n);
        if (ZSTD_isError(n))
            return {};
        out.insert(out.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(to.pos));
    }
    return out;
}

TEST_F(Written, IsWhatWasAppendedAtEveryPieceSize) {
    const Bytes plain = pattern(2 * kFrameBytes + 12345);
    for (const size_t piece : {size_t{4099}, kFrameBytes - 1, kFrameBytes, plain.size()}) {
        store = make_memory_store();
        frames.clear();
        auto writer = open();
        for (size_t at = 0; at < plain.size(); at += piece)
            writer->append(ByteView(plain).subspan(at, std::min(piece, plain.size() - at)));
        const WrittenObject written = writer->finish();
        const Bytes object = stored();
        EXPECT_EQ(decompressed(object), plain);
        EXPECT_EQ(written.plain_bytes, plain.size());
        EXPECT_EQ(written.plain_sha256, sha256_hex(plain));
        EXPECT_EQ(written.stored_bytes, object.size());
        EXPECT_EQ(written.stored_sha256, sha256_hex(object));
        ASSERT_EQ(frames.size(), 3U);
        uint64_t expected = parse_header(object, "x").frame_bytes;
        for (const Frame& frame : frames) {
            EXPECT_EQ(frame.offset, expected);
            EXPECT_EQ(frame_length(ByteView(object).subspan(frame.offset), "x"), frame.stored);
            expected += frame.stored;
        }
        EXPECT_EQ(expected, object.size());
    }
}

TEST_F(Written, FramesEndWhereTheCallerSays) {
    auto writer = open(false);
    writer->end_frame();  // nothing begun: nothing sent
    EXPECT_TRUE(frames.empty());
    writer->append(as_bytes("one"));
    EXPECT_EQ(writer->filled(), 3U);
    const uint64_t first = writer->frame_offset();
    writer->end_frame();
    EXPECT_EQ(writer->filled(), 0U);
    EXPECT_EQ(writer->room().size(), kFrameBytes);
    EXPECT_EQ(writer->frame_offset(), first + writer->last_frame_stored());
    writer->append(as_bytes("two"));
    const WrittenObject written = writer->finish();
    EXPECT_EQ(frames.size(), 2U);
    EXPECT_TRUE(written.plain_sha256.empty());
    EXPECT_EQ(as_text(decompressed(stored())), "onetwo");
}

TEST_F(Written, IsInvisibleWithoutFinish) {
    {
        auto writer = open();
        writer->append(pattern(2 * kFrameBytes));
    }
    EXPECT_FALSE(store->head("c/" + kPlace));
}

TEST_F(Written, NeverReplacesAnother) {
    store->put_if_absent("c/" + kPlace, as_bytes("first"));
    auto writer = open();
    writer->append(as_bytes("second"));
    const Error error = test::expect_error(ErrorCode::conflict, [&] { return writer->finish(); });
    EXPECT_TRUE(test::mentions(error.message, kPlace));
    EXPECT_EQ(as_text(stored()), "first");
}

TEST_F(Written, SaysWhatItIs) {
    open()->finish();
    const ObjectHeader header = *read_header(*store, "c/" + kPlace);
    EXPECT_EQ(header.kind, ObjectKind::pack);
    EXPECT_EQ(header.place, kPlace);
    EXPECT_EQ(header.writer.host, "h");
    EXPECT_FALSE(header.plain_bytes);
    EXPECT_TRUE(decompressed(stored()).empty());
}

}  // namespace
}  // namespace ark
