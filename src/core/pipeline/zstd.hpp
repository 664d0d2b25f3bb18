#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/bytes.hpp"

namespace ark {

/// Largest plaintext of one frame, everywhere in the repository.
constexpr size_t kFrameBytes = 1 << 20;

/// Turns plaintext into stand-alone zstd frames, each with its content size and checksum. One
/// thread at a time; keeps its context between frames.
class FrameCompressor {
 public:
    explicit FrameCompressor(int level);
    ~FrameCompressor();
    FrameCompressor(FrameCompressor&&) noexcept;
    FrameCompressor& operator=(FrameCompressor&&) noexcept;

    /// Compresses at most kFrameBytes into `out` (of at least max_frame_bytes()); the bytes used.
    size_t compress(ByteView plaintext, MutableByteView out);
    /// Room that any frame fits in.
    static size_t max_frame_bytes();

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The inverse, frame by frame.
class FrameDecompressor {
 public:
    FrameDecompressor();
    ~FrameDecompressor();
    FrameDecompressor(FrameDecompressor&&) noexcept;
    FrameDecompressor& operator=(FrameDecompressor&&) noexcept;

    /// The plaintext of one whole frame, the number of bytes. Error: corrupt (checksum included),
    /// with `name` in the message.
    size_t decompress(ByteView frame, MutableByteView out, const std::string& name);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Bytes that the frame at the beginning of `bytes` takes (data or skippable), nullopt when its end
/// is not among them. Error: corrupt when no frame begins there.
std::optional<size_t> frame_length(ByteView bytes, const std::string& name);

/// True for a skippable frame (RFC 8878, section 3.1.2).
bool is_skippable_frame(ByteView bytes);

/// Levels that the library takes.
bool is_valid_compression_level(int level);

}  // namespace ark
