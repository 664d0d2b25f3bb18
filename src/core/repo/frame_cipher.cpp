#include "core/repo/frame_cipher.hpp"

#include <array>

#include "core/base/crc32c.hpp"
#include "core/base/error.hpp"

namespace ark {

namespace {

// Two more of zstd's skippable magics: zstd passes over what it cannot read.
constexpr uint32_t kDataMagic = 0x184D2A5B;
constexpr uint32_t kEndMagic = 0x184D2A5C;

Error damaged(const std::string& name, const std::string& what) {
    return {ErrorCode::corrupt, "object \"" + name + "\" is damaged", what};
}

uint32_t magic_of(bool end) {
    return end ? kEndMagic : kDataMagic;
}

// The kind of frame, then its offset; big-endian.
std::array<std::byte, AesGcm::kNonceBytes> nonce_of(bool end, uint64_t offset) {
    std::array<std::byte, AesGcm::kNonceBytes> out{};
    out[3] = std::byte{end};
    for (size_t i = 0; i < 8; ++i)
        out[4 + i] = static_cast<std::byte>(offset >> (8 * (7 - i)));
    return out;
}

// Its length, where it is all there and what its checksum says.
size_t check_frame(ByteView bytes, const std::string& name) {
    if (bytes.size() < FrameCipher::kOverhead)
        throw damaged(name, "It ends in the middle of a frame.");
    const auto magic = load<uint32_t>(bytes, 0);
    if (magic != kDataMagic && magic != kEndMagic)
        throw damaged(name, "It has a frame that is not encrypted, and should be.");
    const size_t length = 8 + static_cast<size_t>(load<uint32_t>(bytes, 4));
    if (length < FrameCipher::kOverhead || length > bytes.size())
        throw damaged(name, "It ends in the middle of a frame.");
    const ByteView sealed = bytes.subspan(FrameCipher::kBefore, length - FrameCipher::kBefore);
    if (crc32c(0, sealed) != load<uint32_t>(bytes, 8))
        throw damaged(name, "A frame does not match its checksum.");
    return length;
}

}  // namespace

FrameCipher::FrameCipher(ByteView key, Bytes header_digest)
    : cipher_(key), aad_(std::move(header_digest)) {}

size_t FrameCipher::seal_kind(bool end, ByteView plain, uint64_t offset, MutableByteView out) {
    const size_t size = plain.size() + kOverhead;
    cipher_.seal(nonce_of(end, offset), aad_, plain, out.subspan(kBefore));
    store<uint32_t>(out, 0, magic_of(end));
    store<uint32_t>(out, 4, static_cast<uint32_t>(size - 8));
    store<uint32_t>(out, 8, crc32c(0, out.subspan(kBefore, size - kBefore)));
    return size;
}

size_t FrameCipher::seal(ByteView plain, uint64_t offset, MutableByteView out) {
    return seal_kind(false, plain, offset, out);
}

size_t FrameCipher::seal_end(uint64_t plain_bytes, uint64_t frames, uint64_t offset,
                             MutableByteView out) {
    std::array<std::byte, 16> counts{};
    store<uint64_t>(counts, 0, plain_bytes);
    store<uint64_t>(counts, 8, frames);
    return seal_kind(true, counts, offset, out);
}

ByteView FrameCipher::open_kind(bool end, ByteView frame, uint64_t offset,
                                const std::string& name) {
    if (check_frame(frame, name) != frame.size() || load<uint32_t>(frame, 0) != magic_of(end))
        throw damaged(name, "It has another frame than it should have there.");
    const ByteView sealed = frame.subspan(kBefore);
    if (opened_.size() < sealed.size())
        opened_.resize(sealed.size());
    if (!cipher_.open(nonce_of(end, offset), aad_, sealed, opened_)) {
        throw damaged(name,
                      "A frame was not written with this object's key, for this place in this "
                      "object: somebody changed it, or its header.");
    }
    return ByteView(opened_).first(sealed.size() - AesGcm::kTagBytes);
}

ByteView FrameCipher::open(ByteView frame, uint64_t offset, const std::string& name) {
    return open_kind(false, frame, offset, name);
}

void FrameCipher::check_end(ByteView frame, uint64_t offset, uint64_t plain_bytes, uint64_t frames,
                            const std::string& name) {
    const ByteView counts = open_kind(true, frame, offset, name);
    if (counts.size() != 16 || load<uint64_t>(counts, 0) != plain_bytes ||
        load<uint64_t>(counts, 8) != frames) {
        throw damaged(name, "It holds something else than its last frame says.");
    }
}

bool is_end_frame(ByteView frame) {
    return frame.size() >= 4 && load<uint32_t>(frame, 0) == kEndMagic;
}

void check_sealed_frames(ByteView stored, size_t offset, const std::string& name) {
    bool ended = false;
    while (offset < stored.size()) {
        if (ended)
            throw damaged(name, "It goes on behind its last frame.");
        const ByteView rest = stored.subspan(offset);
        offset += check_frame(rest, name);
        ended = is_end_frame(rest);
    }
    if (!ended)
        throw damaged(name, "It has no last frame: it was cut off.");
}

}  // namespace ark
