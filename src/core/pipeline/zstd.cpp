#include "core/pipeline/zstd.hpp"

#include <zstd_errors.h>

#include <zstd.h>

#include "core/base/error.hpp"

namespace ark {

namespace {

struct CompressDeleter {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct DecompressDeleter {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

constexpr uint32_t kSkippableMagic = 0x184D2A50;
constexpr uint32_t kSkippableMask = 0xFFFFFFF0;

Error corrupt_frame(const std::string& name, const std::string& why) {
    return {ErrorCode::corrupt, "damaged data in \"" + name + "\"", "zstd: " + why + "."};
}

// The library may read what zstd wrote before its format was settled, too; nothing of ours is that,
// and what no one writes any more no one looks after.
void check_magic(ByteView frame, const std::string& name) {
    if (frame.size() >= 4 && load<uint32_t>(frame, 0) != ZSTD_MAGICNUMBER &&
        (load<uint32_t>(frame, 0) & kSkippableMask) != kSkippableMagic)
        throw corrupt_frame(name, "Unknown frame descriptor");
}

}  // namespace

struct FrameCompressor::State {
    std::unique_ptr<ZSTD_CCtx, CompressDeleter> context{ZSTD_createCCtx()};
};

FrameCompressor::FrameCompressor(int level) : state_(std::make_unique<State>()) {
    ZSTD_CCtx* context = state_->context.get();
    if (context == nullptr)
        throw Error(ErrorCode::out_of_memory, "out of memory");
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
}
FrameCompressor::~FrameCompressor() = default;
FrameCompressor::FrameCompressor(FrameCompressor&&) noexcept = default;
FrameCompressor& FrameCompressor::operator=(FrameCompressor&&) noexcept = default;

size_t FrameCompressor::compress(ByteView plaintext, MutableByteView out) {
    const size_t n = ZSTD_compress2(state_->context.get(), out.data(), out.size(), plaintext.data(),
                                    plaintext.size());
    if (ZSTD_isError(n) != 0) {
        const bool memory = ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation;
        throw Error(memory ? ErrorCode::out_of_memory : ErrorCode::internal,
                    std::string("could not compress: ") + ZSTD_getErrorName(n));
    }
    return n;
}

size_t FrameCompressor::max_frame_bytes() {
    return ZSTD_compressBound(kFrameBytes);
}

struct FrameDecompressor::State {
    std::unique_ptr<ZSTD_DCtx, DecompressDeleter> context{ZSTD_createDCtx()};
};

FrameDecompressor::FrameDecompressor() : state_(std::make_unique<State>()) {
    if (!state_->context)
        throw Error(ErrorCode::out_of_memory, "out of memory");
}
FrameDecompressor::~FrameDecompressor() = default;
FrameDecompressor::FrameDecompressor(FrameDecompressor&&) noexcept = default;
FrameDecompressor& FrameDecompressor::operator=(FrameDecompressor&&) noexcept = default;

size_t FrameDecompressor::decompress(ByteView frame, MutableByteView out, const std::string& name) {
    check_magic(frame, name);
    const size_t n = ZSTD_decompressDCtx(state_->context.get(), out.data(), out.size(),
                                         frame.data(), frame.size());
    if (ZSTD_isError(n) != 0)
        throw corrupt_frame(name, ZSTD_getErrorName(n));
    return n;
}

std::optional<size_t> frame_length(ByteView bytes, const std::string& name) {
    check_magic(bytes, name);
    const size_t n = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
    if (ZSTD_isError(n) == 0)
        return n;
    if (ZSTD_getErrorCode(n) == ZSTD_error_srcSize_wrong)
        return std::nullopt;
    throw corrupt_frame(name, ZSTD_getErrorName(n));
}

bool is_skippable_frame(ByteView bytes) {
    return bytes.size() >= 8 && (load<uint32_t>(bytes, 0) & kSkippableMask) == kSkippableMagic;
}

bool is_valid_compression_level(int level) {
    return level >= ZSTD_minCLevel() && level <= ZSTD_maxCLevel();
}

}  // namespace ark
