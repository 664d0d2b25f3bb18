#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/pipeline/digest.hpp"
#include "core/pipeline/zstd.hpp"
#include "core/repo/object.hpp"
#include "core/repo/vault.hpp"
#include "core/store/object_store.hpp"

namespace ark {

/// What a finished object is.
struct WrittenObject {
    uint64_t plain_bytes = 0;
    uint64_t stored_bytes = 0;
    std::string plain_sha256;   ///< empty unless asked for
    std::string stored_sha256;  ///< of the object's bytes, header included
};

/// Writes an object whose content is not known beforehand (packs, the index, the manifest): a
/// header without size and digest, then zstd frames. The caller fills the frame's buffer in place:
///
///     span = writer.room(); n = read(fd, span…); writer.advance(n);
///
/// Where the store's vault encrypts, so does this. One thread at a time. `finish()` commits;
/// without it nothing becomes visible.
class ObjectWriter {
 public:
    ObjectWriter(ObjectStore& store, const std::string& cluster, ObjectKind kind,
                 const std::string& place, const Writer& writer, int level, bool hash_plaintext);

    /// Told of each frame as it is sent: where in the object it begins, and its stored length.
    void on_frame(std::function<void(uint64_t offset, uint32_t stored)> function) {
        on_frame_ = std::move(function);
    }

    /// The free part of the frame that is being filled; empty never.
    MutableByteView room() { return MutableByteView(frame_).subspan(filled_); }
    /// `n` bytes of room() are content now. A full frame is compressed and sent.
    void advance(size_t n);
    /// Copies.
    void append(ByteView bytes);
    /// Sends the frame begun, if it holds anything: what follows begins a new frame.
    void end_frame();
    /// Sends a whole frame that was compressed elsewhere (with compressor()'s level); none may be
    /// begun. Not for a writer that hashes the plaintext. last_frame_stored() is its length here.
    void send_frame(ByteView compressed, size_t plain_bytes);
    FrameCompressor& compressor() { return compressor_; }
    /// Sends a skippable frame, which is no content: readers of the plaintext pass over it. One of
    /// content may be begun; it comes behind. At most FrameCompressor::max_frame_bytes().
    /// last_frame_stored() is its length here.
    void send_aside(ByteView skippable);

    /// Where in the object the frame that is being filled will begin.
    uint64_t frame_offset() const { return stored_bytes_; }
    /// Bytes in the frame that is being filled.
    size_t filled() const { return filled_; }
    /// Stored length of the frame that was sent last.
    uint32_t last_frame_stored() const { return last_stored_; }
    uint64_t stored_bytes() const { return stored_bytes_; }
    uint64_t plain_bytes() const { return plain_bytes_; }

    /// Error: conflict when the name was taken.
    WrittenObject finish();

 private:
    void send(ByteView stored);
    void send_compressed(size_t n);
    void send_made(ByteView frame);
    void frame_sent(uint64_t offset, size_t plain_bytes);

    std::string name_;
    bool hash_plaintext_;
    FrameCompressor compressor_;
    Bytes frame_;
    Bytes compressed_;  ///< with room before and behind it for what encryption adds
    std::optional<FrameCipher> cipher_;
    size_t filled_ = 0;
    uint64_t stored_bytes_ = 0;
    uint64_t plain_bytes_ = 0;
    uint64_t frames_ = 0;
    uint32_t last_stored_ = 0;
    Sha256 plain_digest_;
    Sha256 stored_digest_;
    std::unique_ptr<Upload> upload_;
    std::function<void(uint64_t, uint32_t)> on_frame_;
};

}  // namespace ark
