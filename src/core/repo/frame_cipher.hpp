#pragma once

#include <cstdint>
#include <string>

#include "core/crypto/aes.hpp"

namespace ark {

/// The frames of one encrypted object (docs/repository-format.md "Encrypted frames"), each a zstd
/// skippable frame:
///   u32 magic | u32 length of what follows | u32 CRC-32C of what follows | ciphertext | tag
/// Each is authenticated together with where it is in the object, what kind of frame it is, and the
/// object's header, which names the object. The CRC is for who has no key. One thread.
class FrameCipher {
 public:
    /// What stands before the ciphertext, and all that a frame has more than its plaintext.
    static constexpr size_t kBefore = 4 + 4 + 4;
    static constexpr size_t kOverhead = kBefore + AesGcm::kTagBytes;
    /// The size of the frame that ends an object.
    static constexpr size_t kEndFrameBytes = kOverhead + 16;

    /// `key` belongs to one writing of one object alone: the offset of a frame is its nonce.
    FrameCipher(ByteView key, Bytes header_digest);

    /// A frame that will begin at `offset` of the object, written into `out`; its size. `plain` may
    /// lie kBefore bytes into `out`.
    size_t seal(ByteView plain, uint64_t offset, MutableByteView out);
    /// The last frame: how much the object holds, in how many frames. Without it an object could be
    /// cut off at any frame.
    size_t seal_end(uint64_t plain_bytes, uint64_t frames, uint64_t offset, MutableByteView out);

    /// The plaintext of a whole frame at `offset`, valid until the next call. Error: corrupt, with
    /// `name` in the message.
    ByteView open(ByteView frame, uint64_t offset, const std::string& name);
    /// Error: corrupt where the last frame is not whole, or says something else.
    void check_end(ByteView frame, uint64_t offset, uint64_t plain_bytes, uint64_t frames,
                   const std::string& name);

 private:
    size_t seal_kind(bool end, ByteView plain, uint64_t offset, MutableByteView out);
    ByteView open_kind(bool end, ByteView frame, uint64_t offset, const std::string& name);

    AesGcm cipher_;
    Bytes aad_;
    Bytes opened_;
};

/// Whether the frame is the last of an encrypted object; false for anything that is no frame.
bool is_end_frame(ByteView frame);

/// What can be said of encrypted frames without their key: they follow each other without a gap
/// from `offset` to the object's end, each is what its checksum says, and the last one, and no
/// other, is an end frame. Error: corrupt.
void check_sealed_frames(ByteView stored, size_t offset, const std::string& name);

}  // namespace ark
